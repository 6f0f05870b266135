//! The objects of one file, as a map that takes no more room than they do.
//!
//! Most directories hold many files of a few objects. A node of a tree has room for eleven, which is
//! a kilobyte for each of those files; a sorted list has room for what is in it.

use std::collections::BTreeMap;

use weft_api::ObjectRef;

use super::file::Entry;

/// The objects of a file, by name.
#[derive(Debug, Default)]
pub(crate) struct Entries(Box<[(ObjectRef, Entry)]>);

impl Entries {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry of an object.
    pub(crate) fn get(&self, object: &ObjectRef) -> Option<&Entry> {
        let at = self.position(object)?;
        self.0.get(at).map(|(_, entry)| entry)
    }

    /// The entry of an object, to be changed.
    pub(crate) fn get_mut(&mut self, object: &ObjectRef) -> Option<&mut Entry> {
        let at = self.position(object)?;
        self.0.get_mut(at).map(|(_, entry)| entry)
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ObjectRef, &Entry)> {
        self.0.iter().map(|(object, entry)| (object, entry))
    }

    /// The entries without their names, in the same order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().map(|(_, entry)| entry)
    }

    /// Adds objects that are not there yet.
    pub(crate) fn extend(&mut self, more: BTreeMap<ObjectRef, Entry>) {
        let mut all: BTreeMap<_, _> = std::mem::take(&mut self.0).into_iter().collect();
        all.extend(more);
        *self = Self::from(all);
    }

    fn position(&self, object: &ObjectRef) -> Option<usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(object)).ok()
    }
}

impl From<BTreeMap<ObjectRef, Entry>> for Entries {
    fn from(entries: BTreeMap<ObjectRef, Entry>) -> Self {
        Self(entries.into_iter().collect())
    }
}
