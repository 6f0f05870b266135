//! The end of a run: the first signal lets requests finish, the second ends at once.

use std::time::Duration;

use weft_proxy::Signals;

use super::Engine;
use crate::{
    exit::{Exit, Failure},
    output,
};

/// Serves until a signal, then drains.
///
/// # Errors
/// Signals cannot be listened for.
pub(crate) async fn serve_until_signal(engine: Engine, limit: Duration) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    signals.next().await;
    tokio::select! {
        cut = engine.stop(limit) => match cut {
            0 => Ok(Exit::Good),
            cut => {
                output::tell(format_args!(
                    "{cut} requests or connections did not end within {limit:?} and were cut; \
                     --drain-timeout waits longer"
                ));
                Ok(Exit::Warnings)
            }
        },
        () = signals.next() => Ok(Exit::Interrupted),
    }
}
