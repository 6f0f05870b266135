//! The worker of a node's pods: the process that accepts what pods dial and what is dialled to them.
//!
//! It is started by the supervisor with a lifeline as standard input, and has nothing else: no privilege,
//! no token, no way to make a socket. A channel comes over the lifeline. Listeners come over the channel and
//! say, by which of them a connection came, whose connection it is; sockets to dial with are made by the
//! supervisor, in the namespace of the same pod. When the channel ends, connections go on, and another
//! supervisor is waited for, which assigns the same pods again; when the lifeline ends, so does the worker.

mod broker;
mod counts;
mod inlet;
mod outbound;
mod parent;
mod passing;
mod pod;
mod serving;
mod terms;
mod tunnel;

use std::{collections::BTreeMap, io, os::unix::net::UnixStream, sync::Arc, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
    time::timeout,
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use weft_certs::{CaRoots, Clock};
use weft_forward::Rounds;
use weft_telemetry::{
    access_log::AccessLog,
    metrics::{LabelGroups, Registry},
};

pub use self::terms::{Settings, ShardError};
use self::{
    broker::Broker,
    counts::Counts,
    outbound::Outbound,
    parent::{HEARTBEAT, Lifeline, Parent, live, write},
    pod::{Common, Ending, Given, Pod},
    serving::Serving,
};
use crate::{
    admin,
    channel::{self, FRAME_BYTES, Intake, VERSION, WAITING_DESCRIPTORS},
    identity::{self, Identities},
    node::{
        Hold,
        messages::{Assign, Held, Order, Refused, Report, Revoke, Scraped, Sockets, ToShard},
    },
    open_files,
    worker::confine::{self, ConfineError, Work},
};

/// Reports that may wait to be written. A parent that does not read makes the worker wait.
const REPORTS: usize = 64;

/// Serves until the supervisor says to end, or is gone.
///
/// # Errors
/// See [`ShardError`].
pub fn run(settings: &Settings) -> Result<(), ShardError> {
    confine::give_up().map_err(ConfineError::from)?;
    weft_certs::gather_entropy();
    open_files::make_room();
    let lifeline = Lifeline::open().map_err(ShardError::NotAChild)?;
    // Reads files, and is therefore done before there is anybody to wait for it.
    let platform = CaRoots::system().inspect_err(|error| {
        // Worth a word only where a route needs them: what is refused is named then.
        tracing::debug!(%error, "no authorities of the platform");
    });
    let rounds = Rounds::default();
    let runtime = runtime(&rounds).map_err(ShardError::Start)?;
    let served = runtime.block_on(serve(
        settings,
        lifeline,
        (platform.ok().map(Arc::new), rounds),
    ));
    // A scrape that is under way is of no use to anybody.
    runtime.shutdown_background();
    served
}

/// One thread, which says when it has nothing to do.
fn runtime(rounds: &Rounds) -> io::Result<Runtime> {
    let rounds = rounds.clone();
    Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || rounds.rest())
        .build()
}

async fn serve(
    settings: &Settings,
    lifeline: UnixStream,
    (platform, rounds): (Option<Arc<CaRoots>>, Rounds),
) -> Result<(), ShardError> {
    let lifeline = Lifeline::new(lifeline).map_err(ShardError::NotAChild)?;
    let registry = Registry::new(settings.build, LabelGroups::default());
    let access_log = AccessLog::start(&settings.access_log, registry.process())?;
    let outbound = Outbound::start(outbound::Config {
        registry: registry.clone(),
        access_log,
        seed: settings.seed,
        platform,
    });
    let outbound = outbound.map_err(ShardError::Start)?;
    // All threads run, all files are open, and nobody has been heard yet.
    confine::confine(Work::Pods)?;
    let parent = Parent::default();
    let common = Common {
        broker: Broker::new(parent.clone()),
        identities: Identities::new(parent.clone(), Clock::system(), settings.seed, &registry),
        counts: Arc::new(Counts::new(&registry)),
        outbound: outbound.clone(),
        open: Arc::default(),
        rounds: rounds.clone(),
    };
    let dealing = tokio::spawn(async move { rounds.deal().await });
    let living = tokio::spawn(live(parent.clone(), Arc::clone(&common.open)));
    let worker = Worker {
        common,
        parent,
        serving: Serving::new(outbound, registry.config()),
        registry,
        pods: BTreeMap::new(),
        left: Vec::new(),
        leaving: TaskTracker::new(),
    };
    let ended = worker.run(&lifeline).await;
    living.abort();
    dealing.abort();
    ended
}

