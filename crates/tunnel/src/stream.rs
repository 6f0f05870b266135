//! One stream as a byte stream: ends are ends, aborts are aborts, and a window opens only when its
//! bytes have gone on.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    error::{Lost, StreamError},
    shared::Slot,
    wire::MOST_SENT_BYTES,
};

/// The most that one write takes over: a copy is made of it.
const WRITE_BYTES: usize = MOST_SENT_BYTES;

/// A TCP connection carried to or from another node.
///
/// - A read of zero bytes is `END_STREAM`; shutting down sends it and leaves reading open.
/// - An abort of the other side is an error of kind `ConnectionReset`; dropping a stream that has not
///   ended in both directions, or [`Stream::reset`], aborts it towards the other side.
/// - The window opens again for bytes when the *next* read begins: whoever reads again has passed on
///   what was read before.
/// - There is nothing to flush.
///
/// Errors contain a [`StreamError`].
#[derive(Debug)]
pub struct Stream {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    slot: Slot,
}

/// The receiving half.
#[derive(Debug)]
pub(crate) struct Reader {
    recv: RecvStream,
    /// Received and not yet read.
    chunk: Bytes,
    /// Read, and not yet given back to the window.
    owed: usize,
}

/// The sending half.
#[derive(Debug)]
pub(crate) struct Writer {
    send: SendStream<Bytes>,
    has_ended: bool,
}

impl Stream {
    pub(crate) fn new(recv: RecvStream, send: SendStream<Bytes>, slot: Slot) -> Self {
        // Until somebody has looked: whoever takes it over may never do.
        slot.holds(true);
        Self {
            reader: Reader {
                recv,
                chunk: Bytes::new(),
                owed: 0,
            },
            writer: Writer {
                send,
                has_ended: false,
            },
            slot,
        }
    }

    /// Aborts both directions, as the TCP connection on this side was (RFC 9113 section 8.5). What has
    /// not been sent yet is not sent.
    pub fn reset(&mut self) {
        self.writer.has_ended = true;
        self.writer.send.send_reset(Reason::CONNECT_ERROR);
    }

    /// Why its connection ended, if it has.
    #[must_use]
    pub fn lost(&self) -> Option<&Lost> {
        self.slot.shared().fate()
    }

    /// Whether nothing comes any more: the other side has ended its direction and all of it was read,
    /// or the connection has ended. It takes nothing from the stream.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let Reader { recv, chunk, .. } = &self.reader;
        self.lost().is_some() || (chunk.is_empty() && recv.is_end_stream())
    }

    /// Both halves and what sorts their errors.
    pub(crate) fn halves(&mut self) -> (&mut Reader, &mut Writer, &Slot) {
        (&mut self.reader, &mut self.writer, &self.slot)
    }
}

impl Reader {
    /// The next bytes as they arrived, `None` at the end. Says that all bytes before have gone on.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        slot: &Slot,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        let chunk = self.poll_next(cx, slot);
        slot.holds(matches!(chunk, Poll::Ready(Ok(Some(_)))));
        chunk
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        slot: &Slot,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        let sort = |error: &h2::Error| slot.shared().sort(error);
        self.give_back();
        if !self.chunk.is_empty() {
            let chunk = std::mem::take(&mut self.chunk);
            self.owed = chunk.len();
            return Poll::Ready(Ok(Some(chunk)));
        }
        loop {
            match ready!(self.recv.poll_data(cx)) {
                Some(Ok(empty)) if empty.is_empty() => {}
                Some(Ok(chunk)) => {
                    self.owed = chunk.len();
                    return Poll::Ready(Ok(Some(chunk)));
                }
                Some(Err(error)) => return Poll::Ready(Err(sort(&error))),
                None => break,
            }
        }
        Poll::Ready(match ready!(self.recv.poll_trailers(cx)) {
            Ok(None) => Ok(None),
            Ok(Some(_trailers)) => Err(StreamError::Trailers),
            Err(error) => Err(sort(&error)),
        })
    }

    /// More that has arrived behind what was just read, without waiting for it: its window opens together
    /// with that. Nothing also when it is the end, or an error, which is for [`Reader::poll_chunk`] to say.
    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Option<Bytes> {
        match self.recv.poll_data(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                self.owed += chunk.len();
                Some(chunk)
            }
            _ => None,
        }
    }

    /// Opens the window by what was read. A stream that is over has no window to open.
    fn give_back(&mut self) {
        let read = std::mem::take(&mut self.owed);
        if read > 0 && self.recv.flow_control().release_capacity(read).is_err() {
            tracing::trace!(read, "a stream that is over needs no window");
        }
    }
}

