//! Objects in memory, typed and by key: what the watchers and the directory loader write and
//! translation reads. No watching, no clock, no locks: whoever owns a [`Store`] applies one event
//! after the other and hands out `&Store`.
//!
//! Everything is ordered by key, so that readers are deterministic whatever the order of events.

mod index;
mod objects;
mod stored;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use weft_api::meta::Labels;
use weft_api::reference::PolicyTargetReference;
use weft_api::{
    AnyObject, BackendTlsPolicy, EndpointSlice, Kind, ObjectRef, Service, XBackendTrafficPolicy,
};

use index::Indexes;
pub use objects::Objects;
use stored::Tables;

/// What applying an object changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object is new.
    Added,
    /// Something translation reads is different.
    Updated,
    /// Only the status or bookkeeping metadata is different, as after a status write. The object
    /// is replaced, revisions stay.
    StatusOnly,
    /// Nothing is different; the old object is kept.
    Unchanged,
}

/// All objects, by kind and key, and who refers to whom.
#[derive(Clone, Debug, Default)]
pub struct Store {
    tables: Tables,
    indexes: Indexes,
    revision: u64,
}

impl Store {
    /// Adds or replaces an object.
    pub fn apply(&mut self, object: AnyObject) -> Change {
        let next = self.revision + 1;
        let (change, previous) = self.tables.insert(object.clone(), next);
        if change == Change::Unchanged {
            return change;
        }
        if let Some(previous) = previous {
            self.indexes.remove(&previous);
        }
        self.indexes.add(&object);
        if matches!(change, Change::Added | Change::Updated) {
            self.revision = next;
        }
        change
    }

    /// Gives up the spare room in the maps, not in the objects. Worth its while after the first load
    /// of many objects: those usually come in ascending order, which leaves the maps half empty.
    pub fn shrink_to_fit(&mut self) {
        self.tables.shrink_to_fit();
        self.indexes.shrink_to_fit();
    }

    /// Removes an object and returns it; `None` when there was none.
    pub fn delete(&mut self, reference: &ObjectRef) -> Option<AnyObject> {
        let next = self.revision + 1;
        let removed = self.tables.remove(reference, next)?;
        self.indexes.remove(&removed);
        self.revision = next;
        Some(removed)
    }

    /// The object of a kind and key.
    #[must_use]
    pub fn get(&self, reference: &ObjectRef) -> Option<AnyObject> {
        self.tables.get(reference)
    }

    /// Every object, by kind in the order of [`Kind::ALL`], then by key.
    pub fn iter(&self) -> impl Iterator<Item = AnyObject> + '_ {
        self.tables.iter()
    }

    /// Number of objects of all kinds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there is no object at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts the changes translation can see, from 0. Equal revisions of one store mean equal
    /// input.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The revision of the last change to an object of a kind; 0 before the first.
    #[must_use]
    pub fn revision_of(&self, kind: Kind) -> u64 {
        self.tables.revision_of(kind)
    }

    /// The labels of a namespace; `None` when the namespace is unknown.
    #[must_use]
    pub fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.namespaces()
            .get("", namespace)
            .map(|namespace| &namespace.metadata.labels)
    }

    /// The Service of a namespace and name.
    #[must_use]
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Arc<Service>> {
        self.services().get(namespace, name)
    }

    /// The Services with a cluster address, by key. An API server never gives one address to two
    /// Services; a directory of files may.
    pub fn services_at(&self, address: IpAddr) -> impl Iterator<Item = &Arc<Service>> {
        self.indexes.services_by_address(address).iter()
    }

    /// The EndpointSlices of a Service, by key: those of its namespace whose label
    /// `kubernetes.io/service-name` names it, whether the Service exists or not.
    pub fn endpoint_slices_of(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = &Arc<EndpointSlice>> {
        self.indexes.slices_by_service(namespace, name).iter()
    }

    /// The BackendTLSPolicies that target an object, or a part of it, by key. Policies reach only
    /// objects of their own namespace.
    pub fn backend_tls_policies_for<'a>(
        &'a self,
        target: Target<'a>,
    ) -> impl Iterator<Item = &'a Arc<BackendTlsPolicy>> {
        let policies = self
            .indexes
            .tls_policies_by_target(target.namespace, target.name);
        policies
            .iter()
            .filter(move |policy| target.is_among(&policy.spec.target_refs))
    }

    /// The XBackendTrafficPolicies that target an object, by key.
    pub fn traffic_policies_for<'a>(
        &'a self,
        target: Target<'a>,
    ) -> impl Iterator<Item = &'a Arc<XBackendTrafficPolicy>> {
        let policies = self
            .indexes
            .traffic_policies_by_target(target.namespace, target.name);
        policies
            .iter()
            .filter(move |policy| target.is_among(&policy.spec.target_refs))
    }
}

/// The target of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// API group; empty for the core group.
    pub group: &'a str,
    /// Kind.
    pub kind: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

impl<'a> Target<'a> {
    /// A Service.
    #[must_use]
    pub fn service(namespace: &'a str, name: &'a str) -> Self {
        Self {
            group: "",
            kind: Kind::Service.as_str(),
            namespace,
            name,
        }
    }

    fn is_among(&self, references: &[PolicyTargetReference]) -> bool {
        references.iter().any(|reference| {
            reference.group == self.group
                && reference.kind == self.kind
                && reference.name == self.name
        })
    }
}
