//! Opening one connection for all who want one.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use tokio::sync::Mutex;

use super::ConnectError;

/// Where those wait who want a connection that somebody else is opening: a burst opens one and not
/// hundreds, and meets an endpoint that does not answer once and not one after the other.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Held while a connection is opened; what the last attempt failed with.
    opening: Mutex<Option<Arc<ConnectError>>>,
    failures: AtomicU32,
}

impl Gate {
    /// What `existing` has once nobody else is opening, or what comes of `open`.
    ///
    /// # Errors
    /// Why opening failed; for all who came while it was tried, too.
    pub(super) async fn pass<T>(
        &self,
        existing: impl FnOnce() -> Option<T>,
        open: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let before = self.failures.load(Relaxed);
        let mut last = self.opening.lock().await;
        if let Some(existing) = existing() {
            return Ok(existing);
        }
        let has_failed = self.failures.load(Relaxed) != before;
        if let Some(error) = last.as_ref().filter(|_| has_failed) {
            return Err(ConnectError::Same(Arc::clone(error)));
        }
        open.await.map_err(|error| {
            let error = Arc::new(error);
            *last = Some(Arc::clone(&error));
            self.failures.fetch_add(1, Relaxed);
            ConnectError::Same(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{pending, ready},
        pin::pin,
    };

    use tokio::task::yield_now;

    use super::*;

    fn timeout() -> ConnectError {
        ConnectError::Timeout {
            address: ([10, 0, 0, 1], 80).into(),
        }
    }

    /// An attempt that fails after it was looked at a second time.
    async fn fails(tries: &Cell<u32>) -> Result<u8, ConnectError> {
        tries.set(tries.get() + 1);
        yield_now().await;
        Err(timeout())
    }

    #[tokio::test]
    async fn an_attempt_that_fails_is_one_for_all_who_wait() {
        let (gate, tries) = (Gate::default(), Cell::new(0));
        let pass = || gate.pass(|| None, fails(&tries));
        let all = tokio::join!(pass(), pass(), pass());
        assert!(all.0.is_err() && all.1.is_err() && all.2.is_err());
        assert_eq!(tries.get(), 1, "the endpoint was dialled once");
        assert!(pass().await.is_err());
        assert_eq!(tries.get(), 2, "who comes later tries anew");
    }

    #[tokio::test]
    async fn an_attempt_that_is_given_up_leaves_the_next_one_to_try() {
        let gate = Gate::default();
        {
            let mut first = pin!(gate.pass(|| None::<u8>, pending()));
            tokio::select! {
                biased;
                _ = &mut first => panic!("nothing ends it"),
                () = yield_now() => {}
            }
            assert!(gate.opening.try_lock().is_err(), "one at a time");
        }
        let second = gate.pass(|| None, ready(Ok(2))).await;
        assert_eq!(second.ok(), Some(2));
    }

    #[tokio::test]
    async fn who_waits_takes_what_was_opened() {
        let (gate, opened) = (Gate::default(), Cell::new(None));
        let open = async {
            yield_now().await;
            opened.set(Some(1));
            Ok(1)
        };
        let first = gate.pass(|| opened.get(), open);
        let second = gate.pass(|| opened.get(), ready(Ok(2)));
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.ok(), second.ok()), (Some(1), Some(1)));
    }
}
