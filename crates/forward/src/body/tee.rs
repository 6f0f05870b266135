//! A request body that is copied to mirrors while it streams to its backend.
//!
//! The copy never slows the original: each mirror has a short bounded queue of chunks (shared
//! bytes, no copying), and a mirror that falls behind loses its request.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::mpsc;

use super::{BodyError, RequestBody};
use crate::limits::MIRROR_CHUNKS;

/// What goes through a mirror's queue. A queue that closes without `End` was cut.
enum Piece {
    Frame(Frame<Bytes>),
    End,
}

/// The original body, with its mirrors.
pub(crate) struct Tee {
    source: RequestBody,
    mirrors: Vec<mpsc::Sender<Piece>>,
}

/// The copy of a body for one mirror.
pub(crate) struct MirrorBody {
    pieces: mpsc::Receiver<Piece>,
    hint: SizeHint,
    ended: bool,
}

/// Splits `source` into itself and `copies` bodies for mirrors.
pub(crate) fn tee(source: RequestBody, copies: usize) -> (RequestBody, Vec<RequestBody>) {
    if source.is_end_stream() {
        return (source, (0..copies).map(|_| RequestBody::Empty).collect());
    }
    let hint = source.size_hint();
    let mut mirrors = Vec::with_capacity(copies);
    let bodies = (0..copies)
        .map(|_| {
            let (sender, pieces) = mpsc::channel(MIRROR_CHUNKS);
            mirrors.push(sender);
            RequestBody::Mirror(MirrorBody {
                pieces,
                hint,
                ended: false,
            })
        })
        .collect();
    (RequestBody::Tee(Box::new(Tee { source, mirrors })), bodies)
}

impl Tee {
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(std::pin::Pin::new(&mut self.source).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                self.mirrors
                    .retain(|mirror| mirror.try_send(Piece::Frame(copy(frame))).is_ok());
                if self.source.is_end_stream() {
                    self.finish();
                }
            }
            Some(Err(_)) => self.mirrors.clear(),
            None => self.finish(),
        }
        Poll::Ready(frame)
    }

    fn finish(&mut self) {
        self.mirrors
            .retain(|mirror| mirror.try_send(Piece::End).is_ok());
        self.mirrors.clear();
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

fn copy(frame: &Frame<Bytes>) -> Frame<Bytes> {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Frame::data(data.clone()),
        (None, Some(trailers)) => Frame::trailers(trailers.clone()),
        (None, None) => Frame::data(Bytes::new()),
    }
}

impl MirrorBody {
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match ready!(self.pieces.poll_recv(cx)) {
            Some(Piece::Frame(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Piece::End) => {
                self.ended = true;
                Poll::Ready(None)
            }
            None => {
                self.ended = true;
                Poll::Ready(Some(Err(BodyError::MirrorCut)))
            }
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

#[cfg(test)]
pub(super) mod tests;
