//! The clock of the command line; everything that decides takes its reading as an argument.

use std::time::{Instant, SystemTime};

/// Now, for durations.
#[expect(
    clippy::disallowed_methods,
    reason = "durations shown to people and measured for metrics start somewhere"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Now, as a date: for certificates of the demo and for `lastTransitionTime` in status files.
#[expect(
    clippy::disallowed_methods,
    reason = "dates in certificates and statuses are the real ones"
)]
pub(crate) fn today() -> SystemTime {
    SystemTime::now()
}
