//! Writing the state directory, on a thread of its own: `state.yaml`, `hosts` and the statuses.
//!
//! What waits to be written is the newest version of each thing, so a slow disk makes files late and
//! never makes the queue long.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use k8s_openapi::jiff::Timestamp;
use weft_api::{AnyObject, ObjectRef, meta::Time};
use weft_source::StatusFiles;
use weft_translate::Status;

use super::{
    state::{self, State},
    state_dir::{self, StateDir},
};
use crate::{clock, exit::Failure};

/// An object with its status; `None` when it is gone or has none any more.
type Entry = Option<(AnyObject, Arc<Status>)>;

/// The writing thread.
pub(crate) struct Writer {
    waiting: Arc<Waiting>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Waiting {
    pending: Mutex<Pending>,
    changed: Condvar,
}

#[derive(Default)]
struct Pending {
    statuses: BTreeMap<ObjectRef, Entry>,
    state: Option<Arc<State>>,
    ends: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.statuses.is_empty() && self.state.is_none() && !self.ends
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        // Every change of it is complete in itself.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that waits; waits for something.
    fn take(&self) -> Pending {
        let pending = self
            .changed
            .wait_while(self.lock(), |pending| pending.is_empty());
        std::mem::take(&mut *pending.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Writer {
    /// Starts the thread. The state directory stays locked until it has ended.
    ///
    /// # Errors
    /// The directory of statuses cannot be made, or there is no thread to be had.
    pub(crate) fn start(state_dir: StateDir) -> Result<Self, Failure> {
        let statuses = StatusFiles::new(state_dir.path())?;
        let waiting = Arc::new(Waiting::default());
        let queue = Arc::clone(&waiting);
        let thread = thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || run(&queue, &state_dir, &statuses))?;
        Ok(Self {
            waiting,
            thread: Some(thread),
        })
    }

    /// Has statuses written, and where everything listens if that changed. Does not block.
    pub(crate) fn put(
        &self,
        statuses: impl Iterator<Item = (ObjectRef, Entry)>,
        state: Option<Arc<State>>,
    ) {
        let mut pending = self.waiting.lock();
        pending.statuses.extend(statuses);
        pending.state = state.or(pending.state.take());
        drop(pending);
        self.waiting.changed.notify_one();
    }

    /// Waits until everything is written, then ends the thread.
    pub(crate) fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.waiting.lock().ends = true;
        self.waiting.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the state directory has panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(waiting: &Waiting, state_dir: &StateDir, files: &StatusFiles) {
    let mut is_first = true;
    loop {
        let Pending {
            statuses,
            state,
            ends,
        } = waiting.take();
        if std::mem::take(&mut is_first) {
            // What an earlier run left behind.
            let present = statuses.iter().filter(|(_, entry)| entry.is_some());
            files.retain(present.map(|(object, _)| object.clone()));
        }
        if let Some(state) = state
            && let Err(error) = write_state(state_dir, &state)
        {
            let directory = state_dir.path().display();
            tracing::error!(%error, %directory, "the state directory cannot be written");
        }
        let now = now();
        for (object, entry) in statuses {
            match entry.and_then(|(object, status)| status.of(object)) {
                Some(object) => files.write(object, &now),
                None => files.remove(object),
            }
        }
        if ends {
            files.flush();
            return;
        }
    }
}

fn write_state(state_dir: &StateDir, state: &State) -> io::Result<()> {
    let path = state_dir.path();
    state_dir::replace(&path.join(state::FILE), &state.to_yaml()?)?;
    state_dir::replace(&path.join(state::HOSTS), &state.to_hosts())
}

/// Now, in the form of the API.
fn now() -> Time {
    // Dates beyond the year 9999 are none; the epoch is as good as any then.
    Time(Timestamp::try_from(clock::today()).unwrap_or_default())
}
