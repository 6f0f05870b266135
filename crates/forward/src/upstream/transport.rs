//! What lies between a request and the socket of its endpoint: nothing, or TLS as a BackendTLSPolicy
//! asks for it.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use weft_certs::{Alpn, BackendTls, Clock, Connector, ConnectorError, TlsStream};
use weft_telemetry::metrics::{TlsMetrics, TlsSide};

use super::{ConnectError, Upstream, connect::dial, line::Look, wire::Wire};
use crate::{
    handshake, limits,
    live::Inlet,
    members::{Caller, Way},
    worker::Worker,
};

/// How connections to endpoints are secured.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    /// Not at all.
    Plain,
    /// In TLS.
    Tls(Arc<Connectors>),
    /// In TLS, but what it takes is not there: no connection is made.
    Unusable,
}

/// One connector for everything that is spoken inside of TLS: what is offered is what will be spoken.
#[derive(Debug)]
pub(crate) struct Connectors {
    http1: Connector,
    http2: Connector,
    opaque: Connector,
    metrics: Arc<TlsMetrics>,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Whatever the client says.
    Opaque,
}

impl Transport {
    /// Whether the bytes of a request are encrypted, so that its scheme is `https`.
    pub(crate) fn is_secure(&self) -> bool {
        !matches!(self, Self::Plain)
    }
}

impl Connectors {
    /// Connectors for `settings`, whose own protocols do not count.
    pub(crate) fn new(
        settings: BackendTls,
        metrics: Arc<TlsMetrics>,
    ) -> Result<Self, ConnectorError> {
        let clock = Clock::system();
        let connector = |alpn: &[Alpn]| {
            let settings = BackendTls {
                alpn: alpn.to_vec(),
                ..settings.clone()
            };
            Connector::new(&settings, clock.clone())
        };
        Ok(Self {
            http1: connector(&[Alpn::Http11])?,
            http2: connector(&[Alpn::Http2])?,
            opaque: connector(&[])?,
            metrics,
        })
    }

    async fn connect(
        &self,
        address: SocketAddr,
        stream: Wire,
        speaks: Speaks,
    ) -> Result<TlsStream<Wire>, ConnectError> {
        let connector = match speaks {
            Speaks::Http1 => &self.http1,
            Speaks::Http2 => &self.http2,
            Speaks::Opaque => &self.opaque,
        };
        match timeout(limits::CONNECT, connector.connect(stream)).await {
            Ok(Ok((stream, agreed))) => {
                let completed = handshake::completed(TlsSide::Client, &agreed);
                self.metrics.handshake(completed);
                Ok(stream)
            }
            Ok(Err(source)) => {
                self.metrics.handshake(handshake::refused(&source));
                Err(ConnectError::Tls { address, source })
            }
            Err(_elapsed) => {
                self.metrics.handshake(handshake::late(TlsSide::Client));
                Err(ConnectError::Timeout { address })
            }
        }
    }
}

/// Where traffic comes from, and where it is worked on.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    /// Has the tunnels.
    pub(crate) worker: &'a Worker,
    /// Knows whose traffic it is.
    pub(crate) inlet: &'a Inlet,
}

impl From<'_> {
    /// In whose name the endpoint is reached; `None` for one that asks nobody for a name.
    pub(super) fn caller(self, upstream: &Upstream) -> Result<Option<Arc<Caller>>, ConnectError> {
        let address = upstream.address;
        match &upstream.way {
            Way::Direct => Ok(None),
            Way::Tunnel { .. } => match self.inlet.caller() {
                None => Err(ConnectError::NoIdentity { address }),
                caller => Ok(caller),
            },
            Way::Nowhere { member } => {
                let member = Arc::clone(member);
                Err(ConnectError::Nowhere { address, member })
            }
        }
    }

    /// Opens what leads to the endpoint. A member is reached through the tunnel or not at all.
    async fn wire(self, upstream: &Upstream, as_: Option<&Caller>) -> Result<Wire, ConnectError> {
        let address = upstream.address;
        match (&upstream.way, as_) {
            (Way::Direct, _) => dial(address).await.map(Wire::Tcp),
            (Way::Tunnel { target, .. }, Some(caller)) => {
                let connect = caller.connect_to(address);
                let tunnels = &self.worker.tunnels;
                // Rare, and large.
                let opening = Box::pin(tunnels.open(caller.source(), target, &connect));
                let opened = opening.await;
                opened
                    .map(|opened| Wire::Tunnel(Box::new(opened.stream)))
                    .map_err(|source| ConnectError::Tunnel { address, source })
            }
            (Way::Tunnel { .. }, None) => Err(ConnectError::NoIdentity { address }),
            (Way::Nowhere { member }, _) => {
                let member = Arc::clone(member);
                Err(ConnectError::Nowhere { address, member })
            }
        }
    }
}

/// Opens a connection to an endpoint, secured as the endpoint's Service asks for it: inside of the
/// tunnel, if that is how the endpoint is reached.
pub(crate) async fn connect(
    from: From<'_>,
    upstream: &Upstream,
    caller: Option<&Caller>,
    speaks: Speaks,
) -> Result<UpstreamIo, ConnectError> {
    let address = upstream.address;
    match &upstream.transport {
        Transport::Plain => from.wire(upstream, caller).await.map(UpstreamIo::Plain),
        Transport::Tls(connectors) => {
            let stream = from.wire(upstream, caller).await?;
            let stream = connectors.connect(address, stream, speaks).await?;
            Ok(UpstreamIo::Tls(stream))
        }
        Transport::Unusable => Err(ConnectError::Unusable { address }),
    }
}

/// Opens a connection to an endpoint whose bytes nobody here understands. What a client `encrypts`
/// itself is not wrapped in TLS of ours.
pub(crate) async fn connect_opaque(
    from: From<'_>,
    upstream: &Upstream,
    encrypts: bool,
) -> Result<UpstreamIo, ConnectError> {
    let caller = from.caller(upstream)?;
    if encrypts {
        let wire = from.wire(upstream, caller.as_deref()).await;
        return wire.map(UpstreamIo::Plain);
    }
    connect(from, upstream, caller.as_deref(), Speaks::Opaque).await
}

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) enum UpstreamIo {
    /// With the bytes of the request as they are.
    Plain(Wire),
    /// With those bytes in TLS.
    Tls(TlsStream<Wire>),
}

impl Look for UpstreamIo {
    fn is_over(&self) -> bool {
        match self {
            Self::Plain(wire) => wire.is_over(),
            // The end of TLS is bytes to be read; the end of what carries it is the same.
            Self::Tls(stream) => stream.get_ref().is_over(),
        }
    }
}

impl AsyncRead for UpstreamIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
