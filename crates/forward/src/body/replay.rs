//! A request body that can be sent again, up to a bound.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};

use super::{BodyError, RequestBody};
use crate::limits::REPLAY_BYTES;

/// The kept beginning of a body and the rest that is still to come. Attempts take turns: only one
/// [`ReplayBody`] reads at a time.
#[derive(Clone)]
pub(crate) struct Replay {
    // A mutex that is never contended: attempts of one request run one after the other, on one
    // worker; it is here because hyper may drop the old attempt's body late.
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    source: RequestBody,
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    overflow: bool,
    trailers: Option<HeaderMap>,
    ended: bool,
    turn: u32,
    /// There will be no other attempt: what has been passed on need not be kept.
    last: bool,
}

/// One attempt's view of the body.
pub(crate) struct ReplayBody {
    shared: Arc<Mutex<Shared>>,
    next: usize,
    turn: u32,
    trailers_sent: bool,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Replay {
    pub(crate) fn new(source: RequestBody) -> Self {
        let shared = Shared {
            source,
            kept: VecDeque::new(),
            kept_bytes: 0,
            overflow: false,
            trailers: None,
            ended: false,
            turn: 0,
            last: false,
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// Whether another attempt would see the whole body.
    pub(crate) fn can_repeat(&self) -> bool {
        !lock(&self.shared).overflow
    }

    /// Whether all of it has come from the client, and another attempt would see it.
    pub(crate) fn is_whole(&self) -> bool {
        let shared = lock(&self.shared);
        !shared.overflow && (shared.ended || shared.source.is_end_stream())
    }

    /// The attempt that is under way is the last one.
    pub(crate) fn let_go(self) {
        lock(&self.shared).last = true;
    }

    /// The body from its beginning. An earlier attempt's body ends with an error from here on.
    pub(crate) fn attempt(&self) -> ReplayBody {
        let mut shared = lock(&self.shared);
        shared.turn += 1;
        ReplayBody {
            shared: Arc::clone(&self.shared),
            next: 0,
            turn: shared.turn,
            trailers_sent: false,
        }
    }
}

impl Shared {
    fn keep(&mut self, data: &Bytes) {
        if self.overflow || self.last {
            return;
        }
        self.kept_bytes += data.len();
        if self.kept_bytes > REPLAY_BYTES {
            self.overflow = true;
            self.kept.clear();
        } else {
            self.kept.push_back(data.clone());
        }
    }
}

impl ReplayBody {
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut shared = lock(&self.shared);
        if shared.turn != self.turn {
            return Poll::Ready(Some(Err(BodyError::Superseded)));
        }
        if let Some(data) = shared.kept.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        if shared.last && self.next > 0 {
            shared.kept = VecDeque::new();
            self.next = 0;
        }
        if shared.ended {
            let trailers = if self.trailers_sent {
                None
            } else {
                shared.trailers.clone()
            };
            self.trailers_sent = true;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let frame = ready!(Pin::new(&mut shared.source).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    shared.keep(data);
                    self.next = shared.kept.len();
                } else if let Some(trailers) = frame.trailers_ref() {
                    shared.trailers = Some(trailers.clone());
                    shared.ended = true;
                    self.trailers_sent = true;
                }
            }
            Some(Err(_)) => shared.overflow = true,
            None => shared.ended = true,
        }
        Poll::Ready(frame)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let shared = lock(&self.shared);
        let replayed = self.next >= shared.kept.len();
        let rest = shared.ended || shared.source.is_end_stream();
        replayed && rest && (self.trailers_sent || shared.trailers.is_none())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let shared = lock(&self.shared);
        let waiting: u64 = shared
            .kept
            .iter()
            .skip(self.next)
            .map(|data| data.len() as u64)
            .sum();
        let rest = if shared.ended {
            SizeHint::with_exact(0)
        } else {
            shared.source.size_hint()
        };
        let mut hint = SizeHint::new();
        hint.set_lower(waiting + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(waiting + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests;
