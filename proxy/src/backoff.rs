//! Delays between attempts.

use std::time::Duration;

use crate::chance::Chance;

/// Delays that double from a first one up to a limit.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    limit: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, limit: Duration) -> Self {
        let next = first;
        Self { first, limit, next }
    }

    /// The next delay.
    pub(crate) fn delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(self.limit);
        delay
    }

    /// The next delay, drawn from its upper half, so that those who failed together do not come back
    /// together.
    pub(crate) fn jittered(&mut self, chance: &mut Chance) -> Duration {
        let delay = self.delay();
        delay.mul_f64(0.5 + 0.5 * chance.draw())
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}
