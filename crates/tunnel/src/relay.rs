//! Passing bytes both ways between a local connection and a stream.
//!
//! Towards the local side bytes are written from where HTTP/2 has left them. Towards the tunnel they
//! are read into a buffer that grows with what has passed through it, and handed over without a copy.

use std::{
    future::poll_fn,
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use bytes::{BufMut, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::sleep,
};

use crate::{
    error::StreamError,
    shared::Slot,
    stream::{Reader, Stream, Writer},
};

/// A relay looks this often per idle limit whether anything moved, so it ends that much later.
const LOOKS: u32 = 12;

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

/// How large the next buffer is after so many bytes: a connection that carries little costs little.
fn buffer_bytes(passed: u64) -> usize {
    const KIB: usize = 1024;
    match passed {
        ..131_072 => KIB,
        131_072..10_485_760 => 16 * KIB,
        10_485_760.. => 256 * KIB,
    }
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
    let mut buffer = BytesMut::new();
    loop {
        let size = buffer_bytes(sent.load(Relaxed));
        // A remainder that is worth a read is used up before there is a new allocation.
        if buffer.capacity() < size / 2 {
            buffer.reserve(size);
        }
        let mut space = (&mut buffer).limit(size);
        let read = tokio::select! {
            biased;
            read = local.read_buf(&mut space) => read.map_err(Ended::Local)?,
            error = poll_fn(|cx| writer.poll_aborted(cx, slot)) => return Err(Ended::Tunnel(error)),
        };
        if read == 0 {
            return writer.end(slot).map_err(Ended::Tunnel);
        }
        while !buffer.is_empty() {
            let room = poll_fn(|cx| writer.poll_room(cx, buffer.len(), slot)).await;
            let bytes = buffer.split_to(room.map_err(Ended::Tunnel)?).freeze();
            let count = bytes.len() as u64;
            writer.send(bytes, slot).map_err(Ended::Tunnel)?;
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
        let chunk = poll_fn(|cx| reader.poll_chunk(cx, slot)).await;
        let Some(chunk) = chunk.map_err(Ended::Tunnel)? else {
            return local.shutdown().await.map_err(Ended::Local);
        };
        local.write_all(&chunk).await.map_err(Ended::Local)?;
        local.flush().await.map_err(Ended::Local)?;
        received.fetch_add(chunk.len() as u64, Relaxed);
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
