//! What the supervisor decides: the pods of the node, how far each is captured, and the next step of
//! each. Without IO and without a clock.
//!
//! A *sandbox* is one network namespace of one pod. For each the table knows what is wanted ([`Goal`])
//! and what is true, and takes one step at a time from the latter to the former; whatever happens in
//! between, the next step follows from what is true then. So there is no order of events that is
//! special: a removal during a start, a worker that dies while it is given a pod, an answer that comes
//! too late. What belongs to an earlier step or to an earlier worker says so by its number, and is
//! not listened to.
//!
//! ```text
//!  in:    listeners -> the worker has them -> rules                    (then verified again and again)
//!  out:   rules stopped -> the worker drains -> rules removed -> listeners closed
//!  gone:  the worker lets go -> listeners closed       (rules go with the namespace)
//! ```

mod advance;
mod ask;
mod ending;
mod grace;
mod probes;
#[cfg(test)]
mod properties;
mod sandbox;
#[cfg(test)]
mod tests;
mod told;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use weft_intercept::{
    NetnsId,
    capture::Fault,
    handoff::{Reply, UNKNOWN},
};
use weft_spiffe::SpiffeId;

use self::{ask::Pending, sandbox::Entry};
use super::roster::{Member, Roster, Shard};

/// Time between two verifications of a pod, and between two looks for pods that run already. What is damaged
/// is repaired within 30 s, the verification and the repair included.
pub(super) const EVERY: Duration = Duration::from_secs(25);
/// Time after which a step that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Time in which a question of the plugin is answered whose answer this node can find. The plugin waits for
/// a second more.
const PATIENCE: Duration = Duration::from_secs(4);
/// Time in which a pod that is served is captured even if its worker has no certificate for it yet. What
/// such a pod dials waits longer than this, so nothing is gained by a pod that does not start.
const CERTIFIED: Duration = Duration::from_secs(2);
/// Time in which a captured pod starts even if its peers have not been told where it is. They are when the
/// control plane has told this node, which is a write and a push after it was told itself; one that is away
/// or cannot write must not keep pods from starting.
const TOLD: Duration = Duration::from_secs(1);
/// Time for which a pod that has left the mesh goes on accepting. Nobody dials it as a member any more when
/// this node is told: what is on its way then, in either direction, still arrives.
const LINGER: Duration = Duration::from_millis(300);
/// Time after which it is said of such a pod that its connections go on.
const DRAINS: Duration = Duration::from_millis(100);
/// Time a worker has to let go of a pod that is gone.
const LET_GO: Duration = Duration::from_secs(5);
/// Looks in a row that do not find a pod's process, and the time they span, after which the pod is gone. A pod
/// that is starting has none yet, and many that start have the node looked at often.
const MISSES: u32 = 3;
const MISSING: Duration = EVERY.saturating_mul(2);

/// Number of a sandbox, which is one network namespace of one pod; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sandbox(u64);

/// Number of a question; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ticket(pub(super) u64);

/// A worker's hold on a sandbox. A later one of the same sandbox has a higher generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hold {
    /// What is held.
    pub sandbox: Sandbox,
    /// Which hold on it.
    pub generation: u64,
}

impl Sandbox {
    /// The number by which supervisor and worker call it.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// What a worker calls so, which may be nothing.
    pub(super) fn of_number(number: u64) -> Self {
        Self(number)
    }
}

/// What happens. `N` is a network namespace and `L` its listeners; both are kept here as long as they
/// are needed, and are closed with their last copy.
#[derive(Debug)]
pub(super) enum Event<N, L> {
    /// The control plane said who belongs to the mesh.
    Roster(Arc<Roster>),
    /// The plugin asks.
    Asked(Ticket, Question<N>),
    /// The answer to [`Action::Scan`].
    Scanned(Vec<Seen<N>>),
    /// The answer to [`Action::Run`].
    Done(Sandbox, Result<Outcome<L>, String>),
    /// Something about the worker of a shard, in one of its lives.
    Worker(Shard, u64, OfWorker),
    /// Time has passed ([`Core::wakes_at`]).
    Tick,
}

