//! One pod that is served: its listeners, and the connections that came by them.

use std::{
    io,
    net::{IpAddr, TcpListener as StdListener},
    os::fd::OwnedFd,
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

use super::{broker::OfPod, passing};
use crate::node::messages::Assign;

/// Time before accepting again, when the system is out of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// For connections that are cut to notice it.
const FAREWELL: Duration = Duration::from_secs(1);

/// A pod as the supervisor gives it.
pub(super) struct Given {
    pod: String,
    ips: Vec<IpAddr>,
    is_strict: bool,
    listeners: Vec<(Purpose, Family, TcpListener)>,
}

/// What all connections of a pod have in common.
pub(super) struct Place {
    /// For logs.
    pub(super) pod: String,
    /// Its addresses.
    pub(super) ips: Vec<IpAddr>,
    /// Whether plaintext from outside is refused.
    pub(super) is_strict: bool,
    pub(super) sockets: OfPod,
}

/// A pod that is served.
pub(super) struct Pod {
    tasks: TaskTracker,
    /// Accept nothing more.
    leaving: CancellationToken,
    /// End what is left.
    cut: CancellationToken,
}

impl Given {
    /// What an order says, with its descriptors; the reason when it makes no sense.
    pub(super) fn read(assign: &Assign, descriptors: Vec<OwnedFd>) -> Result<Self, String> {
        let missing = || "not every listener has come".to_owned();
        if descriptors.len() != assign.listeners.len() {
            return Err(missing());
        }
        let ips = assign.ips.iter().map(|ip| ip.parse::<IpAddr>());
        let ips: Result<Vec<_>, _> = ips.collect();
        let ips = ips.map_err(|error| format!("an address of the pod: {error}"))?;
        let mut listeners = Vec::new();
        for (inlet, descriptor) in assign.listeners.iter().zip(descriptors) {
            let unknown = || "a listener of a kind this version does not know".to_owned();
            let (purpose, family) = inlet.read().ok_or_else(unknown)?;
            let listener = TcpListener::from_std(StdListener::from(descriptor));
            let listener = listener.map_err(|error| format!("a listener: {error}"))?;
            listeners.push((purpose, family, listener));
        }
        Ok(Self {
            pod: assign.pod.clone(),
            ips,
            is_strict: assign.is_strict.unwrap_or(true),
            listeners,
        })
    }
}

impl Pod {
    /// Accepts from now on.
    pub(super) fn serve(
        given: Given,
        sockets: OfPod,
        open: Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let place = Arc::new(Place {
            pod: given.pod,
            ips: given.ips,
            is_strict: given.is_strict,
            sockets,
        });
        let pod = Self {
            tasks: TaskTracker::new(),
            leaving: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        for (purpose, family, listener) in given.listeners {
            let inlet = Inlet {
                purpose,
                family,
                place: Arc::clone(&place),
                tasks: pod.tasks.clone(),
                cut: pod.cut.clone(),
                open: Arc::clone(&open),
            };
            let leaving = pod.leaving.clone();
            pod.tasks.spawn(async move {
                tokio::select! {
                    never = inlet.accept(listener) => match never {},
                    () = leaving.cancelled() => {}
                }
            });
        }
        Ok(pod)
    }

    /// Accepts nothing more, and waits for what is under way; what is left after `limit` is cut.
    pub(super) async fn drain(self, limit: Duration) {
        self.leaving.cancel();
        self.tasks.close();
        if timeout(limit, self.tasks.wait()).await.is_err() {
            self.cut.cancel();
            if timeout(FAREWELL, self.tasks.wait()).await.is_err() {
                tracing::error!("connections of a pod did not end when they were cut");
            }
        }
    }
}

/// A listener. Whose a connection is follows from it and from nothing else.
struct Inlet {
    purpose: Purpose,
    family: Family,
    place: Arc<Place>,
    tasks: TaskTracker,
    cut: CancellationToken,
    open: Arc<AtomicU64>,
}

/// Counts a connection while it is open.
struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Inlet {
    async fn accept(self, listener: TcpListener) -> std::convert::Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.begin(stream),
                // One that ended while it waited is nobody's trouble.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(pod = self.place.pod, %error, "connections wait");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn begin(&self, stream: TcpStream) {
        let (purpose, family) = (self.purpose, self.family);
        let (place, cut) = (Arc::clone(&self.place), self.cut.clone());
        self.open.fetch_add(1, Relaxed);
        let counted = Counted(Arc::clone(&self.open));
        self.tasks.spawn(async move {
            let ended = tokio::select! {
                biased;
                () = cut.cancelled() => passing::abort(&stream),
                ended = passing::carry(&place, (purpose, family), &stream) => ended,
            };
            if let Err(error) = ended {
                tracing::debug!(pod = place.pod, ?purpose, "{error}");
            }
            drop(counted);
        });
    }
}
