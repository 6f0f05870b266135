//! Answers that have come and that clients do not take: how much of them waits in this process.
//!
//! A client that hardly reads holds what hyper keeps of its answer, which is some 200 KiB at each side of
//! it, so that the next bytes are there when it reads on. That is well for a few and too much for hundreds. So a
//! pod has a budget for all its clients together. Once it is used up each of them gets more only when
//! what it has was taken, and in small pieces.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

/// Bytes of a pod that may wait for its clients before each of them gets little.
const BUDGET_BYTES: usize = 4 * 1024 * 1024;
/// What little is: bytes that are read at once from an endpoint, and that wait for one client.
pub(crate) const LITTLE_BYTES: usize = 8 * 1024;

/// The bytes of a pod that wait for its clients. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// Those that wait for one client, over HTTP/1: over HTTP/2 a stream that is not read must not stop others.
/// Connection and requests share a thread; the atomics are for `Sync`, not for ordering.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    budget: Option<Budget>,
    bytes: AtomicUsize,
    /// The answer that waits for its client.
    waits: Mutex<Option<Waker>>,
}

impl Budget {
    /// Whether more may be taken in at once than [`LITTLE_BYTES`].
    pub(crate) fn is_left(&self) -> bool {
        self.0.load(Relaxed) < BUDGET_BYTES
    }

    /// What waits now.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Unsent {
    /// Of a client whose pod has a budget.
    pub(crate) fn within(budget: Option<Budget>) -> Self {
        Self {
            budget,
            bytes: AtomicUsize::default(),
            waits: Mutex::default(),
        }
    }

    /// Waits until the client may be given more.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let has_room = self.bytes.load(Relaxed) < LITTLE_BYTES;
        if has_room || self.budget.as_ref().is_none_or(Budget::is_left) {
            return Poll::Ready(());
        }
        *self.lock() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// So much of an answer is given to it.
    pub(crate) fn given(&self, bytes: usize) {
        if let Some(budget) = &self.budget {
            self.bytes.fetch_add(bytes, Relaxed);
            budget.0.fetch_add(bytes, Relaxed);
        }
    }

    /// So much has gone out to it, which includes what is around answers: that has never been counted.
    pub(crate) fn sent(&self, bytes: usize) {
        let Some(budget) = &self.budget else { return };
        let waiting = self.bytes.load(Relaxed);
        let gone = waiting.min(bytes);
        if gone == 0 {
            return;
        }
        self.bytes.store(waiting - gone, Relaxed);
        budget.0.fetch_sub(gone, Relaxed);
        // Nobody waits with less.
        if waiting >= LITTLE_BYTES
            && let Some(answer) = self.lock().take()
        {
            answer.wake();
        }
    }

    /// Nothing that holds the lock can panic.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.waits
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.sent(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a client pieces of an answer until it has to wait; how much it has then.
    fn fill(unsent: &Unsent, piece: usize) -> usize {
        let cx = Context::from_waker(Waker::noop());
        let mut given = 0;
        // Without a budget nothing of ours ends it.
        while given < 2 * BUDGET_BYTES && unsent.poll_room(&cx).is_ready() {
            unsent.given(piece);
            given += piece;
        }
        given
    }

    #[test]
    fn a_few_clients_get_much_and_the_others_little() {
        let budget = Budget::default();
        let client = || Unsent::within(Some(budget.clone()));
        let first = client();
        assert_eq!(fill(&first, 64 * 1024), BUDGET_BYTES, "as much as there is");
        assert!(!budget.is_left());
        let others: Vec<_> = (0..100).map(|_| client()).collect();
        for other in &others {
            assert_eq!(fill(other, LITTLE_BYTES), LITTLE_BYTES, "little");
        }
        drop(first);
        assert!(budget.is_left(), "what has gone is free again");
        drop(others);
        assert_eq!(budget.bytes(), 0, "all of it");
    }

    #[test]
    fn what_was_taken_makes_room_and_what_is_around_it_does_not() {
        let budget = Budget::default();
        let hog = Unsent::within(Some(budget.clone()));
        hog.given(BUDGET_BYTES);
        let client = Unsent::within(Some(budget.clone()));
        client.sent(300);
        assert_eq!(
            fill(&client, LITTLE_BYTES),
            LITTLE_BYTES,
            "a head makes none"
        );
        client.sent(1);
        assert_eq!(fill(&client, LITTLE_BYTES), LITTLE_BYTES, "some was taken");
        client.sent(2 * LITTLE_BYTES + 300);
        assert_eq!(client.bytes.load(Relaxed), 0, "nothing below nothing");
        hog.sent(BUDGET_BYTES);
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn nobody_waits_where_there_is_no_budget() {
        assert_eq!(fill(&Unsent::default(), LITTLE_BYTES), 2 * BUDGET_BYTES);
    }
}
