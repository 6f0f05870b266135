//! Listening sockets and their accept loops.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    pin::pin,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use weft_forward::{Dispatch, Inlet, InletKey, Live, Shared, accept};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// Pause after an accept failed for lack of files or memory. Connections wait in the backlog.
const BACK_OFF: Duration = Duration::from_millis(50);
/// How long a socket may take to close before its address is tried anyway.
const CLOSING: Duration = Duration::from_secs(1);
/// Most bytes of an accept loop. There is one per Service port, most of them idle for ever.
const LOOP_MAX_BYTES: usize = 256;

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

/// The open listening sockets.
#[derive(Debug)]
pub(crate) struct Listeners {
    common: Arc<Common>,
    open: BTreeMap<Bind, Arc<Switch>>,
    /// The last wish, if all of it came true.
    fulfilled: Option<Arc<BTreeSet<Bind>>>,
}

/// What all accept loops share.
#[derive(Debug)]
struct Common {
    live: Arc<Live>,
    shared: Shared,
    dispatch: Dispatch,
    /// For whoever waits until a socket is closed; there is no state of its own to guard.
    lock: Mutex<()>,
    closed: Condvar,
}

/// Between an open listening socket and its owner.
#[derive(Debug, Default)]
struct Switch {
    stop: Notify,
    is_closed: AtomicBool,
}

impl Common {
    /// Waits for a socket that was told to stop, for a second at most.
    fn wait(&self, switch: &Switch) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = |_: &mut ()| !switch.is_closed.load(Ordering::Acquire);
        let waited = self.closed.wait_timeout_while(guard, CLOSING, is_open);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Listeners {
    pub(crate) fn new(live: Arc<Live>, shared: Shared, dispatch: Dispatch) -> Self {
        Self {
            common: Arc::new(Common {
                live,
                shared,
                dispatch,
                lock: Mutex::new(()),
                closed: Condvar::new(),
            }),
            open: BTreeMap::new(),
            fulfilled: None,
        }
    }

    /// Opens and closes sockets until exactly `wanted` are open; says which could not be opened.
    /// Connections of a closed socket finish their requests. The same wish again costs nothing.
    pub(crate) fn set(&mut self, wanted: &Arc<BTreeSet<Bind>>) -> Vec<BindError> {
        let is_fulfilled = |last: &Arc<_>| Arc::ptr_eq(last, wanted);
        if self.fulfilled.as_ref().is_some_and(is_fulfilled) {
            return Vec::new();
        }
        let failed = self.change(wanted);
        self.fulfilled = failed.is_empty().then(|| Arc::clone(wanted));
        failed
    }

    fn change(&mut self, wanted: &BTreeSet<Bind>) -> Vec<BindError> {
        let closing: Vec<(Bind, Arc<Switch>)> = self
            .open
            .extract_if(.., |bind, _| !wanted.contains(bind))
            .collect();
        for (_, switch) in &closing {
            switch.stop.notify_one();
        }
        let still: BTreeSet<&InletKey> = wanted.iter().map(|bind| bind.key.as_ref()).collect();
        for (bind, _) in closing
            .iter()
            .filter(|(bind, _)| !still.contains(bind.key.as_ref()))
        {
            self.common.live.remove_inlet(&bind.key);
        }
        let mut failed = Vec::new();
        for bind in wanted {
            if self.open.contains_key(bind) {
                continue;
            }
            // An address may change hands in one step, from one Gateway to another.
            let same_port = |gone: &Bind| gone.address.port() == bind.address.port();
            for (_, switch) in closing.iter().filter(|(gone, _)| same_port(gone)) {
                self.common.wait(switch);
            }
            match self.open_one(bind) {
                Ok(switch) => {
                    self.open.insert(bind.clone(), switch);
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
                self.common.live.remove_inlet(key);
            }
        }
        failed
    }

    fn open_one(&self, bind: &Bind) -> io::Result<Arc<Switch>> {
        let inlet = self
            .common
            .live
            .inlet(&bind.key)
            .map_err(io::Error::other)?;
        let listener = listen(bind.address)?;
        let switch = Arc::new(Switch::default());
        let accepting = Accepting {
            inlet,
            common: Arc::clone(&self.common),
            switch: Arc::clone(&switch),
        };
        let accepting = accepting.run(listener);
        debug_assert!(
            size_of_val(&accepting) <= LOOP_MAX_BYTES,
            "an accept loop takes {} bytes",
            size_of_val(&accepting)
        );
        // On the first worker's thread: with one worker a connection never changes threads.
        self.common.dispatch.spawn_on_first(accepting);
        Ok(switch)
    }

    /// Closes every socket. Connections go on.
    pub(crate) fn close(&mut self) {
        self.fulfilled = None;
        for switch in std::mem::take(&mut self.open).into_values() {
            switch.stop.notify_one();
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
    common: Arc<Common>,
    switch: Arc<Switch>,
}

/// The system has no room for another connection right now.
struct Pause;

/// The end of an accept loop, also of one that is dropped with its worker. The socket is closed then.
impl Drop for Accepting {
    fn drop(&mut self) {
        self.switch.is_closed.store(true, Ordering::Release);
        // Whoever waits has either seen that or waits by the time the lock is free.
        drop(
            self.common
                .lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.common.closed.notify_all();
    }
}

impl Accepting {
    /// Accepts until told to stop.
    async fn run(self, listener: StdListener) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(inlet = %self.inlet.key, %error, "a socket cannot be watched");
                return;
            }
        };
        self.accept_all(&listener).await;
        if let Err(error) = self.accept_rest(listener) {
            tracing::debug!(inlet = %self.inlet.key, %error, "a closing socket has nothing left");
        }
    }

    async fn accept_all(&self, listener: &TcpListener) {
        let mut stop = pin!(self.switch.stop.notified());
        loop {
            // Polled by hand: a future of `select!` and `accept` is three times the size.
            let next = poll_fn(|context| match stop.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => listener.poll_accept(context).map(Some),
            });
            let Some(accepted) = next.await else {
                return;
            };
            if self.take(accepted).is_err() {
                Box::pin(tokio::time::sleep(BACK_OFF)).await;
            }
        }
    }

    /// Serves an accepted connection, or says why there is none and that accepting has to pause.
    fn take(&self, accepted: io::Result<(TcpStream, SocketAddr)>) -> Result<(), Pause> {
        match accepted {
            Ok((stream, _peer)) => self.serve(stream),
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(
                    inlet = %self.inlet.key, %error,
                    "connections wait: raise the open-file limit (ulimit -n) if this persists"
                );
                return Err(Pause);
            }
        }
        Ok(())
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
        let worker = self.common.dispatch.least_loaded();
        accept(worker, &self.common.shared, Arc::clone(&self.inlet), stream);
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
