//! Sockets that the supervisor makes in the namespaces of pods: a few of each pod are kept, so that a
//! connection need not wait for them.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpSocket,
    sync::{mpsc, oneshot},
    time::timeout,
};
use weft_forward::{Awaited, Sockets as Source};
use weft_intercept::capture::Family;

use crate::node::{
    Hold,
    messages::{Held, Report, Sockets, Want, family, number},
};

/// Sockets that are asked for at a time: as many as one message carries.
const BATCH: u32 = 64;
/// Fewer than these, and more are asked for.
const FEW: usize = 16;
/// How long a connection waits for a socket: the supervisor may be starting again.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sockets of every pod. Cheap to clone.
#[derive(Clone)]
pub(super) struct Broker {
    reports: mpsc::Sender<Report>,
    /// Look-ups only; no await is inside.
    stocks: Arc<Mutex<HashMap<(Hold, Family), Stock>>>,
}

#[derive(Default)]
struct Stock {
    ready: Vec<OwnedFd>,
    waiting: VecDeque<oneshot::Sender<OwnedFd>>,
    /// Whether some have been asked for. There is one question at a time; who waits for more sockets
    /// than it brings waits for the next.
    is_asked: bool,
}

impl Stock {
    /// Gives a socket to who waits longest, or keeps it.
    fn give(&mut self, mut socket: OwnedFd) {
        while let Some(waiting) = self.waiting.pop_front() {
            match waiting.send(socket) {
                Ok(()) => return,
                // By who has given up.
                Err(back) => socket = back,
            }
        }
        self.ready.push(socket);
    }

    /// Whether it is time to ask, which then is being done.
    fn is_to_ask(&mut self) -> bool {
        let is_to_ask = !self.is_asked && (self.ready.len() < FEW);
        self.is_asked |= is_to_ask;
        is_to_ask
    }
}

/// The sockets of one pod.
#[derive(Clone)]
pub(super) struct OfPod {
    broker: Broker,
    held: Held,
}

impl Broker {
    pub(super) fn new(reports: mpsc::Sender<Report>) -> Self {
        Self {
            reports,
            stocks: Arc::default(),
        }
    }

    pub(super) fn of(&self, held: Held) -> OfPod {
        OfPod {
            broker: self.clone(),
            held,
        }
    }

    /// What was asked for has come.
    pub(super) async fn take(&self, held: Held, said: &Sockets, sockets: Vec<OwnedFd>) {
        if let Some(family) = family(said.family)
            && self.store(held, family, &said.error, sockets)
        {
            self.ask(held, family).await;
        }
    }

    /// Gives sockets to who waits and keeps the rest; whether more have to be asked for.
    fn store(&self, held: Held, family: Family, error: &str, sockets: Vec<OwnedFd>) -> bool {
        let mut stocks = self.lock();
        // A pod that has gone meanwhile has no stock, and its sockets are closed here.
        let Some(stock) = stocks.get_mut(&(held.into(), family)) else {
            return false;
        };
        stock.is_asked = false;
        for socket in sockets {
            stock.give(socket);
        }
        if error.is_empty() {
            return stock.is_to_ask();
        }
        tracing::warn!("no sockets for connections of a pod: {error}");
        // They are told at once, and not when their patience ends. Whoever comes next asks again.
        stock.waiting.clear();
        false
    }

    async fn ask(&self, held: Held, family: Family) {
        let want = Want {
            hold: Some(held),
            family: number(family),
            count: BATCH,
        };
        // With the supervisor this process ends.
        let _asked = self.reports.send(Report::Want(want)).await;
    }

    /// The pod has gone.
    pub(super) fn forget(&self, held: Held) {
        let hold: Hold = held.into();
        self.lock().retain(|(of, _), _| *of != hold);
    }

    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, HashMap<(Hold, Family), Stock>> {
        self.stocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfPod {
    /// A socket that is neither bound nor connected, in the namespace of the pod.
    ///
    /// # Errors
    /// `TimedOut` when the supervisor makes none in time, `NotConnected` when it cannot.
    pub(super) async fn socket(&self, family: Family) -> io::Result<TcpSocket> {
        let (socket, is_to_ask) = self.find(family);
        if is_to_ask {
            self.broker.ask(self.held, family).await;
        }
        let socket = match socket {
            Ok(socket) => socket,
            Err(comes) => timeout(PATIENCE, comes)
                .await
                .map_err(|_elapsed| io::ErrorKind::TimedOut)?
                .map_err(|_closed| io::ErrorKind::NotConnected)?,
        };
        Ok(TcpSocket::from_std_stream(socket.into()))
    }

    /// One that is there, or that will come; and whether more have to be asked for.
    fn find(&self, family: Family) -> (Result<OwnedFd, oneshot::Receiver<OwnedFd>>, bool) {
        let mut stocks = self.broker.lock();
        let stock = stocks.entry((self.held.into(), family)).or_default();
        let found = stock.ready.pop().ok_or_else(|| {
            let (here, comes) = oneshot::channel();
            stock.waiting.push_back(here);
            comes
        });
        (found, stock.is_to_ask())
    }
}

impl Source for OfPod {
    fn socket(&self, to: SocketAddr) -> Awaited<'_> {
        Box::pin(self.socket(Family::of(to.ip())))
    }
}
