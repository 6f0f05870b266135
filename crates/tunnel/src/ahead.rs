//! The transport under TLS, which reads more at once than the TLS library asks for.
//!
//! The library reads 4 KiB first and at most one record, so that bulk costs a system call for every few
//! kilobytes. Whoever sends more than it asks for is read ahead of it, where all connections of a thread
//! read; what is left waits there until it is asked for, and a connection that has nothing left has no
//! buffer.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read at once: several frames of ours, with the TLS around them.
const READ_BYTES: usize = 256 * 1024;

thread_local! {
    /// Where the connections of this thread read, one at a time.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// `io`, read ahead of whoever reads it while bytes come fast.
#[derive(Debug)]
pub(crate) struct Ahead<IO> {
    io: IO,
    rest: Option<Rest>,
    /// Whether there was as much the last time as was asked for.
    hurries: bool,
}

/// What was read and not asked for yet.
#[derive(Debug)]
struct Rest {
    room: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl<IO> Ahead<IO> {
    pub(crate) fn new(io: IO) -> Self {
        Self {
            io,
            rest: None,
            hurries: false,
        }
    }
}

impl Rest {
    /// Hands out as much as there is room for, and keeps itself if that is not all.
    fn hand_out(mut self, buf: &mut ReadBuf<'_>) -> Option<Self> {
        let left = &self.room[self.taken..self.filled];
        let now = left.len().min(buf.remaining());
        buf.put_slice(&left[..now]);
        self.taken += now;
        if self.taken < self.filled {
            return Some(self);
        }
        ROOM.set(self.room);
        None
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Ahead<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(rest) = this.rest.take() {
            this.rest = rest.hand_out(buf);
            return Poll::Ready(Ok(()));
        }
        let asked = buf.remaining();
        if !this.hurries || asked >= READ_BYTES {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
            this.hurries = asked > 0 && buf.filled().len() - before == asked;
            return Poll::Ready(Ok(()));
        }
        let mut room = ROOM.take();
        room.resize(READ_BYTES, 0);
        let mut into = ReadBuf::new(&mut room);
        let read = Pin::new(&mut this.io).poll_read(cx, &mut into);
        let (taken, filled) = (0, into.filled().len());
        let rest = Rest {
            room,
            taken,
            filled,
        };
        this.rest = rest.hand_out(buf);
        ready!(read)?;
        this.hurries = filled >= asked;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Ahead<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, task::Waker};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What a socket has, piece by piece: at its end it is reset.
    struct Socket {
        pieces: VecDeque<Vec<u8>>,
        reads: usize,
    }

    impl AsyncRead for Socket {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.reads += 1;
            let Some(piece) = self.pieces.front_mut() else {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            };
            let now = piece.len().min(buf.remaining());
            buf.put_slice(&piece[..now]);
            piece.drain(..now);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            Poll::Ready(Ok(()))
        }
    }

    /// Reads `pieces` as the TLS library does, in steps of `asked` bytes; at most `reads` are made for it.
    async fn check(row: &str, pieces: &[usize], asked: usize, reads: usize) {
        let bytes: Vec<u8> = (0..pieces.iter().sum())
            .map(|at| (at / 7 % 256) as u8)
            .collect();
        let mut rest = bytes.as_slice();
        let cut = |length: &usize| rest.split_off(..*length).expect("as many bytes").to_vec();
        let socket = Socket {
            pieces: pieces.iter().map(cut).collect(),
            reads: 0,
        };
        let mut ahead = Ahead::new(socket);
        let (mut heard, mut room) = (Vec::new(), vec![0; asked]);
        let ended = loop {
            match ahead.read(&mut room).await {
                Ok(read) => heard.extend_from_slice(&room[..read]),
                Err(error) => break error.kind(),
            }
        };
        assert!(heard == bytes, "{row}: all bytes, in order");
        assert_eq!(ended, io::ErrorKind::ConnectionReset, "{row}: then its end");
        let made = ahead.io.reads;
        assert!(made <= reads, "{row}: {made} reads instead of {reads}");
        assert!(
            ahead.rest.is_none(),
            "{row}: no buffer when nothing is left"
        );
    }

    #[tokio::test]
    async fn bulk_takes_few_reads_and_nothing_is_lost() {
        let bulk = 3 * READ_BYTES;
        check("bulk", &[bulk], 4096, 5).await;
        check("bulk in odd steps", &[bulk], 5001, 5).await;
        check("small messages", &[100; 20], 4096, 21).await;
        check("bulk among them", &[100, bulk, 100], 4096, 7).await;
        check("exactly what was asked for", &[4096, 4096], 4096, 3).await;
        check("by whoever asks for a lot", &[bulk], READ_BYTES, 4).await;
    }

    #[tokio::test]
    async fn whoever_waits_is_not_made_to_read_little_again() {
        let (mut there, here) = tokio::io::duplex(READ_BYTES);
        let mut ahead = Ahead::new(here);
        let mut room = [0; 64];
        there.write_all(&[7; 64]).await.expect("room for it");
        assert_eq!(ahead.read(&mut room).await.expect("open"), 64);
        let mut cx = Context::from_waker(Waker::noop());
        let waiting = Pin::new(&mut ahead).poll_read(&mut cx, &mut ReadBuf::new(&mut room));
        assert!(waiting.is_pending(), "nothing more has come");
        there.write_all(&[7; 200]).await.expect("room for it");
        assert_eq!(ahead.read(&mut room).await.expect("open"), 64);
        assert!(ahead.rest.is_some(), "all of it was read at once");
    }
}
