//! Listening sockets and their accept loops.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use weft_forward::{Dispatch, Inlet, InletKey, Live, Shared, accept};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// Pause after an accept failed for lack of files or memory. Connections wait in the backlog.
const BACK_OFF: Duration = Duration::from_millis(50);
/// How long a socket may take to close before its address is tried anyway.
const CLOSING: Duration = Duration::from_secs(1);

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
    open: BTreeMap<Bind, Open>,
}

/// An open listening socket, as the accept loop that owns it is told and heard.
#[derive(Debug)]
struct Open {
    stop: CancellationToken,
    /// Disconnected when the socket is closed; nothing is ever sent.
    closed: Receiver<()>,
}

impl Open {
    /// Waits for a socket that was told to stop.
    fn wait(&self) {
        // Nothing is sent, so the wait ends with the sender or with the time.
        let _closed_or_late = self.closed.recv_timeout(CLOSING);
    }
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
        let closing: Vec<(Bind, Open)> = self
            .open
            .extract_if(.., |bind, _| !wanted.contains(bind))
            .collect();
        for (_, open) in &closing {
            open.stop.cancel();
        }
        let still: BTreeSet<&InletKey> = wanted.iter().map(|bind| &bind.key).collect();
        for (bind, _) in closing
            .iter()
            .filter(|(bind, _)| !still.contains(&bind.key))
        {
            self.live.remove_inlet(&bind.key);
        }
        let mut failed = Vec::new();
        for bind in wanted {
            if self.open.contains_key(bind) {
                continue;
            }
            // An address may change hands in one step, from one Gateway to another.
            let same_port = |gone: &Bind| gone.address.port() == bind.address.port();
            for (_, open) in closing.iter().filter(|(gone, _)| same_port(gone)) {
                open.wait();
            }
            match self.open_one(bind) {
                Ok(open) => {
                    self.open.insert(bind.clone(), open);
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

    fn open_one(&self, bind: &Bind) -> io::Result<Open> {
        let inlet = self.live.inlet(&bind.key).map_err(io::Error::other)?;
        let listener = listen(bind.address)?;
        let stop = CancellationToken::new();
        let (open, closed) = sync_channel(1);
        let accepting = Accepting {
            inlet,
            shared: self.shared.clone(),
            dispatch: self.dispatch.clone(),
        };
        // On the first worker's thread: with one worker a connection never changes threads.
        self.dispatch
            .spawn_on_first(accepting.run(listener, stop.clone(), open));
        Ok(Open { stop, closed })
    }

    /// Closes every socket. Connections go on.
    pub(crate) fn close(&mut self) {
        for open in std::mem::take(&mut self.open).into_values() {
            open.stop.cancel();
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
    /// Accepts until `stop`; `_open` is dropped when the socket is closed.
    async fn run(self, listener: StdListener, stop: CancellationToken, _open: SyncSender<()>) {
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
        if let Err(error) = self.accept_rest(listener) {
            tracing::debug!(inlet = %self.inlet.key, %error, "a closing socket has nothing left");
        }
    }

    /// Takes what the kernel has accepted already: it would reset these connections with the socket.
    fn accept_rest(&self, listener: TcpListener) -> io::Result<()> {
        let listener = listener.into_std()?;
        loop {
            let (stream, _peer) = listener.accept()?;
            stream.set_nonblocking(true)?;
            self.serve(TcpStream::from_std(stream)?);
        }
    }

    fn serve(&self, stream: TcpStream) {
        let worker = self.dispatch.least_loaded();
        accept(worker, &self.shared, Arc::clone(&self.inlet), stream);
    }

    async fn accept_all(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _peer)) => self.serve(stream),
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
