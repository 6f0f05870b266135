//! Watches files and gives a batch whenever they change.

mod changes;
mod roots;
mod run;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use tokio::sync::mpsc::{Receiver, channel};

use crate::input::{Options, Progress, SourceError};
use crate::loader::{Batch, Loader, Places};

/// Batches on their way. When nobody takes them, changes wait in the file system and come
/// together in a later batch.
const BATCHES_IN_FLIGHT: usize = 4;

/// A watch of files and directories. Ends when it is dropped.
#[derive(Debug)]
pub struct Watch {
    batches: Receiver<Batch>,
    places: Places,
    /// Wakes the thread to see that the receiver is gone.
    _stop: run::Stop,
}

impl Watch {
    /// Reads everything, as [`Loader::load`] does, and begins to watch. The batch is the state at
    /// the start; changes after it come from [`Watch::next`]. Blocks until everything is read.
    ///
    /// A directory that cannot be watched is looked at every [`Options::poll_interval`], and a
    /// finding says so.
    ///
    /// # Errors
    ///
    /// Those of [`Loader::new`]; [`SourceError::WatchStdin`]; [`SourceError::Thread`].
    pub fn start(
        paths: &[PathBuf],
        options: Options,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<(Batch, Self), SourceError> {
        if paths.iter().any(|path| path.as_os_str() == "-") {
            return Err(SourceError::WatchStdin);
        }
        let poll_interval = options.poll_interval;
        let loader = Loader::new(paths, options)?;
        let places = loader.places();
        // Watching begins before reading, so that no change falls between the two.
        let runner = run::Runner::new(loader, poll_interval);
        let (sender, batches) = channel(BATCHES_IN_FLIGHT);
        let (first, stop) = runner.start(sender, on_progress)?;
        let watch = Self {
            batches,
            places,
            _stop: stop,
        };
        Ok((first, watch))
    }

    /// The next batch; waits for one. `None` when the watch ended, which it does not by itself.
    /// Cancel safe: a batch is never lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// Where objects and their fields are written.
    #[must_use]
    pub fn places(&self) -> Places {
        self.places.clone()
    }
}