/// What is said by or about a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfWorker {
    /// It has started and takes pods.
    Ready,
    /// It is gone.
    Gone,
    /// It serves what it was given.
    Taken(Hold),
    /// It has closed what it was given.
    Released(Hold),
    /// It cannot serve what it was given.
    Refused(Hold, String),
    /// It has a certificate of this identity.
    Identified(SpiffeId),
}

/// What the plugin asks, as far as it can be known before anything is decided.
#[derive(Clone, Debug)]
pub(super) enum Question<N> {
    /// The pod starts.
    Add(Sighting<N>),
    /// Is it captured?
    Check { uid: String, namespace: String },
    /// It is gone; the namespace may be gone too.
    Del {
        uid: String,
        container: String,
        netns: Option<NetnsId>,
    },
}

/// A pod that starts, as its runtime says.
#[derive(Clone, Debug)]
pub(super) struct Sighting<N> {
    pub(super) uid: String,
    pub(super) namespace: String,
    /// The runtime's name of the sandbox.
    pub(super) container: String,
    pub(super) id: NetnsId,
    pub(super) netns: N,
    pub(super) ips: Vec<IpAddr>,
}

/// A namespace of a member that was found with its processes and its addresses.
#[derive(Clone, Debug)]
pub(super) struct Seen<N> {
    pub(super) uid: String,
    pub(super) id: NetnsId,
    pub(super) netns: N,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Action<N, L> {
    /// Something in a network namespace; answered by [`Event::Done`]. One at a time per sandbox.
    Run(Sandbox, Job<N>),
    /// Have a worker for a shard, and another when it ends.
    Start(Shard),
    /// Have none any more.
    End(Shard),
    /// Give a pod to the worker in this life.
    Assign(Shard, u64, Hold, Assignment<N, L>),
    /// Take it back: accept nothing more, and let what is under way end within the time.
    Revoke(Shard, u64, Hold, Duration),
    /// Take plaintext there whatever else is said, or do so no longer.
    Lenient(Shard, u64, Hold, bool),
    /// Answer the plugin.
    Reply(Ticket, Reply),
    /// Keep the names of the namespaces where the plugin finds them.
    Save(BTreeSet<String>),
    /// Look for the pods of this roster that run; answered by [`Event::Scanned`]. One at a time.
    Scan(Arc<Roster>),
    /// Something happened that people want to know.
    Tell(Notice),
}

/// What a worker is given.
#[derive(Clone, Debug)]
pub struct Assignment<N, L> {
    /// Which pod.
    pub member: Arc<Member>,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// Its network namespace, for sockets that are made there for the worker. Let go of with the hold.
    pub netns: N,
    /// Where its connections arrive.
    pub listeners: L,
    /// Whether it takes plaintext for now, even if it is to refuse it.
    pub is_lenient: bool,
}

/// Something to be done in a network namespace.
#[derive(Clone, Debug)]
pub(super) enum Job<N> {
    /// Make the listeners.
    Listen(N),
    /// See whether the rules are in force, put them there or repair them, and dial through them.
    Capture(N),
    /// Capture nothing more.
    Stop(N),
    /// Take the rules away.
    Remove(N),
}

/// How it went.
#[derive(Debug)]
pub(super) enum Outcome<L> {
    /// Of [`Job::Listen`]; and whether there were rules already.
    Listening(L, bool),
    /// Of [`Job::Capture`].
    InForce(Verdict),
    /// Of [`Job::Stop`].
    Stopped,
    /// Of [`Job::Remove`].
    Removed,
}

/// What was found in a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What was wrong and has been repaired.
    pub(super) repaired: Vec<Fault>,
    /// How what the pod dials goes past the proxy nevertheless.
    pub(super) evaded: Option<String>,
}

/// What people want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A pod is captured.
    Captured(Arc<Member>),
    /// The capture of a pod was damaged from outside, and is repaired.
    Repaired(Arc<Member>, Vec<Fault>),
    /// A pod is not captured as it should be; another attempt follows.
    Failed(Arc<Member>, String),
    /// A pod is not captured any more, as it was asked for.
    LetGo(Arc<Member>),
}

