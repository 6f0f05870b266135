//! The objects of one kind, in key order.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::sync::Arc;

use weft_api::key::KeyParts;
use weft_api::{Object, ObjectKey};

use crate::Change;
use crate::stored::Stored;

/// The objects of one kind, in key order.
#[derive(Clone, Debug)]
pub struct Objects<T> {
    by_key: BTreeMap<ObjectKey, Arc<T>>,
    revision: u64,
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self {
            by_key: BTreeMap::new(),
            revision: 0,
        }
    }
}

impl<T: Object> Objects<T> {
    /// The object of a namespace and name; the namespace of cluster-scoped objects is empty.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.by_key.get(&(namespace, name) as &dyn KeyParts)
    }

    /// The object of a key.
    #[must_use]
    pub fn at(&self, key: &ObjectKey) -> Option<&Arc<T>> {
        self.by_key.get(key)
    }

    /// All objects, by key.
    pub fn iter(&self) -> btree_map::Values<'_, ObjectKey, Arc<T>> {
        self.by_key.values()
    }

    /// All keys with their objects, by key.
    pub fn entries(&self) -> btree_map::Iter<'_, ObjectKey, Arc<T>> {
        self.by_key.iter()
    }

    /// The objects of a namespace, by name.
    pub fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<T>> {
        let first: &dyn KeyParts = &(namespace, "");
        self.by_key
            .range::<dyn KeyParts, _>((Bound::Included(first), Bound::Unbounded))
            .take_while(move |(key, _)| key.namespace() == namespace)
            .map(|(_, object)| object)
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The store's revision of the last change to one of them; 0 before the first.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

/// Changes, which only the store makes.
impl<T: Object> Objects<T> {
    /// Adds or replaces an object; returns the one it replaced. `revision` is that of the store
    /// if this is a change translation can see.
    pub(crate) fn insert(&mut self, object: Arc<T>, revision: u64) -> (Change, Option<Arc<T>>)
    where
        T: Stored,
    {
        let key = object.key();
        let change = match self.by_key.get(&key) {
            None => Change::Added,
            Some(old) if old.same_content(&object) => {
                if **old == *object {
                    return (Change::Unchanged, None);
                }
                Change::StatusOnly
            }
            Some(_) => Change::Updated,
        };
        if change != Change::StatusOnly {
            self.revision = revision;
        }
        (change, self.by_key.insert(key, object))
    }

    /// Gives up the spare room of a tree that grew in ascending order, which is half of it.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.by_key = std::mem::take(&mut self.by_key).into_iter().collect();
    }

    /// Removes an object and returns it.
    pub(crate) fn remove(&mut self, key: &ObjectKey, revision: u64) -> Option<Arc<T>> {
        let removed = self.by_key.remove(key)?;
        self.revision = revision;
        Some(removed)
    }
}

impl<'a, T: Object> IntoIterator for &'a Objects<T> {
    type Item = &'a Arc<T>;
    type IntoIter = btree_map::Values<'a, ObjectKey, Arc<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
