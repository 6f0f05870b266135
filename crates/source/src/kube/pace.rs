//! How long to wait before trying again, with chance as a parameter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Spreads waiting times, so that watches and replicas that failed together do not come back
/// together. Clones draw from one sequence, which the seed decides.
#[derive(Clone, Debug)]
pub struct Jitter(Arc<AtomicU64>);

impl Jitter {
    /// A sequence of its own. Replicas should have different seeds.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// Between half of a duration and the whole of it.
    pub(crate) fn spread(&self, duration: Duration) -> Duration {
        duration.mul_f64(0.5 + self.fraction() / 2.0)
    }

    /// Between nothing and the whole of a duration.
    pub(crate) fn up_to(&self, duration: Duration) -> Duration {
        duration.mul_f64(self.fraction())
    }

    /// From 0 to below 1, by splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
    /// generators, 2014).
    fn fraction(&self) -> f64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.0.fetch_add(GAMMA, Ordering::Relaxed);
        let mut mixed = state.wrapping_add(GAMMA);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The upper half, which a double holds exactly.
        let upper = u32::try_from(mixed >> 32).unwrap_or_default();
        f64::from(upper) / (f64::from(u32::MAX) + 1.0)
    }
}

/// Shortest and longest wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Before the second attempt.
    pub first: Duration,
    /// While the API server cannot be reached at all. Short, because nobody is burdened and a
    /// server that is back should be noticed soon.
    pub longest_unreachable: Duration,
    /// While the API server answers, but not as it should.
    pub longest_refused: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest_unreachable: Duration::from_millis(1_500),
            longest_refused: Duration::from_secs(15),
        }
    }
}

/// Waits that double, up to a limit.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    retry: Retry,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(retry: Retry) -> Self {
        Self { retry, failures: 0 }
    }

    /// As if so many attempts had failed already.
    pub(crate) fn after(retry: Retry, failures: u32) -> Self {
        Self { retry, failures }
    }

    /// The wait after one more failure. `at_least` is what the server asked for.
    pub(crate) fn failed(
        &mut self,
        reached: bool,
        at_least: Option<Duration>,
        jitter: &Jitter,
    ) -> Duration {
        let longest = if reached {
            self.retry.longest_refused
        } else {
            self.retry.longest_unreachable
        };
        let doubled = self.retry.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let wait = jitter.spread(doubled.min(longest));
        // What the server asks for is a lower limit; beyond it all would come at once.
        at_least.map_or(wait, |asked| asked + jitter.up_to(wait))
    }

    /// Something worked.
    pub(crate) fn worked(&mut self) {
        self.failures = 0;
    }

    /// Failures since something last worked.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_of_their_kind_and_start_again() {
        let jitter = Jitter::seeded(7);
        let mut backoff = Backoff::new(Retry::default());
        let millis: Vec<_> = (0..12)
            .map(|_| backoff.failed(true, None, &jitter).as_millis())
            .collect();
        for (failures, wait) in millis.iter().enumerate() {
            let whole = (100 << failures).min(15_000);
            let range = whole / 2..=whole;
            assert!(
                range.contains(wait),
                "wait {failures}: {wait} ms not in {range:?}"
            );
        }
        let unreachable = backoff.failed(false, None, &jitter);
        assert!(
            unreachable <= Duration::from_millis(1_500),
            "{unreachable:?}"
        );
        backoff.worked();
        let first = backoff.failed(true, None, &jitter);
        assert!(first <= Duration::from_millis(100), "{first:?}");
    }

    #[test]
    fn a_server_that_names_a_time_is_not_asked_before() {
        let asked = Duration::from_secs(3);
        let wait = Backoff::new(Retry::default()).failed(true, Some(asked), &Jitter::seeded(1));
        assert!(wait >= asked && wait < asked * 2, "{wait:?}");
    }

    #[test]
    fn jitter_covers_its_range() {
        let jitter = Jitter::seeded(42);
        let second = Duration::from_secs(1);
        let waits: Vec<_> = (0..1_000).map(|_| jitter.up_to(second)).collect();
        let tenths = (0..10).filter(|tenth| {
            let range = second / 10 * *tenth..second / 10 * (*tenth + 1);
            waits.iter().any(|wait| range.contains(wait))
        });
        assert_eq!(tenths.count(), 10, "every tenth of a second is drawn");
    }
}
