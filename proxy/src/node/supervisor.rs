//! The supervisor as it runs: the table in the middle, and around it the plugin's socket, the kernel,
//! the workers and the control plane's word.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use weft_certs::Clock;
use weft_intercept::{Netns, handoff::Reply, sockets::Listener};

use super::{
    cni::{self, Asked},
    core::{Action, Core, Event, Notice, OfWorker, Ticket},
    crashes::Crashes,
    files, find,
    inherited::{self, Heir, Inherited, next_heir},
    kernel,
    probes::{self, Probed},
    roster::{Member, Roster},
    terms::{Inputs, NodeError, Settings, Shown, Workers},
};

/// Questions and answers that may wait for the table; whoever brings more waits.
const EVENTS: usize = 256;
/// Time between two attempts at what concerns the node as a whole.
const RETRY: Duration = Duration::from_secs(5);
/// Time for pods that are leaving the mesh when the process ends, and of that what is under way there has
/// to end by itself.
const FINISHING: Duration = Duration::from_secs(10);
const HURRY: Duration = Duration::from_secs(1);
/// Longest time without a look at what is due.
const LOOK: Duration = Duration::from_secs(30);

type Table = Core<Arc<Netns>, Arc<Vec<Listener>>>;
type Happened = Event<Arc<Netns>, Arc<Vec<Listener>>>;

/// Supervises the pods of this node until it is told to end; the workers are left, for the caller to
/// end. Rules and routes stay in the pods then, for the supervisor that follows.
///
/// # Errors
/// See [`NodeError`]. Whatever concerns one pod is none.
pub async fn supervise<W: Workers>(
    settings: Settings,
    clock: Clock,
    workers: W,
    inputs: Inputs,
    shown: watch::Sender<Shown>,
) -> Result<W, NodeError> {
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
    let root = settings.host().join("root");
    serving.spawn(cni::serve(listener, root, asking));
    let (probed, probes) = watch::channel(None);
    serving.spawn(probes::keep(settings.host().join("ns/net"), probes));
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
        probed,
        inherited: Arc::clone(&inputs.succession.inherited),
        shown,
        crashes: Crashes::default(),
    };
    Ok(supervisor.run(asked, happened, inputs).await)
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
    probed: watch::Sender<Probed>,
    inherited: Arc<Inherited>,
    shown: watch::Sender<Shown>,
    crashes: Crashes,
}

impl<W: Workers> Supervisor<W> {
    async fn run(
        mut self,
        mut asked: mpsc::Receiver<Asked>,
        mut happened: mpsc::Receiver<Happened>,
        mut inputs: Inputs,
    ) -> W {
        let forgetting = inherited::time_to_forget(inputs.roster.clone());
        tokio::pin!(forgetting);
        let mut is_forgotten = false;
        let mut heirs = inputs.succession.heirs.take();
        let mut retry = tokio::time::interval(RETRY);
        self.enlist(inputs.roster.borrow_and_update().clone());
        loop {
            let wait = tokio::time::sleep(self.patience());
            // All branches may be dropped at any point.
            let event = tokio::select! {
                _ = &mut inputs.ending => return self.finish(happened, inputs).await,
                Some(heir) = next_heir(&mut heirs) => {
                    self.bequeath(heir);
                    return self.rest(asked, happened, inputs, heirs).await;
                }
                () = &mut forgetting, if !is_forgotten => {
                    is_forgotten = true;
                    self.inherited.forget();
                    self.workers.forget();
                    continue;
                }
                Some(asked) = asked.recv() => self.ask(asked),
                Some(event) = happened.recv() => event,
                Some((shard, life, what)) = inputs.said.recv() => Event::Worker(shard, life, what),
                Ok(()) = inputs.roster.changed() => {
                    let roster = inputs.roster.borrow_and_update().clone();
                    self.enlist(roster);
                    continue;
                }
                () = wait => Event::Tick,
                _ = retry.tick(), if self.unsaved.is_some() => {
                    self.save();
                    continue;
                }
            };
            self.handle(event);
        }
    }

    /// Keeps the listeners and the workers, and leaves the pods to the supervisor that follows, but for
    /// those that are leaving the mesh.
    async fn rest(
        mut self,
        mut asked: mpsc::Receiver<Asked>,
        mut happened: mpsc::Receiver<Happened>,
        mut inputs: Inputs,
        mut heirs: Option<mpsc::Receiver<Heir>>,
    ) -> W {
        self.retire();
        loop {
            let wait = tokio::time::sleep(self.patience());
            // As above.
            let event = tokio::select! {
                _ = &mut inputs.ending => return self.finish(happened, inputs).await,
                // It has started again, or another one follows.
                Some(heir) = next_heir(&mut heirs) => {
                    self.bequeath(heir);
                    continue;
                }
                // A plugin that had connected before; it asks again, and then the other one.
                Some(asked) = asked.recv() => {
                    drop(asked);
                    continue;
                }
                Some(event) = happened.recv() => event,
                Some((shard, life, what)) = inputs.said.recv() => Event::Worker(shard, life, what),
                Ok(()) = inputs.roster.changed() => {
                    let Some(roster) = inputs.roster.borrow_and_update().clone() else {
                        continue;
                    };
                    Event::Roster(roster)
                }
                () = wait => Event::Tick,
            };
            self.handle(event);
        }
    }

