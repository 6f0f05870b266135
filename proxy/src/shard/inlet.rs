//! A listener of a pod: who comes by it is taken, until the pod leaves.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use weft_intercept::{capture::Family, sockets::Purpose};

use super::{passing, pod::Place};

/// Time before accepting again, when the system is out of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// Time between two looks at a listener that somebody has shut: the supervisor opens it again.
const SHUT: Duration = Duration::from_secs(1);

/// A listener. Whose a connection is follows from it and from nothing else.
pub(super) struct Inlet {
    pub(super) purpose: Purpose,
    pub(super) family: Family,
    pub(super) place: Arc<Place>,
    pub(super) tasks: TaskTracker,
    pub(super) leaving: CancellationToken,
    pub(super) cut: CancellationToken,
    pub(super) open: Arc<AtomicU64>,
}

/// Counts a connection while it is open.
struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The same listener, as it is now: of one that was shut the runtime believes for ever that it is ready.
fn renewed(listener: TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener.into_std()?)
}

impl Inlet {
    /// Takes who comes, until the pod leaves.
    pub(super) async fn serve(&self, mut listener: TcpListener) {
        loop {
            tokio::select! {
                () = self.accept(&listener) => {}
                () = self.leaving.cancelled() => return self.finish(&listener).await,
            }
            match renewed(listener) {
                Ok(again) => listener = again,
                Err(error) => return tracing::error!(pod = self.place.pod, %error, "it is shut"),
            }
        }
    }

    /// Takes who comes, and ends a while after somebody has shut the listener.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            // Otherwise all who have come are taken at once, and wait here instead of in the system.
            self.place.share.turn().await;
            match listener.accept().await {
                Ok((stream, _)) => self.begin(stream),
                // One that ended while it waited is nobody's trouble.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    return tokio::time::sleep(SHUT).await;
                }
                Err(error) => {
                    tracing::warn!(pod = self.place.pod, %error, "connections wait");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Serves who has come already: nobody may come after us.
    async fn finish(&self, listener: &TcpListener) {
        while let Ok(Ok((stream, _))) = timeout(Duration::ZERO, listener.accept()).await {
            self.begin(stream);
        }
    }

    fn begin(&self, stream: TcpStream) {
        let (purpose, family) = (self.purpose, self.family);
        let (leaving, cut) = (self.leaving.clone(), self.cut.clone());
        let place = Arc::clone(&self.place);
        self.open.fetch_add(1, Relaxed);
        let counted = Counted(Arc::clone(&self.open));
        let share = self.place.share.clone();
        self.tasks.spawn(share.run(async move {
            // Pinned here: whoever is given a future keeps room for it twice.
            let carried = passing::carry(&place, (purpose, family), stream, leaving);
            let carried = pin!(carried);
            if let Some(Err(error)) = cut.run_until_cancelled(carried).await {
                let reason = error.detail();
                tracing::debug!(pod = place.pod, ?purpose, reason, "{error}");
            }
            drop(counted);
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener as StdListener};

    use rustix::net::{Shutdown, listen, shutdown};

    use super::*;

    /// A listener on a port that it was given by number, which it keeps when it is shut.
    fn bound() -> StdListener {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let named = || {
            let free = StdListener::bind(any).ok()?.local_addr().ok()?;
            StdListener::bind(free).ok()
        };
        let listener = (0..9).find_map(|_| named()).expect("a free port");
        listener.set_nonblocking(true).expect("a setting");
        listener
    }

    #[tokio::test]
    async fn a_listener_that_was_shut_and_opened_again_waits_and_accepts() {
        let socket = bound();
        let address = socket.local_addr().expect("an address");
        let listener = socket.try_clone().expect("a duplicate");
        let listener = TcpListener::from_std(listener).expect("registered");
        shutdown(&socket, Shutdown::Read).expect("shut");
        let refused = listener.accept().await.expect_err("it does not listen");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{refused}");
        listen(&socket, 16).expect("opened");
        let listener = renewed(listener).expect("registered again");
        let early = timeout(Duration::from_millis(20), listener.accept()).await;
        early.expect_err("nobody has come: it waits");
        let client = TcpStream::connect(address).await.expect("it listens");
        listener.accept().await.expect("accepted");
        drop(client);
    }
}
