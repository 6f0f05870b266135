//! The admin endpoint: metrics, health and the live tables, read-only; beyond loopback without tables.

use std::{convert::Infallible, io, net::SocketAddr, pin::Pin, sync::Arc};

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
    /// OpenMetrics text, which another process may have to be asked for.
    fn metrics(&self) -> MetricsText<'_>;
    /// `Ok` once everything that was loaded serves; otherwise what is missing.
    fn ready(&self) -> Result<(), String>;
    /// The live tables as JSON.
    fn config(&self) -> String;
}

/// OpenMetrics text, still to come.
pub type MetricsText<'a> = Pin<Box<dyn Future<Output = String> + Send + 'a>>;

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
    shows: Shows,
}

/// What is shown, which depends on who can connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// Everything, to clients on this machine that name it.
    All,
    /// Health and metrics, to kubelets and scrapers of the network.
    Probes,
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
        Self::bind_as(address, Shows::All).await
    }

    /// Listens on any address. Beyond loopback it shows health and metrics only.
    ///
    /// # Errors
    /// [`AdminError::Bind`].
    pub async fn bind_anywhere(address: SocketAddr) -> Result<Self, AdminError> {
        let is_loopback = address.ip().is_loopback();
        let shows = if is_loopback {
            Shows::All
        } else {
            Shows::Probes
        };
        Self::bind_as(address, shows).await
    }

    async fn bind_as(address: SocketAddr, shows: Shows) -> Result<Self, AdminError> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| AdminError::Bind { address, source })?;
        Ok(Self { listener, shows })
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
            let (state, shows) = (Arc::clone(&state), self.shows);
            let service = service_fn(move |request: Request<Incoming>| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(answer(state.as_ref(), shows, &request).await) }
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

async fn answer(
    state: &dyn State,
    shows: Shows,
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    if shows == Shows::All && !from_loopback_name(request) {
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
        "/metrics" => typed(weft_telemetry::metrics::CONTENT_TYPE, state.metrics().await),
        "/config" if shows == Shows::All => typed("application/json", state.config()),
        "/" if shows == Shows::All => {
            text(StatusCode::OK, "/metrics\n/healthz\n/readyz\n/config\n")
        }
        "/" => text(StatusCode::OK, "/metrics\n/healthz\n/readyz\n"),
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