impl Writer {
    /// Waits until some of `wanted` bytes may be sent, and says how many.
    ///
    /// Asked for only with bytes in hand: what an idle stream reserves, the others do not get.
    pub(crate) fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
        slot: &Slot,
    ) -> Poll<Result<usize, StreamError>> {
        if self.has_ended {
            return Poll::Ready(Err(StreamError::Ended));
        }
        self.send.reserve_capacity(wanted);
        loop {
            let room = self.send.capacity().min(wanted);
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_room)) => {}
                Some(Err(error)) => return Poll::Ready(Err(slot.shared().sort(&error))),
                None => return Poll::Ready(Err(self.why_closed(cx, slot))),
            }
        }
    }

    /// Sends bytes there is room for.
    pub(crate) fn send(&mut self, bytes: Bytes, slot: &Slot) -> Result<(), StreamError> {
        let sent = self.send.send_data(bytes, false);
        sent.map_err(|error| slot.shared().sort(&error))
    }

    /// Ends this direction; the other one goes on. Once is enough, and more is no error.
    pub(crate) fn end(&mut self, slot: &Slot) -> Result<(), StreamError> {
        if std::mem::replace(&mut self.has_ended, true) {
            return Ok(());
        }
        let sent = self.send.send_data(Bytes::new(), true);
        sent.map_err(|error| slot.shared().sort(&error))
    }

    /// Completes when the other side aborts the stream, which matters while there is nothing to send
    /// and nothing more to receive.
    pub(crate) fn poll_aborted(&mut self, cx: &mut Context<'_>, slot: &Slot) -> Poll<StreamError> {
        Poll::Ready(match ready!(self.send.poll_reset(cx)) {
            Ok(reason) => match slot.shared().fate() {
                Some(lost) => lost.clone().into(),
                None => StreamError::Reset(reason),
            },
            Err(error) => slot.shared().sort(&error),
        })
    }

    fn why_closed(&mut self, cx: &mut Context<'_>, slot: &Slot) -> StreamError {
        match self.poll_aborted(cx, slot) {
            Poll::Ready(error) => error,
            Poll::Pending => StreamError::Ended,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (reader, _, slot) = self.halves();
        let Some(mut chunk) = ready!(reader.poll_chunk(cx, slot))? else {
            return Poll::Ready(Ok(()));
        };
        let now = chunk.split_to(chunk.len().min(buf.remaining()));
        buf.put_slice(&now);
        reader.owed = now.len();
        reader.chunk = chunk;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // An empty frame says nothing, and a peer counts them.
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let (_, writer, slot) = self.halves();
        let room = ready!(writer.poll_room(cx, buf.len().min(WRITE_BYTES), slot))?;
        writer.send(Bytes::copy_from_slice(&buf[..room]), slot)?;
        Poll::Ready(Ok(room))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        if total == 0 {
            return Poll::Ready(Ok(0));
        }
        let (_, writer, slot) = self.halves();
        let room = ready!(writer.poll_room(cx, total.min(WRITE_BYTES), slot))?;
        let mut joined = BytesMut::with_capacity(room);
        for buf in bufs {
            let rest = room - joined.len();
            joined.extend_from_slice(&buf[..buf.len().min(rest)]);
        }
        writer.send(joined.freeze(), slot)?;
        Poll::Ready(Ok(room))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (_, writer, slot) = self.halves();
        Poll::Ready(writer.end(slot).map_err(io::Error::from))
    }
}
