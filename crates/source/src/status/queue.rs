//! What waits to be written, at most one job per object, newest wins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use weft_api::meta::Time;
use weft_api::{AnyObject, ObjectRef};

/// Objects that may wait to be written. Each is a whole one with its status, so that those of ten
/// thousand routes would take more memory than the routes.
const WRITES_MAX: usize = 256;

/// Something to do with files of statuses.
#[derive(Debug, PartialEq)]
pub(super) enum Job {
    /// Write an object.
    Write(AnyObject, Time),
    /// Remove the file of an object.
    Remove(ObjectRef),
    /// Remove the files of all other objects.
    Retain(BTreeSet<ObjectRef>),
}

/// Jobs on their way to the thread. The lock is held for a look at the maps, never during IO.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<ObjectRef, Job>,
    retain: Option<BTreeSet<ObjectRef>>,
    /// Whether the thread works on a job it took.
    busy: bool,
    closed: bool,
}

impl Queue {
    /// Waits for room, if the job is to write.
    pub(super) fn push(&self, job: Job) {
        let mut state = self.lock();
        if matches!(job, Job::Write(..)) {
            let is_full = |state: &mut State| state.jobs.len() >= WRITES_MAX && !state.closed;
            state = self
                .changed
                .wait_while(state, is_full)
                .unwrap_or_else(PoisonError::into_inner);
        }
        match job {
            Job::Write(ref object, _) => {
                let reference = object.reference();
                state.jobs.insert(reference, job);
            }
            Job::Remove(ref reference) => {
                state.jobs.insert(reference.clone(), job);
            }
            Job::Retain(objects) => state.retain = Some(objects),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The next job; waits for one. `None` once the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            let retain = state.retain.take().map(Job::Retain);
            let job = retain.or_else(|| state.jobs.pop_first().map(|(_, job)| job));
            if job.is_some() {
                state.busy = true;
                return job;
            }
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The job that was taken is done.
    pub(super) fn done(&self) {
        self.lock().busy = false;
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    pub(super) fn wait_until_empty(&self) {
        let busy =
            |state: &mut State| state.busy || !state.jobs.is_empty() || state.retain.is_some();
        drop(
            self.changed
                .wait_while(self.lock(), busy)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
