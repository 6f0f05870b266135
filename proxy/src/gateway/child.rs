//! The life of the worker process: started, heard, ended when it hangs, started again.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use weft_certs::Clock;

use super::{Event, backoff::Backoff, sockets::Socket};
use crate::channel::{self, FromWorker, Intake, Order, Outlet, Report, ToWorker};

/// A worker that gives no sign of life for this long is ended.
const SILENCE: Duration = Duration::from_secs(5);
/// Delays between the end of a worker that has not lived and the start of the next.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// A worker that lived this long did not end because of how it started, and the next is started at
/// once: whoever can kill a worker now and then must not be able to keep clients waiting, or the
/// readiness probe failing.
const A_LIFE: Duration = Duration::from_secs(1);
/// Time to leave after the channel was closed, or the last word was said.
const LEAVE: Duration = Duration::from_secs(1);
/// Orders that may wait for a worker. One that does not read so many is ended.
const ORDERS: usize = 64;

/// What happens to workers. Each has a number of its own, so that the end of one is not taken for the
/// end of the next.
#[derive(Debug)]
pub(super) enum Happened {
    /// A process was started.
    Started {
        life: u64,
        orders: mpsc::Sender<ToDeliver>,
    },
    /// It said something.
    Said { life: u64, report: Report },
    /// It is gone.
    Ended { life: u64, why: String },
}

/// An order with the sockets that go with it.
#[derive(Debug)]
pub(super) struct ToDeliver {
    pub(super) order: Order,
    pub(super) sockets: Vec<Socket>,
}

/// How to start a worker.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) arguments: Vec<String>,
    pub(super) clock: Clock,
}

/// A process that does not outlive its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; what it said about that has been read.
        let _killed = self.0.kill();
        let _status = self.0.wait();
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
pub(super) async fn supervise(
    program: Program,
    events: mpsc::Sender<Event>,
    last: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    let mut life = 0;
    while !*last.borrow() {
        life += 1;
        let began = program.clock.read().monotonic;
        let why = match run(&program, life, &events).await {
            Ok(why) => why,
            Err(error) => format!("it could not be started: {error}"),
        };
        let lived = program.clock.read().monotonic.saturating_sub(began);
        if events
            .send(Event::Worker(Happened::Ended { life, why }))
            .await
            .is_err()
        {
            return;
        }
        if lived >= A_LIFE {
            backoff.reset();
        } else {
            tokio::time::sleep(backoff.delay()).await;
        }
    }
}

/// One life; how it ended.
async fn run(program: &Program, life: u64, events: &mpsc::Sender<Event>) -> io::Result<String> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut process = Process(start(program, theirs)?);
    let (outlet, intake) = channel::open::<FromWorker>(ours, 0)?;
    let (orders, waiting) = mpsc::channel(ORDERS);
    let started = Event::Worker(Happened::Started { life, orders });
    if events.send(started).await.is_err() {
        return Ok("the parent ends".to_owned());
    }
    // Both ends of the conversation; the first to end ends the other.
    let ended = tokio::select! {
        why = deliver(outlet, waiting) => End::Lost(why),
        ended = listen(intake, life, events) => ended,
    };
    Ok(match ended {
        End::Left => match leave(&mut process.0).await? {
            Some(status) => format!("it ended with {status}"),
            None => "it closed its channel and stayed; it was killed".to_owned(),
        },
        // Dropping the process kills it.
        End::Lost(why) => format!("{why}; it was killed"),
    })
}

/// Where the authorities of the platform are, if not in the usual places: OpenSSL's variables.
const AUTHORITIES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR"];

fn start(program: &Program, channel: UnixStream) -> io::Result<Child> {
    let places = AUTHORITIES.iter();
    let places = places.filter_map(|name| Some((name, std::env::var_os(name)?)));
    // The very file this process runs, even if its name means another by now. Nothing else of the
    // environment is the worker's business.
    Command::new("/proc/self/exe")
        .args(&program.arguments)
        .env_clear()
        .envs(places)
        .stdin(Stdio::from(OwnedFd::from(channel)))
        .spawn()
}

async fn deliver(mut outlet: Outlet, mut waiting: mpsc::Receiver<ToDeliver>) -> String {
    while let Some(ToDeliver { order, sockets }) = waiting.recv().await {
        let order = Some(order);
        let lent: Vec<BorrowedFd<'_>> = sockets.iter().map(|it| it.listener.as_fd()).collect();
        match timeout(SILENCE, outlet.send(&ToWorker { order }, &lent)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return format!("it took no order for {SILENCE:?}"),
        }
    }
    "it was given up".to_owned()
}

async fn listen(mut intake: Intake<FromWorker>, life: u64, events: &mpsc::Sender<Event>) -> End {
    loop {
        let report = match timeout(SILENCE, intake.next()).await {
            Err(_) => return End::Lost(format!("it gave no sign of life for {SILENCE:?}")),
            Ok(Err(error)) => return End::Lost(error.to_string()),
            Ok(Ok(None)) => return End::Left,
            Ok(Ok(Some(FromWorker { report: None }))) => {
                let unknown = "it said something this version does not know";
                return End::Lost(unknown.to_owned());
            }
            Ok(Ok(Some(FromWorker {
                report: Some(report),
            }))) => report,
        };
        let said = Event::Worker(Happened::Said { life, report });
        if events.send(said).await.is_err() {
            return End::Lost("the parent ends".to_owned());
        }
    }
}

/// Waits a moment for a process to end, and kills it if it does not.
async fn leave(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    const LOOK: Duration = Duration::from_millis(5);
    let left = timeout(LEAVE, async {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    match left.await {
        Ok(status) => status.map(Some),
        Err(_) => {
            child.kill()?;
            child.wait()?;
            Ok(None)
        }
    }
}
