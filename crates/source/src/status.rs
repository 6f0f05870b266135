//! Statuses as files: one whole object per file, for people and scripts that have no API server
//! to ask.

mod merge;
mod queue;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use thiserror::Error;
use weft_api::meta::Time;
use weft_api::{AnyObject, ObjectRef};

pub(crate) use merge::transition_times;
use queue::{Job, Queue};
use writer::Writer;

/// Directory of the statuses inside the state directory.
const DIRECTORY: &str = "status";

/// Why statuses cannot be written.
#[derive(Debug, Error)]
pub enum StatusError {
    /// The directory cannot be made.
    #[error("cannot make {}: {source}; choose another state directory", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system refused a thread.
    #[error("cannot start the thread that writes statuses: {0}; raise the limit of processes")]
    Thread(io::Error),
}

/// Writes statuses to `<state directory>/status/<Kind>/<namespace or _cluster>/<name>.yaml`.
///
/// A thread of its own writes, so that callers rarely wait for a disk. Of several versions of one
/// object that wait, only the newest is written, so at most one job per object waits.
#[derive(Debug)]
pub struct StatusFiles {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl StatusFiles {
    /// Makes the directory and starts the thread. Files of an earlier run stay until their objects
    /// are written or removed; [`StatusFiles::retain`] removes those of objects that are gone.
    ///
    /// # Errors
    ///
    /// [`StatusError::Directory`], [`StatusError::Thread`].
    pub fn new(state_dir: &Path) -> Result<Self, StatusError> {
        let path = state_dir.join(DIRECTORY);
        std::fs::create_dir_all(&path).map_err(|source| StatusError::Directory {
            path: path.clone(),
            source,
        })?;
        let queue = Arc::new(Queue::default());
        let mut writer = Writer::new(path);
        let jobs = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("weft-status".to_owned())
            .spawn(move || {
                while let Some(job) = jobs.next() {
                    writer.perform(job);
                    jobs.done();
                }
            })
            .map_err(StatusError::Thread)?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Writes an object with its status, if it differs from what is there. `now` becomes the
    /// `lastTransitionTime` of conditions whose status changed; those of others stay as they are
    /// in the file, across restarts too. Blocks while some hundred others wait. Failures are logged
    /// and tried again with the next version.
    pub fn write(&self, object: AnyObject, now: &Time) {
        self.queue.push(Job::Write(object, now.clone()));
    }

    /// Removes the file of an object that is gone. Does not block.
    pub fn remove(&self, object: ObjectRef) {
        self.queue.push(Job::Remove(object));
    }

    /// Removes all files but those of some objects: what an earlier run left behind. Does not
    /// block.
    pub fn retain(&self, objects: impl IntoIterator<Item = ObjectRef>) {
        self.queue.push(Job::Retain(objects.into_iter().collect()));
    }

    /// Waits until everything asked for so far is on disk. Blocks.
    pub fn flush(&self) {
        self.queue.wait_until_empty();
    }
}

impl Drop for StatusFiles {
    /// Writes what waits, then ends the thread.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}
