//! What lies between a request and the socket of its endpoint: nothing, or TLS as a BackendTLSPolicy
//! asks for it.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use weft_certs::{Alpn, BackendTls, Clock, Connector, ConnectorError, TlsStream};
use weft_telemetry::metrics::{TlsMetrics, TlsSide};

use super::{ConnectError, Upstream, connect::dial, line::Look};
use crate::{handshake, limits};

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
        stream: TcpStream,
        speaks: Speaks,
    ) -> Result<TlsStream<TcpStream>, ConnectError> {
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

/// Opens a connection to an endpoint, secured as the endpoint's Service asks for it.
pub(crate) async fn connect(
    upstream: &Upstream,
    speaks: Speaks,
) -> Result<UpstreamIo, ConnectError> {
    let address = upstream.address;
    match &upstream.transport {
        Transport::Plain => dial(address).await.map(UpstreamIo::Plain),
        Transport::Tls(connectors) => {
            let stream = dial(address).await?;
            let stream = connectors.connect(address, stream, speaks).await?;
            Ok(UpstreamIo::Tls(stream))
        }
        Transport::Unusable => Err(ConnectError::Unusable { address }),
    }
}

/// Opens a connection to an endpoint for a client that brings TLS of its own.
pub(crate) async fn connect_plain(upstream: &Upstream) -> Result<UpstreamIo, ConnectError> {
    dial(upstream.address).await.map(UpstreamIo::Plain)
}

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) enum UpstreamIo {
    /// In plaintext.
    Plain(TcpStream),
    /// In TLS.
    Tls(TlsStream<TcpStream>),
}

impl Look for UpstreamIo {
    fn is_over(&self) -> bool {
        let tcp = match self {
            Self::Plain(stream) => stream,
            // The end of TLS is bytes to be read; the end of TCP is the same.
            Self::Tls(stream) => stream.get_ref(),
        };
        match SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()]) {
            Ok(bytes) => bytes == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
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
