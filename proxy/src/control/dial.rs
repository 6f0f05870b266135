//! Connections to the control plane: TCP, TLS, and HTTP/2 for gRPC on top.

mod address;
mod eyeballs;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{body::Body, codegen::Service};
use weft_certs::{IdentityError, TlsStream};

pub(super) use self::address::Address;

/// Time to connect, for each of TCP and TLS.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection that is silent this long is asked whether it lives, and then given as long again.
const PING: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// No TCP connection.
    #[error("{address} cannot be reached: {source}")]
    Connect {
        /// `HOST:PORT`.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The other end is not whom we expect, or does not take us for whom we are.
    #[error("TLS with {address}: {source}")]
    Tls {
        /// `HOST:PORT`.
        address: String,
        /// What is wrong.
        source: IdentityError,
    },
    /// No answer in time.
    #[error("{address} does not answer within {CONNECT:?}")]
    Timeout {
        /// `HOST:PORT`.
        address: String,
    },
    /// The other end does not speak HTTP/2.
    #[error("HTTP/2 with {address}: {source}")]
    Http {
        /// `HOST:PORT`.
        address: String,
        /// What is wrong.
        source: hyper::Error,
    },
}

/// Connects to `to` and runs the TLS handshake `secure` on the connection.
pub(super) async fn dial<F>(
    to: &mut Address,
    secure: impl FnOnce(TcpStream) -> F,
) -> Result<Http2, DialError>
where
    F: Future<Output = Result<TlsStream<TcpStream>, IdentityError>>,
{
    let address = to.to_string();
    let connected = tokio::time::timeout(CONNECT, to.connect()).await;
    let address = || address.clone();
    let late = |_| DialError::Timeout { address: address() };
    let connected = connected.map_err(late)?;
    let connected = connected.and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp));
    let tcp = connected.map_err(|source| DialError::Connect {
        address: address(),
        source,
    })?;
    let securing = tokio::time::timeout(CONNECT, secure(tcp));
    let tls = securing.await.map_err(late)?;
    let tls = tls.map_err(|source| DialError::Tls {
        address: address(),
        source,
    })?;
    let handshake = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(tls));
    let (requests, connection) = handshake.await.map_err(|source| DialError::Http {
        address: address(),
        source,
    })?;
    let running = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the control plane ended");
        }
    });
    Ok(Http2 {
        requests,
        _running: AbortOnDropHandle::new(running),
    })
}

/// One HTTP/2 connection. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Http2 {
    requests: SendRequest<Body>,
    _running: AbortOnDropHandle<()>,
}

type Answering = Pin<Box<dyn Future<Output = hyper::Result<http::Response<Incoming>>> + Send>>;

impl Service<http::Request<Body>> for Http2 {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.requests.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.requests.send_request(request))
    }
}
