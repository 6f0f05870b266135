//! The supervisor as it runs: the table in the middle, and around it the plugin's socket, the kernel,
//! the workers and the control plane's word.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use weft_certs::Clock;
use weft_intercept::{
    Netns,
    capture::{self, Fault},
    handoff::Reply,
    sockets::Listener,
};

use super::{
    cni::{self, Asked},
    core::{Action, Assignment, Core, Event, Hold, Notice, OfWorker, Ticket},
    files, find, kernel,
    roster::{Member, Roster, Shard},
};

/// Questions and answers that may wait for the table; whoever brings more waits.
const EVENTS: usize = 256;
/// Time between two attempts at what concerns the node as a whole.
const RETRY: Duration = Duration::from_secs(5);
/// Time between two looks at the rules of the node.
const NODE_EVERY: Duration = Duration::from_secs(30);

/// Where things are on the node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The socket on which the CNI plugin asks.
    pub cni_socket: PathBuf,
    /// The file the plugin reads when nobody answers there.
    pub namespaces_file: PathBuf,
    /// The processes of the node (`/proc` with the node's own process identifiers).
    pub proc: PathBuf,
    /// How long captured connections may go on in a pod that leaves the mesh.
    pub drain: Duration,
}

/// Why there is no supervisor.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The plugin cannot ask.
    #[error("the socket of the CNI plugin, {path}: {source}; mount its directory from the node")]
    Socket {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What serves the pods: one worker per shard, in processes or wherever. It is told what to do in order,
/// and says what happened in [`Inputs::said`].
pub trait Workers: Send {
    /// Have a worker of this name, and another when it ends, until [`Workers::end`].
    fn start(&mut self, shard: &Shard);
    /// Have it no longer.
    fn end(&mut self, shard: &Shard);
    /// Give a pod to the worker that lives this life: its listeners, which stay open here.
    fn assign(&mut self, shard: &Shard, life: u64, hold: Hold, pod: Assigned);
    /// Take a pod back, and let what is under way there end within `drain`.
    fn revoke(&mut self, shard: &Shard, life: u64, hold: Hold, drain: Duration);
}

/// A pod as a worker is given it.
pub type Assigned = Assignment<Arc<Netns>, Arc<Vec<Listener>>>;

/// Where a supervisor hears from.
#[derive(Debug)]
pub struct Inputs {
    /// What the control plane says; nothing before it has.
    pub roster: watch::Receiver<Option<Arc<Roster>>>,
    /// What workers say, and of which life of which of them it is. Lives are numbered from 1, and no
    /// two of one name have the same number.
    pub said: mpsc::Receiver<(Shard, u64, OfWorker)>,
    /// The end of this process.
    pub ending: oneshot::Receiver<()>,
}

/// What the supervisor shows: for metrics, events and readiness.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The members of this node, and which of them are captured.
    pub captured: Vec<(Arc<Member>, bool)>,
    /// How often a capture was damaged from outside and repaired, by [`Fault::reason`].
    pub repairs: BTreeMap<&'static str, u64>,
    /// What happened last to each pod that is not as it should be, by UID.
    pub problems: BTreeMap<String, String>,
    /// Whether the plugin has what it needs to hold pods back by itself. The CNI chain is installed
    /// after that and not before.
    pub is_ready: bool,
}

type Table = Core<Arc<Netns>, Arc<Vec<Listener>>>;
type Happened = Event<Arc<Netns>, Arc<Vec<Listener>>>;

