//! What a translation says, and how it stays the same object where nothing changed.

use std::{collections::BTreeMap, sync::Arc};

use weft_api::{Kind, ObjectKey, ObjectRef};
use weft_ir::{Namespaces, Peers, Tables, Workloads};

use crate::{notes::Note, status::Status};

/// Everything a translation says. Parts that did not change since the last output of the same
/// [`Translator`](crate::Translator) are shared with it (`Arc` pointer equality).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// What the data path reads.
    pub tables: Arc<Tables>,
    /// What the proxies of nodes have to know of their pods; empty where there is no mesh.
    pub workloads: Arc<Workloads>,
    /// Members of the mesh by the addresses of their pods, as far as they can be reached through the
    /// tunnel.
    pub peers: Arc<Peers>,
    /// Namespaces whose pods are to be of the mesh.
    pub namespaces: Arc<Namespaces>,
    /// The whole status of every object that Weft judges. Objects of others have no entry.
    pub statuses: Arc<BTreeMap<ObjectRef, Arc<Status>>>,
    /// Findings by object, sorted by field; objects without one have no entry.
    pub notes: Arc<BTreeMap<ObjectRef, Arc<[Note]>>>,
}

impl Output {
    /// Says something about an object, or no longer anything.
    pub(crate) fn put(&mut self, object: &ObjectRef, status: Option<Status>, mut notes: Vec<Note>) {
        match status {
            None => remove(&mut self.statuses, object),
            Some(status) => {
                if self.statuses.get(object).is_none_or(|old| **old != status) {
                    insert(&mut self.statuses, object, Arc::new(status));
                }
            }
        }
        notes.sort();
        notes.dedup();
        if notes.is_empty() {
            remove(&mut self.notes, object);
        } else if self.notes.get(object).is_none_or(|old| **old != *notes) {
            insert(&mut self.notes, object, notes.into());
        }
    }

    /// Forgets the objects of a kind that are not among `known`.
    pub(crate) fn retain(&mut self, kind: Kind, known: impl Fn(&ObjectKey) -> bool) {
        let gone: Vec<_> = of_kind(&self.statuses, kind)
            .chain(of_kind(&self.notes, kind))
            .filter(|object| !known(&object.key))
            .cloned()
            .collect();
        for object in gone {
            remove(&mut self.statuses, &object);
            remove(&mut self.notes, &object);
        }
    }
}

/// Copies a map that somebody else holds, and no other.
fn insert<T: ?Sized>(map: &mut Arc<BTreeMap<ObjectRef, Arc<T>>>, object: &ObjectRef, part: Arc<T>) {
    Arc::make_mut(map).insert(object.clone(), part);
}

fn remove<T: ?Sized>(map: &mut Arc<BTreeMap<ObjectRef, Arc<T>>>, object: &ObjectRef) {
    if map.contains_key(object) {
        Arc::make_mut(map).remove(object);
    }
}

fn of_kind<T>(map: &BTreeMap<ObjectRef, T>, kind: Kind) -> impl Iterator<Item = &ObjectRef> {
    let first = ObjectRef::new(kind, ObjectKey::cluster(""));
    map.range(first..)
        .map(|(object, _)| object)
        .take_while(move |object| object.kind == kind)
}
