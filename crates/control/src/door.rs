//! Listening: from a TCP connection to a gRPC service behind TLS.

mod beside;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tonic::{body::Body, codegen::Service};
use weft_certs::{
    BootstrapAcceptor, Clock, IdentityAcceptor, IdentityError, PeerIdentity, TlsStream,
};
use weft_telemetry::metrics::ProcessMetrics;

pub(crate) use self::beside::Beside;

/// Connections that are served at once; more wait in the backlog.
const CONNECTIONS: usize = 4_096;
/// So long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A silent peer is asked whether it lives, and has so long to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(20));
/// After a failure to accept, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// Calls of one connection at once.
const CALLS: u32 = 32;
/// So long connections have to end once they are told to.
const DRAIN: Duration = Duration::from_secs(5);

/// Where a call comes from. Nobody is known by it; it is for limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerAddress(pub(crate) IpAddr);

/// Who is let in.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// Members of the mesh, who prove it.
    Members(IdentityAcceptor),
    /// Anybody; the service asks for a token.
    Newcomers(BootstrapAcceptor),
}

impl Door {
    async fn open(
        &self,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Option<PeerIdentity>), IdentityError> {
        match self {
            Self::Members(acceptor) => {
                let (stream, peer) = acceptor.accept(stream).await?;
                Ok((stream, Some(peer)))
            }
            Self::Newcomers(acceptor) => Ok((acceptor.accept(stream).await?, None)),
        }
    }
}

/// A port that is listened on.
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) door: Door,
    /// Turns true when connections have to end.
    pub(crate) ends: watch::Receiver<bool>,
    pub(crate) metrics: Arc<ProcessMetrics>,
}

impl Port {
    /// Serves until it has to end, and then until connections have ended or their time is up.
    pub(crate) async fn serve<S>(mut self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            // Every branch can be dropped: what was not accepted stays in the backlog.
            let accepted = tokio::select! {
                () = ended(&mut self.ends) => break,
                accepted = accept(&self.listener, &slots) => accepted,
                Some(ended) = connections.join_next() => {
                    if ended.is_err_and(|error| error.is_panic()) {
                        self.metrics.panicked("control_connection");
                    }
                    continue;
                }
            };
            match accepted {
                Ok((stream, address, slot)) => {
                    let (door, ends) = (self.door.clone(), self.ends.clone());
                    let service = service.clone();
                    connections.spawn(async move {
                        connection((stream, address), door, service, ends).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(self.listener);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::info!("connections that did not end in time are closed");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned();
    let slot = slot.await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, address, slot))
}

async fn connection<S>(
    (stream, address): (TcpStream, SocketAddr),
    door: Door,
    service: S,
    mut ends: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let opened = match tokio::time::timeout(HANDSHAKE, door.open(stream)).await {
        Ok(opened) => opened,
        Err(_elapsed) => return tracing::debug!(%address, "no handshake in time"),
    };
    let (stream, peer) = match opened {
        Ok(opened) => opened,
        Err(error) => return tracing::info!(%address, "handshake refused: {error}"),
    };
    let calls = service_fn(move |mut request: Request<Incoming>| {
        let address = PeerAddress(address.ip().to_canonical());
        request.extensions_mut().insert(address);
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        call(service.clone(), request)
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .max_concurrent_streams(CALLS)
        .serve_connection(TokioIo::new(stream), calls);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = ended(&mut ends) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%address, %error, "a connection ended");
    }
}

/// Waits until it is time to end; that nobody is left who could say so is the end too.
pub(crate) async fn ended(ends: &mut watch::Receiver<bool>) {
    let _said = ends.wait_for(|ends| *ends).await;
}

/// How long somebody is still vouched for, whose certificate is good until then. Connections outlive
/// handshakes: who keeps one longer trusts somebody nobody vouches for any more.
pub(crate) fn left(vouched_until_unix_s: i64, clock: &Clock) -> Duration {
    let seconds = u64::try_from(vouched_until_unix_s).unwrap_or_default();
    let end = std::time::UNIX_EPOCH + Duration::from_secs(seconds.saturating_add(1));
    end.duration_since(clock.now()).unwrap_or_default()
}

/// Generated services are always ready.
fn call<S>(
    mut service: S,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    service.call(request)
}
