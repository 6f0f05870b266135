//! Passing bytes both ways between a client and an endpoint, for opaque connections and tunnels.
//!
//! A relay has a buffer only for what it has read and cannot write yet: most of them wait most of the time.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

use crate::limits::OPAQUE_IDLE;

/// How often a relay looks whether anything moved. It ends after the idle limit, and less than this
/// later.
const LOOK: Duration = Duration::from_secs(300);

/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    /// Where the relays of this thread read, one at a time.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How a relay ended.
#[derive(Debug)]
pub(crate) enum Relayed {
    /// Both sides are done: bytes from the client, bytes to it.
    Done(u64, u64),
    /// Nothing moved for [`OPAQUE_IDLE`]: one side is dead, or both have forgotten.
    Idle,
    /// One side failed.
    Failed(io::Error),
}

/// Passes bytes until both sides have ended their direction, one fails, or neither speaks for the
/// idle limit. The end of one direction is passed on and leaves the other open.
pub(crate) async fn relay<C, U>(client: &mut C, upstream: &mut U) -> Relayed
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let moved = AtomicU32::new(0);
    let (mut up, mut down) = (Way::new(&moved), Way::new(&moved));
    let both = poll_fn(|cx| {
        let sent = up.poll(cx, client, upstream)?;
        let received = down.poll(cx, upstream, client)?;
        match (sent, received) {
            (Poll::Ready(sent), Poll::Ready(received)) => Poll::Ready(Ok((sent, received))),
            _ => Poll::Pending,
        }
    });
    tokio::select! {
        both = both => match both {
            Ok((sent, received)) => Relayed::Done(sent, received),
            Err(error) => Relayed::Failed(error),
        },
        () = idle(&moved) => Relayed::Idle,
    }
}

/// One direction.
struct Way<'a> {
    stage: Stage,
    /// Read and not written yet.
    rest: Bytes,
    /// Something was written that the side may still hold back.
    is_dirty: bool,
    /// Bytes that were written.
    passed: u64,
    /// Counts successful reads and writes of both directions; no clock is read for them.
    moved: &'a AtomicU32,
}

#[derive(Clone, Copy)]
enum Stage {
    Passing,
    /// The end is to be passed on.
    Ending,
    Over,
}

impl<'a> Way<'a> {
    fn new(moved: &'a AtomicU32) -> Self {
        Self {
            stage: Stage::Passing,
            rest: Bytes::new(),
            is_dirty: false,
            passed: 0,
            moved,
        }
    }

    /// Goes on; the number of bytes once the end has been passed on.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            match self.stage {
                Stage::Over => return Poll::Ready(Ok(self.passed)),
                Stage::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.stage = Stage::Over;
                }
                Stage::Passing if !self.rest.is_empty() => {
                    let written = ready!(Pin::new(&mut *to).poll_write(cx, &self.rest))?;
                    self.wrote(written)?;
                    self.rest.advance(written);
                }
                Stage::Passing => match self.poll_pass(cx, from, to) {
                    Poll::Ready(passed) => passed?,
                    Poll::Pending => {
                        if self.is_dirty {
                            ready!(Pin::new(&mut *to).poll_flush(cx))?;
                            self.is_dirty = false;
                        }
                        return Poll::Pending;
                    }
                },
            }
        }
    }

    /// Reads once and writes as much of it as the other side takes.
    fn poll_pass<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut room = ROOM.take();
        room.resize(READ_BYTES, 0);
        let mut into = ReadBuf::new(&mut room);
        let read = Pin::new(from).poll_read(cx, &mut into);
        let read = read.map_ok(|()| self.pass(cx, into.filled(), to));
        ROOM.set(room);
        Poll::Ready(ready!(read)?)
    }

    fn pass<W>(&mut self, cx: &mut Context<'_>, read: &[u8], to: &mut W) -> io::Result<()>
    where
        W: AsyncWrite + Unpin,
    {
        self.moved.fetch_add(1, Relaxed);
        if read.is_empty() {
            self.stage = Stage::Ending;
            return Ok(());
        }
        let written = match Pin::new(to).poll_write(cx, read) {
            Poll::Ready(written) => written?,
            Poll::Pending => {
                self.rest = Bytes::copy_from_slice(read);
                return Ok(());
            }
        };
        self.rest = Bytes::copy_from_slice(&read[written..]);
        self.wrote(written)
    }

    fn wrote(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.moved.fetch_add(1, Relaxed);
        self.passed += bytes as u64;
        self.is_dirty = true;
        Ok(())
    }
}

/// Completes when `moved` has not changed for the idle limit.
async fn idle(moved: &AtomicU32) {
    let (mut seen, mut still) = (0, Duration::ZERO);
    while still < OPAQUE_IDLE {
        sleep(LOOK).await;
        let now = moved.load(Relaxed);
        still = if now == seen {
            still + LOOK
        } else {
            Duration::ZERO
        };
        seen = now;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn each_direction_ends_by_itself() {
        let ((mut client, mut near), (mut far, mut server)) = (duplex(64), duplex(64));
        let relaying = tokio::spawn(async move { relay(&mut near, &mut far).await });
        client.write_all(b"question").await.expect("open");
        client.shutdown().await.expect("open");
        let mut asked = String::new();
        server.read_to_string(&mut asked).await.expect("the end");
        server.write_all(b"answer!").await.expect("still open");
        drop(server);
        let mut answered = String::new();
        client.read_to_string(&mut answered).await.expect("the end");
        assert_eq!((asked.as_str(), answered.as_str()), ("question", "answer!"));
        let relayed = relaying.await.expect("no panic");
        assert!(matches!(relayed, Relayed::Done(8, 7)), "{relayed:?}");
    }

    #[tokio::test]
    async fn what_a_slow_side_does_not_take_waits_for_it() {
        let ((mut client, mut near), (mut far, mut server)) = (duplex(100_000), duplex(64));
        let relaying = tokio::spawn(async move { relay(&mut near, &mut far).await });
        let said: Vec<u8> = (0..90_000_u32).map(|at| (at / 7 % 256) as u8).collect();
        client.write_all(&said).await.expect("room for all of it");
        client.shutdown().await.expect("open");
        let mut heard = Vec::new();
        server.read_to_end(&mut heard).await.expect("the end");
        assert!(heard == said, "all bytes, in order");
        drop(server);
        let relayed = relaying.await.expect("no panic");
        assert!(matches!(relayed, Relayed::Done(90_000, 0)), "{relayed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_relay_and_a_byte_now_and_then_keeps_it() {
        let ((mut client, mut near), (mut far, mut server)) = (duplex(64), duplex(64));
        let relaying = tokio::spawn(async move { relay(&mut near, &mut far).await });
        for _ in 0..5 {
            sleep(OPAQUE_IDLE - LOOK).await;
            client.write_all(b"x").await.expect("open");
            server.read_u8().await.expect("passed on");
            sleep(OPAQUE_IDLE - LOOK).await;
            server.write_all(b"y").await.expect("open");
            client.read_u8().await.expect("passed back");
        }
        assert!(!relaying.is_finished(), "kept by either side");
        sleep(OPAQUE_IDLE + 2 * LOOK).await;
        assert!(relaying.is_finished(), "ended by silence");
        let relayed = relaying.await.expect("no panic");
        assert!(matches!(relayed, Relayed::Idle), "{relayed:?}");
    }
}
