//! What changed outside of the routes since the last translation.

use std::sync::Arc;

use weft_api::{BackendTlsPolicy, ListenerSet, Namespace, ReferenceGrant, Service};
use weft_store::Store;

use crate::{context::name_of, refused, route::book::Changes, snapshot::Snapshot};

/// The objects that rules and attachment look at, as they were.
#[derive(Default)]
pub(super) struct Observed {
    services: Snapshot<Service>,
    namespaces: Snapshot<Namespace>,
    grants: Snapshot<ReferenceGrant>,
    tls_policies: Snapshot<BackendTlsPolicy>,
    listener_sets: Snapshot<ListenerSet>,
}

impl Observed {
    /// Takes over the state of the store and returns the differences. Gateways are not among them:
    /// they are compared by what they mean, not by what they are.
    pub(super) fn update(&mut self, store: &Store) -> Changes {
        let mut changes = Changes::default();
        for change in self.services.update(store.services().entries()) {
            changes.services.insert(name_of(&change.key));
        }
        for change in self.namespaces.update(store.namespaces().entries()) {
            let labels = |namespace: Option<Arc<Namespace>>| {
                namespace.map(|namespace| namespace.metadata.labels.clone())
            };
            if labels(change.old) != labels(change.new) {
                changes.namespaces.insert(change.key.name().into());
            }
        }
        for change in self.grants.update(store.reference_grants().entries()) {
            changes.grants.insert(change.key.namespace().into());
        }
        for change in self
            .tls_policies
            .update(store.backend_tls_policies().entries())
        {
            for policy in [&change.old, &change.new].into_iter().flatten() {
                changes.services.extend(refused::targets(policy));
            }
        }
        let sets = self.listener_sets.update(store.listener_sets().entries());
        changes.listener_sets = !sets.is_empty();
        changes
    }
}
