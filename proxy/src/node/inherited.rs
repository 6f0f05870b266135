//! The listeners of pods: those that an earlier supervisor has left, those that are in use, and where they
//! are kept for the next.

use std::{
    collections::{BTreeSet, HashMap},
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};
use weft_intercept::{
    Netns, NetnsId,
    capture::Family,
    sockets::{self, Listener, Purpose, SocketError},
};

use super::roster::Roster;
use crate::init::store::Store;

/// Time after which what an earlier supervisor has left and no pod has needed is closed: longer than it
/// takes to look for every pod a few times.
const FORGET: Duration = Duration::from_secs(120);

/// Listeners of pods, by pod.
pub type Listeners = Vec<Arc<Vec<Listener>>>;

/// A supervisor that follows, and waits for the listeners.
pub type Heir = oneshot::Sender<Listeners>;

/// The listeners of this node. With those of an earlier supervisor, if there was one, which go to the pods
/// of whose namespace they are.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Where they are kept, too.
    store: Option<Store>,
    /// Taken from by threads that work in namespaces; no await is inside.
    listeners: Mutex<HashMap<NetnsId, Kept>>,
}

/// The listeners of a namespace.
#[derive(Debug)]
struct Kept {
    listeners: Arc<Vec<Listener>>,
    /// Whether a pod has them, or has had.
    is_taken: bool,
}

impl Kept {
    /// Whether they are needed. What nobody has taken yet may be.
    fn is_used(&self) -> bool {
        !self.is_taken || Arc::strong_count(&self.listeners) > 1
    }
}

impl Inherited {
    /// The listeners of a namespace: those that are there, if they all are, or new ones. Blocks for
    /// milliseconds.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub(super) fn listen(&self, netns: &Netns) -> Result<Arc<Vec<Listener>>, SocketError> {
        if let Some(listeners) = self.take(netns.id()) {
            return Ok(listeners);
        }
        let listeners = Arc::new(sockets::listen(netns)?);
        self.keep(netns.id(), &listeners);
        let kept = Kept {
            listeners: Arc::clone(&listeners),
            is_taken: true,
        };
        self.lock().insert(netns.id(), kept);
        Ok(listeners)
    }

    fn take(&self, netns: NetnsId) -> Option<Arc<Vec<Listener>>> {
        let mut all = self.lock();
        let kept = all.get_mut(&netns)?;
        if !is_whole(&kept.listeners) {
            // They have the ports.
            all.remove(&netns);
            return None;
        }
        kept.is_taken = true;
        Some(Arc::clone(&kept.listeners))
    }

    /// Closes what no pod has any more.
    pub(super) fn release(&self) {
        self.retain(Kept::is_used);
    }

    /// Closes what nobody has taken: pods that are gone, whose namespaces would stay for it.
    pub(super) fn forget(&self) {
        self.retain(|kept| kept.is_taken);
    }

    fn retain(&self, is_kept: impl Fn(&Kept) -> bool) {
        self.lock().retain(|netns, kept| {
            let is_kept = is_kept(kept);
            if let (false, Some(store)) = (is_kept, &self.store) {
                store.forget(&name(*netns));
            }
            is_kept
        });
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
        let kept = |listeners| Kept {
            listeners: Arc::new(listeners),
            is_taken: false,
        };
        let listeners = listeners.into_iter();
        Self {
            store: None,
            listeners: Mutex::new(listeners.map(|(netns, it)| (netns, kept(it))).collect()),
        }
    }

    /// The same, kept for the supervisor that follows as well, like all that come.
    pub(super) fn kept(mut self, store: Option<Store>) -> Self {
        self.store = store;
        for (netns, kept) in &*self.lock() {
            self.keep(*netns, &kept.listeners);
        }
        self
    }

    fn keep(&self, netns: NetnsId, listeners: &[Listener]) {
        if let Some(store) = &self.store {
            let sockets: Vec<_> = listeners.iter().map(|it| it.socket.as_fd()).collect();
            store.keep(&name(netns), &sockets);
        }
    }

    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, HashMap<NetnsId, Kept>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this is the name of what is kept of a namespace.
pub(super) fn is_of_listeners(name: &str) -> bool {
    name.starts_with("listeners ")
}

fn name(netns: NetnsId) -> String {
    format!("listeners {} {}", netns.device, netns.inode)
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

/// Completes some time after it is known which pods are looked for. Nothing that was left is forgotten
/// before.
pub(super) async fn time_to_forget(mut roster: watch::Receiver<Option<Arc<Roster>>>) {
    // If nobody says it any more, this process ends.
    let _said = roster.wait_for(Option::is_some).await.is_ok();
    tokio::time::sleep(FORGET).await;
}

/// The next supervisor that follows; for ever where none is expected. Can be dropped.
pub(super) async fn next_heir(heirs: &mut Option<mpsc::Receiver<Heir>>) -> Option<Heir> {
    match heirs {
        Some(heirs) => heirs.recv().await,
        None => std::future::pending().await,
    }
}
