//! The worker: the process that accepts connections and reads what strangers send.
//!
//! It is started by its parent with one end of a channel as standard input, and has nothing else: no
//! token, no listening socket of its own making, no privilege and no way to gain one, and of the
//! system's calls only those that serving takes (`confine`). Sockets and configuration come over the
//! channel; when the channel ends, so does it. Members of the mesh are reached by a key that it makes
//! itself, and a certificate that the parent has had signed for it.

pub(crate) mod confine;
pub(crate) mod parsed;
pub(crate) mod platform;
mod serving;

use std::{
    io,
    net::IpAddr,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::MissedTickBehavior};
use weft_certs::{CaRoots, Clock};
use weft_forward::Caller;
use weft_telemetry::{
    access_log::{self, AccessLog, AccessLogError},
    metrics::{BuildInfo, LabelGroups, Registry},
};

pub use self::confine::ConfineError;
use self::serving::{Serving, ServingError};
use crate::{
    admin,
    channel::{
        self, ChannelError, Drained, FRAME_BYTES, FromWorker, Heartbeat, Hello, Intake, Metrics,
        Order, Report, ToWorker, VERSION, WAITING_DESCRIPTORS,
    },
    identity::{self, Identities, Own, Ready},
    open_files,
    standalone::{Config, DataPath},
};

/// Time between two signs of life; the parent ends a worker that gives none for five times as long.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Reports that may wait to be written. A parent that does not read makes the worker wait.
const REPORTS: usize = 8;

/// How a worker runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads of the data path; 0 takes one per processor the process may use.
    pub threads: usize,
    /// The access log.
    pub access_log: access_log::Config,
    /// What is running.
    pub build: BuildInfo,
    /// Start of the random numbers that balance and split traffic.
    pub seed: u64,
    /// SPIFFE ID of the Gateway, as which members of the mesh are reached.
    pub identity: String,
    /// Addresses of the pod, the most usual first, which members are told. None: they see those of the
    /// connection only.
    pub addresses: Vec<IpAddr>,
}

/// Why a worker ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Standard input is no channel.
    #[error("a worker is started by its parent (`weft-proxy gateway`): {0}")]
    NotAChild(io::Error),
    /// The process cannot give up what it should not have.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// The system has no threads or event queues.
    #[error("the data path cannot start: {0}")]
    Start(io::Error),
    /// The access log cannot be written.
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
    /// The SPIFFE ID is none.
    #[error("the parent gives no identity: {0}")]
    Identity(String),
    /// The parent said something that makes no sense.
    #[error("the parent process is not understood: {0}")]
    Parent(String),
}

impl From<ChannelError> for WorkerError {
    fn from(error: ChannelError) -> Self {
        Self::Parent(error.to_string())
    }
}

impl From<ServingError> for WorkerError {
    fn from(error: ServingError) -> Self {
        Self::Parent(error.to_string())
    }
}

