//! What the supervisor of a node knows of the control plane and owes it, without IO of its own: events
//! come in, configurations go to the workers, the roster goes to the supervisor, and answers go back.
//!
//! The control plane has its answer when every worker that is there has put its part of a configuration
//! in force, or has had time to. What a worker refuses is passed on by its object.

mod reported;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;
use weft_certs::Clock;
use weft_spiffe::TrustDomain;
use weft_wire::{
    Configuration, Disassembler, Scope, Snapshot, Subscriber,
    proto::config::{ClientMessage, ResourceError, ServerMessage, WorkerTrusts},
};

use self::reported::Reported;
use super::{
    roster::{Roster, Shard},
    shards::{Fed, Revision, Settled},
    terms::Shown,
};
use crate::control::{self, Conversation, Trusted};

/// Time in which a worker puts a configuration in force. The control plane is answered after it in any
/// case, so that one worker that hangs does not keep the others from the next change.
const PATIENCE: Duration = Duration::from_secs(5);

/// What happens to the follower.
#[derive(Debug)]
pub(super) enum Event {
    Link(control::Happened),
    Worker(Fed),
}

impl From<control::Happened> for Event {
    fn from(happened: control::Happened) -> Self {
        Self::Link(happened)
    }
}

/// Where what the follower knows goes.
#[derive(Debug)]
pub(super) struct Outlets {
    pub(super) roster: watch::Sender<Option<Arc<Roster>>>,
    pub(super) configuration: watch::Sender<Option<Arc<Revision>>>,
    pub(super) trusted: watch::Sender<Option<Arc<Trusted>>>,
    pub(super) saved: watch::Sender<Option<Arc<Snapshot>>>,
    pub(super) workers: watch::Sender<Vec<WorkerTrusts>>,
    pub(super) view: watch::Sender<View>,
}

/// What the follower shows.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// The configuration, and how many there were since the process started.
    pub(super) revision: Option<Arc<Revision>>,
    /// Whether a stream to the control plane has brought something.
    pub(super) is_connected: bool,
    /// Why there is no stream.
    pub(super) link_error: Option<String>,
    /// Changes the control plane was told not to have been understood whole.
    pub(super) nacks: u64,
    /// Whether the process is ending.
    pub(super) is_leaving: bool,
}

/// See the file.
pub(super) struct Follower {
    node: Arc<str>,
    domain: TrustDomain,
    link: Conversation,
    /// What the control plane was told of pods, on this stream.
    reported: Reported,
    /// The answer the control plane is owed.
    owed: Option<Owed>,
    /// The whole of what the node has, for the disk.
    disassembler: Disassembler,
    /// What was put in force last, which is saved when it is.
    snapshot: Option<Arc<Snapshot>>,
    /// Counts the configurations of this process.
    revision: u64,
    workers: BTreeMap<Shard, Worker>,
    outlets: Outlets,
    clock: Clock,
}

/// An answer that waits for the workers.
struct Owed {
    answer: ClientMessage,
    until: Duration,
}

/// A worker that is there.
struct Worker {
    life: u64,
    /// What it has in force.
    settled: Option<Settled>,
    /// Whom it trusts; the oldest before it says so.
    trusts: WorkerTrusts,
}

impl Follower {
    /// One that holds what `subscriber` holds.
    pub(super) fn new(
        (node, domain): (&str, TrustDomain),
        subscriber: Subscriber,
        outlets: Outlets,
        clock: Clock,
    ) -> Self {
        Self {
            node: node.into(),
            domain,
            link: Conversation::new(subscriber),
            reported: Reported::default(),
            owed: None,
            disassembler: Disassembler::new(Scope::Everything),
            snapshot: None,
            revision: 0,
            workers: BTreeMap::new(),
            outlets,
            clock,
        }
    }

    /// Serves what was saved.
    pub(super) fn restore(&mut self) {
        let configuration = self.link.configuration().clone();
        self.adopt(configuration);
    }