struct Worker {
    common: Common,
    parent: Parent,
    serving: Serving,
    registry: Registry,
    pods: BTreeMap<Hold, Pod>,
    /// Those that an earlier supervisor has assigned and the present one has not.
    left: Vec<Pod>,
    /// The pods that are being given up. Closed when all are, for good.
    leaving: TaskTracker,
}

impl Worker {
    /// Obeys one supervisor after the other, until one says to end or there will be none.
    async fn run(mut self, lifeline: &Lifeline) -> Result<(), ShardError> {
        loop {
            let leaving = self.leaving.clone();
            let channel = tokio::select! {
                next = lifeline.next() => next.map_err(ShardError::NotAChild)?,
                // Only after it was told to end.
                () = leaving.wait() => return Ok(()),
            };
            let Some(channel) = channel else {
                tracing::warn!("there is no supervisor any more; the worker ends with it");
                return Ok(());
            };
            if self.attend(channel).await? {
                return Ok(());
            }
            tracing::warn!(
                "the supervisor is gone; connections go on, and another one is waited for"
            );
        }
    }

    /// Obeys one supervisor; whether it has said to end, which then is done.
    async fn attend(&mut self, channel: UnixStream) -> Result<bool, ShardError> {
        let (outlet, mut intake) = channel::open::<ToShard>(channel, WAITING_DESCRIPTORS)
            .map_err(ShardError::NotAChild)?;
        let (reports, waiting) = mpsc::channel(REPORTS);
        let writing = AbortOnDropHandle::new(tokio::spawn(write(outlet, waiting)));
        let has = self.serving.connect();
        for report in [Report::Hello(VERSION.to_owned()), Report::Answer(has)] {
            // Who does not hear it is gone, which is noticed below.
            let _said = reports.send(report).await;
        }
        let telling = self.begin_anew(reports);
        loop {
            let leaving = self.leaving.clone();
            tokio::select! {
                order = intake.next() => match order? {
                    Some(ToShard { order }) => self.obey(order, &mut intake).await?,
                    None => {
                        self.parent.is_now(None);
                        return Ok(false);
                    }
                },
                // Only after it was told to end.
                () = leaving.wait() => {
                    self.parent.is_now(None);
                    drop(telling);
                    // What was said last is written before the process ends.
                    let _written = timeout(HEARTBEAT, writing).await;
                    return Ok(true);
                }
            }
        }
    }

    /// Says to another supervisor what it has to know; it is said as long as the answer is kept.
    fn begin_anew(&mut self, reports: mpsc::Sender<Report>) -> AbortOnDropHandle<()> {
        self.left
            .extend(std::mem::take(&mut self.pods).into_values());
        self.common.broker.begin_anew();
        self.common.identities.begin_anew();
        let mut held = self.common.identities.held();
        if !self.left.is_empty() {
            held.mark_changed();
        }
        self.parent.is_now(Some(reports.clone()));
        AbortOnDropHandle::new(tokio::spawn(identity::say(held, reports)))
    }

    async fn obey(
        &mut self,
        order: Option<Order>,
        intake: &mut Intake<ToShard>,
    ) -> Result<(), ShardError> {
        match order {
            Some(Order::Assign(assign)) => self.assign(assign, intake).await?,
            Some(Order::Revoke(revoke)) => self.revoke(&revoke)?,
            Some(Order::Lenient(lenient)) => {
                let held = named(lenient.hold)?;
                // One that was refused is still on its way.
                if let Some(pod) = self.pods.get(&held.into()) {
                    pod.be_lenient(lenient.is_lenient);
                }
            }
            Some(Order::Sockets(sockets)) => self.take(&sockets, intake).await?,
            Some(Order::Change(change)) => {
                let answer = self.serving.change(change)?;
                for pod in self.pods.values().chain(&self.left) {
                    pod.learn(self.serving.workloads());
                }
                self.say(Report::Answer(answer)).await;
            }
            Some(Order::Signed(signed)) => self.common.identities.answered(signed),
            Some(Order::Trust(trust)) => self.common.identities.trust(trust),
            Some(Order::Drain(drain)) => self.drain(drain.into()),
            Some(Order::Scrape(id)) => self.scrape(id),
            Some(Order::Log(filter)) => admin::change_log(&filter),
            Some(Order::Forget(_)) => {
                for pod in std::mem::take(&mut self.left) {
                    self.give_up(None, Some(pod), Ending::within(Duration::ZERO));
                }
            }
            None => {
                let unknown = "an order of a kind this version does not know".to_owned();
                return Err(ShardError::Supervisor(unknown));
            }
        }
        Ok(())
    }

