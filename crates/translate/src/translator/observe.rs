//! What changed outside of the routes since the last translation.

use std::{collections::BTreeSet, sync::Arc};

use weft_api::{BackendTlsPolicy, ConfigMap, ListenerSet, Namespace, ReferenceGrant, Service};
use weft_ir::Name;

use crate::{
    Input, context::name_of, policy::backend_tls, route::book::Changes, scope::UnusableAuthorities,
    snapshot::Snapshot,
};

/// The objects that rules and attachment look at, as they were.
#[derive(Default)]
pub(super) struct Observed {
    services: Snapshot<Service>,
    namespaces: Snapshot<Namespace>,
    grants: Snapshot<ReferenceGrant>,
    tls_policies: Snapshot<BackendTlsPolicy>,
    config_maps: Snapshot<ConfigMap>,
    unusable_authorities: UnusableAuthorities,
    listener_sets: Snapshot<ListenerSet>,
}

impl Observed {
    /// Takes over the state of the store and returns the differences. Gateways are not among them:
    /// they are compared by what they mean, not by what they are.
    pub(super) fn update(&mut self, input: Input<'_>) -> Changes {
        let store = input.store;
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
                changes.services.extend(backend_tls::targets(policy));
            }
        }
        self.authorities(input, &mut changes);
        let sets = self.listener_sets.update(store.listener_sets().entries());
        changes.listener_sets = !sets.is_empty();
        changes
    }

    /// Certification authorities count as part of the Services whose policies refer to them.
    fn authorities(&mut self, input: Input<'_>, changes: &mut Changes) {
        let maps = self.config_maps.update(input.store.config_maps().entries());
        let mut maps: BTreeSet<Name> = maps.iter().map(|change| name_of(&change.key)).collect();
        let (old, new) = (
            &self.unusable_authorities,
            &input.scope.unusable_authorities,
        );
        if old == new && maps.is_empty() {
            return;
        }
        let judged = |one: &UnusableAuthorities, other: &UnusableAuthorities| {
            let differs =
                |(name, why): &(&Name, &String)| other.config_maps.get(*name) != Some(*why);
            let names = one.config_maps.iter().filter(differs).map(|(name, _)| name);
            names.cloned().collect::<Vec<_>>()
        };
        maps.extend(judged(old, new));
        maps.extend(judged(new, old));
        let platform = old.platform != new.platform;
        for policy in input.store.backend_tls_policies() {
            let refers = |map: &Name| backend_tls::refers_to(policy, map);
            if platform || maps.iter().any(refers) {
                changes.services.extend(backend_tls::targets(policy));
            }
        }
        self.unusable_authorities = new.clone();
    }
}
