//! Back-ends that speak proper HTTP: they say what arrived, or do as a test tells them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    body::{Body, full},
    wait::Expected,
};

/// What a back-end speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.
    Http1,
    /// HTTP/2 with prior knowledge, or inside TLS.
    H2c,
}

impl Speaks {
    /// Serves one connection to its end, whatever that is.
    pub async fn serve<IO, S>(self, stream: IO, service: S)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Send,
        S::Future: Send + 'static,
    {
        let io = TokioIo::new(stream);
        let _ended = match self {
            Self::Http1 => {
                http1::Builder::new()
                    .max_headers(200)
                    .serve_connection(io, service)
                    .with_upgrades()
                    .await
            }
            Self::H2c => {
                http2::Builder::new(TokioExecutor::new())
                    .serve_connection(io, service)
                    .await
            }
        };
    }
}

/// A back-end. Dropping it closes its socket and its connections.
#[derive(Debug)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    counts: Arc<Counts>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    open: AtomicUsize,
    requests: AtomicUsize,
}

impl Backend {
    /// A back-end that answers every request with what it saw, in text: its name, the request line
    /// and header fields as HTTP/1 would have them, an empty line, and the body.
    pub async fn echo(name: &'static str, speaks: Speaks) -> Self {
        Self::serve(speaks, move |request| echo(name, request)).await
    }

    /// An HTTP/1 back-end that answers every request with its name alone.
    pub async fn named(name: &'static str) -> Self {
        Self::serve(Speaks::Http1, move |_request| async move {
            Response::new(full(name))
        })
        .await
    }

    /// An HTTP/1 back-end that answers every request with this status and its name.
    pub async fn status(name: &'static str, status: u16) -> Self {
        let answer = move |_request| async move {
            let mut response = Response::new(full(name));
            *response.status_mut() = http::StatusCode::from_u16(status).expected("a status");
            response
        };
        Self::serve(Speaks::Http1, answer).await
    }

    /// A back-end that does as `handler` says.
    ///
    /// # Panics
    /// When the system gives no socket.
    pub async fn serve<H, F>(speaks: Speaks, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::serve_in(speaks, None, handler).await
    }

    /// A back-end that does as `handler` says, inside TLS. Connections that come without TLS, or that
    /// it refuses, are counted and closed.
    ///
    /// # Panics
    /// When the system gives no socket.
    pub async fn serve_tls<H, F>(speaks: Speaks, tls: Arc<ServerConfig>, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::serve_in(speaks, Some(TlsAcceptor::from(tls)), handler).await
    }

    async fn serve_in<H, F>(speaks: Speaks, tls: Option<TlsAcceptor>, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expected("a back-end's socket");
        let address = listener.local_addr().expected("its address");
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _peer) = listener.accept().await.expected("accept");
                counted.connections.fetch_add(1, Relaxed);
                let (handler, counted) = (handler.clone(), Arc::clone(&counted));
                let tls = tls.clone();
                connections.spawn(async move {
                    counted.open.fetch_add(1, Relaxed);
                    let of_requests = Arc::clone(&counted);
                    let service = service_fn(move |request| {
                        of_requests.requests.fetch_add(1, Relaxed);
                        let answer = handler(request);
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    // However a connection ends, the test sees it at the client.
                    match tls {
                        None => speaks.serve(stream, service).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => speaks.serve(stream, service).await,
                            Err(_refused) => {}
                        },
                    }
                    counted.open.fetch_sub(1, Relaxed);
                });
            }
        });
        Self {
            address,
            counts,
            _serving: serving,
        }
    }

    /// Requests that arrived.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Relaxed)
    }

    /// Connections that were ever opened.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Relaxed)
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.counts.open.load(Relaxed)
    }
}

/// Answers a request with what it saw, see [`Backend::echo`].
///
/// # Panics
/// Never; whatever arrives has a form in text.
pub async fn echo(name: &'static str, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut said = format!(
        "backend: {name}\n{} {} {:?}\n",
        parts.method, parts.uri, parts.version
    );
    for (field, value) in &parts.headers {
        said.push_str(&format!("{field}: {}\n", value.as_bytes().escape_ascii()));
    }
    said.push('\n');
    let mut answer = said.into_bytes();
    match body.collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().cloned();
            answer.extend_from_slice(&collected.to_bytes());
            for (field, value) in trailers.iter().flat_map(HeaderMap::iter) {
                let line = format!("\ntrailer {field}: {}", value.as_bytes().escape_ascii());
                answer.extend_from_slice(line.as_bytes());
            }
        }
        Err(error) => answer.extend_from_slice(format!("\nbody error: {error}").as_bytes()),
    }
    let mut response = Response::new(full(answer));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// An address of loopback where nobody listens.
///
/// # Panics
/// When the system gives no socket.
#[must_use]
pub fn nobody() -> SocketAddr {
    // The socket is bound and never listens, so that the system gives the port to nobody else.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expected("a socket");
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .expected("bind");
    let address = socket.local_addr().expected("its address").as_socket();
    std::mem::forget(socket);
    address.expect("an IP address")
}
