//! The worker of a node's pods: the process that accepts what pods dial and what is dialled to them.
//!
//! It is started by the supervisor with one end of a channel as standard input, and has nothing else: no
//! privilege, no token, no way to make a socket. Listeners come over the channel and say, by which of
//! them a connection came, whose connection it is; sockets to dial with are made by the supervisor, in
//! the namespace of the same pod. When the channel ends, so does it.

mod broker;
mod passing;
mod pod;

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

use tokio::{sync::mpsc, time::MissedTickBehavior};

use self::{
    broker::Broker,
    pod::{Given, Pod},
};
use crate::{
    channel::{self, ChannelError, Intake, VERSION, WAITING_DESCRIPTORS},
    node::{
        Hold,
        messages::{Assign, FromShard, Held, Order, Refused, Report, Revoke, Sockets, ToShard},
    },
    worker::confine::{self, ConfineError, Work},
};

/// Time between two signs of life; the parent ends a worker that gives none for five times as long.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Reports that may wait to be written. A parent that does not read makes the worker wait.
const REPORTS: usize = 64;

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
    /// The supervisor said something that makes no sense.
    #[error("the supervisor is not understood: {0}")]
    Supervisor(String),
}

impl From<ChannelError> for ShardError {
    fn from(error: ChannelError) -> Self {
        Self::Supervisor(error.to_string())
    }
}

/// Serves until the supervisor is gone.
///
/// # Errors
/// See [`ShardError`].
pub fn run() -> Result<(), ShardError> {
    confine::give_up().map_err(ConfineError::from)?;
    let channel = io::stdin().as_fd().try_clone_to_owned();
    let channel = UnixStream::from(channel.map_err(ShardError::NotAChild)?);
    // Anything but a socket has no peer.
    channel.peer_addr().map_err(ShardError::NotAChild)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ShardError::Start)?;
    runtime.block_on(serve(channel))
}

async fn serve(channel: UnixStream) -> Result<(), ShardError> {
    let (mut outlet, mut intake) =
        channel::open::<ToShard>(channel, WAITING_DESCRIPTORS).map_err(ShardError::NotAChild)?;
    confine::confine(Work::Pods)?;
    let (reports, mut waiting) = mpsc::channel::<Report>(REPORTS);
    tokio::spawn(async move {
        while let Some(report) = waiting.recv().await {
            let report = Some(report);
            if let Err(error) = outlet.send(&FromShard { report }, &[]).await {
                tracing::error!(%error, "the supervisor cannot be told");
                return;
            }
        }
    });
    let mut worker = Worker {
        broker: Broker::new(reports.clone()),
        reports,
        pods: BTreeMap::new(),
        open: Arc::default(),
    };
    worker.say(Report::Hello(VERSION.to_owned())).await;
    tokio::spawn(live(worker.reports.clone(), Arc::clone(&worker.open)));
    while let Some(ToShard { order }) = intake.next().await? {
        match order {
            Some(Order::Assign(assign)) => worker.assign(assign, &mut intake).await?,
            Some(Order::Revoke(revoke)) => worker.revoke(&revoke)?,
            Some(Order::Sockets(sockets)) => worker.take(&sockets, &mut intake).await?,
            Some(
                Order::Change(_)
                | Order::Signed(_)
                | Order::Trust(_)
                | Order::Drain(_)
                | Order::Scrape(_),
            )
            | None => {
                let unknown = "an order of a kind this version does not know".to_owned();
                return Err(ShardError::Supervisor(unknown));
            }
        }
    }
    tracing::warn!("the supervisor is gone; the worker ends with it");
    Ok(())
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
    broker: Broker,
    reports: mpsc::Sender<Report>,
    pods: BTreeMap<Hold, Pod>,
    /// Connections that are open.
    open: Arc<AtomicU64>,
}

impl Worker {
    async fn say(&self, report: Report) {
        // The writer ends with the channel, which `serve` notices by itself.
        let _said = self.reports.send(report).await;
    }

    async fn assign(
        &mut self,
        assign: Assign,
        intake: &mut Intake<ToShard>,
    ) -> Result<(), ShardError> {
        let held = named(assign.hold)?;
        let descriptors = intake.descriptors(assign.listeners.len());
        let given = Given::read(&assign, descriptors);
        let taken = given.and_then(|given| {
            let broker = self.broker.of(held);
            Pod::serve(given, broker, Arc::clone(&self.open))
        });
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
        let (pod, reports, broker) = (
            self.pods.remove(&held.into()),
            self.reports.clone(),
            self.broker.clone(),
        );
        tokio::spawn(async move {
            if let Some(pod) = pod {
                pod.drain(limit).await;
            }
            broker.forget(held);
            // The supervisor learns of the end of this process, too.
            let _said = reports.send(Report::Released(held)).await;
        });
        Ok(())
    }

    async fn take(
        &mut self,
        sockets: &Sockets,
        intake: &mut Intake<ToShard>,
    ) -> Result<(), ShardError> {
        let count = usize::try_from(sockets.count).unwrap_or(usize::MAX);
        let descriptors = intake.descriptors(count);
        let held = named(sockets.hold)?;
        self.broker.take(held, sockets, descriptors).await;
        Ok(())
    }
}

fn named(held: Option<Held>) -> Result<Held, ShardError> {
    held.ok_or_else(|| ShardError::Supervisor("an order that names no pod".to_owned()))
}
