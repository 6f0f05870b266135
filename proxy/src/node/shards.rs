//! The workers of a node: a process per shard, without privilege, which is started, given what it serves
//! by and then pods, and started again when it ends. The listeners stay here, so that nobody is refused
//! meanwhile. A worker that an earlier supervisor has left serves on, and is given the same again.

mod feed;
mod keep;
mod pods;
mod presence;
mod present;
mod signing;
mod supply;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use weft_certs::Clock;

use self::keep::{Keeper, Means, Task, milliseconds};
pub use self::supply::{Fed, Revision, Settled, Supply};
use super::{
    core::{Hold, OfWorker},
    messages::Drain,
    roster::Shard,
    terms::{Assigned, Workers},
};
use crate::{
    child::{Program, Remnant},
    init::store::Store,
};

/// Tasks that may wait for who keeps a worker, which only waits for nobody else.
const TASKS: usize = 1024;
/// Time a worker has beyond its drain limit to end.
const AFTER_DRAIN: Duration = Duration::from_secs(5);

/// How the workers of a node run.
#[derive(Clone, Debug)]
pub struct ShardSettings {
    /// The program; the one that runs here, unless another is named.
    pub program: Option<PathBuf>,
    /// Arguments that make it a worker of pods.
    pub arguments: Vec<String>,
    /// The user and group they run as; as this process where there is none.
    pub user: Option<u32>,
}

/// Workers in processes of their own.
pub struct Shards {
    means: Means,
    watched: Watched,
    keepers: BTreeMap<Shard, AbortOnDropHandle<()>>,
    /// What an earlier supervisor has left and nobody has asked for yet.
    left: BTreeMap<Shard, Remnant>,
    /// Whether those of another supervisor serve the same pods by now.
    is_followed: bool,
}

/// The workers as others see them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Look-ups only; no await is inside.
    kept: Arc<Mutex<BTreeMap<Shard, Kept>>>,
}

/// A worker that is wanted. It is killed with its keeper.
#[derive(Clone, Debug)]
struct Kept {
    tasks: mpsc::Sender<Task>,
    ends: Arc<AtomicU64>,
}

impl Shards {
    /// None yet. What they say goes to `said`, which the supervisor listens to.
    #[must_use]
    pub fn new(
        settings: ShardSettings,
        clock: Clock,
        said: mpsc::Sender<(Shard, u64, OfWorker)>,
    ) -> Self {
        let own = Program::new(settings.arguments, clock.clone());
        let program = Program {
            file: settings.program.unwrap_or_else(|| own.file.clone()),
            user: settings.user,
            ..own
        };
        Self {
            means: Means {
                program,
                said,
                supply: None,
                store: None,
                signing: Arc::new(Semaphore::new(supply::IN_FLIGHT)),
                clock,
            },
            watched: Watched::default(),
            keepers: BTreeMap::new(),
            left: BTreeMap::new(),
            is_followed: false,
        }
    }

    /// After a supervisor that has died, and so that another one may follow: with the workers that are
    /// among what it has left.
    #[must_use]
    pub(super) fn after(mut self, store: Store, left: Vec<(String, Remnant)>) -> Self {
        for (name, remnant) in left {
            if let Some(double) = self.left.insert(Shard::new(&name), remnant) {
                double.end(&store);
            }
        }
        self.means.store = Some(store);
        self
    }

    /// With configurations and certificates for them.
    #[must_use]
    pub fn supplied(mut self, supply: Supply) -> Self {
        self.means.supply = Some(supply);
        self
    }

    /// The workers as others see them.
    #[must_use]
    pub fn watched(&self) -> Watched {
        self.watched.clone()
    }

    /// Lets every worker finish what is under way, and ends it; what is left after `limit` is cut.
    pub async fn drain(mut self, limit: Duration) {
        for shard in self.left.keys().cloned().collect::<Vec<_>>() {
            self.start(&shard);
        }
        let mut ending = JoinSet::new();
        for (shard, keeper) in self.keepers {
            let task = Task::Drain(Drain {
                limit_ms: milliseconds(limit),
                is_followed: self.is_followed,
            });
            let is_told = self
                .watched
                .tasks(&shard)
                .is_some_and(|it| it.try_send(task).is_ok());
            let limit = if is_told {
                limit.saturating_add(AFTER_DRAIN)
            } else {
                Duration::ZERO
            };
            ending.spawn(async move {
                if timeout(limit, keeper).await.is_err() {
                    tracing::error!(%shard, "its worker did not end in time and is killed");
                }
            });
        }
        while ending.join_next().await.is_some() {}
    }

