//! Sockets that the supervisor makes in the namespaces of pods: a few of each pod are kept, so that a
//! connection need not wait for them.

use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpSocket,
    sync::{mpsc, oneshot},
    time::timeout,
};
use weft_intercept::capture::Family;

use crate::node::{
    Hold,
    messages::{Held, Report, Sockets, Want, family, number},
};

/// Sockets that are asked for at a time.
const BATCH: u32 = 32;
/// Fewer than these, with those under way, and more are asked for.
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
    under_way: usize,
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
    pub(super) fn take(&self, held: Held, said: &Sockets, sockets: Vec<OwnedFd>) {
        let Some(family) = family(said.family) else {
            return;
        };
        let mut stocks = self.lock();
        // A pod that has gone meanwhile has no stock, and its sockets are closed here.
        let Some(stock) = stocks.get_mut(&(held.into(), family)) else {
            return;
        };
        let asked = usize::try_from(said.asked).unwrap_or(usize::MAX);
        stock.under_way = stock.under_way.saturating_sub(asked);
        for socket in sockets {
            let mut socket = Some(socket);
            while let (Some(one), Some(waiting)) = (socket.take(), stock.waiting.pop_front()) {
                // Given back by who has given up waiting.
                socket = waiting.send(one).err();
            }
            stock.ready.extend(socket);
        }
        if !said.error.is_empty() {
            tracing::warn!("no sockets for connections of a pod: {}", said.error);
            // They are told at once, and not when their patience ends.
            stock.waiting.clear();
        }
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
        let (socket, wanted) = self.find(family);
        if wanted {
            let want = Want {
                hold: Some(self.held),
                family: number(family),
                count: BATCH,
            };
            // With the supervisor this process ends.
            let _asked = self.broker.reports.send(Report::Want(want)).await;
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
        let free = stock.ready.len() + stock.under_way;
        let wanted = free < FEW + stock.waiting.len();
        if wanted {
            stock.under_way += BATCH as usize;
        }
        (found, wanted)
    }
}
