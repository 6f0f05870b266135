//! The only place of this package that reads a clock: stages are timed for people, nothing decides
//! on the figures.

use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "shows people how long a stage took; no decision depends on it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