/// The table. See the file.
#[derive(Debug)]
pub(super) struct Core<N, L> {
    now: Duration,
    /// How long captured connections may go on in a pod that leaves the mesh.
    drain: Duration,
    roster: Option<Arc<Roster>>,
    /// What the plugin reads when there is no roster yet.
    namespaces: Option<BTreeSet<String>>,
    sandboxes: BTreeMap<Sandbox, Entry<N, L>>,
    /// Every worker that has been asked for.
    shards: BTreeMap<Shard, Life>,
    questions: BTreeMap<Ticket, Pending<N>>,
    last: u64,
    /// Whether another supervisor sees to the pods that stay.
    is_retired: bool,
    /// What is left of the time to drain, when the process ends.
    hurries: Option<Duration>,
    scan: Scan,
    actions: Vec<Action<N, L>>,
}

/// The latest life of a worker that is known, and whether it is over. Zero is no life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Life {
    latest: u64,
    is_over: bool,
    /// Of whom it has certificates.
    identities: HashSet<SpiffeId>,
}

impl Life {
    fn present(&self) -> Option<u64> {
        (self.latest > 0 && !self.is_over).then_some(self.latest)
    }
}

/// When pods are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scan {
    At(Duration),
    /// With what is asked for meanwhile.
    UnderWay {
        again: bool,
    },
}

impl<N: Clone, L: Clone> Core<N, L> {
    /// An empty table. `namespaces` is what was saved before; `drain` how long captured connections may
    /// go on in a pod that leaves the mesh.
    pub(super) fn new(namespaces: Option<BTreeSet<String>>, drain: Duration) -> Self {
        Self {
            now: Duration::ZERO,
            drain,
            roster: None,
            namespaces,
            sandboxes: BTreeMap::new(),
            shards: BTreeMap::new(),
            questions: BTreeMap::new(),
            last: 0,
            is_retired: false,
            hurries: None,
            scan: Scan::At(Duration::MAX),
            actions: Vec::new(),
        }
    }

    /// Takes an event at a monotonic time; what is to be done, in this order.
    pub(super) fn handle(&mut self, event: Event<N, L>, now: Duration) -> Vec<Action<N, L>> {
        self.now = now;
        match event {
            Event::Roster(roster) if self.is_retired => self.enlist_leaving(roster),
            Event::Roster(roster) => self.enlist(roster),
            Event::Asked(ticket, question) => self.asked(ticket, question),
            Event::Scanned(_) if self.is_retired => {}
            Event::Scanned(seen) => self.scanned(seen),
            Event::Done(sandbox, result) => self.done(sandbox, result),
            Event::Worker(shard, life, what) => self.worker(&shard, life, what),
            Event::Tick => {}
        }
        self.advance();
        std::mem::take(&mut self.actions)
    }

    /// When something is due, if nothing happens before.
    pub(super) fn wakes_at(&self) -> Option<Duration> {
        let scan = match self.scan {
            Scan::At(at) if at < Duration::MAX => Some(at),
            Scan::At(_) | Scan::UnderWay { .. } => None,
        };
        let questions = self.questions.values().map(|it| it.until);
        let sandboxes = self.sandboxes.values().flat_map(Entry::wakes_at);
        let all = scan.into_iter().chain(questions).chain(sandboxes);
        // What was due has been done; what of it could not be waits for something else to happen.
        all.filter(|at| *at > self.now).min()
    }

    fn enlist(&mut self, roster: Arc<Roster>) {
        if self.namespaces.as_ref() != Some(&roster.namespaces) {
            self.namespaces = Some(roster.namespaces.clone());
            self.actions.push(Action::Save(roster.namespaces.clone()));
        }
        for entry in self.sandboxes.values_mut() {
            entry.enlist(roster.member(&entry.member.uid));
        }
        let known: BTreeSet<&str> = self.sandboxes.values().map(Entry::uid).collect();
        let is_new = |it: &Arc<Member>| !known.contains(it.uid.as_str());
        let is_first = self.roster.is_none();
        if roster.members().any(is_new) || is_first {
            self.scan = match self.scan {
                Scan::UnderWay { .. } => Scan::UnderWay { again: true },
                Scan::At(_) => Scan::At(self.now),
            };
        }
        self.roster = Some(roster);
        self.reconsider();
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
