//! What a connection to an endpoint can prove about a request that got no answer.
//!
//! A request may be sent again, whatever its method, if no byte of it was ever written (RFC 9110
//! section 9.2.2 asks for "some means to detect that the original request was never applied"). hyper
//! knows that only while the request waits in its queue. The connection knows more: how often the
//! system took bytes for this socket, and, if it looks before it writes, that the endpoint had closed
//! it already. Between the end of a process and the moment our event loop hears of it lie up to some
//! milliseconds, in which every request on its connections would be lost otherwise.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{UpstreamIo, pool::is_same};
use crate::{
    caller::Caller,
    connection::unsent::{Budget, LITTLE_BYTES},
    turns::Share,
};

/// What the requests of a connection know of its socket. Request and connection share a thread.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Writes of which the system took something.
    writes: AtomicU64,
    /// Look whether the endpoint is still there before the next write.
    look: AtomicBool,
    /// Whose it is; nobody's in particular without.
    caller: Option<Arc<Caller>>,
    /// What its caller proved to be somebody with, and whom it trusted, when it was made.
    proof: Option<Proof>,
}

/// The certificate and the roots of a caller at one moment.
#[derive(Debug, PartialEq, Eq)]
struct Proof {
    serial: String,
    bundles_version: u64,
}

impl Proof {
    fn of(caller: &Caller) -> Option<Self> {
        let identity = caller.identity()?;
        Some(Self {
            serial: identity.leaf().info().serial.clone(),
            bundles_version: identity.trust().bundles().version(),
        })
    }
}

/// The state of a line before a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

impl Line {
    /// Of a connection that is being made, whosever it is.
    pub(super) fn of(caller: Option<Arc<Caller>>) -> Arc<Self> {
        Arc::new(Self {
            proof: caller.as_deref().and_then(Proof::of),
            caller,
            ..Self::default()
        })
    }

    /// Whether it was made in that name. A caller that was made anew is another one.
    pub(super) fn is_of(&self, caller: Option<&Arc<Caller>>) -> bool {
        is_same(self.caller.as_ref(), caller)
    }

    /// Whether new requests had better go elsewhere: its caller is leaving, or has another certificate or
    /// other roots by now, so that the tunnel below ends with the old ones.
    pub(super) fn is_outdated(&self) -> bool {
        self.caller
            .as_ref()
            .is_some_and(|caller| caller.is_leaving() || self.proof != Proof::of(caller))
    }

    /// Whether its caller takes no connection back.
    pub(super) fn is_left(&self) -> bool {
        self.caller
            .as_ref()
            .is_some_and(|caller| caller.is_leaving())
    }

    /// A request comes. `only_once` says that losing it costs the client an error, so that a look at
    /// the socket (one system call) is worth its while.
    pub(crate) fn mark(&self, only_once: bool) -> Mark {
        if only_once {
            self.look.store(true, Relaxed);
        }
        Mark(self.writes.load(Relaxed))
    }

    /// Whether nothing was written since.
    pub(crate) fn is_untouched_since(&self, Mark(writes): Mark) -> bool {
        self.writes.load(Relaxed) == writes
    }
}

/// Streams that can be looked at without taking bytes from them.
pub(super) trait Look {
    /// Whether the peer has closed or reset the stream, and left nothing to read.
    fn is_over(&self) -> bool;
}

/// A connection that keeps its [`Line`].
#[derive(Debug)]
pub(super) struct Lined<S = UpstreamIo> {
    stream: S,
    line: Arc<Line>,
    /// For what its caller has that waits for clients.
    budget: Option<Budget>,
}

impl<S: Look> Lined<S> {
    pub(super) fn of(stream: S, caller: Option<Arc<Caller>>) -> (Self, Arc<Line>) {
        let budget = caller.as_deref().and_then(Caller::share).map(Share::budget);
        let line = Line::of(caller);
        let lined = Self {
            stream,
            line: Arc::clone(&line),
            budget,
        };
        (lined, line)
    }

    /// Looks, if the request to come asks for it.
    fn look(&self) -> io::Result<()> {
        let asked = self.line.look.load(Relaxed);
        if asked {
            self.line.look.store(false, Relaxed);
        }
        if asked && self.stream.is_over() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn count(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.line.writes.fetch_add(1, Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lined<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.budget.as_ref().is_none_or(Budget::is_left) || buf.remaining() <= LITTLE_BYTES {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let mut little = [0; LITTLE_BYTES];
        let mut little = ReadBuf::new(&mut little);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut little))?;
        buf.put_slice(little.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Look + Unpin> AsyncWrite for Lined<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.look()?;
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.look()?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::{
        io::AsyncWriteExt as _,
        net::{TcpListener, TcpStream},
    };

    use super::{super::wire::Wire, *};

    /// Both ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.expect("connected"), far.expect("accepted").0)
    }

    /// How a peer leaves.
    #[derive(Clone, Copy, Debug)]
    enum Leaves {
        Not,
        Closing,
        Resetting,
        /// With an answer that nobody has read yet.
        Answering,
    }

    #[tokio::test]
    async fn only_what_was_written_to_a_living_peer_counts() {
        let rows = [
            (Leaves::Not, true, false),
            (Leaves::Closing, true, true),
            (Leaves::Resetting, true, true),
            (Leaves::Answering, true, false),
            (Leaves::Closing, false, false),
        ];
        for (leaves, only_once, expected) in rows {
            let (near, mut far) = pair().await;
            let (mut lined, line) = Lined::of(Wire::Left(near), None);
            match leaves {
                Leaves::Not => {}
                Leaves::Closing => far.shutdown().await.expect("closed"),
                Leaves::Resetting => {
                    let linger = Some(std::time::Duration::ZERO);
                    SockRef::from(&far).set_linger(linger).expect("linger");
                    // The old one is dropped, and thereby reset.
                    far = pair().await.1;
                }
                Leaves::Answering => {
                    far.write_all(b"bye").await.expect("written");
                    far.shutdown().await.expect("closed");
                }
            }
            // Loopback delivers in the call that sends.
            let mark = line.mark(only_once);
            let written = lined.write_all(b"POST").await;
            let case = format!("{leaves:?}, only once: {only_once}");
            assert_eq!(line.is_untouched_since(mark), expected, "{case}");
            assert_eq!(written.is_err(), expected, "{case}: {written:?}");
            drop(far);
        }
    }

    #[tokio::test]
    async fn one_look_per_request() {
        let (near, mut far) = pair().await;
        let (mut lined, line) = Lined::of(Wire::Left(near), None);
        let first = line.mark(true);
        lined.write_all(b"POST").await.expect("the peer is there");
        assert!(!line.is_untouched_since(first));
        far.shutdown().await.expect("closed");
        let rest = lined.write_all(b"its body").await;
        assert!(rest.is_ok(), "the rest of a request is not held back");
    }
}
