//! Connections to another replica: TCP, TLS between members of the mesh, and HTTP/2 for gRPC on top.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tonic::{body::Body, codegen::Service};
use weft_certs::{Expected, Identity, IdentityConnector, IdentityError};

/// Time to connect, for each of TCP and TLS.
const CONNECT: Duration = Duration::from_secs(3);
/// A connection that is silent this long is asked whether it lives, and then given as long again.
const PING: Duration = Duration::from_secs(3);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// No TCP connection.
    #[error("it cannot be reached: {0}; a NetworkPolicy may block it")]
    Connect(#[from] io::Error),
    /// It is not whom we expect, or does not take us for whom we are.
    #[error("TLS: {0}")]
    Tls(#[from] IdentityError),
    /// No answer in time.
    #[error("no answer within {CONNECT:?}; a NetworkPolicy may block it")]
    Timeout,
    /// It does not speak HTTP/2.
    #[error("HTTP/2: {0}")]
    Http(#[from] hyper::Error),
}

/// Connects as `identity` to somebody who has the same one: all replicas do.
pub(super) async fn dial(address: SocketAddr, identity: &Identity) -> Result<Http2, DialError> {
    let late = |_elapsed| DialError::Timeout;
    let connecting = timeout(CONNECT, TcpStream::connect(address));
    let tcp = connecting.await.map_err(late)??;
    tcp.set_nodelay(true)?;
    let connector = IdentityConnector::new(identity)?;
    let expected = Expected::exactly(identity.id());
    let securing = timeout(CONNECT, connector.connect(tcp, &expected));
    let (tls, _peer) = securing.await.map_err(late)??;
    let (requests, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(tls))
        .await?;
    let mut running = JoinSet::new();
    running.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to another replica ended");
        }
    });
    Ok(Http2 {
        requests,
        _running: running,
    })
}

/// One HTTP/2 connection. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Http2 {
    requests: SendRequest<Body>,
    _running: JoinSet<()>,
}

impl Service<Request<Body>> for Http2 {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.requests.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.requests.send_request(request))
    }
}