    /// Something happened.
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Link(happened) => self.link(happened),
            Event::Worker(fed) => self.worker(fed),
        }
    }

    /// From now on the node has another supervisor, or none.
    pub(super) fn leave(&self) {
        self.outlets.view.send_modify(|view| view.is_leaving = true);
    }

    /// How long the workers still have, if the control plane waits for them.
    pub(super) fn patience(&self) -> Option<Duration> {
        let now = self.clock.read().monotonic;
        self.owed.as_ref().map(|it| it.until.saturating_sub(now))
    }

    /// Answers when the workers have, or time is over.
    pub(super) fn settle(&mut self) {
        let now = self.clock.read().monotonic;
        let is_behind = |worker: &Worker| {
            let settled = worker.settled.as_ref().map(|it| it.revision);
            settled.is_none_or(|settled| settled < self.revision)
        };
        let behind = self.workers.iter().filter(|(_, it)| is_behind(it));
        let behind: Vec<_> = behind.map(|(shard, _)| shard.as_str()).collect();
        let is_due = self.owed.as_ref().is_some_and(|it| now >= it.until);
        if !behind.is_empty() && !is_due {
            return;
        }
        let Some(owed) = self.owed.take() else { return };
        self.outlets.saved.send_replace(self.snapshot.clone());
        if !behind.is_empty() {
            tracing::warn!(
                ?behind,
                "workers have not put the configuration in force in time"
            );
        }
        let settled = self.workers.values().filter_map(|it| it.settled.as_ref());
        // The same Service may be refused by several workers, for the same reason.
        let errors: BTreeSet<_> = settled
            .flat_map(|it| &it.problems)
            .map(|it| (it.r#type.clone(), it.name.clone(), it.message.clone()))
            .collect();
        let errors = errors
            .into_iter()
            .map(|(kind, name, message)| ResourceError {
                r#type: kind,
                name,
                message,
            });
        if self.link.settle(owed.answer, errors.collect()) {
            self.outlets.view.send_modify(|view| view.nacks += 1);
        }
    }

    /// Tells the control plane what became of the pods, as far as it does not know yet. Whether it has
    /// to be tried again.
    pub(super) fn report(&mut self, shown: &Shown) -> bool {
        let Some(outbox) = self.link.outbox() else {
            return false;
        };
        let Some((report, said)) = self.reported.next(shown) else {
            return false;
        };
        // Answers to changes come first; who is told later is told more at once.
        match outbox.try_send(report) {
            Ok(()) => {
                self.reported = said;
                false
            }
            Err(_full) => true,
        }
    }
}

/// The control plane.
impl Follower {
    fn link(&mut self, happened: control::Happened) {
        match happened {
            control::Happened::Opened(stream) => {
                // It was owed to the stream before.
                self.owed = None;
                self.reported = Reported::default();
                self.link.begin(stream);
            }
            control::Happened::Received(message) => self.receive(message),
            control::Happened::Trusts(trusted) => {
                control::say(&self.outlets.trusted, Some(Arc::new(trusted)));
            }
            control::Happened::Closed(why) => {
                self.link.end();
                tracing::warn!("no configuration stream: {why}; trying again");
                self.outlets.view.send_modify(|view| {
                    view.is_connected = false;
                    view.link_error = Some(why);
                });
            }
        }
    }

    fn receive(&mut self, message: ServerMessage) {
        let Some(taken) = self.link.hear(message) else {
            return;
        };
        let until = self.clock.read().monotonic + PATIENCE;
        let answer = taken.answer;
        self.owed = Some(Owed { answer, until });
        self.outlets.view.send_modify(|view| {
            view.is_connected = true;
            view.link_error = None;
        });
        self.adopt(taken.configuration);
        self.settle();
    }
}

/// The configuration and the workers.
impl Follower {
    /// Hands a configuration on. Workers hear of it before they are given a pod by it.
    fn adopt(&mut self, configuration: Configuration) {
        self.revision += 1;
        let snapshot = Arc::clone(self.disassembler.update(&configuration));
        let roster = self.roster(&configuration);
        let revision = Arc::new(Revision {
            number: self.revision,
            configuration,
        });
        self.snapshot = Some(snapshot);
        let Outlets {
            roster: to_supervisor,
            configuration: to_workers,
            view,
            ..
        } = &self.outlets;
        to_workers.send_replace(Some(Arc::clone(&revision)));
        control::say(to_supervisor, Some(Arc::new(roster)));
        view.send_modify(|view| view.revision = Some(revision));
    }

    fn roster(&self, configuration: &Configuration) -> Roster {
        let namespaces = configuration.namespaces.iter().map(ToString::to_string);
        let workloads = configuration.workloads.get(&self.node).cloned();
        Roster::of(
            namespaces.collect(),
            &workloads.unwrap_or_default(),
            &self.domain,
        )
    }

    fn worker(&mut self, fed: Fed) {
        match fed {
            Fed::Joined(shard, life) => {
                let trusts = WorkerTrusts {
                    name: shard.as_str().to_owned(),
                    ..WorkerTrusts::default()
                };
                let worker = Worker {
                    life,
                    settled: None,
                    trusts,
                };
                self.workers.insert(shard, worker);
            }
            Fed::Settled(shard, life, settled) => {
                let worker = self.workers.get_mut(&shard);
                if let Some(worker) = worker.filter(|it| it.life == life) {
                    worker.settled = Some(settled);
                }
            }
            Fed::Trusts(shard, life, trusts) => {
                let worker = self.workers.get_mut(&shard);
                if let Some(worker) = worker.filter(|it| it.life == life) {
                    worker.trusts = trusts;
                }
            }
            Fed::Left(shard, life) => {
                if self.workers.get(&shard).is_some_and(|it| it.life == life) {
                    self.workers.remove(&shard);
                }
            }
        }
        self.settle();
        let trusts = self.workers.values().map(|it| it.trusts.clone());
        control::say(&self.outlets.workers, trusts.collect());
    }
}
