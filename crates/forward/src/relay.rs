//! Passing bytes both ways between a client and an endpoint, for opaque connections and tunnels.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

use crate::limits::OPAQUE_IDLE;

/// How often a relay looks whether anything moved. It ends after the idle limit, and less than this
/// later.
const LOOK: Duration = Duration::from_secs(300);

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
    let mut client = Watched {
        stream: client,
        moved: &moved,
    };
    tokio::select! {
        copied = tokio::io::copy_bidirectional(&mut client, upstream) => match copied {
            Ok((sent, received)) => Relayed::Done(sent, received),
            Err(error) => Relayed::Failed(error),
        },
        () = idle(&moved) => Relayed::Idle,
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

/// The client's stream, through which every byte of either direction passes, with a count of its
/// successful reads and writes; no clock is read for them.
struct Watched<'a, S> {
    stream: &'a mut S,
    moved: &'a AtomicU32,
}

impl<S> Watched<'_, S> {
    fn count(&self) {
        self.moved.fetch_add(1, Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut *self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.count();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut *self.stream).poll_write(cx, buf);
        if wrote.is_ready() {
            self.count();
        }
        wrote
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
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
