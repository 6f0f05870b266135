//! Which status is written next, and not before when. Pure: time is an argument.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use weft_api::ObjectRef;

use super::Job;

/// What there is to do.
#[derive(Debug)]
pub(super) enum Next {
    /// This, now.
    Job(Job),
    /// Nothing before so much time has passed.
    Wait(Duration),
    /// Nothing at all.
    Nothing,
}

/// Jobs by object and by time. At most one job per object waits, and none while another one of
/// the same object is under way.
#[derive(Debug)]
pub(super) struct Schedule {
    objects: HashMap<ObjectRef, Entry>,
    /// When which object is due; the number keeps the order of those due together.
    due: BTreeSet<(Duration, u64, ObjectRef)>,
    number: u64,
    paused_until: Duration,
    object_interval: Duration,
    bucket: Bucket,
}

#[derive(Debug, Default)]
struct Entry {
    job: Option<Job>,
    place: Option<(Duration, u64)>,
    is_busy: bool,
    failures: u32,
    not_before: Duration,
}

impl Schedule {
    pub(super) fn new(per_second: u32, object_interval: Duration) -> Self {
        Self {
            objects: HashMap::new(),
            due: BTreeSet::new(),
            number: 0,
            paused_until: Duration::ZERO,
            object_interval,
            bucket: Bucket::new(per_second),
        }
    }

    /// Objects that wait or are under way.
    pub(super) fn len(&self) -> usize {
        let busy = |entry: &&Entry| entry.is_busy || entry.job.is_some();
        if self.due.len() == self.objects.len() {
            return self.due.len();
        }
        self.objects.values().filter(busy).count()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.len() == 0
    }

    /// Whether a job of the object waits, so that another one takes no more room.
    pub(super) fn holds(&self, object: &ObjectRef) -> bool {
        let entry = self.objects.get(object);
        entry.is_some_and(|entry| entry.job.is_some())
    }

    /// Takes a job in place of an older one of the same object, which keeps its turn.
    pub(super) fn put(&mut self, job: Job, now: Duration) {
        let object = job.seen.reference();
        let entry = self.objects.entry(object.clone()).or_default();
        entry.job = Some(job);
        if entry.place.is_none() && !entry.is_busy {
            self.place(&object, now);
        }
    }

    /// The job that is due, which is then under way.
    pub(super) fn next(&mut self, now: Duration) -> Next {
        let Some((due, _, _)) = self.due.first() else {
            self.retire(now);
            return Next::Nothing;
        };
        let due = (*due).max(self.paused_until);
        if due > now {
            return Next::Wait(due - now);
        }
        if let Some(wait) = self.bucket.take(now) {
            return Next::Wait(wait);
        }
        let Some((_, _, object)) = self.due.pop_first() else {
            return Next::Nothing;
        };
        let Some(entry) = self.objects.get_mut(&object) else {
            return Next::Nothing;
        };
        entry.place = None;
        entry.is_busy = true;
        match entry.job.take() {
            Some(job) => Next::Job(job),
            None => Next::Nothing,
        }
    }

    /// The job of an object is over, well or not.
    pub(super) fn done(&mut self, object: &ObjectRef, now: Duration) {
        let Some(entry) = self.objects.get_mut(object) else {
            return;
        };
        entry.is_busy = false;
        entry.failures = 0;
        entry.not_before = now + self.object_interval;
        if entry.job.is_some() {
            self.place(object, now);
        }
    }

    /// The job of an object is over and needed no request. Neither the limit of all objects nor the
    /// interval of this one is used up: every write comes back by the watch and is looked at again.
    pub(super) fn was_idle(&mut self, object: &ObjectRef, now: Duration) {
        self.bucket.give_back();
        let Some(entry) = self.objects.get_mut(object) else {
            return;
        };
        entry.is_busy = false;
        entry.failures = 0;
        if entry.job.is_some() {
            self.place(object, now);
        }
    }

    /// A job has to be tried again after a wait, which is told the failures of the object so far;
    /// a newer job of the object takes its place.
    pub(super) fn again(&mut self, job: Job, now: Duration, wait: impl FnOnce(u32) -> Duration) {
        let object = job.seen.reference();
        // One that is not known any more was forgotten meanwhile.
        let Some(entry) = self.objects.get_mut(&object) else {
            return;
        };
        entry.is_busy = false;
        entry.not_before = now + wait(entry.failures);
        entry.failures = entry.failures.saturating_add(1);
        entry.job.get_or_insert(job);
        self.place(&object, now);
    }

    /// Nothing is handed out before that time.
    pub(super) fn pause(&mut self, until: Duration) {
        self.paused_until = until;
    }

    pub(super) fn is_paused(&self, now: Duration) -> bool {
        now < self.paused_until
    }

    /// Drops an object.
    pub(super) fn forget(&mut self, object: &ObjectRef) {
        let entry = self.objects.remove(object);
        if let Some((due, number)) = entry.and_then(|entry| entry.place) {
            self.due.remove(&(due, number, object.clone()));
        }
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.objects.clear();
        self.due.clear();
        self.paused_until = Duration::ZERO;
    }

    fn place(&mut self, object: &ObjectRef, now: Duration) {
        let Some(entry) = self.objects.get_mut(object) else {
            return;
        };
        let place = (entry.not_before.max(now), self.number);
        self.number += 1;
        entry.place = Some(place);
        self.due.insert((place.0, place.1, object.clone()));
    }

    /// Forgets objects whose last write is long enough ago to mean nothing any more.
    fn retire(&mut self, now: Duration) {
        self.objects
            .retain(|_, entry| entry.is_busy || entry.job.is_some() || entry.not_before > now);
    }
}

/// So many at once, and as many per second.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self {
            per_second,
            tokens: per_second,
            filled: Duration::ZERO,
        }
    }

    /// One that was taken was not needed.
    fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.per_second);
    }

    /// Takes one, or says how long there is none.
    fn take(&mut self, now: Duration) -> Option<Duration> {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + passed * self.per_second).min(self.per_second);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64(
            (1.0 - self.tokens) / self.per_second,
        ))
    }
}
