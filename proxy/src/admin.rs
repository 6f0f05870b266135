//! The admin endpoint: metrics, health and the live tables, read-only; beyond loopback without tables. What is
//! logged can be changed by whoever may open the Unix socket, and by nobody else.
//!
//! In a pod the tables are shown on a Unix socket ([`Admin::bind_socket`]), which [`ask`] reads.

pub mod ask;
mod log;
mod merged;
#[cfg(test)]
mod tests;

pub(crate) use self::{log::change as change_log, merged::Merged};

use std::{
    convert::Infallible,
    fs::{self, Permissions},
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

/// Connections that are served at once; more wait.
const CONNECTIONS: usize = 64;
/// Name of the Unix socket in the state directory of a proxy.
const SOCKET: &str = "admin.sock";
/// The socket is its owner's, who is the one that the process runs as.
const SOCKET_MODE: u32 = 0o600;

/// What the endpoint shows. Implemented by the assembling binary.
pub trait State: Send + Sync + 'static {
    /// OpenMetrics text, which another process may have to be asked for.
    fn metrics(&self) -> MetricsText<'_>;
    /// `Ok` once everything that was loaded serves; otherwise what is missing.
    fn ready(&self) -> Result<(), String>;
    /// The same, after a moment ([`EARLY`]) for what is about to be so, where that can be known.
    fn ready_soon(&self) -> Readiness<'_> {
        Box::pin(async move { self.ready() })
    }
    /// The live tables as JSON.
    fn config(&self) -> String;
    /// Has the workers of this process log by that filter, too.
    ///
    /// # Errors
    /// For people: who has not been told.
    fn log(&self, _filter: &str) -> Result<(), String> {
        Ok(())
    }
}

/// Whether everything serves, still to come.
pub type Readiness<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// How long an early question for readiness waits for a good answer: kubelet gives it a second, asks as
/// soon as the process runs, and then every few seconds, which whoever waits for the proxy would wait
/// with it.
pub const EARLY: Duration = Duration::from_millis(800);

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
    /// The Unix socket cannot be made.
    #[error("the admin socket {path} cannot be made: {source}; is the state directory writable?", path = path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The endpoint, listening but not serving yet.
#[derive(Debug)]
pub struct Admin {
    listener: Listener,
    shows: Shows,
}

#[derive(Debug)]
enum Listener {
    Network(TcpListener),
    Socket(UnixListener),
}

/// What is shown, which depends on who can connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// Everything, to clients on this machine that name it.
    All,
    /// Everything, to whoever may open the socket.
    Owner,
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
        let bound = bound.map_err(|source| AdminError::Bind { address, source })?;
        let listener = Listener::Network(bound);
        Ok(Self { listener, shows })
    }

    /// Listens on the Unix socket in a state directory, and shows everything there. The socket of a
    /// process before is replaced: of two that share the directory the newer one is asked.
    ///
    /// # Errors
    /// [`AdminError::Socket`].
    pub fn bind_socket(state_dir: &Path) -> Result<Self, AdminError> {
        let path = state_dir.join(SOCKET);
        let make = || {
            // Under another name first: nobody finds it before its mode is set.
            let fresh = state_dir.join(format!("{SOCKET}.new"));
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&fresh)?;
            fs::set_permissions(&fresh, Permissions::from_mode(SOCKET_MODE))?;
            fs::rename(&fresh, &path)?;
            Ok(listener)
        };
        let made = make().map_err(|source| AdminError::Socket {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            listener: Listener::Socket(made),
            shows: Shows::Owner,
        })
    }

    /// The address it listens on, with the port the system chose for port 0.
    ///
    /// # Errors
    /// When the system does not know the socket any more, or it is a Unix socket.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match &self.listener {
            Listener::Network(listener) => listener.local_addr(),
            Listener::Socket(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Serves until dropped.
    pub async fn serve(self, state: Arc<dyn State>) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let (state, shows) = (Arc::clone(&state), self.shows);
            let accepted = match &self.listener {
                Listener::Network(listener) => listener.accept().await.map(|(stream, _peer)| {
                    tokio::spawn(converse(stream, state, shows, slot));
                }),
                Listener::Socket(listener) => listener.accept().await.map(|(stream, _peer)| {
                    tokio::spawn(converse(stream, state, shows, slot));
                }),
            };
            if let Err(error) = accepted {
                tracing::warn!(%error, "the admin endpoint cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Shows the state of a process in a pod: probes to the network at an address, everything on the
/// socket in its state directory, as long as the tasks live.
pub(crate) async fn show(
    (address, state_dir): (SocketAddr, &Path),
    state: Arc<dyn State>,
    tasks: &mut JoinSet<()>,
) -> Result<(), AdminError> {
    let probes = Admin::bind_anywhere(address).await?;
    tasks.spawn(probes.serve(Arc::clone(&state)));
    tasks.spawn(Admin::bind_socket(state_dir)?.serve(state));
    Ok(())
}

/// Answers on one connection until it ends.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    state: Arc<dyn State>,
    shows: Shows,
    _slot: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(state.as_ref(), shows, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an admin connection ended");
    }
}

async fn answer(
    state: &dyn State,
    shows: Shows,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    if shows == Shows::All && !from_loopback_name(&request) {
        // A page elsewhere may have its name resolve to this address (DNS rebinding).
        return text(
            StatusCode::FORBIDDEN,
            "the host must be localhost or a loopback address\n",
        );
    }
    if shows == Shows::Owner && request.uri().path() == "/log" {
        return log::answer(state, request).await;
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "read-only\n");
    }
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => match state.ready_soon().await {
            Ok(()) => text(StatusCode::OK, "ok\n"),
            Err(missing) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {missing}\n"),
            ),
        },
        "/metrics" => typed(weft_telemetry::metrics::CONTENT_TYPE, state.metrics().await),
        "/config" if shows != Shows::Probes => typed("application/json", state.config()),
        "/" if shows != Shows::Probes => {
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
