//! Time for leases and statuses. It enters as a [`Clock`]; this file holds the one real clock.

use std::fmt;
use std::time::{Duration, SystemTime};

use k8s_openapi::jiff::Timestamp;
use weft_api::meta::Time;

/// What time it is.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time since some moment, on a clock that never goes back.
    fn monotonic(&self) -> Duration;

    /// The time of day, for people and records. Nothing is decided by it.
    fn wall(&self) -> Time;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: instant() }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        instant().saturating_duration_since(self.start)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "statuses and leases carry the time of day; everything else takes it as an argument"
    )]
    fn wall(&self) -> Time {
        // Dates beyond the year 9999 are none; the epoch is as good as any then.
        Time(Timestamp::try_from(SystemTime::now()).unwrap_or_default())
    }
}

/// Now, on the runtime's clock, for deadlines of requests.
pub(super) fn instant() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
