//! Kinds that parse but are not built: their statuses say so, and what they protect is not served
//! without them.

use std::collections::BTreeSet;

use weft_api::{
    BackendTlsPolicy, Condition, ConditionType, GATEWAY_GROUP, Kind, ListenerSet, Object,
    ObjectKey, Reason, Route, XBackendTrafficPolicy,
    gateway::{FromNamespaces, ListenerSetStatus, ListenerStatus},
    meta::selects,
    policy::{AncestorStatus, PolicyStatus},
    reference::{ParentReference, PolicyTargetReference},
    route::{ParentStatus, RouteStatus},
};
use weft_ir::Name;

use crate::{
    Input,
    gateway::Plans,
    notes::{self, Findings},
    route::Rejection,
    scope::{ClassPolicy, Scope},
    status::{keep_foreign, merge_parents, negative},
};

#[cfg(test)]
mod tests;

/// The status of a TLSRoute, TCPRoute or UDPRoute: not accepted by any parent of ours.
pub(crate) fn route<R: Route>(
    input: Input<'_>,
    plans: &Plans,
    route: &R,
    findings: &mut Findings,
) -> Option<RouteStatus> {
    let message = format!("{}s are not supported by this version", R::KIND);
    findings.add(&notes::KIND_NOT_BUILT, "kind", message.as_str());
    let rejection = Rejection::new(Reason::UnsupportedValue.as_str(), message);
    let condition = negative(ConditionType::Accepted, &rejection, route.generation());
    let mut ours: Vec<ParentStatus> = Vec::new();
    for reference in &route.spec().parent_refs {
        let controller = controller(input, plans, reference, route.namespace());
        let repeated = ours.iter().any(|entry| entry.parent_ref == *reference);
        if let Some(controller) = controller
            && !repeated
        {
            ours.push(ParentStatus {
                parent_ref: reference.clone(),
                controller_name: controller.to_owned(),
                conditions: vec![condition.clone()],
            });
        }
    }
    let controllers = controllers(input.scope);
    let old = route.status();
    let had = |entry: &ParentStatus| controllers.contains(&entry.controller_name.as_str());
    let write = !ours.is_empty() || old.parents.iter().any(had);
    write.then(|| merge_parents(ours, old, controllers))
}

fn controllers(scope: &Scope) -> [&str; 2] {
    [
        scope.gateway_controller.as_str(),
        scope.mesh_controller.as_str(),
    ]
}

/// Who of us judges attachment to a parent.
fn controller<'a>(
    input: Input<'a>,
    plans: &Plans,
    reference: &ParentReference,
    namespace: &str,
) -> Option<&'a str> {
    let namespace = reference.namespace(namespace);
    match (reference.group(), reference.kind()) {
        ("" | "core", "Service") => Some(&input.scope.mesh_controller),
        (GATEWAY_GROUP, "Gateway") => {
            let missing = input
                .store
                .gateways()
                .get(namespace, &reference.name)
                .is_none();
            let ours = plans.contains_key(&ObjectKey::new(namespace, reference.name.as_str()));
            let alone = input.scope.classes == ClassPolicy::Every;
            (ours || (missing && alone)).then_some(&input.scope.gateway_controller)
        }
        (GATEWAY_GROUP, "ListenerSet") => is_our_set(input, plans, namespace, &reference.name)
            .then_some(&input.scope.gateway_controller),
        _ => None,
    }
}

/// Whether a ListenerSet hangs below a Gateway of ours, or could only hang below one.
pub(crate) fn is_our_set(input: Input<'_>, plans: &Plans, namespace: &str, name: &str) -> bool {
    if input.scope.classes == ClassPolicy::Every {
        return true;
    }
    input
        .store
        .listener_sets()
        .get(namespace, name)
        .is_some_and(|set| {
            let parent = &set.spec.parent_ref;
            let namespace = parent.namespace(set.namespace());
            plans.contains_key(&ObjectKey::new(namespace, parent.name.as_str()))
        })
}

/// The status of a ListenerSet under a Gateway of ours.
pub(crate) fn listener_set(
    input: Input<'_>,
    plans: &Plans,
    set: &ListenerSet,
    findings: &mut Findings,
) -> Option<ListenerSetStatus> {
    let message = "ListenerSets are not supported by this version";
    findings.add(&notes::KIND_NOT_BUILT, "kind", message);
    let parent = &set.spec.parent_ref;
    let namespace = parent.namespace(set.namespace());
    let plan = plans.get(&ObjectKey::new(namespace, parent.name.as_str()))?;
    let reason = match admits(input, &plan.object, set) {
        true => Reason::ListenersNotValid,
        false => Reason::NotAllowed,
    };
    let message = match reason {
        Reason::NotAllowed => format!("allowedListeners of Gateway {} has no room", plan.name),
        _ => message.to_owned(),
    };
    let generation = set.generation();
    let rejected = |reason: Reason| Rejection::new(reason.as_str(), message.as_str());
    let both = |reason: Reason, programmed: Reason| {
        vec![
            negative(ConditionType::Accepted, &rejected(reason), generation),
            negative(ConditionType::Programmed, &rejected(programmed), generation),
        ]
    };
    let entry = |listener: &weft_api::gateway::Listener| {
        let before = set
            .status
            .listeners
            .iter()
            .find(|before| before.name == listener.name);
        let before = before
            .map(|before| before.conditions.as_slice())
            .unwrap_or_default();
        let own = both(Reason::UnsupportedValue, Reason::Invalid);
        ListenerStatus {
            name: listener.name.clone(),
            conditions: keep_foreign(own, before),
            ..ListenerStatus::default()
        }
    };
    Some(ListenerSetStatus {
        conditions: keep_foreign(both(reason, reason), &set.status.conditions),
        listeners: set.spec.listeners.iter().map(entry).collect(),
    })
}