/// Supervises the pods of this node until it is told to end. Rules and routes stay in the pods then, for
/// the supervisor that follows.
///
/// # Errors
/// See [`NodeError`]. Whatever concerns one pod is none.
pub async fn supervise<W: Workers>(
    settings: Settings,
    clock: Clock,
    workers: W,
    inputs: Inputs,
    shown: watch::Sender<Shown>,
) -> Result<(), NodeError> {
    let socket = |source| NodeError::Socket {
        path: settings.cni_socket.clone(),
        source,
    };
    let listener = cni::listen(&settings.cni_socket).map_err(socket)?;
    let saved = files::load(&settings.namespaces_file).unwrap_or_else(|error| {
        let path = settings.namespaces_file.display();
        tracing::error!("{path}: {error}; it is written anew when the control plane is heard");
        None
    });
    let (asking, asked) = mpsc::channel(EVENTS);
    let (events, happened) = mpsc::channel(EVENTS);
    let mut serving = JoinSet::new();
    serving.spawn(cni::serve(listener, asking));
    let supervisor = Supervisor {
        table: Core::new(saved, settings.drain),
        settings,
        clock,
        workers,
        events,
        answers: BTreeMap::new(),
        tickets: 0,
        unsaved: None,
        roster: None,
        shown,
    };
    supervisor.run(asked, happened, inputs).await;
    Ok(())
}

struct Supervisor<W> {
    table: Table,
    settings: Settings,
    clock: Clock,
    workers: W,
    events: mpsc::Sender<Happened>,
    answers: BTreeMap<Ticket, oneshot::Sender<Reply>>,
    tickets: u64,
    /// Names that could not be saved yet.
    unsaved: Option<BTreeSet<String>>,
    roster: Option<Arc<Roster>>,
    shown: watch::Sender<Shown>,
}

impl<W: Workers> Supervisor<W> {
    async fn run(
        mut self,
        mut asked: mpsc::Receiver<Asked>,
        mut happened: mpsc::Receiver<Happened>,
        mut inputs: Inputs,
    ) {
        let mut retry = tokio::time::interval(RETRY);
        let mut node = tokio::time::interval(NODE_EVERY);
        self.enlist(inputs.roster.borrow_and_update().clone());
        loop {
            let now = self.clock.read().monotonic;
            let wait = self.table.wakes_at().map(|at| at.saturating_sub(now));
            let wait = tokio::time::sleep(wait.unwrap_or(NODE_EVERY));
            // All branches may be dropped at any point.
            let event = tokio::select! {
                _ = &mut inputs.ending => return,
                Some(asked) = asked.recv() => self.ask(asked),
                Some(event) = happened.recv() => event,
                Some((shard, life, what)) = inputs.said.recv() => Event::Worker(shard, life, what),
                Ok(()) = inputs.roster.changed() => {
                    let roster = inputs.roster.borrow_and_update().clone();
                    self.enlist(roster);
                    continue;
                }
                () = wait => Event::Tick,
                _ = node.tick() => {
                    self.probes();
                    continue;
                }
                _ = retry.tick(), if self.unsaved.is_some() => {
                    self.save();
                    continue;
                }
            };
            self.handle(event);
        }
    }

    fn enlist(&mut self, roster: Option<Arc<Roster>>) {
        let Some(roster) = roster else { return };
        let before = self.roster.as_ref().map(|it| it.probes());
        self.roster = Some(Arc::clone(&roster));
        if before.as_ref() != Some(&roster.probes()) {
            self.probes();
        }
        self.handle(Event::Roster(roster));
    }

    fn ask(&mut self, asked: Asked) -> Happened {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.answers.insert(ticket, asked.answer);
        Event::Asked(ticket, asked.question)
    }

    fn handle(&mut self, event: Happened) {
        let now = self.clock.read().monotonic;
        for action in self.table.handle(event, now) {
            self.perform(action);
        }
        let captured = self.table.captured();
        let is_ready = self.roster.is_some() && self.unsaved.is_none();
        self.shown.send_if_modified(|shown| {
            let is_new = shown.captured != captured || shown.is_ready != is_ready;
            shown.captured = captured;
            shown.is_ready = is_ready;
            is_new
        });
    }

