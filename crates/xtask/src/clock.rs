//! The only place of this package that reads a clock: to time stages for people and measurements
//! for benchmarks.

use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "times stages for people and measurements for benchmarks; nothing shipped uses it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
