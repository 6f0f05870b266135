//! The transport under HTTP/2, which remembers that the other side refused our certificate.
//!
//! `h2` passes only the text of an error on, and a refusal has to be told from a network that fails.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use weft_certs::IdentityError;

use crate::{error::Lost, shared::Shared};

/// What is read at once of a connection that cannot be written to any more.
const LAST_WORDS: usize = 1024;

/// `io`, whose failed reads are looked at; and before a write may fail, all there is to read.
#[derive(Debug)]
pub(crate) struct Tap<IO> {
    io: IO,
    shared: Arc<Shared>,
    /// A write has failed with this.
    failed: Option<io::Error>,
}

impl<IO> Tap<IO> {
    pub(crate) fn new(io: IO, shared: Arc<Shared>) -> Self {
        Self {
            io,
            shared,
            failed: None,
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Tap<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &read
            && let Some(IdentityError::Refused(alert)) = IdentityError::after_handshake(error)
        {
            self.shared.ended(Lost::RefusedUs(alert));
        }
        read
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Tap<IO> {
    /// Writes, and where that fails reads to the end first: the alert that says why may wait there. A
    /// server refuses and closes while the client, whose half of the handshake was over before, writes its
    /// first frames; and the failure may be known before the runtime knows that there is something to read.
    /// What else comes is of no more use, as the connection ends with the failure.
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let failed = match self.failed.take() {
            Some(failed) => failed,
            None => match write(Pin::new(&mut self.io), cx) {
                Poll::Ready(Err(failed)) => failed,
                done => return done,
            },
        };
        let mut room = [0; LAST_WORDS];
        loop {
            let mut buf = ReadBuf::new(&mut room);
            match Pin::new(&mut *self).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Err(failed)),
                Poll::Pending => {
                    self.failed = Some(failed);
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tap<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};
    use weft_certs::{Expected, IdentityAcceptor, IdentityConnector};

    use super::*;
    use crate::tests::node::{CART, Mesh, WEB, id};

    /// The server does not know the client's authority, says so and closes, before the client has read
    /// or written anything after its handshake.
    #[tokio::test]
    async fn a_refusal_is_heard_where_only_writes_fail() {
        let (mesh, elsewhere) = (Mesh::new(), Mesh::new());
        let (web, cart) = (mesh.member(WEB), mesh.member(CART));
        cart.trust().replace(elsewhere.bundles(2));
        let (near, far) = duplex(64 * 1024);
        let server = tokio::spawn(async move {
            let acceptor = IdentityAcceptor::new(&cart).expect("TLS 1.3");
            acceptor.accept(far).await.map(drop)
        });
        let connector = IdentityConnector::new(&web).expect("TLS 1.3");
        let expected = Expected::exactly(id(CART));
        let (tls, _) = connector.connect(near, &expected).await.expect("trusted");
        let refused = server.await.expect("no panic").expect_err("not known");
        assert_eq!(refused.reason(), "peer_issuer_unknown");

        let shared = Arc::new(Shared::default());
        let mut tap = Tap::new(tls, Arc::clone(&shared));
        let failed = tap.write_all(&[0; 64]).await.expect_err("nobody is there");
        assert_eq!(failed.kind(), io::ErrorKind::BrokenPipe, "as it was");
        let fate = shared.fate().map(Lost::reason);
        assert_eq!(fate, Some("tls_peer_refused"));
    }
}
