//! A node in memory: runtimes, a kernel, workers and processes, each of which takes its time.

mod acts;

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use weft_intercept::{NetnsId, handoff::Reply};

use super::{
    super::{Action, Core, Event, Hold, Job, OfWorker, Question, Sandbox, Seen, Ticket},
    SHARDS,
};
use crate::node::roster::{Roster, Shard};

type Netns = Arc<u64>;
type Listeners = Arc<u64>;

/// Something that happens. Numbers choose among what there is.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// A runtime starts a pod, in a namespace that an earlier one has left or in a new one.
    Add {
        pod: usize,
        reuses: bool,
    },
    /// It asks again for the pod it has made.
    AddAgain {
        pod: usize,
    },
    /// It removes the pod it has made.
    Del {
        pod: usize,
    },
    /// It removes an earlier sandbox of the pod once more.
    DelLate {
        pod: usize,
    },
    Check {
        pod: usize,
    },
    Enlist {
        pod: usize,
        as_what: u8,
    },
    Job {
        which: usize,
        succeeds: bool,
    },
    Look,
    Report,
    Act {
        shard: usize,
    },
    /// One of the things workers have said arrives, not always the first.
    Hear {
        which: usize,
    },
    Kill {
        shard: usize,
    },
    Spawn {
        shard: usize,
    },
    Pass {
        seconds: u64,
    },
}

/// A sandbox as its runtime knows it.
#[derive(Clone, Debug)]
struct Made {
    netns: Netns,
    container: String,
    /// Its processes start when the plugin has let them.
    runs: bool,
}

/// The kernel's side of a namespace.
#[derive(Debug, Default)]
struct Space {
    is_captured: bool,
    listeners: Weak<u64>,
}

#[derive(Debug, Default)]
struct Worker {
    is_wanted: bool,
    life: Option<u64>,
    orders: Vec<(u64, Hold, bool)>,
    has: BTreeMap<Sandbox, (Netns, Listeners)>,
    given: BTreeMap<Hold, (Netns, Listeners)>,
}

pub(super) struct World {
    core: Core<Netns, Listeners>,
    now: Duration,
    made: BTreeMap<usize, Made>,
    past: BTreeMap<usize, String>,
    spaces: BTreeMap<u64, Space>,
    all: Vec<Netns>,
    roster: Roster,
    jobs: Vec<(Sandbox, Job<Netns>)>,
    looked: Option<Vec<Seen<Netns>>>,
    is_asked_to_look: bool,
    workers: BTreeMap<Shard, Worker>,
    said: Vec<(Shard, u64, OfWorker)>,
    open: BTreeMap<Ticket, Option<usize>>,
    number: u64,
}

fn uid(pod: usize) -> String {
    format!("uid-{pod}")
}

fn shard(pod: usize) -> Shard {
    Shard::new(SHARDS[pod % SHARDS.len()])
}

fn id(netns: &Netns) -> NetnsId {
    NetnsId {
        device: 4,
        inode: **netns,
    }
}

