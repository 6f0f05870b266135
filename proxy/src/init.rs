//! The first process of a node's proxy: it starts the supervisor, keeps what that one leaves when it dies,
//! and starts the next.
//!
//! ```text
//!  init ── starts ──> supervisor ── starts ──> workers
//!   │ <── listeners of pods, lifelines of workers ──┘      (whose parent `init` becomes when it dies)
//! ```
//!
//! So the death of a supervisor is no end of anything: listeners and workers are those that were there
//! before, and the supervisor that follows goes on with them. This process reads neither what pods say nor
//! what the control plane says, and has no privilege in force; those it has, it has for the supervisors.

pub(crate) mod store;

use std::{
    env::var_os,
    ffi::OsString,
    io,
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, parent_id},
    },
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use rustix::{
    io::ioctl_fionbio,
    process::{
        Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, wait,
    },
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities},
};
use tokio::{
    io::Interest,
    net::UnixStream,
    signal::unix::{Signal as Arrivals, SignalKind, signal},
    time::sleep,
};
use weft_certs::Clock;

use self::store::{Kept, Read};
use crate::{
    child::Restarts,
    open_files,
    signals::{self, Signals},
};

/// Names of the variable by which a supervisor is told who started `init`.
const HOST_PROCESS: &str = "WEFT_HOST_PROCESS";
/// Name of the variable by which jemalloc is told how to manage memory (jemalloc(3), "TUNING").
pub(crate) const ALLOCATION: &str = "_RJEM_MALLOC_CONF";
/// One arena, where there would be four for each processor: one thread of a supervisor or of a worker of a
/// node does nearly everything, and each arena that is used keeps memory of its own.
const ONE_ARENA: &str = "narenas:1";

/// What the supervisor is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The arguments of `weft-proxy node`.
    pub arguments: Vec<OsString>,
    /// A process in the network and the file system of the node; the one that started this, if none is
    /// named.
    pub host_process: Option<u32>,
}

/// How a supervisor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By itself.
    Exited(u8),
    /// By a signal.
    Killed(i32),
}

impl End {
    fn of(status: WaitStatus) -> Self {
        let code = status.exit_status().and_then(|it| u8::try_from(it).ok());
        match (code, status.terminating_signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Killed(signal.unwrap_or_default()),
        }
    }

    /// The same, as the end of this process (bash(1), "EXIT STATUS").
    fn code(self) -> ExitCode {
        match self {
            Self::Exited(code) => code.into(),
            Self::Killed(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX).into(),
        }
    }
}

/// Has a supervisor until it ends in order, and then ends as it did. One that cannot even begin, so that
/// nothing is there to be kept, has ended in order: whoever started this process is to see it.
///
/// # Errors
/// When the system refuses what this process needs.
pub fn run(settings: Settings) -> io::Result<ExitCode> {
    open_files::raise();
    let (runtime, signals) = signals::listening()?;
    // Workers become children of this process when their supervisor dies.
    set_child_subreaper(Some(getpid()))?;
    rest_privileges()?;
    let children = {
        let _inside = runtime.enter();
        signal(SignalKind::child())?
    };
    let init = Init {
        settings,
        clock: Clock::system(),
        kept: Kept::default(),
        signals,
        children,
        is_ending: false,
    };
    runtime.block_on(init.live())
}

/// Keeps privileges for supervisors to start with, and has none in force.
fn rest_privileges() -> io::Result<()> {
    let held = capabilities(None)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: CapabilitySet::empty(),
            ..held
        },
    )?;
    Ok(())
}

struct Init {
    settings: Settings,
    clock: Clock,
    kept: Kept,
    signals: Signals,
    children: Arrivals,
    /// Whether it was asked to.
    is_ending: bool,
}

