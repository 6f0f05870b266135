//! Sockets that the supervisor makes in the namespaces of pods: a few of each pod are kept, so that a
//! connection need not wait for them.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::TcpSocket, sync::oneshot, time::timeout};
use weft_forward::{Awaited, Sockets as Source};
use weft_intercept::capture::Family;

use super::parent::Parent;
use crate::node::{
    Hold,
    messages::{Held, Report, Sockets, Want, family, number},
};

/// Sockets that are asked for at a time: as many as one message carries.
const BATCH: u32 = 64;
/// Fewer than these, and more are asked for.
const FEW: usize = 16;
/// What is asked for before anybody needs one: for the first connections of a pod, which may begin with one.
const FIRST: u32 = 4;
/// How long a connection waits for a socket: the supervisor may be starting again.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sockets of every pod. Cheap to clone.
#[derive(Clone)]
pub(super) struct Broker {
    parent: Parent,
    /// The pods that the present supervisor knows, by its names for them. Look-ups only; no await is
    /// inside.
    pods: Arc<Mutex<HashMap<Hold, OfPod>>>,
}

/// The sockets of one pod. Cheap to clone.
#[derive(Clone)]
pub(super) struct OfPod {
    parent: Parent,
    /// Look-ups only; no await is inside.
    stocks: Arc<Mutex<Stocks>>,
}

#[derive(Default)]
struct Stocks {
    /// What the present supervisor calls the pod; nothing before it does.
    held: Option<Held>,
    v4: Stock,
    v6: Stock,
}

#[derive(Default)]
struct Stock {
    ready: Vec<OwnedFd>,
    waiting: VecDeque<oneshot::Sender<OwnedFd>>,
    /// Whether some have been wanted at all.
    is_used: bool,
    /// Whether some have been asked for. There is one question at a time; who waits for more sockets
    /// than it brings waits for the next.
    is_asked: bool,
}

impl Stocks {
    fn of(&mut self, family: Family) -> &mut Stock {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    /// A question for more, if it is time for it, which then is being asked.
    fn wants(&mut self, family: Family) -> Option<Want> {
        let held = self.held?;
        let stock = self.of(family);
        let is_to_ask = stock.is_used && !stock.is_asked && stock.ready.len() < FEW;
        stock.is_asked |= is_to_ask;
        is_to_ask.then(|| want(held, family, BATCH))
    }

    /// The question for the first ones, before there is need of them.
    fn begins(&mut self, family: Family) -> Option<Want> {
        let held = self.held?;
        let stock = self.of(family);
        let is_new = !stock.is_used && !stock.is_asked && stock.ready.is_empty();
        stock.is_asked |= is_new;
        is_new.then(|| want(held, family, FIRST))
    }
}

fn want(held: Held, family: Family, count: u32) -> Want {
    Want {
        hold: Some(held),
        family: number(family),
        count,
    }
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
}

impl Broker {
    pub(super) fn new(parent: Parent) -> Self {
        Self {
            parent,
            pods: Arc::default(),
        }
    }

    /// Those of a pod that is new.
    pub(super) fn of(&self, held: Held) -> OfPod {
        let pod = OfPod {
            parent: self.parent.clone(),
            stocks: Arc::default(),
        };
        pod.lock().held = Some(held);
        self.lock().insert(held.into(), pod.clone());
        pod
    }

    /// There is another supervisor, which knows no pod yet.
    pub(super) fn begin_anew(&self) {
        for (_, pod) in self.lock().drain() {
            let mut stocks = pod.lock();
            stocks.held = None;
            for family in Family::ALL {
                stocks.of(family).is_asked = false;
            }
        }
    }

    /// The present supervisor knows a pod that was there before. What an earlier one was asked for, it is
    /// asked for now.
    pub(super) async fn go_on(&self, pod: &OfPod, held: Held) {
        pod.lock().held = Some(held);
        self.lock().insert(held.into(), pod.clone());
        for family in Family::ALL {
            let want = pod.lock().wants(family);
            pod.ask(want).await;
        }
    }

    /// What was asked for has come. For a pod that has gone meanwhile it is closed.
    pub(super) async fn take(&self, held: Held, said: &Sockets, sockets: Vec<OwnedFd>) {
        let pod = self.lock().get(&held.into()).cloned();
        if let (Some(pod), Some(family)) = (pod, family(said.family)) {
            let want = pod.store(family, &said.error, sockets);
            pod.ask(want).await;
        }
    }

    /// The pod has gone. Another one may have its name by now, from another supervisor.
    pub(super) fn forget(&self, gone: &OfPod) {
        self.lock()
            .retain(|_, pod| !Arc::ptr_eq(&pod.stocks, &gone.stocks));
    }

    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, HashMap<Hold, OfPod>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfPod {
    /// A socket that is neither bound nor connected, in the namespace of the pod.
    ///
    /// # Errors
    /// `TimedOut` when the supervisor makes none in time, `NotConnected` when it cannot.
    pub(super) async fn socket(&self, family: Family) -> io::Result<TcpSocket> {
        let (socket, want) = self.find(family);
        self.ask(want).await;
        let socket = match socket {
            Ok(socket) => socket,
            Err(comes) => timeout(PATIENCE, comes)
                .await
                .map_err(|_elapsed| io::ErrorKind::TimedOut)?
                .map_err(|_closed| io::ErrorKind::NotConnected)?,
        };
        Ok(TcpSocket::from_std_stream(socket.into()))
    }

    /// Has a few of a pod that is new, of the families it has addresses of: its first connection is not to
    /// wait until the supervisor has its turn.
    pub(super) async fn begin(&self, ips: &[IpAddr]) {
        let families: BTreeSet<_> = ips.iter().map(|ip| Family::of(*ip)).collect();
        for family in families {
            let want = self.lock().begins(family);
            self.ask(want).await;
        }
    }

    /// One that is there, or that will come; and what has to be asked for.
    fn find(&self, family: Family) -> (Result<OwnedFd, oneshot::Receiver<OwnedFd>>, Option<Want>) {
        let mut stocks = self.lock();
        let stock = stocks.of(family);
        stock.is_used = true;
        let found = stock.ready.pop().ok_or_else(|| {
            let (here, comes) = oneshot::channel();
            stock.waiting.push_back(here);
            comes
        });
        (found, stocks.wants(family))
    }

    /// Gives sockets to who waits and keeps the rest; what else has to be asked for.
    fn store(&self, family: Family, error: &str, sockets: Vec<OwnedFd>) -> Option<Want> {
        let mut stocks = self.lock();
        let stock = stocks.of(family);
        stock.is_asked = false;
        for socket in sockets {
            stock.give(socket);
        }
        if error.is_empty() {
            return stocks.wants(family);
        }
        tracing::warn!("no sockets for connections of a pod: {error}");
        // They are told at once, and not when their patience ends. Whoever comes next asks again.
        stock.waiting.clear();
        None
    }

    async fn ask(&self, want: Option<Want>) {
        if let Some(want) = want {
            // If there is no supervisor, the one that follows is asked.
            let _asked = self.parent.say(Report::Want(want)).await;
        }
    }

    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, Stocks> {
        self.stocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for OfPod {
    fn socket(&self, to: SocketAddr) -> Awaited<'_> {
        Box::pin(self.socket(Family::of(to.ip())))
    }
}

#[cfg(test)]
mod tests;