    fn give(&mut self, shard: &Shard, task: Task) {
        let Some(tasks) = self.watched.tasks(shard) else {
            return;
        };
        // Another worker starts with nothing, and is given everything.
        if tasks.try_send(task).is_err() {
            tracing::error!(%shard, "its worker does not take its orders and is replaced");
            self.start(shard);
        }
    }
}

impl Workers for Shards {
    fn start(&mut self, shard: &Shard) {
        let (tasks, waiting) = mpsc::channel(TASKS);
        let ends = self.watched.ends_of(shard);
        let keeper = Keeper::new(shard.clone(), self.means.clone(), Arc::clone(&ends));
        let left = self.left.remove(shard);
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper.run(left, waiting)));
        let kept = Kept { tasks, ends };
        self.watched.lock().insert(shard.clone(), kept);
        self.keepers.insert(shard.clone(), keeper);
    }

    fn end(&mut self, shard: &Shard) {
        self.watched.lock().remove(shard);
        self.keepers.remove(shard);
    }

    fn assign(&mut self, shard: &Shard, life: u64, hold: Hold, pod: Assigned) {
        self.give(shard, Task::Assign(life, hold, pod));
    }

    fn revoke(&mut self, shard: &Shard, life: u64, hold: Hold, drain: Duration) {
        self.give(shard, Task::Revoke(life, hold, drain));
    }

    fn lenient(&mut self, shard: &Shard, life: u64, hold: Hold, is_lenient: bool) {
        self.give(shard, Task::Lenient(life, hold, is_lenient));
    }

    fn be_followed(&mut self) {
        self.is_followed = true;
    }

    fn forget(&mut self) {
        for shard in self.keepers.keys().cloned().collect::<Vec<_>>() {
            self.give(&shard, Task::Forget);
        }
        if let Some(store) = &self.means.store {
            for (shard, remnant) in std::mem::take(&mut self.left) {
                tracing::info!(%shard, "a worker of an earlier supervisor has no pods and is ended");
                remnant.end(store);
            }
        }
    }
}

impl Watched {
    /// The metrics of each worker that says them within `patience`.
    pub async fn metrics(&self, patience: Duration) -> Vec<(Shard, String)> {
        let kept: Vec<_> = self.lock().clone().into_iter().collect();
        let mut asking = JoinSet::new();
        for (shard, kept) in kept {
            let (asked, answered) = oneshot::channel();
            if kept.tasks.try_send(Task::Scrape(asked)).is_ok() {
                asking.spawn(async move {
                    let text = timeout(patience, answered).await;
                    text.ok().and_then(Result::ok).map(|text| (shard, text))
                });
            }
        }
        let answers = asking.join_all().await;
        let mut answers: Vec<_> = answers.into_iter().flatten().collect();
        answers.sort();
        answers
    }

    /// Has every worker log by this filter, until it ends.
    ///
    /// # Errors
    /// The workers that are too busy to hear it.
    pub fn log(&self, filter: &str) -> Result<(), Vec<Shard>> {
        let told = |kept: &Kept| kept.tasks.try_send(Task::Log(filter.to_owned())).is_ok();
        let kept = self.lock();
        let deaf = kept.iter().filter(|(_, kept)| !told(kept));
        let deaf: Vec<_> = deaf.map(|(shard, _)| shard.clone()).collect();
        if deaf.is_empty() { Ok(()) } else { Err(deaf) }
    }

    /// How often the worker of each shard ended unasked.
    #[must_use]
    pub fn ends(&self) -> Vec<(Shard, u64)> {
        let kept = self.lock();
        let ends = |(shard, kept): (&Shard, &Kept)| (shard.clone(), kept.ends.load(Relaxed));
        kept.iter().map(ends).collect()
    }

    fn ends_of(&self, shard: &Shard) -> Arc<AtomicU64> {
        let kept = self.lock();
        kept.get(shard)
            .map(|it| Arc::clone(&it.ends))
            .unwrap_or_default()
    }

    fn tasks(&self, shard: &Shard) -> Option<mpsc::Sender<Task>> {
        self.lock().get(shard).map(|it| it.tasks.clone())
    }

    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Shard, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
