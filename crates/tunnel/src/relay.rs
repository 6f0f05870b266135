//! Passing bytes both ways between a local connection and a stream.
//!
//! Towards the local side bytes are written from where HTTP/2 has left them. Towards the tunnel they
//! are read where all relays of a thread read, and copied into as much memory as they need; only what
//! comes as fast as it can be read gets a buffer of its own, which is handed over without a copy. A relay
//! that waits has none, and most of them do.

mod batch;

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::sleep,
};

use self::batch::Batch;
use crate::{
    error::StreamError,
    shared::Slot,
    stream::{Reader, Stream, Writer},
    wire::{MOST_SENT_BYTES, SENT_BYTES},
};

/// A relay looks this often per idle limit whether anything moved, so it ends that much later.
const LOOKS: u32 = 12;

/// Bytes that are read at once.
const READ_BYTES: usize = SENT_BYTES;

/// The same for whoever has just read that much. No more: whoever has a reader that is slow keeps them.
const BULK_BYTES: usize = MOST_SENT_BYTES;

thread_local! {
    /// Where the relays of this thread read, one at a time.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How a relay ended.
#[derive(Debug)]
pub enum Ended {
    /// Both directions came to their end.
    Done,
    /// The local connection failed; the stream has been reset.
    Local(io::Error),
    /// The stream failed: abort the local connection (`SO_LINGER` 0), for an orderly end would be a lie.
    Tunnel(StreamError),
    /// Nothing moved for the idle limit; the stream has been reset.
    Idle,
}

/// What a relay has done.
#[derive(Debug)]
pub struct Relayed {
    /// Bytes from the local connection into the stream.
    pub sent: u64,
    /// Bytes from the stream to the local connection.
    pub received: u64,
    /// Why there are no more.
    pub ended: Ended,
}

/// Passes bytes between the halves of a local connection and `tunnel`, until both directions have
/// ended, one side fails, or neither speaks for `idle`. The end of one direction is passed on and
/// leaves the other open; what had arrived before it is written first.
///
/// The halves are borrowed, so that the caller can abort the connection they belong to.
pub async fn relay<R, W>(local: (R, W), tunnel: &mut Stream, idle: Duration) -> Relayed
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
    let (reader, writer, slot) = tunnel.halves();
    let both = async {
        tokio::try_join!(
            outward(local.0, (writer, slot), &sent),
            inward((reader, slot), local.1, &received),
        )
    };
    let ended = tokio::select! {
        both = both => both.map_or_else(|failed| failed, |_| Ended::Done),
        () = stillness([&sent, &received], idle) => Ended::Idle,
    };
    if !matches!(ended, Ended::Done) {
        tunnel.reset();
    }
    Relayed {
        sent: sent.into_inner(),
        received: received.into_inner(),
        ended,
    }
}

/// Reads what has come, up to `room`; nothing at the end.
fn poll_read<R>(local: &mut R, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<Bytes>>
where
    R: AsyncRead + Unpin,
{
    if room > READ_BYTES {
        let mut own = BytesMut::with_capacity(room);
        ready!(pin!(local.read_buf(&mut own)).poll(cx))?;
        return Poll::Ready(Ok(own.freeze()));
    }
    let mut room = ROOM.take();
    room.resize(READ_BYTES, 0);
    let mut into = ReadBuf::new(&mut room);
    let read = Pin::new(local).poll_read(cx, &mut into);
    let read = read.map_ok(|()| Bytes::copy_from_slice(into.filled()));
    ROOM.set(room);
    read
}

/// From the local connection into the stream.
async fn outward<R>(
    mut local: R,
    (writer, slot): (&mut Writer, &Slot),
    sent: &AtomicU64,
) -> Result<(), Ended>
where
    R: AsyncRead + Unpin,
{
    let mut room = READ_BYTES;
    loop {
        let read = poll_fn(|cx| poll_read(&mut local, cx, room));
        let mut bytes = tokio::select! {
            biased;
            read = read => read.map_err(Ended::Local)?,
            error = poll_fn(|cx| writer.poll_aborted(cx, slot)) => return Err(Ended::Tunnel(error)),
        };
        if bytes.is_empty() {
            return writer.end(slot).map_err(Ended::Tunnel);
        }
        room = match bytes.len() < READ_BYTES {
            true => READ_BYTES,
            false => BULK_BYTES,
        };
        while !bytes.is_empty() {
            let room = poll_fn(|cx| writer.poll_room(cx, bytes.len(), slot)).await;
            let now = bytes.split_to(room.map_err(Ended::Tunnel)?);
            let count = now.len() as u64;
            writer.send(now, slot).map_err(Ended::Tunnel)?;
            sent.fetch_add(count, Relaxed);
        }
    }
}

/// From the stream to the local connection.
async fn inward<W>(
    (reader, slot): (&mut Reader, &Slot),
    mut local: W,
    received: &AtomicU64,
) -> Result<(), Ended>
where
    W: AsyncWrite + Unpin,
{
    loop {
        let batch = poll_fn(|cx| {
            let first = ready!(reader.poll_chunk(cx, slot))?;
            Poll::Ready(Ok(first.map(|first| Batch::gather(first, reader, cx))))
        });
        let Some(mut batch) = batch.await.map_err(Ended::Tunnel)? else {
            return local.shutdown().await.map_err(Ended::Local);
        };
        while !batch.is_empty() {
            let written = poll_fn(|cx| batch.poll_write(cx, &mut local)).await;
            let written = written.map_err(Ended::Local)?;
            received.fetch_add(written as u64, Relaxed);
        }
        local.flush().await.map_err(Ended::Local)?;
    }
}

/// Completes when no count has changed for `limit`.
async fn stillness(counts: [&AtomicU64; 2], limit: Duration) {
    let sum = || counts.iter().map(|count| count.load(Relaxed)).sum::<u64>();
    let (mut seen, mut still) = (sum(), 0);
    while still < LOOKS {
        sleep(limit / LOOKS).await;
        let now = sum();
        still = if now == seen { still + 1 } else { 0 };
        seen = now;
    }
}

#[cfg(test)]
mod tests;
