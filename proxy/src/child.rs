//! The life of a worker process: started, heard, ended when it hangs, started again. Whatever it is for
//! and whatever it says.

mod process;
mod restarts;

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prost::Message;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use weft_certs::Clock;

use self::process::Process;
pub(crate) use self::{
    process::{Lasting, Remnant},
    restarts::Restarts,
};
use crate::channel::{self, Intake, Outlet};

/// A worker that gives no sign of life for this long is ended.
const SILENCE: Duration = Duration::from_secs(5);
/// Orders that may wait for a worker. One that does not read so many is ended.
const ORDERS: usize = 64;

/// What a kind of worker and its parent say to each other.
pub(crate) trait Talk: 'static {
    /// What the parent says.
    type To: Message + 'static;
    /// What the worker says, and what of it is meant.
    type From: Message + Default;
    type Report: Send;

    /// Nothing for what this version does not know.
    fn report(message: Self::From) -> Option<Self::Report>;
}

/// What happens to workers. Each has a number of its own, so that the end of one is not taken for the
/// end of the next.
#[derive(Debug)]
pub(crate) enum Happened<R, T> {
    /// A process was started.
    Started {
        life: u64,
        orders: mpsc::Sender<ToDeliver<T>>,
    },
    /// It said something.
    Said { life: u64, report: R },
    /// It is gone.
    Ended { life: u64, why: String },
}

/// A descriptor that a worker gets a duplicate of.
pub(crate) type Lent = Arc<dyn AsFd + Send + Sync>;

/// A message with the descriptors that go with it.
pub(crate) struct ToDeliver<T> {
    pub(crate) message: T,
    pub(crate) descriptors: Vec<Lent>,
}

/// How to start a worker.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The file to run.
    pub(crate) file: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) clock: Clock,
    /// As which user and group it runs; as this process where there is none.
    pub(crate) user: Option<u32>,
    /// The number of its last life; shared by all whose lives are to be told apart.
    pub(crate) lives: Arc<AtomicU64>,
    /// How it outlives this process; if at all.
    pub(crate) lasting: Option<Lasting>,
}

impl Program {
    /// The very file this process runs, even if its name means another by now, with other arguments.
    pub(crate) fn new(arguments: Vec<String>, clock: Clock) -> Self {
        Self {
            file: PathBuf::from("/proc/self/exe"),
            arguments,
            clock,
            user: None,
            lives: Arc::default(),
            lasting: None,
        }
    }
}

/// How a conversation ended.
enum End {
    /// The worker closed it, which it does by ending.
    Left,
    /// There is no talking to it.
    Lost(String),
}

/// Starts one worker after the other until `last` becomes true; the one that runs then is the last.
pub(crate) async fn supervise<T, E>(
    program: Program,
    events: mpsc::Sender<E>,
    last: watch::Receiver<bool>,
) where
    T: Talk,
    E: From<Happened<T::Report, T::To>>,
{
    supervise_from::<T, E>((program, None), events, last).await;
}

/// The same, beginning with a worker that runs already, if there is one.
pub(crate) async fn supervise_from<T, E>(
    (program, mut first): (Program, Option<Remnant>),
    events: mpsc::Sender<E>,
    last: watch::Receiver<bool>,
) where
    T: Talk,
    E: From<Happened<T::Report, T::To>>,
{
    let mut restarts = Restarts::new();
    while first.is_some() || !*last.borrow() {
        let life = program.lives.fetch_add(1, Relaxed) + 1;
        let began = program.clock.read().monotonic;
        let process = Process::begin(&program, first.take());
        let why = match run::<T, E>(process, life, &events).await {
            Ok(why) => why,
            Err(error) => format!("it could not be started: {error}"),
        };
        let lived = program.clock.read().monotonic.saturating_sub(began);
        if events
            .send(Happened::Ended { life, why }.into())
            .await
            .is_err()
        {
            return;
        }
        let delay = restarts.delay_after(lived);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

/// One life; how it ended.
async fn run<T, E>(
    begun: io::Result<(Process, UnixStream)>,
    life: u64,
    events: &mpsc::Sender<E>,
) -> io::Result<String>
where
    T: Talk,
    E: From<Happened<T::Report, T::To>>,
{
    let (mut process, ours) = begun?;
    let (outlet, intake) = channel::open::<T::From>(ours, 0)?;
    let (orders, waiting) = mpsc::channel(ORDERS);
    let started = Happened::Started { life, orders };
    if events.send(started.into()).await.is_err() {
        return Ok("the parent ends".to_owned());
    }
    // Both ends of the conversation; the first to end ends the other.
    let ended = tokio::select! {
        why = deliver(outlet, waiting) => End::Lost(why),
        ended = listen::<T, E>(intake, life, events) => ended,
    };
    match ended {
        End::Left => process.leave().await,
        // Dropping the process kills it.
        End::Lost(why) => Ok(format!("{why}; it was killed")),
    }
}

async fn deliver<T: Message>(
    mut outlet: Outlet,
    mut waiting: mpsc::Receiver<ToDeliver<T>>,
) -> String {
    while let Some(order) = waiting.recv().await {
        let lent: Vec<BorrowedFd<'_>> = order.descriptors.iter().map(|it| it.as_fd()).collect();
        match timeout(SILENCE, outlet.send(&order.message, &lent)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return format!("it took no order for {SILENCE:?}"),
        }
    }
    "it was given up".to_owned()
}

async fn listen<T, E>(mut intake: Intake<T::From>, life: u64, events: &mpsc::Sender<E>) -> End
where
    T: Talk,
    E: From<Happened<T::Report, T::To>>,
{
    loop {
        let message = match timeout(SILENCE, intake.next()).await {
            Err(_) => return End::Lost(format!("it gave no sign of life for {SILENCE:?}")),
            Ok(Err(error)) => return End::Lost(error.to_string()),
            Ok(Ok(None)) => return End::Left,
            Ok(Ok(Some(message))) => message,
        };
        let Some(report) = T::report(message) else {
            let unknown = "it said something this version does not know";
            return End::Lost(unknown.to_owned());
        };
        let said = Happened::Said { life, report };
        if events.send(said.into()).await.is_err() {
            return End::Lost("the parent ends".to_owned());
        }
    }
}
