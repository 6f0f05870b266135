//! The supervisors of a worker, one after the other: a channel of its own to each, and what of the worker
//! knows none of them in particular.

use std::{
    fmt, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net,
    },
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{io::Interest, net::UnixStream, sync::mpsc, time::MissedTickBehavior};

use crate::{
    channel::Outlet,
    identity::{Ask, Asked, Csr},
    node::messages::{FromShard, Report},
};

/// Time between two signs of life; the parent ends a worker that gives none for five times as long.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// Over which a worker is given channels. There is a supervisor, or will be one, as long as somebody has
/// the other end.
pub(super) struct Lifeline(UnixStream);

impl Lifeline {
    /// Standard input, which was given so.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn open() -> io::Result<net::UnixStream> {
        let lifeline = net::UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // Anything but a socket has no peer.
        lifeline.peer_addr()?;
        lifeline.set_nonblocking(true)?;
        Ok(lifeline)
    }

    /// # Errors
    /// When it cannot be watched.
    pub(super) fn new(lifeline: net::UnixStream) -> io::Result<Self> {
        Ok(Self(UnixStream::from_std(lifeline)?))
    }

    /// A channel to the next supervisor; `None` when there will be none. Cancel safe.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn next(&self) -> io::Result<Option<net::UnixStream>> {
        loop {
            let mut came: Vec<OwnedFd> = Vec::new();
            let receive = || weft_intercept::receive(&self.0, &mut [0; 64], &mut came);
            let bytes = match self.0.async_io(Interest::READABLE, receive).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
                other => other?,
            };
            if bytes == 0 {
                return Ok(None);
            }
            // Of several that came at once the last is of the supervisor that is there.
            if let Some(channel) = came.pop() {
                return Ok(Some(channel.into()));
            }
        }
    }
}

/// A way to the supervisor that is there. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Parent(Arc<Mutex<Option<mpsc::Sender<Report>>>>);

impl Parent {
    /// The queue of the present supervisor, and of no other.
    pub(super) fn present(&self) -> Option<mpsc::Sender<Report>> {
        self.lock().clone()
    }

    /// Says something to the present supervisor; whether there is one. What is said to nobody is lost: the
    /// supervisor that follows is told anew what it has to know.
    pub(super) async fn say(&self, report: Report) -> bool {
        match self.present() {
            Some(present) => present.send(report).await.is_ok(),
            None => false,
        }
    }

    /// There is another one, or none any more.
    pub(super) fn is_now(&self, present: Option<mpsc::Sender<Report>>) {
        *self.lock() = present;
    }

    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, Option<mpsc::Sender<Report>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says every second that all is well, which it is when this task has its turn.
pub(super) async fn live(parent: Parent, open: Arc<AtomicU64>) {
    let mut tick = tokio::time::interval(HEARTBEAT);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // Nobody misses it where there is no supervisor.
        let _said = parent.say(Report::Heartbeat(open.load(Relaxed))).await;
    }
}

/// Writes down what is said to one supervisor.
pub(super) async fn write(mut outlet: Outlet, mut waiting: mpsc::Receiver<Report>) {
    while let Some(report) = waiting.recv().await {
        let report = Some(report);
        if let Err(error) = outlet.send(&FromShard { report }, &[]).await {
            tracing::debug!(%error, "the supervisor cannot be told");
            return;
        }
    }
}

impl fmt::Debug for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parent")
    }
}

impl Ask for Parent {
    fn ask(&self, csr: Csr) -> Asked<'_> {
        Box::pin(self.say(csr.into()))
    }
}
