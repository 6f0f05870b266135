//! The one place of this room that reads the clock.

use std::time::{Instant, SystemTime};

/// A monotonic clock counted from its creation.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the source of time of the data path"
    )]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Nanoseconds since the start; 584 years fit.
    #[expect(
        clippy::disallowed_methods,
        reason = "the source of time of the data path"
    )]
    pub fn now_ns(&self) -> u64 {
        let elapsed = Instant::now().saturating_duration_since(self.origin);
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The monotonic time as the standard library has it, for rate limits.
    #[expect(
        clippy::disallowed_methods,
        reason = "the source of time of the data path"
    )]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// The wall clock, for log lines.
    #[expect(
        clippy::disallowed_methods,
        reason = "the source of time of the data path"
    )]
    pub fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The moment `limit` from now, on the clock of the runtime's timers.
pub(crate) fn deadline(limit: std::time::Duration) -> tokio::time::Instant {
    tokio::time::Instant::now() + limit
}
