//! The worker of a node's pods: the process that accepts what pods dial and what is dialled to them.
//!
//! It is started by the supervisor with one end of a channel as standard input, and has nothing else: no
//! privilege, no token, no way to make a socket. Listeners come over the channel and say, by which of
//! them a connection came, whose connection it is; sockets to dial with are made by the supervisor, in
//! the namespace of the same pod. When the channel ends, so does it.

mod broker;
mod counts;
mod outbound;
mod passing;
mod pod;
mod serving;
mod tunnel;

use std::{
    collections::BTreeMap,
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, timeout},
};
use tokio_util::task::TaskTracker;
use weft_certs::{CaRoots, Clock};
use weft_telemetry::{
    access_log::{self, AccessLog, AccessLogError},
    metrics::{BuildInfo, LabelGroups, Registry},
};
use weft_wire::PublisherError;

use self::{
    broker::Broker,
    counts::Counts,
    outbound::Outbound,
    pod::{Common, Given, Pod},
    serving::Serving,
};
use crate::{
    admin,
    channel::{self, ChannelError, FRAME_BYTES, Intake, VERSION, WAITING_DESCRIPTORS},
    identity::{self, Identities},
    node::{
        Hold,
        messages::{
            Assign, FromShard, Held, Order, Refused, Report, Revoke, Scraped, Sockets, ToShard,
        },
    },
    worker::confine::{self, ConfineError, Work},
};

/// Time between two signs of life; the parent ends a worker that gives none for five times as long.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Reports that may wait to be written. A parent that does not read makes the worker wait.
const REPORTS: usize = 64;

/// How a worker of pods runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The access log.
    pub access_log: access_log::Config,
    /// What is running.
    pub build: BuildInfo,
    /// Start of the random numbers that balance traffic and spread renewals.
    pub seed: u64,
}

/// Why a worker of pods ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// Standard input is no channel.
    #[error("a worker of pods is started by its supervisor: {0}")]
    NotAChild(io::Error),
    /// The process cannot give up what it should not have.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// The system has no event queue.
    #[error("the data path cannot start: {0}")]
    Start(io::Error),
    /// The access log cannot be written.
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
    /// The supervisor said something that makes no sense.
    #[error("the supervisor is not understood: {0}")]
    Supervisor(String),
}

impl From<ChannelError> for ShardError {
    fn from(error: ChannelError) -> Self {
        Self::Supervisor(error.to_string())
    }
}

impl From<PublisherError> for ShardError {
    fn from(error: PublisherError) -> Self {
        Self::Supervisor(error.to_string())
    }
}

/// Serves until the supervisor says to end, or is gone.
///
/// # Errors
/// See [`ShardError`].
pub fn run(settings: &Settings) -> Result<(), ShardError> {
    confine::give_up().map_err(ConfineError::from)?;
    let channel = io::stdin().as_fd().try_clone_to_owned();
    let channel = UnixStream::from(channel.map_err(ShardError::NotAChild)?);
    // Anything but a socket has no peer.
    channel.peer_addr().map_err(ShardError::NotAChild)?;
    // Reads files, and is therefore done before there is anybody to wait for it.
    let platform = CaRoots::system().inspect_err(|error| {
        // Worth a word only where a route needs them: what is refused is named then.
        tracing::debug!(%error, "no authorities of the platform");
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ShardError::Start)?;
    let served = runtime.block_on(serve(settings, channel, platform.ok().map(Arc::new)));
    // A scrape that is under way is of no use to anybody.
    runtime.shutdown_background();
    served
}

async fn serve(
    settings: &Settings,
    channel: UnixStream,
    platform: Option<Arc<CaRoots>>,
) -> Result<(), ShardError> {
    let (mut outlet, mut intake) =
        channel::open::<ToShard>(channel, WAITING_DESCRIPTORS).map_err(ShardError::NotAChild)?;
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
    let (reports, mut waiting) = mpsc::channel::<Report>(REPORTS);
    let writing = tokio::spawn(async move {
        while let Some(report) = waiting.recv().await {
            let report = Some(report);
            if let Err(error) = outlet.send(&FromShard { report }, &[]).await {
                tracing::error!(%error, "the supervisor cannot be told");
                return;
            }
        }
    });
    let common = Common {
        broker: Broker::new(reports.clone()),
        identities: Identities::new(reports.clone(), Clock::system(), settings.seed, &registry),
        counts: Arc::new(Counts::new(&registry)),
        outbound: outbound.clone(),
        open: Arc::default(),
    };
    let living = tokio::spawn(live(reports.clone(), Arc::clone(&common.open)));
    let telling = tokio::spawn(identity::say(common.identities.held(), reports.clone()));
    let worker = Worker {
        common,
        reports,
        serving: Serving::new(outbound, registry.config()),
        registry,
        pods: BTreeMap::new(),
        leaving: TaskTracker::new(),
    };
    let ended = worker.run(&mut intake).await;
    living.abort();
    telling.abort();
    if ended.is_ok() {
        // What was said last is written before the process ends.
        let _written = timeout(HEARTBEAT, writing).await;
    }
    ended
}

/// Says every second that all is well, which it is when this task has its turn.
async fn live(reports: mpsc::Sender<Report>, open: Arc<AtomicU64>) {
    let mut tick = tokio::time::interval(HEARTBEAT);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let heartbeat = Report::Heartbeat(open.load(Relaxed));
        if reports.send(heartbeat).await.is_err() {
            return;
        }
    }
}

