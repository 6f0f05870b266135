//! An established TLS connection as a plain byte stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::handshake::Handshake;

/// The decrypted side of a connection that one of the acceptors or connectors has set up.
///
/// - Writes are buffered up to 64 KiB of records; flush to send. Vectored writes are encrypted
///   as one run of records.
/// - Shutting down sends `close_notify` before the end of the transport's stream.
/// - A transport that ends without `close_notify` yields `UnexpectedEof` on read: data may have
///   been cut off (RFC 8446 section 6.1). Many HTTP clients close that way, so between requests
///   it means no more than "closed".
///
/// One pointer in size: the TLS state of more than a kilobyte is on the heap, where it does not
/// inflate every future the stream passes through.
#[derive(Debug)]
pub struct TlsStream<IO>(Box<tokio_rustls::TlsStream<IO>>);

impl<IO> TlsStream<IO> {
    pub(crate) fn new(stream: impl Into<tokio_rustls::TlsStream<IO>>) -> Self {
        Self(Box::new(stream.into()))
    }

    /// What the handshake agreed on, without the server name, which members of the mesh do not use.
    #[must_use]
    pub fn handshake(&self) -> Handshake {
        Handshake::of_common(self.connection(), None)
    }

    /// The TLS state itself.
    pub(crate) fn connection(&self) -> &CommonState {
        self.0.get_ref().1
    }

    /// The transport below, for its addresses and socket options; do not read or write it.
    #[must_use]
    pub fn get_ref(&self) -> &IO {
        self.0.get_ref().0
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
