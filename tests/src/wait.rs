//! Waiting for something to become true, never for time to pass.

use std::{fmt::Debug, time::Duration};

/// How long anything may take before a test calls it broken. Generous, because the machine may be
/// busy and the longest limit under test is ten seconds; nothing waits this long unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(3);

/// Looks until `condition` holds.
///
/// # Panics
/// When it does not within `deadline`; the message is `what`.
pub async fn eventually(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let look = async {
        while !condition() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let held = tokio::time::timeout(deadline, look).await.is_ok();
    assert!(held, "not within {deadline:?}: {what}");
}

/// The output of `future`.
///
/// # Panics
/// When it takes longer than [`PATIENCE`]; the message is `what`.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_elapsed) => panic!("not within {PATIENCE:?}: {what}"),
    }
}

/// Unwraps with a message in the words of the test.
pub trait Expected<T> {
    /// The value.
    ///
    /// # Panics
    /// When there is an error; the message is `what` and the error.
    fn expected(self, what: &str) -> T;
}

impl<T, E: Debug> Expected<T> for Result<T, E> {
    fn expected(self, what: &str) -> T {
        self.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }
}
