//! What has come through the tunnel and is written to the local connection at once.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use crate::{stream::Reader, wire::SENT_BYTES};

/// Chunks in order: as many as there are in a window, if they are long.
#[derive(Debug)]
pub(super) struct Batch([Bytes; 4]);

impl Batch {
    /// `first`, and after a long one whatever is there already: each write to a connection wakes its
    /// reader, and each time a window opens this is said in a frame. Small messages are not made to
    /// look for others.
    pub(super) fn gather(first: Bytes, reader: &mut Reader, cx: &mut Context<'_>) -> Self {
        let is_long = first.len() >= SENT_BYTES;
        let mut batch = Self([first, Bytes::new(), Bytes::new(), Bytes::new()]);
        if is_long {
            for place in &mut batch.0[1..] {
                match reader.poll_more(cx) {
                    Some(chunk) => *place = chunk,
                    None => break,
                }
            }
        }
        batch
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// Writes some of it, and says how much; it is gone then.
    pub(super) fn poll_write<W>(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut W,
    ) -> Poll<io::Result<usize>>
    where
        W: AsyncWrite + Unpin,
    {
        let [first, rest @ ..] = &self.0;
        let written = if rest.iter().all(Bytes::is_empty) {
            ready!(Pin::new(local).poll_write(cx, first))?
        } else {
            let slices = self.0.each_ref().map(|chunk| IoSlice::new(chunk));
            ready!(Pin::new(local).poll_write_vectored(cx, &slices))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let mut left = written;
        for chunk in &mut self.0 {
            let now = left.min(chunk.len());
            chunk.advance(now);
            left -= now;
        }
        Poll::Ready(Ok(written))
    }
}