/// Serves until the parent says to end, or is gone.
///
/// # Errors
/// See [`WorkerError`].
pub fn run(settings: Settings) -> Result<(), WorkerError> {
    confine::give_up().map_err(ConfineError::from)?;
    weft_certs::gather_entropy();
    open_files::make_room();
    let channel = io::stdin().as_fd().try_clone_to_owned();
    let channel = UnixStream::from(channel.map_err(WorkerError::NotAChild)?);
    // Anything but a socket has no peer.
    channel.peer_addr().map_err(WorkerError::NotAChild)?;
    // Reads files, and is therefore done before there is anybody to wait for it.
    let platform = match CaRoots::system() {
        Ok(roots) => Some(Arc::new(roots)),
        Err(error) => {
            // Worth a word only where a route needs them: `platform` names those.
            tracing::debug!(%error, "no authorities of the platform");
            None
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(WorkerError::Start)?;
    let served = runtime.block_on(serve(settings, channel, platform));
    // A scrape that is under way is of no use to anybody.
    runtime.shutdown_background();
    served
}

async fn serve(
    settings: Settings,
    channel: UnixStream,
    platform: Option<Arc<CaRoots>>,
) -> Result<(), WorkerError> {
    let (mut outlet, intake) =
        channel::open::<ToWorker>(channel, WAITING_DESCRIPTORS).map_err(WorkerError::NotAChild)?;
    let registry = Registry::new(settings.build, LabelGroups::default());
    let access_log = AccessLog::start(&settings.access_log, registry.process())?;
    let config = Config {
        workers: settings.threads,
        registry: registry.clone(),
        access_log,
        seed: settings.seed,
    };
    let data_path = DataPath::start_without_sockets(config).map_err(WorkerError::Start)?;
    let data_path = Arc::new(data_path);
    // All threads run, all files are open, and no socket has been given yet.
    confine::confine(confine::Work::Gateway)?;
    let (reports, mut waiting) = mpsc::channel::<Report>(REPORTS);
    let writing = tokio::spawn(async move {
        while let Some(report) = waiting.recv().await {
            let report = Some(report);
            if let Err(error) = outlet.send(&FromWorker { report }, &[]).await {
                tracing::error!(%error, "the parent cannot be told");
                return;
            }
        }
    });
    let living = tokio::spawn(live(Arc::clone(&data_path), reports.clone()));
    let identities = Identities::new(reports.clone(), Clock::system(), settings.seed, &registry);
    let telling = tokio::spawn(identity::say(identities.held(), reports.clone()));
    let own = identities.of(&settings.identity, "");
    let own = own.map_err(WorkerError::Identity)?;
    let caller = Arc::new(Caller::here(settings.addresses));
    drop(tokio::spawn(identify(Arc::clone(&caller), own.comes())));
    let worker = Worker {
        serving: Serving::new(data_path, registry.config(), (platform, caller)),
        identities,
        _own: own,
        registry,
        intake,
        reports,
    };
    let ended = worker.run().await;
    living.abort();
    telling.abort();
    if ended.is_ok() {
        // What was said last is written before the process ends.
        let _written = tokio::time::timeout(HEARTBEAT, writing).await;
    }
    ended
}

/// Says who the caller is, whenever that is known.
async fn identify(caller: Arc<Caller>, comes: impl Future<Output = Option<Ready>>) {
    // None: the worker ends.
    let Some(ready) = comes.await else { return };
    let id = ready.identity.id();
    match caller.identify(&ready.identity) {
        Ok(()) => tracing::info!(%id, "members of the mesh can be reached"),
        Err(error) => tracing::error!(%id, %error, "an identity cannot be used"),
    }
}

/// Says every second that all is well, as long as it is.
async fn live(data_path: Arc<DataPath>, reports: mpsc::Sender<Report>) {
    let mut tick = tokio::time::interval(HEARTBEAT);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = data_path.pulse().await {
            tracing::error!(%error, "the data path has ended");
            return;
        }
        let heartbeat = Heartbeat {
            connections: data_path.connections() as u64,
            exchanges: data_path.exchanges() as u64,
        };
        if reports.send(Report::Heartbeat(heartbeat)).await.is_err() {
            return;
        }
    }
}

struct Worker {
    serving: Serving,
    identities: Identities,
    /// Keeps the identity fresh.
    _own: Own,
    registry: Registry,
    intake: Intake<ToWorker>,
    reports: mpsc::Sender<Report>,
}

impl Worker {
    async fn run(mut self) -> Result<(), WorkerError> {
        let config = Some(self.serving.connect());
        let version = VERSION.to_owned();
        self.say(Report::Hello(Hello { version, config })).await;
        while let Some(ToWorker { order }) = self.intake.next().await? {
            match order {
                Some(Order::Sockets(sockets)) => {
                    let descriptors = self.intake.descriptors(sockets.addresses.len());
                    self.serving.take(&sockets.addresses, descriptors)?;
                }
                Some(Order::Config(change)) => {
                    let answer = self.serving.change(change)?;
                    self.say(Report::Answer(answer)).await;
                }
                Some(Order::Scrape(scrape)) => self.scrape(scrape.number),
                Some(Order::Log(filter)) => admin::change_log(&filter),
                Some(Order::Signed(signed)) => self.identities.answered(signed),
                Some(Order::Trust(trust)) => self.identities.trust(trust),
                Some(Order::Drain(drain)) => {
                    let limit = Duration::from_millis(drain.limit_ms);
                    return self.drain(limit).await;
                }
                None => {
                    let unknown = "an order of a kind this version does not know".to_owned();
                    return Err(WorkerError::Parent(unknown));
                }
            }
        }
        tracing::warn!("the parent process is gone; the worker ends with it");
        Ok(())
    }

    async fn say(&self, report: Report) {
        // The writer ends with the channel, which `run` notices by itself.
        let _said = self.reports.send(report).await;
    }

    /// Reads the counters beside the main task, which has configurations to apply.
    fn scrape(&self, number: u64) {
        let (registry, reports) = (self.registry.clone(), self.reports.clone());
        tokio::task::spawn_blocking(move || {
            let mut text = registry.encode();
            if text.len() + 64 > FRAME_BYTES {
                tracing::error!(bytes = text.len(), "the metrics are too long to be shown");
                text = String::new();
            }
            // A worker that ends answers nobody.
            let _said = reports.blocking_send(Report::Metrics(Metrics { number, text }));
        });
    }

    /// Lets everything under way finish. What comes on connections that are still open goes where the
    /// configuration of that moment says: until they end, endpoints come and go.
    async fn drain(mut self, limit: Duration) -> Result<(), WorkerError> {
        let data_path = Arc::clone(self.serving.data_path());
        let drained = data_path.drain(limit);
        tokio::pin!(drained);
        let cut = loop {
            tokio::select! {
                cut = &mut drained => break cut,
                order = self.intake.next() => {
                    let Some(ToWorker { order }) = order? else { return Ok(()) };
                    match order {
                        Some(Order::Config(change)) => {
                            let answer = self.serving.change(change)?;
                            self.say(Report::Answer(answer)).await;
                        }
                        Some(Order::Scrape(scrape)) => self.scrape(scrape.number),
                        Some(Order::Signed(signed)) => self.identities.answered(signed),
                        Some(Order::Trust(trust)) => self.identities.trust(trust),
                        // Nothing else matters any more.
                        _ => {}
                    }
                },
            }
        };
        self.say(Report::Drained(Drained { cut: cut as u64 })).await;
        Ok(())
    }
}
