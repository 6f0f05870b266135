//! Listening sockets: which are open, and for whom.

mod accept;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use socket2::{Domain, Protocol, Socket, Type};
use weft_forward::{Dispatch, InletKey, Live, Shared};

use self::accept::AcceptQueue;

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A wish for a listening socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bind {
    /// What its connections are for.
    pub key: Arc<InletKey>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A listening socket that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot listen on {}: {source}", bind.key, bind.address)]
pub struct BindError {
    /// The wish.
    pub bind: Bind,
    /// What the system said.
    pub source: io::Error,
}

/// Where listening sockets come from.
#[derive(Debug)]
pub(crate) enum Supply {
    /// This process opens them.
    Own,
    /// A parent process opened these and keeps them open; there are no others.
    Given(BTreeMap<SocketAddr, TcpListener>),
}

/// The open listening sockets.
#[derive(Debug)]
pub(crate) struct Listeners {
    live: Arc<Live>,
    queue: Arc<AcceptQueue>,
    supply: Supply,
    /// What is open, and its number in the queue.
    open: BTreeMap<Bind, u64>,
    /// The last wish, if all of it came true.
    fulfilled: Option<Arc<BTreeSet<Bind>>>,
    /// Whether nothing is to be opened any more.
    is_closed: bool,
}

impl Listeners {
    /// None yet.
    ///
    /// # Errors
    /// When the system gives no event queue.
    pub(crate) fn new(
        live: Arc<Live>,
        shared: Shared,
        dispatch: Dispatch,
        supply: Supply,
    ) -> io::Result<Self> {
        Ok(Self {
            live,
            queue: AcceptQueue::start(shared, dispatch)?,
            supply,
            open: BTreeMap::new(),
            fulfilled: None,
            is_closed: false,
        })
    }

    /// Opens and closes sockets until exactly `wanted` are open; says which could not be opened.
    /// Connections of a closed socket finish their requests. The same wish again costs nothing, and
    /// after the end nothing is opened.
    pub(crate) fn set(&mut self, wanted: &Arc<BTreeSet<Bind>>) -> Vec<BindError> {
        let is_fulfilled = |last: &Arc<_>| Arc::ptr_eq(last, wanted);
        if self.is_closed || self.fulfilled.as_ref().is_some_and(is_fulfilled) {
            return Vec::new();
        }
        let failed = self.change(wanted);
        self.fulfilled = failed.is_empty().then(|| Arc::clone(wanted));
        failed
    }

    fn change(&mut self, wanted: &BTreeSet<Bind>) -> Vec<BindError> {
        let closing: Vec<(Bind, u64)> = self
            .open
            .extract_if(.., |bind, _| !wanted.contains(bind))
            .collect();
        let still: BTreeSet<&InletKey> = wanted.iter().map(|bind| bind.key.as_ref()).collect();
        // Before anything is opened: an address may change hands, from one Gateway to another.
        for (bind, number) in &closing {
            self.queue.close(*number);
            if !still.contains(bind.key.as_ref()) {
                self.live.remove_inlet(&bind.key);
            }
        }
        let mut failed = Vec::new();
        for bind in wanted {
            if self.open.contains_key(bind) {
                continue;
            }
            match self.open_one(bind) {
                Ok(number) => {
                    self.open.insert(bind.clone(), number);
                }
                Err(source) => failed.push(BindError {
                    bind: bind.clone(),
                    source,
                }),
            }
        }
        for error in &failed {
            let key = &error.bind.key;
            if !self.open.keys().any(|bind| bind.key == *key) {
                self.live.remove_inlet(key);
            }
        }
        failed
    }

    fn open_one(&self, bind: &Bind) -> io::Result<u64> {
        let inlet = self.live.inlet(&bind.key).map_err(io::Error::other)?;
        let socket = match &self.supply {
            Supply::Own => listen_as(bind.address, false)?,
            Supply::Given(given) => {
                let socket = given.get(&bind.address);
                let missing = || io::Error::other("the parent process has given no such socket");
                socket.ok_or_else(missing)?.try_clone()?
            }
        };
        self.queue.open(socket, inlet)
    }

    /// Takes over a socket that listens already; it is served once it is wanted.
    ///
    /// # Errors
    /// When its mode cannot be set.
    pub(crate) fn give(&mut self, address: SocketAddr, socket: TcpListener) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        self.fulfilled = None;
        match &mut self.supply {
            Supply::Own => self.supply = Supply::Given(BTreeMap::from([(address, socket)])),
            Supply::Given(given) => drop(given.insert(address, socket)),
        }
        Ok(())
    }

    /// Closes a given socket; one that is open stays so until it is not wanted.
    pub(crate) fn let_go(&mut self, address: SocketAddr) {
        if let Supply::Given(given) = &mut self.supply {
            given.remove(&address);
        }
    }

    /// Closes every socket, for good. Connections go on.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        for number in std::mem::take(&mut self.open).into_values() {
            self.queue.close(number);
        }
        if let Supply::Given(given) = &mut self.supply {
            given.clear();
        }
    }

    /// How many sockets are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}

/// A socket that listens on `address`: one of IPv6 takes IPv4 only where `dual` says so.
pub(crate) fn listen_as(address: SocketAddr, dual: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    // Lets a restarted process listen while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
