//! Accepting connections: one event queue and one task for all listening sockets.
//!
//! There is a socket per Service port, ten thousand of them in a large directory and most of them
//! idle for ever. A task and a registration for each would cost 600 bytes a socket.

use std::{
    collections::HashMap,
    io,
    mem::MaybeUninit,
    net::TcpListener,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    event::{Timespec, epoll},
    io::Errno,
    net::{SocketFlags, accept_with},
};
use tokio::io::{Interest, unix::AsyncFd};
use weft_forward::{Dispatch, Inlet, Shared, accept};

/// Pause after an accept failed for lack of files or memory. Connections wait in the backlog.
const BACK_OFF: Duration = Duration::from_millis(50);
/// Most sockets looked at before other work of the thread gets its turn.
const BATCH: usize = 16;

/// The open listening sockets, and where their connections go.
#[derive(Debug)]
pub(super) struct AcceptQueue {
    /// Reports sockets with connections, by number, for as long as they have any.
    epoll: Arc<OwnedFd>,
    /// Locked to open or close a socket and while connections are accepted; those do not meet often.
    open: Mutex<Open>,
    shared: Shared,
    dispatch: Dispatch,
}

#[derive(Debug, Default)]
struct Open {
    doors: HashMap<u64, Door>,
    /// Number of the next door. None is used twice, so a late report finds nobody else's door.
    next: u64,
}

/// A listening socket and what its connections are for.
#[derive(Debug)]
struct Door {
    socket: TcpListener,
    inlet: Arc<Inlet>,
}

/// The system has no room for another connection right now.
struct Pause;

impl AcceptQueue {
    /// Starts accepting; nothing is open yet. It ends with the workers.
    ///
    /// # Errors
    /// When the system gives no event queue.
    pub(super) fn start(shared: Shared, dispatch: Dispatch) -> io::Result<Arc<Self>> {
        let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let queue = Arc::new(Self {
            epoll: Arc::clone(&epoll),
            open: Mutex::default(),
            shared,
            dispatch,
        });
        let accepting = Arc::clone(&queue);
        // On the first worker's thread: with one worker a connection never changes threads.
        queue
            .dispatch
            .spawn_on_first(|| Ok(accepting.run(watch(epoll)?)))?;
        Ok(queue)
    }

    /// Accepts on one more socket, which must not block; returns its number.
    pub(super) fn open(&self, socket: TcpListener, inlet: Arc<Inlet>) -> io::Result<u64> {
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        let data = epoll::EventData::new_u64(number);
        epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN)?;
        open.doors.insert(number, Door { socket, inlet });
        Ok(number)
    }

    /// Closes a socket; its address is free when this returns, unless another process has it too. Connections that the kernel has
    /// accepted already are served: it would reset them with the socket.
    pub(super) fn close(&self, number: u64) {
        let Some(door) = self.lock().doors.remove(&number) else {
            return;
        };
        // Closing does not do this where another process has a duplicate of the socket.
        if let Err(error) = epoll::delete(&self.epoll, &door.socket) {
            tracing::warn!(inlet = %door.inlet.key, %error, "a closed socket is still watched");
        }
        while let Ok(true) = self.accept_one(&door) {}
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing is left half done where a panic could come from.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>, epoll: AsyncFd<Arc<OwnedFd>>) {
        loop {
            let mut ready = match epoll.readable().await {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%error, "no connection is accepted any more");
                    return;
                }
            };
            match self.accept_batch() {
                Ok(0) => ready.clear_ready(),
                Ok(_) => {}
                Err(Pause) => tokio::time::sleep(BACK_OFF).await,
            }
        }
    }

    /// Accepts one connection at each of the next sockets that have any; how many sockets those are.
    fn accept_batch(&self) -> Result<usize, Pause> {
        let mut room = [const { MaybeUninit::uninit() }; BATCH];
        let at_once = Timespec::default();
        let (events, _) = epoll::wait(&self.epoll, &mut room, Some(&at_once)).map_err(|error| {
            tracing::warn!(%error, "connections wait: the event queue cannot be read");
            Pause
        })?;
        let open = self.lock();
        let numbers = events.iter().map(|event| event.data.u64());
        for door in numbers.filter_map(|number| open.doors.get(&number)) {
            self.accept_one(door)?;
        }
        Ok(events.len())
    }

    /// Accepts a connection, if there is one; whether there was.
    fn accept_one(&self, door: &Door) -> Result<bool, Pause> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match accept_with(&door.socket, flags) {
            Ok(stream) => {
                let worker = self.dispatch.least_loaded();
                accept(worker, &self.shared, Arc::clone(&door.inlet), stream.into());
                Ok(true)
            }
            Err(Errno::AGAIN) => Ok(false),
            Err(error) if is_of_the_connection(error) => Ok(true),
            Err(error) => {
                tracing::warn!(
                    inlet = %door.inlet.key, %error,
                    "connections wait: raise the open-file limit (ulimit -n) if this persists"
                );
                Err(Pause)
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe, because a type may answer with another descriptor later; \
              this one owns its descriptor and has only that"
)]
fn watch(epoll: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    AsyncFd::with_interest(epoll, Interest::READABLE)
}

/// Errors of one connection that ended before it was accepted; the next one is not affected
/// (accept(2), "Error handling").
fn is_of_the_connection(error: Errno) -> bool {
    [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::TIMEDOUT,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::PROTO,
        Errno::NOPROTOOPT,
    ]
    .contains(&error)
}
