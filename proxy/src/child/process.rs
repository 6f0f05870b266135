//! The process of a worker: started, or left by a parent that is gone; and killed.
//!
//! A worker that does not outlast its parent has one end of its channel as standard input. One that does
//! has a *lifeline* there instead, over which each parent that it has sends it a channel. It lives as long
//! as somebody has the other end of the lifeline, which is kept for the parent that follows.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::timeout;

use super::Program;
use crate::init::{ALLOCATION, store::Store};

/// Time to leave after the channel was closed, or the last word was said.
const LEAVE: Duration = Duration::from_secs(1);
/// What a worker inherits: where the authorities of the platform are, if not in the usual places (OpenSSL's
/// variables), and how memory is managed (jemalloc's).
const INHERITED: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR", ALLOCATION];
/// What comes with a channel, because something has to.
const CHANNEL: &[u8] = b"c";

/// How workers outlast this process.
#[derive(Clone, Debug)]
pub(crate) struct Lasting {
    /// What they are called, for those who find them.
    pub(crate) name: String,
    /// Where their lifelines are kept. Nowhere: they end with this process nevertheless.
    pub(crate) store: Option<Store>,
}

/// What is kept of a worker.
#[derive(Debug)]
pub(crate) struct Remnant {
    /// Under which name.
    kept_as: String,
    lifeline: OwnedFd,
    /// It itself (pidfd_open(2)), whatever its number means by now.
    process: OwnedFd,
}

impl Remnant {
    /// What was kept under this name, and what the worker is called; nothing if that is no worker.
    pub(crate) fn read(kept_as: &str, descriptors: Vec<OwnedFd>) -> Option<(String, Self)> {
        let (_number, name) = kept_as.strip_prefix("worker ")?.split_once(' ')?;
        let [lifeline, process] = <[OwnedFd; 2]>::try_from(descriptors).ok()?;
        let remnant = Self {
            kept_as: kept_as.to_owned(),
            lifeline,
            process,
        };
        Some((name.to_owned(), remnant))
    }

    /// Ends a worker that nobody needs.
    pub(crate) fn end(self, store: &Store) {
        store.forget(&self.kept_as);
        kill(&self.process);
    }
}

/// A process that does not outlive its owner, unless that is killed.
pub(super) struct Process {
    /// Where this process has started it.
    child: Option<Child>,
    lasting: Option<(Option<Store>, Remnant)>,
}

impl Process {
    /// Goes on with a worker that is there, or starts one; and the channel to it.
    pub(super) fn begin(
        program: &Program,
        there: Option<Remnant>,
    ) -> io::Result<(Self, UnixStream)> {
        let Some(Lasting { name, store }) = program.lasting.clone() else {
            let (ours, theirs) = UnixStream::pair()?;
            let process = Self {
                child: Some(start(program, theirs)?),
                lasting: None,
            };
            return Ok((process, ours));
        };
        if let Some(remnant) = there {
            let process = Self {
                child: None,
                lasting: Some((store.clone(), remnant)),
            };
            // One that is dead by now is as good as none.
            match process.connect() {
                Ok(ours) => return Ok((process, ours)),
                Err(error) => tracing::warn!("worker `{name}` is gone: {error}"),
            }
        }
        let (lifeline, theirs) = UnixStream::pair()?;
        let mut child = start(program, theirs)?;
        let remnant = number(&child).and_then(|number| {
            Ok(Remnant {
                kept_as: format!("worker {} {name}", number.as_raw_nonzero()),
                lifeline: lifeline.into(),
                process: pidfd_open(number, PidfdFlags::empty())?,
            })
        });
        let remnant = remnant.inspect_err(|_| end(&mut child))?;
        if let Some(store) = &store {
            let kept = [remnant.lifeline.as_fd(), remnant.process.as_fd()];
            store.keep(&remnant.kept_as, &kept);
        }
        let process = Self {
            child: Some(child),
            lasting: Some((store, remnant)),
        };
        let ours = process.connect()?;
        Ok((process, ours))
    }

    /// Another channel to one that outlasts its parents.
    fn connect(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        if let Some((_, remnant)) = &self.lasting {
            weft_intercept::send(&remnant.lifeline, CHANNEL, &[theirs.as_fd()])?;
        }
        Ok(ours)
    }

    /// Waits a moment for it to end, after it has closed its channel; how it ended.
    pub(super) async fn leave(&mut self) -> io::Result<String> {
        const LOOK: Duration = Duration::from_millis(5);
        let Some(child) = &mut self.child else {
            // Who has started it is gone. It is killed if it has not ended.
            return Ok("it ended".to_owned());
        };
        let left = timeout(LEAVE, async {
            loop {
                if let Some(status) = child.try_wait()? {
                    return io::Result::Ok(status);
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Ok(match left.await {
            Ok(status) => format!("it ended with {}", status?),
            Err(_) => "it closed its channel and stayed; it was killed".to_owned(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some((store, remnant)) = self.lasting.take() {
            match store {
                Some(store) => remnant.end(&store),
                None => kill(&remnant.process),
            }
        }
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself; what it said about that has been read.
    let _killed = child.kill();
    let _status = child.wait();
}

fn kill(process: &OwnedFd) {
    // As above.
    let _killed = pidfd_send_signal(process, Signal::KILL);
}

fn number(child: &Child) -> io::Result<Pid> {
    let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    number.ok_or_else(|| io::Error::other("a process without a number"))
}

fn start(program: &Program, input: UnixStream) -> io::Result<Child> {
    let inherited = INHERITED.iter();
    let inherited = inherited.filter_map(|name| Some((name, std::env::var_os(name)?)));
    // Nothing else of the environment is the worker's business.
    let mut command = Command::new(&program.file);
    command
        .args(&program.arguments)
        .env_clear()
        .envs(inherited)
        .stdin(Stdio::from(OwnedFd::from(input)));
    if let Some(user) = program.user {
        // Which also gives up the groups beside.
        command.uid(user).gid(user);
    }
    command.spawn()
}
