//! The clock of the room: the only place that reads the time, replaceable by whoever tests.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;
use tokio::time::Instant;

/// What both clocks of a machine say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The time of day, which certificates are dated by; it jumps when somebody sets it.
    pub wall: SystemTime,
    /// Time since some fixed moment; it never jumps.
    pub monotonic: Duration,
}

/// Tells the time to handshakes and to the renewal of certificates. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Reading + Send + Sync>);

impl Clock {
    /// The machine's clocks.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one clock of the room; everything else takes its reading as an argument"
    )]
    pub fn system() -> Self {
        let origin = Instant::now();
        Self(Arc::new(move || Reading {
            wall: SystemTime::now(),
            monotonic: origin.elapsed(),
        }))
    }

    /// A clock that says what `read` says.
    pub fn from_fn(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// What both clocks say now.
    #[must_use]
    pub fn read(&self) -> Reading {
        (self.0)()
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.read().wall
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.now().duration_since(UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Seconds since 1970; 0 for anything before, when no certificate was valid.
pub(crate) fn unix_s(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The time `unix_s` seconds after 1970, or 1970 itself for anything before.
pub(crate) fn from_unix_s(unix_s: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_s).unwrap_or(0))
}
