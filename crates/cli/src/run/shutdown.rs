//! The end of a run: the first signal lets requests finish, the second ends at once.

use std::{io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Engine;
use crate::{
    exit::{Exit, Failure},
    output,
};

/// Signals that ask a process to end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen for signals; from now on they do not end the process by themselves.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Completes at the next signal. Cancel safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

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
