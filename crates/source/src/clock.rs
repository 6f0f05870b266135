//! The one clock of this room: how long a load has taken and when a burst of changes is over.

use std::time::Instant;

/// Now, on the clock that never goes back.
#[expect(
    clippy::disallowed_methods,
    reason = "loads and file events happen in real time; everything else takes it as an argument"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
