//! The objects of one kind as they were at the last translation, to find what changed since.
//!
//! Objects are shared (`Arc`) and never mutated in place, so pointer equality means "unchanged". The
//! snapshot keeps the old objects alive, which makes the comparison sound: an address cannot be
//! reused while it is held here.

use std::{collections::BTreeMap, sync::Arc};

use weft_api::ObjectKey;

#[cfg(test)]
mod tests;

/// Objects of one kind.
#[derive(Debug)]
pub(crate) struct Snapshot<T> {
    objects: BTreeMap<ObjectKey, Arc<T>>,
}

/// An object that appeared, went or was replaced.
#[derive(Debug, PartialEq)]
pub(crate) struct Change<T> {
    /// Its name.
    pub(crate) key: ObjectKey,
    /// The object at the last translation.
    pub(crate) old: Option<Arc<T>>,
    /// The object now.
    pub(crate) new: Option<Arc<T>>,
}

impl<T> Default for Snapshot<T> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
        }
    }
}

impl<T> Snapshot<T> {
    /// The objects in the order of their keys.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<T>)> {
        self.objects.iter()
    }

    /// The object of that name.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Arc<T>> {
        self.objects.get(key)
    }

    /// Takes over what is there `now`, in ascending order of keys, and returns the differences in
    /// that order. Costs one walk and, when nothing changed, no allocation.
    pub(crate) fn update<'s>(
        &mut self,
        now: impl Iterator<Item = (&'s ObjectKey, &'s Arc<T>)>,
    ) -> Vec<Change<T>>
    where
        T: 's,
    {
        if self.objects.is_empty() {
            return self.fill(now);
        }
        let changes = self.differences(now);
        for Change { key, new, .. } in &changes {
            match new {
                Some(object) => self.objects.insert(key.clone(), object.clone()),
                None => self.objects.remove(key),
            };
        }
        changes
    }

    /// The first update: a tree made of a sorted list has no spare room, unlike one that grew.
    fn fill<'s>(&mut self, now: impl Iterator<Item = (&'s ObjectKey, &'s Arc<T>)>) -> Vec<Change<T>>
    where
        T: 's,
    {
        self.objects = now
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect();
        let appeared = |(key, object): (&ObjectKey, &Arc<T>)| Change {
            key: key.clone(),
            old: None,
            new: Some(object.clone()),
        };
        self.objects.iter().map(appeared).collect()
    }

    fn differences<'s>(
        &self,
        now: impl Iterator<Item = (&'s ObjectKey, &'s Arc<T>)>,
    ) -> Vec<Change<T>>
    where
        T: 's,
    {
        let mut changes = Vec::new();
        let gone = |(key, old): (&ObjectKey, &Arc<T>)| Change {
            key: key.clone(),
            old: Some(old.clone()),
            new: None,
        };
        let mut before = self.objects.iter().peekable();
        for (key, object) in now {
            while let Some(entry) = before.next_if(|(old_key, _)| *old_key < key) {
                changes.push(gone(entry));
            }
            let old = before
                .next_if(|(old_key, _)| *old_key == key)
                .map(|(_, old)| old);
            if !old.is_some_and(|old| Arc::ptr_eq(old, object)) {
                let (key, old) = (key.clone(), old.cloned());
                changes.push(Change {
                    key,
                    old,
                    new: Some(object.clone()),
                });
            }
        }
        changes.extend(before.map(gone));
        changes
    }
}
