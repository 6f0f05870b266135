//! The client side socket as hyper sees it: bytes read ahead come first, request heads pass the
//! framing guard, and progress is counted.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{activity::Activity, detect::join};
use crate::http::guard::{Guard, Stop, Violation};

/// Bytes taken from a client that speaks before it is known which protocol it has to speak.
const EARLY_BYTES: usize = 1024;

/// A client stream with its read-ahead and its guard.
pub(crate) struct ClientIo<S> {
    stream: S,
    ahead: Bytes,
    guard: Option<Guard>,
    violation: Option<Violation>,
    /// Requests of this connection that had ended when the guard began.
    ended_before: u32,
    activity: Arc<Activity>,
}

impl<S> ClientIo<S> {
    /// Wraps `stream`; `ahead` was already read from it. With a guard the stream carries HTTP/1.
    pub(crate) fn new(
        stream: S,
        ahead: Bytes,
        guard: Option<Guard>,
        activity: Arc<Activity>,
    ) -> Self {
        Self {
            stream,
            ahead,
            guard,
            violation: None,
            ended_before: activity.requests_ended(),
            activity,
        }
    }

    /// The framing violation that ended reading, if there was one.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Whether the client is in the middle of a body.
    pub(crate) fn in_body(&self) -> bool {
        self.guard.as_ref().is_some_and(Guard::in_body)
    }

    /// Takes the wrapper apart: the stream and the bytes that were read ahead and not used.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.ahead)
    }

    /// Whether a request has passed whose answer is not complete. Counted by heads and not by
    /// requests that were begun: hyper reads on between the two.
    fn awaits_answer(&self) -> bool {
        let passed = self.guard.as_ref().map_or(0, Guard::requests);
        let ended = self.activity.requests_ended();
        passed != ended.wrapping_sub(self.ended_before)
    }

    /// Lets the guard judge the bytes that `buf` gained since `filled`.
    fn judge(&mut self, buf: &mut ReadBuf<'_>, filled: usize) {
        let Some(guard) = &mut self.guard else { return };
        let fresh = buf.filled().get(filled..).unwrap_or_default();
        let stopped = guard.inspect(fresh);
        self.activity.head_open(guard.in_head() && stopped.is_ok());
        let Err((passed, stop)) = stopped else { return };
        match stop {
            Stop::Violation(violation) => self.violation = Some(violation),
            Stop::Undecided => {
                let held = fresh.get(passed..).unwrap_or_default();
                self.ahead = join(Bytes::copy_from_slice(held), &self.ahead);
            }
        }
        buf.set_filled(filled + passed);
    }

    /// What reading gives once the guard has stopped the stream: a bad body fails the request it
    /// belongs to; a bad head looks like the end of the stream, but only after the answers to the
    /// requests before it, because hyper gives those up when the stream ends.
    fn after_violation(&self) -> Poll<io::Result<()>> {
        if self.in_body() {
            Poll::Ready(Err(io::Error::from(io::ErrorKind::InvalidData)))
        } else if self.awaits_answer() {
            // Not forgotten: hyper reads again, in the same task, when the answer is out.
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl<S: AsyncRead + Unpin> ClientIo<S> {
    /// Watches for the end of a stream whose protocol is undecided. What the client sends early is
    /// held, and reading stops there until the request is answered.
    fn poll_undecided(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let mut early = [0; EARLY_BYTES];
            let mut buf = ReadBuf::new(&mut early);
            std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.ahead = Bytes::copy_from_slice(buf.filled());
        }
        // As above: hyper, or the tunnel, reads again when the answer is out.
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientIo<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.activity.is_tunnel() {
            this.guard = None;
        }
        if this.violation.is_some() {
            return this.after_violation();
        }
        if this.guard.as_ref().is_some_and(Guard::is_undecided) && this.awaits_answer() {
            return this.poll_undecided(cx);
        }
        if let Some(guard) = this.guard.as_mut().filter(|guard| guard.is_undecided()) {
            guard.stays_http();
        }
        let filled = buf.filled().len();
        if this.ahead.is_empty() {
            std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let taken = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead.split_to(taken));
        }
        this.activity.read(buf.filled().len() - filled);
        this.judge(buf, filled);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientIo<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.activity.wrote(&wrote);
        wrote
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.activity.wrote(&wrote);
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        if flushed.is_pending() {
            this.activity.write_blocked();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.violation.is_some() {
            // The stream ended for hyper only; the client is still to be told why.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

/// Reads at least one byte and at most `limit` bytes; an empty answer is the end of the stream.
pub(crate) async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    limit: usize,
) -> io::Result<Bytes> {
    let mut first = [0_u8; 64];
    let limit = limit.min(first.len());
    let room = first.get_mut(..limit).unwrap_or_default();
    let mut buf = ReadBuf::new(room);
    std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buf)).await?;
    Ok(Bytes::copy_from_slice(buf.filled().chunk()))
}

#[cfg(test)]
mod tests;
