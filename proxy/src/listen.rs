//! Listening sockets and their accept loops.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weft_forward::{Dispatch, Inlet, InletKey, Live, Shared, accept};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// Pause after an accept failed for lack of files or memory. Connections wait in the backlog.
const BACK_OFF: Duration = Duration::from_millis(50);

/// A wish for a listening socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bind {
    /// What its connections are for.
    pub key: InletKey,
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

/// The open listening sockets.
#[derive(Debug)]
pub(crate) struct Listeners {
    live: Arc<Live>,
    shared: Shared,
    dispatch: Dispatch,
    open: BTreeMap<Bind, CancellationToken>,
}

impl Listeners {
    pub(crate) fn new(live: Arc<Live>, shared: Shared, dispatch: Dispatch) -> Self {
        Self {
            live,
            shared,
            dispatch,
            open: BTreeMap::new(),
        }
    }

    /// Opens and closes sockets until exactly `wanted` are open; says which could not be opened.
    /// Connections of a closed socket finish their requests.
    pub(crate) fn set(&mut self, wanted: &BTreeSet<Bind>) -> Vec<BindError> {
        let live = Arc::clone(&self.live);
        let gone: Vec<Bind> = self
            .open
            .keys()
            .filter(|bind| !wanted.contains(bind))
            .cloned()
            .collect();
        for bind in &gone {
            if let Some(stop) = self.open.remove(bind) {
                stop.cancel();
            }
        }
        let still: BTreeSet<&InletKey> = wanted.iter().map(|bind| &bind.key).collect();
        for bind in gone.iter().filter(|bind| !still.contains(&bind.key)) {
            live.remove_inlet(&bind.key);
        }
        let mut failed = Vec::new();
        for bind in wanted {
            if self.open.contains_key(bind) {
                continue;
            }
            match self.open_one(bind) {
                Ok(stop) => {
                    self.open.insert(bind.clone(), stop);
                }
                Err(source) => failed.push(BindError {
                    bind: bind.clone(),
                    source,
                }),
            }
        }
        failed
    }

    fn open_one(&self, bind: &Bind) -> io::Result<CancellationToken> {
        let inlet = self.live.inlet(&bind.key).map_err(io::Error::other)?;
        let listener = listen(bind.address)?;
        let stop = CancellationToken::new();
        let accepting = Accepting {
            inlet,
            shared: self.shared.clone(),
            dispatch: self.dispatch.clone(),
        };
        // On the first worker's thread: with one worker a connection never changes threads.
        self.dispatch
            .spawn_on_first(accepting.run(listener, stop.clone()));
        Ok(stop)
    }

    /// Closes every socket. Connections go on.
    pub(crate) fn close(&mut self) {
        for stop in std::mem::take(&mut self.open).into_values() {
            stop.cancel();
        }
    }

    /// How many sockets are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}

fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    // Lets a restarted process listen while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// One accept loop.
struct Accepting {
    inlet: Arc<Inlet>,
    shared: Shared,
    dispatch: Dispatch,
}

impl Accepting {
    async fn run(self, listener: StdListener, stop: CancellationToken) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(inlet = %self.inlet.key, %error, "a socket cannot be watched");
                return;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.accept_all(&listener) => {}
        }
    }

    async fn accept_all(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _peer)) => {
                    let worker = self.dispatch.least_loaded();
                    accept(worker, &self.shared, Arc::clone(&self.inlet), stream);
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(
                        inlet = %self.inlet.key, %error,
                        "connections wait: raise the open-file limit (ulimit -n) if this persists"
                    );
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }
}

/// Errors of one connection that ended before it was accepted; the next one is not affected
/// (accept(2), "Error handling").
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}
