//! The rate bound of error lines: a token bucket in one atomic.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::Rate;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A token bucket kept as the time at which it will be full again (the generic cell rate
/// algorithm): no lock, no timer, one compare-and-swap per admitted line.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Time between tokens.
    interval_ns: u64,
    /// How far ahead of now the bucket may be filled up again: the burst.
    depth_ns: u64,
    /// The first instant seen; times below are nanoseconds since.
    origin: OnceLock<Instant>,
    full_at_ns: AtomicU64,
    suppressed: AtomicU64,
}

impl Limiter {
    pub(super) fn new(rate: Rate) -> Self {
        let interval_ns = NANOS_PER_SECOND / u64::from(rate.per_second.max(1));
        Self {
            interval_ns,
            depth_ns: interval_ns * u64::from(rate.burst.max(1)),
            origin: OnceLock::new(),
            full_at_ns: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Takes a token. `Some` holds how many lines were refused since the last one was admitted.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        let origin = *self.origin.get_or_init(|| now);
        let since_origin = now.saturating_duration_since(origin).as_nanos();
        let now_ns = u64::try_from(since_origin).unwrap_or(u64::MAX / 2);
        let taken =
            self.full_at_ns
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at_ns| {
                    let next = full_at_ns.max(now_ns) + self.interval_ns;
                    (next - now_ns <= self.depth_ns).then_some(next)
                });
        match taken {
            Ok(_) => Some(self.suppressed.swap(0, Ordering::Relaxed)),
            Err(_) => {
                self.suppressed.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Limiter, Rate};

    /// Offers `offered` lines at each of `at_ms`; returns how many pass, and the reported numbers
    /// of suppressed ones.
    fn check(rate: Rate, at_ms: &[u64], offered: u64) -> Vec<(u64, u64)> {
        #[expect(
            clippy::disallowed_methods,
            reason = "any instant will do as the origin"
        )]
        let start = Instant::now();
        let limiter = Limiter::new(rate);
        at_ms
            .iter()
            .map(|&ms| {
                let now = start + Duration::from_millis(ms);
                let passed: Vec<u64> = (0..offered).filter_map(|_| limiter.admit(now)).collect();
                (passed.len() as u64, passed.iter().sum())
            })
            .collect()
    }

    #[test]
    fn burst_then_rate() {
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        // Suppressed lines are reported by the next admitted one.
        let seen = check(rate, &[0, 50, 100, 200, 10_000], 5);
        assert_eq!(seen, [(3, 0), (0, 0), (1, 7), (1, 4), (3, 4)]);
    }

    #[test]
    fn time_that_goes_back_admits_nothing_extra() {
        let rate = Rate {
            per_second: 1,
            burst: 1,
        };
        assert_eq!(check(rate, &[5_000, 0], 1), [(1, 0), (0, 0)]);
    }
}