    /// Lets the pods that are leaving the mesh do so, for a while: nobody would remove their rules later.
    async fn finish(mut self, mut happened: mpsc::Receiver<Happened>, mut inputs: Inputs) -> W {
        self.retire();
        self.table.hurry(HURRY);
        self.handle(Event::Tick);
        let limit = tokio::time::sleep(FINISHING);
        tokio::pin!(limit);
        while self.table.leaving().next().is_some() {
            let wait = tokio::time::sleep(self.patience());
            let event = tokio::select! {
                () = &mut limit => {
                    let pods: Vec<_> = self.table.leaving().collect();
                    tracing::error!(?pods, "rules and routes of pods that left the mesh stay there");
                    break;
                }
                Some(event) = happened.recv() => event,
                Some((shard, life, what)) = inputs.said.recv() => Event::Worker(shard, life, what),
                () = wait => Event::Tick,
            };
            self.handle(event);
        }
        self.workers
    }

    fn retire(&mut self) {
        for action in self.table.retire() {
            self.perform(action);
        }
    }

    /// How long nothing has to be done, if nothing happens.
    fn patience(&self) -> Duration {
        let now = self.clock.read().monotonic;
        let wait = self.table.wakes_at().map(|at| at.saturating_sub(now));
        wait.unwrap_or(LOOK)
    }

    fn bequeath(&mut self, heir: Heir) {
        self.workers.be_followed();
        // Who has gone meanwhile comes again.
        let _gone = heir.send(self.table.listeners());
    }

    fn enlist(&mut self, roster: Option<Arc<Roster>>) {
        let Some(roster) = roster else { return };
        self.roster = Some(Arc::clone(&roster));
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
        if let Event::Worker(shard, _, OfWorker::Gone) = &event {
            self.crashes.ended(shard, now);
        }
        let actions = self.table.handle(event, now);
        // Before anybody hears that they are not needed.
        self.inherited.release();
        self.probe();
        for action in actions {
            self.perform(action);
        }
        let captured = self.table.captured();
        let addresses = self.table.addresses();
        let leaving = self.table.leaving();
        let leaving: BTreeMap<_, _> = leaving.map(|(uid, it)| (uid.to_owned(), it)).collect();
        let is_ready = self.roster.is_some() && self.unsaved.is_none();
        let crashing = self.crashes.looping(now);
        self.shown.send_if_modified(|shown| {
            let is_new = shown.captured != captured
                || shown.addresses != addresses
                || shown.leaving != leaving
                || shown.crashing != crashing
                || shown.is_ready != is_ready;
            shown.captured = captured;
            shown.addresses = addresses;
            shown.leaving = leaving;
            shown.crashing = crashing;
            shown.is_ready = is_ready;
            is_new
        });
    }

    fn perform(&mut self, action: Action<Arc<Netns>, Arc<Vec<Listener>>>) {
        match action {
            Action::Run(sandbox, job) => {
                let (events, inherited) = (self.events.clone(), Arc::clone(&self.inherited));
                let captured = self.table.captured_of(sandbox);
                let listeners = self.table.listeners_of(sandbox).unwrap_or_default();
                tokio::task::spawn_blocking(move || {
                    let result = kernel::run(&job, &captured, &inherited, &listeners);
                    // What it holds of the namespace is let go before anybody hears of the end.
                    drop((job, listeners));
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
            Action::Lenient(shard, life, hold, is_lenient) => {
                self.workers.lenient(&shard, life, hold, is_lenient);
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
        let node = self.settings.host();
        tokio::task::spawn_blocking(move || {
            let found = find::running(&proc, &node, &roster).unwrap_or_else(|error| {
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

    /// Has the probes of the kubelet let through.
    fn probe(&self) {
        let probed = self.table.probes();
        self.probed.send_if_modified(|known| {
            let is_new = *known != probed;
            *known = probed;
            is_new
        });
    }

    fn tell(&self, notice: Notice) {
        let name = |member: &Member| format!("{}/{}", member.namespace, member.pod);
        let at = self.clock.now().duration_since(UNIX_EPOCH);
        // Before 1970 no clock is right.
        let at_unix_s = at.unwrap_or_default().as_secs();
        self.shown
            .send_modify(|shown| shown.note(&notice, at_unix_s));
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
