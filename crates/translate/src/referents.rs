//! Which Secrets and ConfigMaps a translation looks at: those that something of ours refers to and
//! may refer to. Whoever feeds the store reads these and no others.

use std::collections::BTreeSet;

use weft_api::{
    GATEWAY_GROUP, Gateway, Kind, Object, ObjectKey, ObjectRef, reference::SecretReference,
};
use weft_store::Store;

use crate::{
    Input, Scope,
    gateway::class::{self, Ownership},
    grants::Reference,
    notes::Findings,
};

#[cfg(test)]
mod tests;

/// The Secrets and ConfigMaps that are referred to and granted: certificates of Gateways of ours, and
/// the authorities of BackendTLSPolicies, which are always of the policy's own namespace. Whether they
/// exist plays no role. Costs a look at every Gateway and BackendTLSPolicy.
pub fn referents(store: &Store, scope: &Scope) -> BTreeSet<ObjectRef> {
    let input = Input { store, scope };
    let mut found = BTreeSet::new();
    for gateway in store.gateways() {
        if !is_ours(input, gateway) {
            continue;
        }
        let of_listeners = gateway.spec.listeners.iter();
        let of_listeners = of_listeners.filter_map(|listener| listener.tls.as_ref());
        let certificates = of_listeners.flat_map(|tls| &tls.certificate_refs);
        let towards_backends = gateway.spec.tls.as_deref();
        let towards_backends = towards_backends.and_then(|tls| tls.backend.as_ref());
        let towards_backends = towards_backends.and_then(|tls| tls.client_certificate_ref.as_ref());
        let granted = certificates.chain(towards_backends);
        found.extend(granted.filter_map(|reference| secret(input, gateway, reference)));
    }
    for policy in store.backend_tls_policies() {
        let references = policy.spec.validation.ca_certificate_refs.iter();
        let config_maps = references.filter(|it| {
            let elsewhere = it.namespace.as_deref();
            (it.group.as_str(), it.kind.as_str()) == ("", Kind::ConfigMap.as_str())
                && elsewhere.is_none_or(|namespace| namespace == policy.namespace())
        });
        found.extend(config_maps.map(|it| {
            let key = ObjectKey::new(policy.namespace(), it.name.as_str());
            ObjectRef::new(Kind::ConfigMap, key)
        }));
    }
    found
}

fn is_ours(input: Input<'_>, gateway: &Gateway) -> bool {
    let reference = ObjectRef::new(Kind::Gateway, gateway.key());
    // What is wrong with the class is said where the Gateway is judged.
    let mut findings = Findings::new(reference);
    let name = gateway.spec.gateway_class_name.as_str();
    class::ownership(input, name, &mut findings) == Ownership::Ours
}

/// The Secret, if it is one and may be referred to.
fn secret(input: Input<'_>, gateway: &Gateway, reference: &SecretReference) -> Option<ObjectRef> {
    if (reference.group(), reference.kind()) != ("", Kind::Secret.as_str()) {
        return None;
    }
    let namespace = reference.namespace(gateway.namespace());
    let crossing = Reference {
        from_group: GATEWAY_GROUP,
        from_kind: "Gateway",
        from_namespace: gateway.namespace(),
        to_group: reference.group(),
        to_kind: reference.kind(),
        to_namespace: namespace,
        to_name: &reference.name,
    };
    let grants = input.store.reference_grants().in_namespace(namespace);
    let is_granted =
        !crossing.crosses_namespaces() || crossing.permitted_by(grants.map(AsRef::as_ref));
    let key = ObjectKey::new(namespace, reference.name.as_str());
    is_granted.then(|| ObjectRef::new(Kind::Secret, key))
}
