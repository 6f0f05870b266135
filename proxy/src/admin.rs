//! The admin endpoint: metrics, health and the live tables, read-only and on loopback.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

/// Connections that are served at once; more wait.
const CONNECTIONS: usize = 64;

/// What the endpoint shows. Implemented by the assembling binary.
pub trait State: Send + Sync + 'static {
    /// OpenMetrics text.
    fn metrics(&self) -> String;
    /// `Ok` once everything that was loaded serves; otherwise what is missing.
    fn ready(&self) -> Result<(), String>;
    /// The live tables as JSON.
    fn config(&self) -> String;
}

/// Why the endpoint cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is not loopback: the tables are nobody else's business.
    #[error("the admin address {0} is not loopback; use 127.0.0.1:PORT or [::1]:PORT")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("the admin endpoint cannot listen on {address}: {source}; choose another port")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// The endpoint, listening but not serving yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
}

impl Admin {
    /// Listens on a loopback address.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        if !address.ip().is_loopback() {
            return Err(AdminError::NotLoopback(address));
        }
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| AdminError::Bind { address, source })?;
        Ok(Self { listener })
    }

    /// The address it listens on, with the port the system chose for port 0.
    ///
    /// # Errors
    /// When the system does not know the socket any more.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until dropped.
    pub async fn serve(self, state: Arc<dyn State>) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let stream = match self.listener.accept().await {
                Ok((stream, _peer)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "the admin endpoint cannot accept");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            };
            let state = Arc::clone(&state);
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(state.as_ref(), &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            tokio::spawn(async move {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "an admin connection ended");
                }
                drop(slot);
            });
        }
    }
}

fn answer(state: &dyn State, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !from_loopback_name(request) {
        // A page elsewhere may have its name resolve to this address (DNS rebinding).
        return text(
            StatusCode::FORBIDDEN,
            "the host must be localhost or a loopback address\n",
        );
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "read-only\n");
    }
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => match state.ready() {
            Ok(()) => text(StatusCode::OK, "ok\n"),
            Err(missing) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {missing}\n"),
            ),
        },
        "/metrics" => typed(weft_telemetry::metrics::CONTENT_TYPE, state.metrics()),
        "/config" => typed("application/json", state.config()),
        "/" => text(StatusCode::OK, "/metrics\n/healthz\n/readyz\n/config\n"),
        _ => text(StatusCode::NOT_FOUND, "not found; see /\n"),
    }
}

fn from_loopback_name(request: &Request<Incoming>) -> bool {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let name = weft_ir::host_of(host.unwrap_or_default());
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || literal
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = typed("text/plain; charset=utf-8", body);
    *response.status_mut() = status;
    response
}

fn typed(content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