/// Whether `allowedListeners` of the Gateway lets the set in; nobody is let in by default.
fn admits(input: Input<'_>, gateway: &weft_api::Gateway, set: &ListenerSet) -> bool {
    let Some(allowed) = &gateway.spec.allowed_listeners else {
        return false;
    };
    let selector = allowed
        .namespaces
        .as_ref()
        .and_then(|filter| filter.selector.as_deref());
    match (allowed.from(), selector) {
        (FromNamespaces::All, _) => true,
        (FromNamespaces::Same, _) => gateway.namespace() == set.namespace(),
        (FromNamespaces::Selector, Some(selector)) => {
            let labels = input.store.namespace_labels(set.namespace());
            selects(selector, labels).unwrap_or(false)
        }
        _ => false,
    }
}

/// The status of a BackendTLSPolicy: refused under every Gateway with a route to its targets. Those
/// routes answer 5xx for the targets and never send plaintext.
pub(crate) fn tls_policy(
    scope: &Scope,
    policy: &BackendTlsPolicy,
    gateways: &BTreeSet<Name>,
    findings: &mut Findings,
) -> Option<PolicyStatus> {
    let message = "BackendTLSPolicies are not supported by this version; requests to the target \
                   are refused, because plaintext is no substitute";
    findings.add(&notes::BACKEND_TLS, "kind", message);
    let ancestors = gateways.iter().map(|gateway| ParentReference {
        group: Some(GATEWAY_GROUP.to_owned()),
        kind: Some(Kind::Gateway.as_str().to_owned()),
        namespace: Some(gateway.namespace.to_string()),
        name: gateway.name.to_string(),
        ..ParentReference::default()
    });
    let condition = refused(policy, message);
    ancestors_status(
        &policy.status,
        ancestors.collect(),
        condition,
        &scope.gateway_controller,
    )
}

/// The status of an XBackendTrafficPolicy: refused for each of its targets.
pub(crate) fn traffic_policy(
    scope: &Scope,
    policy: &XBackendTrafficPolicy,
    findings: &mut Findings,
) -> Option<PolicyStatus> {
    let message = "XBackendTrafficPolicies are not supported by this version";
    findings.add(&notes::KIND_NOT_BUILT, "kind", message);
    let ancestor = |target: &PolicyTargetReference| ParentReference {
        group: Some(target.group.clone()),
        kind: Some(target.kind.clone()),
        namespace: Some(policy.namespace().to_owned()),
        name: target.name.clone(),
        section_name: target.section_name.clone(),
        ..ParentReference::default()
    };
    let ancestors = policy.spec.target_refs.iter().map(ancestor).collect();
    let condition = refused(policy, message);
    ancestors_status(&policy.status, ancestors, condition, &scope.mesh_controller)
}

fn refused(policy: &impl Object, message: &str) -> Condition {
    let rejection = Rejection::new(Reason::UnsupportedValue.as_str(), message);
    negative(ConditionType::Accepted, &rejection, policy.generation())
}

/// Entries of other controllers as they are, then one of ours per ancestor. The list holds 16.
fn ancestors_status(
    old: &PolicyStatus,
    references: Vec<ParentReference>,
    condition: Condition,
    controller: &str,
) -> Option<PolicyStatus> {
    const MAX_ANCESTORS: usize = 16;
    let own = |entry: &&AncestorStatus| entry.controller_name == controller;
    if references.is_empty() && !old.ancestors.iter().any(|entry| own(&entry)) {
        return None;
    }
    let mut ancestors: Vec<_> = old
        .ancestors
        .iter()
        .filter(|it| !own(it))
        .cloned()
        .collect();
    let room = MAX_ANCESTORS.saturating_sub(ancestors.len());
    ancestors.extend(references.into_iter().take(room).map(|reference| {
        let before = old
            .ancestors
            .iter()
            .filter(own)
            .find(|before| before.ancestor_ref == reference);
        let before = before
            .map(|before| before.conditions.as_slice())
            .unwrap_or_default();
        AncestorStatus {
            ancestor_ref: reference,
            controller_name: controller.to_owned(),
            conditions: keep_foreign(vec![condition.clone()], before),
        }
    }));
    Some(PolicyStatus { ancestors })
}

/// The Services of a policy's namespace that it targets.
pub(crate) fn targets(policy: &BackendTlsPolicy) -> impl Iterator<Item = Name> {
    let namespace = policy.namespace();
    let services = policy
        .spec
        .target_refs
        .iter()
        .filter(|target| target.kind == "Service");
    services.map(move |target| Name::new(namespace, target.name.as_str()))
}

/// An XBackend has nobody who would refer to it: routes that name one are told InvalidKind.
pub(crate) fn backend(findings: &mut Findings) {
    findings.add(
        &notes::KIND_NOT_BUILT,
        "kind",
        "XBackends are not supported by this version",
    );
}
