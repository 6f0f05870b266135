//! All watches as one stream of events.

mod assemble;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use weft_api::{Kind, ObjectRef};

use super::cluster::Cluster;
use super::discovery::{Catalogue, Discovery, Versions};
use super::kind::{Deltas, Ended, KindWatch};
use super::named::{References, Referred};
use super::settings::WatchOptions;
use crate::finding::Finding;
use crate::loader::Event;
use assemble::Assembly;

/// Pieces of changes on their way. A watch waits when there is no room, and so does the API
/// server behind it.
const DELTAS_IN_FLIGHT: usize = 64;
/// Updates on their way. One only: what happens while it is worked on comes together in the next.
const UPDATES_IN_FLIGHT: usize = 1;

/// What changed since the update before.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// By kind and key; every object at most once, with its newest state.
    pub events: Vec<Event>,
    /// Everything that is wrong now: objects that cannot be read, kinds that cannot be watched.
    pub findings: Arc<[Finding]>,
    /// Whether every kind that is served was listed once. Stays true. Before, the world is
    /// incomplete and must not be acted on.
    pub synced: bool,
    /// The newest set of references, as [`Watches::refer`] numbered it, of which every object was
    /// looked up.
    pub referred: u64,
}

/// The watches of a cluster. They end when this is dropped.
#[derive(Debug)]
pub struct Watches {
    updates: Receiver<Update>,
    references: watch::Sender<References>,
    versions: Versions,
    tasks: JoinSet<()>,
}

impl Watches {
    /// Begins to watch. Needs a runtime; does not wait for the API server.
    #[must_use]
    pub fn start(cluster: Cluster, options: WatchOptions) -> Self {
        let (deltas, changes) = channel(DELTAS_IN_FLIGHT);
        let (sender, updates) = channel(UPDATES_IN_FLIGHT);
        let (references, referred) = watch::channel(References::default());
        let (catalogue, seen) = watch::channel(Catalogue::default());
        let nudge = Arc::new(Notify::new());
        let options = Arc::new(options);
        let mut tasks = JoinSet::new();
        let assembly = Assembly::new(&options.kinds, referred.clone());
        tasks.spawn(assembly.run(changes, sender));
        for kind in &options.kinds {
            let (cluster, options) = (cluster.clone(), Arc::clone(&options));
            let watch = KindWatch::new(cluster, options, Deltas::clone(&deltas), *kind);
            tasks.spawn(follow(watch, *kind, seen.clone(), Arc::clone(&nudge)));
        }
        let discovery = Discovery {
            cluster: cluster.clone(),
            options: Arc::clone(&options),
            deltas: Deltas::clone(&deltas),
            catalogue,
            nudge,
        };
        tasks.spawn(discovery.run());
        let referred = Referred {
            cluster,
            options,
            deltas,
            references: referred,
        };
        tasks.spawn(referred.run());
        Self {
            updates,
            references,
            versions: Versions::new(seen),
            tasks,
        }
    }

    /// In which versions kinds are served, for whoever writes them.
    #[must_use]
    pub fn versions(&self) -> Versions {
        self.versions.clone()
    }

    /// The next update; waits for one. `None` when watching has ended, which it does not unless a
    /// task panicked. Cancel safe: an update is never lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Update> {
        tokio::select! {
            biased;
            update = self.updates.recv() => update,
            ended = self.tasks.join_next() => {
                if let Some(Err(error)) = ended {
                    tracing::error!("a watch has ended: {error}");
                }
                None
            }
        }
    }

    /// Names the Secrets and ConfigMaps to read, all of them: those not named any more are deleted,
    /// and nothing is asked about any other. Only what something refers to and is granted belongs
    /// here. Returns the number of this set, for [`Update::referred`]; the same set has the same
    /// number.
    pub fn refer(&self, objects: BTreeSet<ObjectRef>) -> u64 {
        debug_assert!(
            objects
                .iter()
                .all(|object| matches!(object.kind, Kind::Secret | Kind::ConfigMap)),
            "only Secrets and ConfigMaps are read by name"
        );
        let mut number = 0;
        self.references.send_if_modified(|references| {
            let is_new = references.set == 0 || references.objects != objects;
            if is_new {
                references.set += 1;
                references.objects = objects;
            }
            number = references.set;
            is_new
        });
        number
    }
}

/// Keeps one kind watched in the version that is served, and not watched while none is.
async fn follow(
    mut watch: KindWatch,
    kind: Kind,
    mut catalogue: watch::Receiver<Catalogue>,
    nudge: Arc<Notify>,
) {
    loop {
        let Ok(looks) = catalogue
            .wait_for(|catalogue| catalogue.looks > 0)
            .await
            .map(|seen| seen.looks)
        else {
            return;
        };
        let served = catalogue.borrow_and_update().served(kind);
        let Some(served) = served else {
            let is_served = |catalogue: &Catalogue| catalogue.served(kind).is_some();
            if watch.not_served().await.is_err() || catalogue.wait_for(is_served).await.is_err() {
                return;
            }
            continue;
        };
        let mut changes = catalogue.clone();
        let is_other =
            |catalogue: &Catalogue| catalogue.served(kind).is_some_and(|newer| newer != served);
        let ended = tokio::select! {
            ended = watch.run(&served) => Some(ended),
            changed = changes.wait_for(is_other) => changed.is_err().then_some(Ended::Unwanted),
        };
        match ended {
            // It is served in a better version now.
            None => {}
            Some(Ended::Unwanted) => return,
            // Only when the catalogue says so as well are the objects gone: a server that starts
            // answers like one without CRDs. A look that is under way may be too old to tell.
            Some(Ended::NotServed) => {
                let before = catalogue.borrow().looks.max(looks);
                for look in 0..2 {
                    nudge.notify_one();
                    let is_newer = |catalogue: &Catalogue| catalogue.looks > before + look;
                    if catalogue.wait_for(is_newer).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