impl Init {
    async fn live(mut self) -> io::Result<ExitCode> {
        let mut restarts = Restarts::new();
        loop {
            let began = self.clock.read().monotonic;
            match self.supervise().await {
                Ok(End::Exited(0)) => return Ok(ExitCode::SUCCESS),
                Ok(ended) if self.kept.is_empty() => return Ok(ended.code()),
                Ok(ended) => {
                    tracing::error!(?ended, "the supervisor is gone; workers go on without it");
                }
                Err(error) if self.kept.is_empty() => return Err(error),
                Err(error) => tracing::error!("no supervisor: {error}; workers go on without it"),
            }
            let lived = self.clock.read().monotonic.saturating_sub(began);
            let delay = restarts.delay_after(lived);
            if !delay.is_zero() {
                self.pause(delay).await;
            }
        }
    }

    /// One supervisor, from start to end. An error is that there was none.
    async fn supervise(&mut self) -> io::Result<End> {
        let (ours, theirs) = store::pair()?;
        let supervisor = self.start(theirs)?;
        let mut words = match self.hand_over(ours) {
            Ok(words) => Some(words),
            Err(error) => {
                tracing::error!("the supervisor does not take over and is ended: {error}");
                // If it is gone, that is heard of below.
                let _gone = kill_process(supervisor, Signal::KILL);
                None
            }
        };
        // All branches may be dropped at any point.
        loop {
            tokio::select! {
                goes_on = hear(words.as_ref(), &mut self.kept) => if !goes_on {
                    words = None;
                },
                () = self.signals.next() => {
                    self.is_ending = true;
                    // As above.
                    let _gone = kill_process(supervisor, Signal::TERM);
                }
                _ = self.children.recv() => {
                    let Some(ended) = reap(supervisor) else { continue };
                    // What it said last is kept, too.
                    while words.as_ref().is_some_and(|it| goes_on(self.kept.read(it))) {}
                    return Ok(ended);
                }
            }
        }
    }

    /// The supervisor reads while this writes, and this reads when there is something.
    fn hand_over(&self, socket: OwnedFd) -> io::Result<UnixStream> {
        self.kept.hand_over(&socket, self.is_ending)?;
        ioctl_fionbio(&socket, true)?;
        UnixStream::from_std(socket.into())
    }

    /// It is reaped with all other children, most of which this process did not start.
    fn start(&self, store: OwnedFd) -> io::Result<Pid> {
        let host = self.settings.host_process.unwrap_or_else(parent_id);
        let allocation = var_os(ALLOCATION).unwrap_or_else(|| ONE_ARENA.into());
        let child = Command::new("/proc/self/exe")
            .arg0("weft-proxy")
            .args(["node", "--kept"])
            .args(&self.settings.arguments)
            .env(HOST_PROCESS, host.to_string())
            .env(ALLOCATION, allocation)
            .stdin(Stdio::from(store))
            .spawn()?;
        let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        number.ok_or_else(|| io::Error::other("a process without a number"))
    }

    /// Waits before another attempt, but not to end.
    async fn pause(&mut self, delay: Duration) {
        tokio::select! {
            () = sleep(delay) => {}
            () = self.signals.next() => self.is_ending = true,
        }
    }
}

/// Takes what a supervisor says next; whether there may be more.
async fn hear(words: Option<&UnixStream>, kept: &mut Kept) -> bool {
    match words {
        Some(words) => goes_on(
            words
                .async_io(Interest::READABLE, || kept.read(words))
                .await,
        ),
        None => std::future::pending().await,
    }
}

/// Whether there may be more to read.
fn goes_on(read: io::Result<Read>) -> bool {
    match read {
        Ok(read) => read == Read::Packet,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
        Err(error) => {
            tracing::error!("something is not kept for the supervisor that follows: {error}");
            error.kind() == io::ErrorKind::InvalidData
        }
    }
}

/// Lets go of every child that has ended; how the supervisor did, if it is one of them.
fn reap(supervisor: Pid) -> Option<End> {
    let mut ended = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((child, status))) if child == supervisor => ended = Some(End::of(status)),
            Ok(Some((child, status))) => {
                tracing::info!(?child, ended = ?End::of(status), "a worker has ended");
            }
            // There is none, or none that has ended.
            Ok(None) | Err(_) => return ended,
        }
    }
}
