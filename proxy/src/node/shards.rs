//! The workers of a node: a process per shard, without privilege, which is started, given pods, and
//! started again when it ends. The listeners stay here, so that nobody is refused meanwhile.

mod keep;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use weft_certs::Clock;

use self::keep::{Keeper, Task};
use super::{
    core::{Hold, OfWorker},
    roster::Shard,
    supervisor::{Assigned, Workers},
};
use crate::child::{self, Program};

/// Tasks that may wait for who keeps a worker, which only waits for nobody else.
const TASKS: usize = 1024;

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
#[derive(Debug)]
pub struct Shards {
    program: Program,
    said: mpsc::Sender<(Shard, u64, OfWorker)>,
    kept: BTreeMap<Shard, Kept>,
}

/// A worker that is wanted. Dropped, it is killed.
#[derive(Debug)]
struct Kept {
    tasks: mpsc::Sender<Task>,
    _keeper: AbortOnDropHandle<()>,
}

impl Shards {
    /// None yet. What they say goes to `said`, which the supervisor listens to. Raises the limit of open
    /// files of this process, which workers inherit.
    #[must_use]
    pub fn new(
        settings: ShardSettings,
        clock: Clock,
        said: mpsc::Sender<(Shard, u64, OfWorker)>,
    ) -> Self {
        child::raise_open_files();
        let own = Program::new(settings.arguments, clock);
        let program = Program {
            file: settings.program.unwrap_or_else(|| own.file.clone()),
            user: settings.user,
            ..own
        };
        Self {
            program,
            said,
            kept: BTreeMap::new(),
        }
    }

    fn give(&mut self, shard: &Shard, task: Task) {
        let is_taken = |kept: &Kept| kept.tasks.try_send(task).is_ok();
        if self.kept.get(shard).is_some_and(is_taken) {
            return;
        }
        // Another worker starts with nothing, and is given everything.
        if self.kept.contains_key(shard) {
            tracing::error!(%shard, "its worker does not take its orders and is replaced");
            self.start(shard);
        }
    }
}

impl Workers for Shards {
    fn start(&mut self, shard: &Shard) {
        let (tasks, waiting) = mpsc::channel(TASKS);
        let keeper = Keeper::new(shard.clone(), self.program.clone(), self.said.clone());
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper.run(waiting)));
        let kept = Kept {
            tasks,
            _keeper: keeper,
        };
        self.kept.insert(shard.clone(), kept);
    }

    fn end(&mut self, shard: &Shard) {
        self.kept.remove(shard);
    }

    fn assign(&mut self, shard: &Shard, life: u64, hold: Hold, pod: Assigned) {
        self.give(shard, Task::Assign(life, hold, pod));
    }

    fn revoke(&mut self, shard: &Shard, life: u64, hold: Hold, drain: Duration) {
        self.give(shard, Task::Revoke(life, hold, drain));
    }
}