    async fn say(&self, report: Report) {
        // The writer ends with the channel, which `attend` notices by itself.
        let _said = self.parent.say(report).await;
    }

    async fn assign(
        &mut self,
        assign: Assign,
        intake: &mut Intake<ToShard>,
    ) -> Result<(), ShardError> {
        let held = named(assign.hold)?;
        let descriptors = intake.descriptors(assign.listeners.len());
        let taken = if self.leaving.is_closed() {
            Err("the worker ends".to_owned())
        } else {
            match Given::read(held, &assign, descriptors) {
                Ok(given) => self.serve(given).await,
                Err(why) => Err(why),
            }
        };
        match taken {
            Ok(pod) => {
                let proven = pod.proven();
                self.say(Report::Taken(held)).await;
                pod.begin().await;
                self.pods.insert(held.into(), pod);
                if let Some(identity) = proven {
                    self.say(Report::Identified(identity.to_string())).await;
                }
            }
            Err(why) => {
                let hold = Some(held);
                self.say(Report::Refused(Refused { hold, why })).await;
            }
        }
        Ok(())
    }

    /// Goes on with a pod that is served already, or begins.
    async fn serve(&mut self, given: Given) -> Result<Pod, String> {
        match self.left.iter().position(|pod| given.is(pod)) {
            Some(place) => {
                let pod = self.left.swap_remove(place);
                pod.go_on(&given, &self.common).await;
                Ok(pod)
            }
            None => Pod::serve(given, &self.common),
        }
    }

    fn revoke(&mut self, revoke: &Revoke) -> Result<(), ShardError> {
        let held = named(revoke.hold)?;
        let ending = Ending::within(Duration::from_millis(revoke.drain_ms));
        let pod = self.pods.remove(&held.into());
        self.give_up(Some(held), pod, ending);
        Ok(())
    }

    /// Gives every pod up, and ends when that is over.
    fn drain(&mut self, ending: Ending) {
        for (hold, pod) in std::mem::take(&mut self.pods) {
            self.give_up(Some(hold.into()), Some(pod), ending);
        }
        for pod in std::mem::take(&mut self.left) {
            self.give_up(None, Some(pod), ending);
        }
        self.common.outbound.drain();
        self.leaving.close();
    }

    /// `held` is what the present supervisor calls it, if it does.
    fn give_up(&self, held: Option<Held>, pod: Option<Pod>, ending: Ending) {
        // The supervisor that follows has other names, and must not hear of this one.
        let (told, broker) = (self.parent.present(), self.common.broker.clone());
        self.leaving.spawn(async move {
            if let Some(pod) = pod {
                let sockets = pod.sockets();
                pod.drain(ending).await;
                broker.forget(&sockets);
            }
            if let Some((told, held)) = told.zip(held) {
                // The supervisor learns of the end of this process, too.
                let _said = told.send(Report::Released(held)).await;
            }
        });
    }

    async fn take(
        &mut self,
        sockets: &Sockets,
        intake: &mut Intake<ToShard>,
    ) -> Result<(), ShardError> {
        let count = usize::try_from(sockets.count).unwrap_or(usize::MAX);
        let descriptors = intake.descriptors(count);
        let held = named(sockets.hold)?;
        self.common.broker.take(held, sockets, descriptors).await;
        Ok(())
    }

    /// Reads the counters beside the one thread that carries connections.
    fn scrape(&self, id: u64) {
        let Some(asks) = self.parent.present() else {
            return;
        };
        let registry = self.registry.clone();
        let runtime = tokio::runtime::Handle::current().metrics();
        // It has one thread, which this runs on.
        registry
            .process()
            .busy(runtime.worker_total_busy_duration(0));
        tokio::task::spawn_blocking(move || {
            let mut text = registry.encode();
            if text.len() + 64 > FRAME_BYTES {
                tracing::error!(bytes = text.len(), "the metrics are too long to be shown");
                text = String::new();
            }
            // A worker that ends answers nobody.
            let _said = asks.blocking_send(Report::Scraped(Scraped { id, text }));
        });
    }
}

fn named(held: Option<Held>) -> Result<Held, ShardError> {
    held.ok_or_else(|| ShardError::Supervisor("an order that names no pod".to_owned()))
}
