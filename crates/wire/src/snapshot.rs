//! All resources of one state of the configuration, and the difference of two.

use std::{collections::BTreeMap, fmt, sync::Arc};

use weft_ir::Name;

use crate::{Key, Pool, Resource, ResourceError, resource::digest};

/// Parts a snapshot is divided into. Those without a change are shared with the snapshot before, so
/// that a change among 5,000 resources copies about 20 of them, and is found by comparing pointers.
const SHARDS: usize = 256;

type Shard = BTreeMap<Key, Arc<Resource>>;

/// All resources of one state of the configuration. Immutable; made by a
/// [`Disassembler`](crate::Disassembler). What did not change is shared with the snapshot before.
#[derive(Clone)]
pub struct Snapshot {
    shards: Vec<Arc<Shard>>,
    refused: Arc<BTreeMap<Key, ResourceError>>,
    /// With whom resources are shared that are equal.
    pool: Option<Pool>,
}

/// What leads from one snapshot to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// Resources that are new or have another version.
    pub upserts: Vec<Arc<Resource>>,
    /// Resources that are gone.
    pub removed: Vec<Key>,
}

impl Difference {
    /// Whether both snapshots are the same.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removed.is_empty()
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            shards: vec![Arc::default(); SHARDS],
            refused: Arc::default(),
            pool: None,
        }
    }
}

impl Snapshot {
    /// An empty one whose resources are shared with other snapshots of the pool.
    pub(crate) fn sharing(pool: &Pool) -> Self {
        Self {
            pool: Some(pool.clone()),
            ..Self::default()
        }
    }

    /// Every resource. The order is the same for equal snapshots and says nothing.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.shards.iter().flat_map(|shard| shard.values())
    }

    /// The resource of that key.
    pub fn get(&self, key: &Key) -> Option<&Arc<Resource>> {
        self.shards.get(shard_of(key))?.get(key)
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What could not be encoded. The last version that could is still in the snapshot, if there was
    /// one.
    pub fn refused(&self) -> &BTreeMap<Key, ResourceError> {
        &self.refused
    }

    /// What leads from what a client says it has to this snapshot. Costs a look at every resource.
    pub fn since(&self, have: &BTreeMap<Key, u64>) -> Difference {
        let is_new =
            |resource: &&Arc<Resource>| have.get(resource.key()) != Some(&resource.version());
        Difference {
            upserts: self.iter().filter(is_new).cloned().collect(),
            removed: (have.keys().filter(|key| self.get(key).is_none()).cloned()).collect(),
        }
    }

    /// Takes over a resource, or that it cannot be encoded.
    pub(crate) fn put(&mut self, encoded: Result<Resource, ResourceError>) {
        match encoded {
            Ok(resource) => {
                let key = resource.key().clone();
                self.forget_refusal(&key);
                let known = self.get(&key);
                if known.is_some_and(|known| known.version() == resource.version()) {
                    return;
                }
                let resource = match &self.pool {
                    Some(pool) => pool.share(resource),
                    None => Arc::new(resource),
                };
                if let Some(shard) = self.shards.get_mut(shard_of(&key)) {
                    Arc::make_mut(shard).insert(key, resource);
                }
            }
            Err(error) => {
                let (ResourceError::TooLarge { key, .. } | ResourceError::Unencodable { key, .. }) =
                    &error;
                if self.refused.get(key) != Some(&error) {
                    Arc::make_mut(&mut self.refused).insert(key.clone(), error);
                }
            }
        }
    }

    /// Forgets a resource.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.forget_refusal(key);
        if self.get(key).is_some()
            && let Some(shard) = self.shards.get_mut(shard_of(key))
        {
            Arc::make_mut(shard).remove(key);
        }
    }

    /// Whether the other snapshot is this one, part by part.
    pub(crate) fn shares_all(&self, other: &Self) -> bool {
        let mut shards = self.shards.iter().zip(&other.shards);
        shards.all(|(mine, theirs)| Arc::ptr_eq(mine, theirs))
            && Arc::ptr_eq(&self.refused, &other.refused)
    }

    fn forget_refusal(&mut self, key: &Key) {
        if self.refused.contains_key(key) {
            Arc::make_mut(&mut self.refused).remove(key);
        }
    }
}

/// What leads from `old` to `new`. Costs a look at the parts that are not shared.
pub fn diff(old: &Snapshot, new: &Snapshot) -> Difference {
    let mut difference = Difference::default();
    let shards = old.shards.iter().zip(&new.shards);
    for (old, new) in shards.filter(|(old, new)| !Arc::ptr_eq(old, new)) {
        let is_new = |(key, resource): &(&Key, &Arc<Resource>)| {
            let known = old.get(key);
            known.is_none_or(|known| known.version() != resource.version())
        };
        let upserts = new.iter().filter(is_new);
        difference.upserts.extend(upserts.map(|(_, it)| it.clone()));
        let removed = old.keys().filter(|key| !new.contains_key(key));
        difference.removed.extend(removed.cloned());
    }
    difference
}

fn shard_of(key: &Key) -> usize {
    let Name { namespace, name } = &key.name;
    let mixed = digest(namespace.as_bytes()) ^ digest(name.as_bytes()).rotate_left(32);
    (mixed ^ mixed >> 32) as usize % SHARDS
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.shards == other.shards && self.refused == other.refused
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