struct Worker {
    common: Common,
    reports: mpsc::Sender<Report>,
    serving: Serving,
    registry: Registry,
    pods: BTreeMap<Hold, Pod>,
    /// The pods that are being given up. Closed when all are, for good.
    leaving: TaskTracker,
}

impl Worker {
    async fn run(mut self, intake: &mut Intake<ToShard>) -> Result<(), ShardError> {
        self.say(Report::Hello(VERSION.to_owned())).await;
        let has_nothing = self.serving.connect();
        self.say(Report::Answer(has_nothing)).await;
        loop {
            let leaving = self.leaving.clone();
            tokio::select! {
                order = intake.next() => match order? {
                    Some(ToShard { order }) => self.obey(order, intake).await?,
                    None => {
                        tracing::warn!("the supervisor is gone; the worker ends with it");
                        return Ok(());
                    }
                },
                // Only after it was told to end.
                () = leaving.wait() => return Ok(()),
            }
        }
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
                for pod in self.pods.values() {
                    pod.learn(self.serving.workloads());
                }
                self.say(Report::Answer(answer)).await;
            }
            Some(Order::Signed(signed)) => self.common.identities.answered(signed),
            Some(Order::Trust(trust)) => self.common.identities.trust(trust),
            Some(Order::Drain(drain)) => self.drain(Duration::from_millis(drain.limit_ms)),
            Some(Order::Scrape(id)) => self.scrape(id),
            Some(Order::Log(filter)) => admin::change_log(&filter),
            None => {
                let unknown = "an order of a kind this version does not know".to_owned();
                return Err(ShardError::Supervisor(unknown));
            }
        }
        Ok(())
    }

    async fn say(&self, report: Report) {
        // The writer ends with the channel, which `run` notices by itself.
        let _said = self.reports.send(report).await;
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
            let given = Given::read(held, &assign, descriptors);
            given.and_then(|given| Pod::serve(given, &self.common))
        };
        let report = match taken {
            Ok(pod) => {
                self.pods.insert(held.into(), pod);
                Report::Taken(held)
            }
            Err(why) => Report::Refused(Refused {
                hold: Some(held),
                why,
            }),
        };
        self.say(report).await;
        Ok(())
    }

    fn revoke(&mut self, revoke: &Revoke) -> Result<(), ShardError> {
        let held = named(revoke.hold)?;
        let limit = Duration::from_millis(revoke.drain_ms);
        let pod = self.pods.remove(&held.into());
        self.give_up(held, pod, limit);
        Ok(())
    }

    /// Gives every pod up, and ends when that is over.
    fn drain(&mut self, limit: Duration) {
        for (hold, pod) in std::mem::take(&mut self.pods) {
            self.give_up(hold.into(), Some(pod), limit);
        }
        self.common.outbound.drain();
        self.leaving.close();
    }

    fn give_up(&self, held: Held, pod: Option<Pod>, limit: Duration) {
        let (reports, broker) = (self.reports.clone(), self.common.broker.clone());
        self.leaving.spawn(async move {
            if let Some(pod) = pod {
                pod.drain(limit).await;
            }
            broker.forget(held);
            // The supervisor learns of the end of this process, too.
            let _said = reports.send(Report::Released(held)).await;
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
        let (registry, reports) = (self.registry.clone(), self.reports.clone());
        let runtime = tokio::runtime::Handle::current().metrics();
        // It has one thread, which this runs on.
        registry.process().busy(runtime.worker_total_busy_duration(0));
        tokio::task::spawn_blocking(move || {
            let mut text = registry.encode();
            if text.len() + 64 > FRAME_BYTES {
                tracing::error!(bytes = text.len(), "the metrics are too long to be shown");
                text = String::new();
            }
            // A worker that ends answers nobody.
            let _said = reports.blocking_send(Report::Scraped(Scraped { id, text }));
        });
    }
}

fn named(held: Option<Held>) -> Result<Held, ShardError> {
    held.ok_or_else(|| ShardError::Supervisor("an order that names no pod".to_owned()))
}
