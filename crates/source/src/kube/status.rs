//! Statuses as an API server keeps them: written only when they differ, by one replica, many at
//! once, without touching what other controllers wrote. What Weft has to say about a Pod stands in its
//! annotations and is written in the same way.

mod plan;
mod schedule;
mod write;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use weft_api::conditions::{GATEWAY_CONTROLLER, MESH_CONTROLLER};
use weft_api::{AnyObject, ObjectRef};

use super::clock::Clock;
use super::cluster::Cluster;
use super::discovery::Versions;
use super::pace::{Backoff, Jitter, Retry};
use schedule::{Next, Schedule};
pub(super) use write::FIELD_MANAGER;
use write::{Attempt, Outcome};

/// How to write statuses.
#[derive(Clone, Debug)]
pub struct StatusOptions {
    /// Names of controllers whose entries are ours.
    pub controllers: Vec<String>,
    /// Writes under way at once.
    pub in_flight: usize,
    /// Most writes per second, over all objects; as many may come at once after a pause.
    pub per_second: u32,
    /// Least time between two writes of one object.
    pub object_interval: Duration,
    /// Most objects that may wait.
    pub waiting_max: usize,
    /// So long one request may take.
    pub request_timeout: Duration,
    /// Waits between attempts.
    pub retry: Retry,
    /// Spreads the waits.
    pub jitter: Jitter,
    /// What time conditions changed.
    pub clock: Arc<dyn Clock>,
}

impl StatusOptions {
    /// The usual limits: 32 writes at once, 1,000 per second, 10 per second and object. What needs no
    /// request counts for none of them.
    ///
    /// 32 requests are an eighth of the seats that an API server with its default of 600 gives the
    /// priority level `workload-low`, which service accounts share (API priority and fairness), and
    /// enough to write 1,000 statuses in one second while each takes 30 ms. More at once would only
    /// wait in the queues of that level, behind which others wait as well. 1,000 at once are what a
    /// user who applies 1,000 routes is owed; 1,000 per second are more than an API server on two
    /// cores writes, so the limit is for bigger ones.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, jitter: Jitter) -> Self {
        Self {
            controllers: vec![GATEWAY_CONTROLLER.to_owned(), MESH_CONTROLLER.to_owned()],
            in_flight: 32,
            per_second: 1_000,
            object_interval: Duration::from_millis(100),
            waiting_max: 50_000,
            request_timeout: Duration::from_secs(4),
            retry: Retry::default(),
            jitter,
            clock,
        }
    }
}

/// What became of statuses so far, and how many wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteCounts {
    /// Written.
    pub written: u64,
    /// Found as they should be.
    pub unchanged: u64,
    /// Times somebody else had changed the object meanwhile.
    pub conflicts: u64,
    /// Refused by the API server for good.
    pub refused: u64,
    /// Attempts that failed and are repeated.
    pub failed: u64,
    /// Not taken, because too many waited.
    pub dropped: u64,
    /// Wait or are under way now.
    pub waiting: usize,
}

#[derive(Debug, Default)]
struct Counters {
    written: AtomicU64,
    unchanged: AtomicU64,
    conflicts: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// A status on its way: the object as it was last seen, and as it should be.
#[derive(Clone, Debug)]
struct Job {
    seen: AnyObject,
    wanted: AnyObject,
}

/// Writes statuses to the API server while this replica leads.
///
/// Of several statuses of one object that wait only the newest is written, so at most one per
/// object waits. While this replica does not lead nothing is taken: whoever begins to lead puts
/// all statuses once.
pub struct StatusWriter {
    shared: Arc<Shared>,
    leads: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    cluster: Cluster,
    versions: Versions,
    options: StatusOptions,
    /// Held for a look, never while anything is waited for.
    schedule: Mutex<Schedule>,
    /// There is something new to do.
    work: Notify,
    /// Something was done.
    done: Notify,
    counters: Counters,
}

impl StatusWriter {
    /// Starts the task that writes; `versions` are those of the watches ([`Watches::versions`]).
    /// Needs a runtime.
    ///
    /// [`Watches::versions`]: super::Watches::versions
    #[must_use]
    pub fn start(
        cluster: Cluster,
        versions: Versions,
        options: StatusOptions,
        leads: watch::Receiver<bool>,
    ) -> Self {
        let shared = Arc::new(Shared {
            cluster,
            versions,
            schedule: Mutex::new(Schedule::new(options.per_second, options.object_interval)),
            options,
            work: Notify::new(),
            done: Notify::new(),
            counters: Counters::default(),
        });
        let task = tokio::spawn(run(Arc::clone(&shared), leads.clone()));
        Self {
            shared,
            leads,
            task,
        }
    }

