//! When certificates are renewed, and how often a failed attempt is repeated.
//!
//! Pure: time and chance are arguments. [`crate::Renewer`] is the loop around it.

use std::time::{Duration, SystemTime};

use crate::clock::Reading;

/// Share of a certificate's life after which it is renewed.
const AT_SHARE_OF_LIFE: f64 = 0.5;

/// How far from there, either way, as a share of life: so that the leaves of a node, made in one
/// moment, do not come back in one.
const JITTER: f64 = 0.1;

/// First limit of the delay after a failure.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// Greatest limit of the delay after failures.
const MAX_DELAY: Duration = Duration::from_secs(150);

/// When a certificate has to be renewed, by both clocks: the wall clock dates certificates but jumps,
/// the monotonic clock does not but stands still while a machine sleeps. The earlier one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    wall: SystemTime,
    monotonic: Duration,
}

impl Due {
    /// At half of `life`, give or take a tenth of it, from `issued` on. `chance` is uniform in
    /// `0.0..1.0`.
    ///
    /// Life is counted from issuance, not from the start of validity, which is back-dated by as much as
    /// the shortest lives last.
    #[must_use]
    pub fn after(issued: Reading, life: Duration, chance: f64) -> Self {
        let share = AT_SHARE_OF_LIFE + JITTER * (2.0 * unit(chance) - 1.0);
        Self::from(issued, life.mul_f64(share))
    }

    /// The earlier of this and `within` from `now` on.
    #[must_use]
    pub fn or_within(self, now: Reading, within: Duration) -> Self {
        if self.wait(now) <= within {
            self
        } else {
            Self::from(now, within)
        }
    }

    fn from(now: Reading, wait: Duration) -> Self {
        Self {
            wall: now.wall + wait,
            monotonic: now.monotonic + wait,
        }
    }

    /// How long to wait from `now` on; zero when it is due.
    #[must_use]
    pub fn wait(&self, now: Reading) -> Duration {
        let by_wall = self.wall.duration_since(now.wall).unwrap_or_default();
        let by_monotonic = self.monotonic.saturating_sub(now.monotonic);
        by_wall.min(by_monotonic)
    }

    /// Whether it is time.
    #[must_use]
    pub fn is_due(&self, now: Reading) -> bool {
        self.wait(now).is_zero()
    }
}

/// Delays between attempts: up to 0.5 s, doubling to 150 s, each drawn anew from zero to its limit
/// (full jitter), so that nodes that failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The delay after one more failure. `chance` is uniform in `0.0..1.0`.
    pub fn after_failure(&mut self, chance: f64) -> Duration {
        let limit = FIRST_DELAY
            .saturating_mul(1 << self.failures.min(16))
            .min(MAX_DELAY);
        self.failures = self.failures.saturating_add(1);
        limit.mul_f64(unit(chance))
    }

    /// Failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Keeps a number within `0.0..=1.0`, whatever it was.
pub(crate) fn unit(chance: f64) -> f64 {
    if chance.is_nan() {
        0.5
    } else {
        chance.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests;
