//! What the task of a connection, its streams and whoever keeps it know together.

use std::sync::{
    Arc, OnceLock,
    atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};

use tokio::sync::Notify;

use crate::error::{Lost, StreamError};

/// One connection, for as long as anything of it is left.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    streams: AtomicUsize,
    /// Streams with bytes, as far as we know, that nobody has taken on yet.
    held: AtomicUsize,
    /// Why it ended; set once, before its streams notice.
    fate: OnceLock<Lost>,
    cut: Notify,
}

/// A stream that counts on its connection while it lives.
#[derive(Debug)]
pub(crate) struct Slot {
    shared: Arc<Shared>,
    /// Whether it is one of those that hold bytes. Written by whoever reads the stream, which is one.
    holds: AtomicBool,
}

impl Shared {
    pub(crate) fn streams(&self) -> usize {
        self.streams.load(Acquire)
    }

    /// How many streams hold bytes. Exact only for whoever shares a thread with them all.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Counts a stream, unless there are `most` already.
    pub(crate) fn reserve(self: &Arc<Self>, most: usize) -> Option<Slot> {
        let more = |streams| (streams < most).then_some(streams + 1);
        let counted = self.streams.fetch_update(AcqRel, Acquire, more);
        counted.is_ok().then(|| Slot {
            shared: Arc::clone(self),
            holds: AtomicBool::default(),
        })
    }

    pub(crate) fn fate(&self) -> Option<&Lost> {
        self.fate.get()
    }

    /// What ended it: if that is not known otherwise, what `error` says.
    pub(crate) fn end_of(&self, error: &h2::Error) -> Lost {
        let known = self.fate().cloned();
        known.unwrap_or_else(|| Lost::sort(error))
    }

    /// It has ended so; what ended it first counts.
    pub(crate) fn ended(&self, lost: Lost) {
        drop(self.fate.set(lost));
    }

    /// Ends it, with all its streams.
    pub(crate) fn cut(&self, lost: Lost) {
        self.ended(lost);
        self.cut.notify_one();
    }

    /// Completes when somebody cuts.
    pub(crate) async fn is_cut(&self) {
        self.cut.notified().await;
    }

    /// What an error of a stream means: the end of its connection, if that is known, says more.
    pub(crate) fn sort(&self, error: &h2::Error) -> StreamError {
        match (self.fate(), error.reason()) {
            (Some(lost), _) => lost.clone().into(),
            (None, Some(reason)) if error.is_reset() => StreamError::Reset(reason),
            (None, _) => Lost::sort(error).into(),
        }
    }
}

impl Slot {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Says whether bytes are in it that have not gone on: there were some when it was read last, and
    /// nobody has come back for more.
    pub(crate) fn holds(&self, holds: bool) {
        if self.holds.load(Relaxed) == holds {
            return;
        }
        self.holds.store(holds, Relaxed);
        if holds {
            self.shared.held.fetch_add(1, Relaxed);
        } else {
            self.shared.held.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.holds(false);
        self.shared.streams.fetch_sub(1, AcqRel);
    }
}