    /// Has a status written if it differs: `seen` is the object as the watch last gave it, `wanted`
    /// the same object with the status it should have. Does not block. To be called whenever either
    /// changes, so that what somebody else overwrote is put right.
    ///
    /// False when too many statuses wait already, which is counted; true also when this replica does
    /// not lead and nothing is to be done.
    pub fn put(&self, seen: &AnyObject, wanted: AnyObject) -> bool {
        if !*self.leads.borrow() {
            return true;
        }
        let job = Job {
            seen: seen.clone(),
            wanted,
        };
        let now = self.shared.options.clock.monotonic();
        let mut schedule = self.shared.schedule();
        if schedule.len() >= self.shared.options.waiting_max
            && !schedule.holds(&job.seen.reference())
        {
            drop(schedule);
            count(&self.shared.counters.dropped);
            return false;
        }
        schedule.put(job, now);
        drop(schedule);
        self.shared.work.notify_one();
        true
    }

    /// The object is gone; what waits for it is not written any more. Does not block.
    pub fn forget(&self, object: &ObjectRef) {
        self.shared.schedule().forget(object);
        self.shared.done.notify_waiters();
    }

    /// Waits until nothing waits to be written and nothing is under way.
    pub async fn flush(&self) {
        loop {
            let done = self.shared.done.notified();
            tokio::pin!(done);
            // From here on no notice is missed.
            done.as_mut().enable();
            if self.shared.schedule().is_idle() {
                return;
            }
            done.await;
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> WriteCounts {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WriteCounts {
            written: read(&counters.written),
            unchanged: read(&counters.unchanged),
            conflicts: read(&counters.conflicts),
            refused: read(&counters.refused),
            failed: read(&counters.failed),
            dropped: read(&counters.dropped),
            waiting: self.shared.schedule().len(),
        }
    }
}

impl fmt::Debug for StatusWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusWriter")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl Drop for StatusWriter {
    /// Stops writing. What waits is written by whoever leads next.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Hands out jobs while this replica leads.
async fn run(shared: Arc<Shared>, mut leads: watch::Receiver<bool>) {
    loop {
        if leads.wait_for(|leads| *leads).await.is_err() {
            return;
        }
        let mut lost = leads.clone();
        tokio::select! {
            never = write_all(&shared) => match never {},
            ended = lost.wait_for(|leads| !*leads) => if ended.is_err() { return },
        }
        // Whatever was under way was cut short with the future above.
        shared.schedule().clear();
        shared.done.notify_waiters();
    }
}

async fn write_all(shared: &Arc<Shared>) -> std::convert::Infallible {
    let mut under_way = JoinSet::new();
    let mut backoff = Backoff::new(shared.options.retry);
    loop {
        let now = shared.options.clock.monotonic();
        let has_room = under_way.len() < shared.options.in_flight;
        let next = if has_room {
            shared.schedule().next(now)
        } else {
            Next::Nothing
        };
        let wait = match next {
            Next::Job(job) => {
                let attempt = Attempt::new(Arc::clone(shared), job);
                under_way.spawn(attempt.run());
                continue;
            }
            Next::Wait(wait) => wait,
            Next::Nothing => Duration::from_secs(3_600),
        };
        tokio::select! {
            Some(done) = under_way.join_next() => match done {
                Ok((object, outcome)) => settle(shared, &mut backoff, &object, outcome),
                Err(error) => tracing::error!("writing a status has panicked: {error}"),
            },
            () = shared.work.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Takes the outcome of a job into account.
fn settle(shared: &Shared, backoff: &mut Backoff, object: &ObjectRef, outcome: Outcome) {
    let options = &shared.options;
    let now = options.clock.monotonic();
    let counters = &shared.counters;
    let mut schedule = shared.schedule();
    match outcome {
        Outcome::Written | Outcome::Overtaken => {
            let is_written = matches!(outcome, Outcome::Written);
            count(if is_written {
                &counters.written
            } else {
                &counters.unchanged
            });
            backoff.worked();
            schedule.done(object, now);
        }
        Outcome::Unchanged => {
            count(&counters.unchanged);
            schedule.was_idle(object, now);
        }
        // A newer version of the object is on its way, or none at all.
        Outcome::Outdated => schedule.done(object, now),
        Outcome::Refused(error) => {
            count(&counters.refused);
            tracing::error!("the status of {object} is refused: {error}");
            schedule.done(object, now);
        }
        Outcome::Contended(job) => {
            count(&counters.failed);
            schedule.again(job, now, |failures| {
                let mut own = Backoff::after(options.retry, failures);
                own.failed(true, None, &options.jitter)
            });
        }
        Outcome::Failed(job, error) => {
            count(&counters.failed);
            // Those that failed together count as one failure.
            if !schedule.is_paused(now) {
                let wait =
                    backoff.failed(error.was_reached(), error.retry_after(), &options.jitter);
                if backoff.failures() == 2 {
                    tracing::warn!("statuses wait to be written: {error}");
                }
                schedule.pause(now + wait);
            }
            schedule.again(job, now, |_| Duration::ZERO);
        }
    }
    drop(schedule);
    shared.done.notify_waiters();
}
