//! The listeners that one supervisor leaves to the next.

use std::{
    collections::{BTreeSet, HashMap},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, oneshot};
use weft_intercept::{
    NetnsId,
    capture::Family,
    sockets::{Listener, Purpose},
};

/// Listeners of pods, by pod.
pub type Listeners = Vec<Arc<Vec<Listener>>>;

/// A supervisor that follows, and waits for the listeners.
pub type Heir = oneshot::Sender<Listeners>;

/// What an earlier supervisor has handed over and nobody has taken yet. Empty when there was none.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Taken from by threads that work in namespaces; no await is inside.
    listeners: Mutex<HashMap<NetnsId, Vec<Listener>>>,
}

impl Inherited {
    /// The listeners of a namespace, if they are all there.
    pub(super) fn take(&self, netns: NetnsId) -> Option<Vec<Listener>> {
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.remove(&netns).filter(|it| is_whole(it))
    }

    /// Closes what nobody has taken: pods that are gone, whose namespaces would stay for it.
    pub(super) fn forget(&self) {
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.clear();
    }

    /// What these sockets are listeners of; what is none is closed.
    #[must_use]
    pub fn of(descriptors: Vec<OwnedFd>) -> Self {
        let mut listeners: HashMap<NetnsId, Vec<Listener>> = HashMap::new();
        for descriptor in descriptors {
            match Listener::recognise(descriptor) {
                Ok(Some((netns, listener))) => listeners.entry(netns).or_default().push(listener),
                Ok(None) => tracing::warn!("a socket that is handed over is no listener of a pod"),
                Err(error) => tracing::warn!("a listener that is handed over: {error}"),
            }
        }
        Self {
            listeners: Mutex::new(listeners),
        }
    }
}

/// Whether there is one of each purpose, in each family that is there at all.
fn is_whole(listeners: &[Listener]) -> bool {
    let of = |family| {
        let of = listeners.iter().filter(|it| it.family == family);
        of.map(|it| it.purpose).collect::<BTreeSet<Purpose>>()
    };
    let all = BTreeSet::from(Purpose::ALL);
    of(Family::V4) == all && (of(Family::V6) == all || of(Family::V6).is_empty())
}

/// The next supervisor that follows; for ever where none is expected. Can be dropped.
pub(super) async fn next_heir(heirs: &mut Option<mpsc::Receiver<Heir>>) -> Option<Heir> {
    match heirs {
        Some(heirs) => heirs.recv().await,
        None => std::future::pending().await,
    }
}
