//! Resources that several snapshots have in common, each held once.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::{Key, Resource};

/// Entries beyond which the pool looks for those that nobody holds any more.
const SPARE: usize = 1_024;

/// What disassemblers of many scopes share: the nodes of a mesh are sent nearly the same Services and
/// endpoints. It keeps nothing alive that no snapshot holds. Cloning shares it.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    resources: BTreeMap<(Key, u64), Weak<Resource>>,
    /// How many there were after the last look for those that are gone.
    kept: usize,
}

impl Pool {
    /// The resource, or an equal one that somebody holds already.
    pub(crate) fn share(&self, resource: Resource) -> Arc<Resource> {
        // Held for a look, never while anything is waited for; a panic leaves no entry half made.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (resource.key().clone(), resource.version());
        let known = held.resources.get(&key).and_then(Weak::upgrade);
        // Versions are digests: equal ones are equal bodies, unless somebody made them collide.
        if let Some(known) = known.filter(|known| **known == resource) {
            return known;
        }
        let resource = Arc::new(resource);
        held.resources.insert(key, Arc::downgrade(&resource));
        if held.resources.len() > 2 * held.kept + SPARE {
            held.resources.retain(|_, it| it.strong_count() > 0);
            held.kept = held.resources.len();
        }
        resource
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}
