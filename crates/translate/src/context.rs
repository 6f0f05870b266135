//! What the compilation of a route may look at, and the record of what it did look at.
//!
//! Rules are compiled once per (route, parent mode) and kept as long as nothing they were compiled
//! from has changed. That is only true if every look outside the route object is written down, so a
//! route never gets the store itself: it asks this context, and the context keeps the list.

use std::{collections::BTreeSet, sync::Arc};

use weft_api::{BackendTlsPolicy, ReferenceGrant, Service};
use weft_ir::{Name, RouteId};
use weft_store::Store;

use crate::notes::{Code, Note, Notes};

/// The two ways to be a parent. They differ in what a reference may reach and in what a hostname
/// means, so a route with parents of both sorts is compiled twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ParentMode {
    /// Gateway listeners: references to other namespaces need a ReferenceGrant.
    Gateway,
    /// Service ports (GEP-1294): mesh routes augment Services that exist anyway, so no reference
    /// needs a grant, and hostnames are ignored.
    Mesh,
}

/// The objects outside of the route that its rules depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Services that were looked up, whether they exist or not. A BackendTLSPolicy counts as part of
    /// the Service it targets.
    pub(crate) services: BTreeSet<Name>,
    /// Namespaces whose ReferenceGrants were consulted.
    pub(crate) grants: BTreeSet<Arc<str>>,
}

/// The surroundings of one route while its rules are compiled.
pub(crate) struct CompileContext<'a> {
    /// Which sort of parent the rules are for.
    pub(crate) parent: ParentMode,
    /// The route, as rules name it. Share it, do not copy it.
    pub(crate) route: Arc<RouteId>,
    store: &'a Store,
    notes: Notes,
    uses: Uses,
}

impl<'a> CompileContext<'a> {
    /// The surroundings of `route` in `store`.
    pub(crate) fn new(store: &'a Store, parent: ParentMode, route: Arc<RouteId>) -> Self {
        let notes = Notes::default();
        Self { parent, route, store, notes, uses: Uses::default() }
    }

    /// The Service of that name.
    pub(crate) fn service(&mut self, name: &Name) -> Option<&'a Arc<Service>> {
        self.uses.services.insert(name.clone());
        self.store.service(name)
    }

    /// The ReferenceGrants that live in `namespace`, which is the namespace of the *referent*.
    pub(crate) fn grants(&mut self, namespace: &Arc<str>) -> impl Iterator<Item = &'a ReferenceGrant> {
        self.uses.grants.insert(namespace.clone());
        self.store.reference_grants(namespace)
    }

    /// The BackendTLSPolicies that target the Service.
    pub(crate) fn backend_tls_policies(
        &mut self,
        service: &Name,
    ) -> impl Iterator<Item = &'a BackendTlsPolicy> {
        self.uses.services.insert(service.clone());
        self.store.backend_tls_policies(service)
    }

    /// Adds a finding about the route. `field` is the path from the object's root, for example
    /// `spec.rules[2].filters[0]`.
    pub(crate) fn note(&mut self, code: &'static Code, field: impl Into<String>, message: String) {
        self.notes.push(Note::new(code, self.object(), field, message));
    }

    /// Ends the compilation: the findings and the record of what was used.
    pub(crate) fn finish(self) -> (Notes, Uses) {
        (self.notes, self.uses)
    }
}