    fn perform(&mut self, action: Action<Arc<Netns>, Arc<Vec<Listener>>>) {
        match action {
            Action::Run(sandbox, job) => {
                let events = self.events.clone();
                tokio::task::spawn_blocking(move || {
                    let result = kernel::run(&job);
                    // What it holds of the namespace is let go before anybody hears of the end.
                    drop(job);
                    let _ends = events.blocking_send(Event::Done(sandbox, result));
                });
            }
            Action::Start(shard) => self.workers.start(&shard),
            Action::End(shard) => self.workers.end(&shard),
            Action::Assign(shard, life, hold, pod) => {
                self.workers.assign(&shard, life, hold, pod);
            }
            Action::Revoke(shard, life, hold, drain) => {
                self.workers.revoke(&shard, life, hold, drain);
            }
            Action::Reply(ticket, reply) => {
                if let Some(answer) = self.answers.remove(&ticket) {
                    // A plugin that has given up asks again.
                    let _gone = answer.send(reply);
                }
            }
            Action::Save(namespaces) => {
                self.unsaved = Some(namespaces);
                self.save();
            }
            Action::Scan(roster) => self.scan(roster),
            Action::Tell(notice) => self.tell(notice),
        }
    }

    fn save(&mut self) {
        let Some(namespaces) = &self.unsaved else {
            return;
        };
        let path = &self.settings.namespaces_file;
        match files::save(path, namespaces) {
            Ok(()) => self.unsaved = None,
            Err(error) => {
                let path = path.display();
                tracing::error!(
                    "{path}: {error}; pods of new namespaces would start without the mesh \
                     if this process ended; mount a writable directory there"
                );
            }
        }
    }

    fn scan(&self, roster: Arc<Roster>) {
        let (events, proc) = (self.events.clone(), self.settings.proc.clone());
        tokio::task::spawn_blocking(move || {
            let found = find::running(&proc, &roster).unwrap_or_else(|error| {
                let doubt = format!("{}: {error}; is it the node's?", proc.display());
                find::Found {
                    doubts: BTreeSet::from([doubt]),
                    ..find::Found::default()
                }
            });
            for doubt in found.doubts {
                tracing::warn!("{doubt}");
            }
            let _ends = events.blocking_send(Event::Scanned(found.seen));
        });
    }

    /// Lets the kubelet's probes through. They are the node's, so that they concern no pod's table.
    fn probes(&self) {
        let Some(roster) = self.roster.clone() else {
            return;
        };
        let node = self.settings.proc.join("1/ns/net");
        tokio::task::spawn_blocking(move || {
            let applied = match Netns::open(&node) {
                Ok(node) => capture::node::apply(&node, &roster.probes()),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = applied {
                tracing::error!("probes of the kubelet cannot reach captured pods: {error}");
            }
        });
    }

    fn tell(&self, notice: Notice) {
        let name = |member: &Member| format!("{}/{}", member.namespace, member.pod);
        self.shown.send_modify(|shown| match &notice {
            Notice::Captured(member) | Notice::LetGo(member) => {
                shown.problems.remove(&member.uid);
            }
            Notice::Repaired(member, faults) => {
                shown.problems.remove(&member.uid);
                for fault in faults.iter().map(|it: &Fault| it.reason()) {
                    *shown.repairs.entry(fault).or_default() += 1;
                }
            }
            Notice::Failed(member, why) => {
                shown.problems.insert(member.uid.clone(), why.clone());
            }
        });
        match notice {
            Notice::Captured(member) => tracing::info!(pod = name(&member), "captured"),
            Notice::LetGo(member) => tracing::info!(pod = name(&member), "not captured any more"),
            Notice::Repaired(member, faults) => {
                let faults: Vec<_> = faults.iter().map(|it| it.reason()).collect();
                tracing::warn!(
                    pod = name(&member),
                    ?faults,
                    "its capture was damaged; repaired"
                );
            }
            Notice::Failed(member, why) => {
                tracing::error!(pod = name(&member), "not captured as it should be: {why}");
            }
        }
    }
}
