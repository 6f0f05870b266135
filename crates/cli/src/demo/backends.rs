//! The backends of the demo: small HTTP servers in this process that say who they are.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// Header of an answer that names the backend.
pub(super) const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");
/// Header of a request that backends return: the demo's consumer route sets it.
pub(super) const TENANT: HeaderName = HeaderName::from_static("x-tenant");

/// A running backend; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Backend {
    /// Where it listens.
    pub(super) address: SocketAddr,
    _accepting: AbortOnDropHandle<()>,
}

impl Backend {
    /// Starts a backend on a free port.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn start(name: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, name));
        Ok(Self {
            address,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }
}

async fn accept(listener: TcpListener, name: &'static str) {
    // The connections of a backend end with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(TokioIo::new(stream), name));
                }
                Err(error) => {
                    tracing::warn!(%error, backend = name, "a demo backend cannot accept");
                    return;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TokioIo<tokio::net::TcpStream>, name: &'static str) {
    let service = service_fn(move |request| {
        let answer = answer(name, &request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(stream, service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, backend = name, "a connection to a demo backend ended");
    }
}

fn answer(name: &'static str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let tenant = request.headers().get(TENANT);
    let mut text = format!("{name} answers {} {}", request.method(), request.uri());
    if let Some(tenant) = tenant.and_then(|tenant| tenant.to_str().ok()) {
        text.push_str(" for tenant ");
        text.push_str(tenant);
    }
    text.push('\n');
    let mut headers = HeaderMap::new();
    headers.insert(SERVED_BY, HeaderValue::from_static(name));
    headers.extend(tenant.map(|tenant| (TENANT, tenant.clone())));
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.headers_mut() = headers;
    response
}