fn netns_of(job: &Job<Netns>) -> &Netns {
    match job {
        Job::Listen(netns) | Job::Capture(netns) | Job::Stop(netns) | Job::Remove(netns) => netns,
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            core: Core::new(None, Duration::from_secs(30)),
            now: Duration::from_secs(1),
            made: BTreeMap::new(),
            past: BTreeMap::new(),
            spaces: BTreeMap::new(),
            all: Vec::new(),
            roster: Roster {
                namespaces: SHARDS.iter().map(|it| (*it).to_owned()).collect(),
                pods: BTreeMap::new(),
            },
            jobs: Vec::new(),
            looked: None,
            is_asked_to_look: false,
            workers: BTreeMap::new(),
            said: Vec::new(),
            open: BTreeMap::new(),
            number: 0,
        }
    }

    fn fresh(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn tell(&mut self, event: Event<Netns, Listeners>) {
        for action in self.core.handle(event, self.now) {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action<Netns, Listeners>) {
        match action {
            Action::Run(sandbox, job) => {
                let netns = netns_of(&job);
                let is_alone = self.jobs.iter().all(|(_, it)| netns_of(it) != netns);
                assert!(is_alone, "two jobs at once in {netns}: {job:?}");
                if matches!(job, Job::Capture(_)) {
                    let listeners = self.spaces[&**netns].listeners.upgrade();
                    assert!(listeners.is_some(), "rules for {netns} without listeners");
                }
                self.jobs.push((sandbox, job));
            }
            Action::Start(shard) => self.workers.entry(shard).or_default().is_wanted = true,
            Action::End(shard) => {
                self.kill(&shard);
                self.workers.entry(shard).or_default().is_wanted = false;
            }
            Action::Assign(shard, life, hold, it) => {
                let worker = self.workers.get_mut(&shard).expect("it was started");
                worker.orders.push((life, hold, true));
                worker.given.insert(hold, (it.netns, it.listeners));
            }
            Action::Revoke(shard, life, hold, _) => {
                let worker = self.workers.get_mut(&shard).expect("it was started");
                worker.orders.push((life, hold, false));
            }
            Action::Reply(ticket, reply) => self.replied(ticket, &reply),
            Action::Scan(_) => {
                assert!(!self.is_asked_to_look, "one look at a time");
                self.is_asked_to_look = true;
            }
            Action::Lenient(..) | Action::Save(_) | Action::Tell(_) => {}
        }
    }

    fn replied(&mut self, ticket: Ticket, reply: &Reply) {
        let pod = self.open.remove(&ticket).expect("one answer per question");
        let Some((pod, made)) = pod.and_then(|pod| Some((pod, self.made.get_mut(&pod)?))) else {
            return;
        };
        if *reply == (Reply::Ok {}) {
            made.runs = true;
            if self.roster.member(&uid(pod)).is_some() {
                let space = &self.spaces[&*made.netns];
                assert!(space.is_captured, "pod {pod} starts without rules");
                let listeners = space.listeners.upgrade();
                assert!(listeners.is_some(), "pod {pod} starts without listeners");
            }
        }
    }

    pub(super) fn apply(&mut self, op: &Op) {
        let of = |at: usize| Shard::new(SHARDS[at]);
        match *op {
            Op::Add { pod, reuses } => self.start(pod, reuses),
            Op::AddAgain { pod } => {
                if let Some(made) = self.made.get(&pod).cloned() {
                    self.add(pod, &made);
                }
            }
            Op::Del { pod } => self.remove(pod),
            Op::DelLate { pod } => {
                if let Some(container) = self.past.get(&pod).cloned() {
                    self.del(pod, container, None);
                }
            }
            Op::Check { pod } => {
                let namespace = shard(pod).as_str().to_owned();
                let uid = uid(pod);
                self.ask(None, Question::Check { uid, namespace });
            }
            Op::Enlist { pod, as_what } => self.enlist(pod, as_what),
            Op::Job { which, succeeds } => self.job(which, succeeds),
            Op::Look => self.look(),
            Op::Report => self.report(),
            Op::Act { shard } => self.act(&of(shard)),
            Op::Hear { which } => self.hear(which),
            Op::Kill { shard } => self.kill(&of(shard)),
            Op::Spawn { shard } => self.spawn(&of(shard)),
            Op::Pass { seconds } => {
                self.now += Duration::from_secs(seconds);
                self.tell(Event::Tick);
            }
        }
    }

    /// Everything that is asked for is done, in order, and time passes.
    pub(super) fn settle(&mut self) {
        for _ in 0..60 {
            for _ in 0..8 {
                for shard in SHARDS.map(Shard::new) {
                    self.spawn(&shard);
                    self.act(&shard);
                }
                while !self.said.is_empty() {
                    self.hear(0);
                }
                while !self.jobs.is_empty() {
                    self.job(0, true);
                }
                self.look();
                self.report();
            }
            let due = self.core.wakes_at().unwrap_or(self.now);
            self.now = due.max(self.now + Duration::from_secs(1));
            self.tell(Event::Tick);
        }
    }

    /// Everybody hears of the roster as it is by now.
    pub(super) fn enlist_again(&mut self) {
        self.tell(Event::Roster(Arc::new(self.roster.clone())));
    }

    /// Runtimes remove what they were not let start.
    pub(super) fn remove_unstarted(&mut self) {
        let unstarted = self.made.iter().filter(|(_, it)| !it.runs);
        let unstarted: Vec<usize> = unstarted.map(|(pod, _)| *pod).collect();
        for pod in unstarted {
            self.remove(pod);
        }
    }

    pub(super) fn judge(&self) {
        assert!(self.open.is_empty(), "questions without answer");
        let running: BTreeMap<u64, usize> = self
            .made
            .iter()
            .map(|(pod, made)| (*made.netns, *pod))
            .collect();
        for netns in &self.all {
            let space = &self.spaces[&**netns];
            let listens = space.listeners.upgrade().is_some();
            let pod = running.get(&**netns);
            let is_member = pod.is_some_and(|pod| self.roster.member(&uid(*pod)).is_some());
            assert_eq!(listens, is_member, "listeners in {netns} of {pod:?}");
            if pod.is_some() {
                assert_eq!(space.is_captured, is_member, "rules in {netns} of {pod:?}");
            } else {
                let kept = Arc::strong_count(netns);
                assert_eq!(kept, 1, "{netns} is gone, and somebody keeps it");
            }
        }
        for (member, is_captured) in self.core.captured() {
            let is_running = self.made.keys().any(|pod| uid(*pod) == member.uid);
            assert_eq!(is_captured, is_running, "what is said of {}", member.pod);
        }
    }
}
