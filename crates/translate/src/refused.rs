//! Kinds that parse but are not built: their statuses say so, and what they protect is not served
//! without them.

use weft_api::{
    ConditionType, GATEWAY_GROUP, Kind, ListenerSet, Object, ObjectKey, Reason, Route,
    XBackendTrafficPolicy,
    gateway::{FromNamespaces, ListenerSetStatus, ListenerStatus},
    meta::selects,
    policy::PolicyStatus,
    reference::{ParentReference, PolicyTargetReference},
    route::{ParentStatus, RouteStatus},
};

use crate::{
    Input,
    gateway::Plans,
    notes::{self, Findings},
    route::Rejection,
    scope::{ClassPolicy, Scope},
    status::{Ancestor, ancestors, keep_foreign, merge_parents, negative},
};

#[cfg(test)]
mod tests;

/// What a kind that is not built comes to, and what there is instead.
pub(crate) fn not_built(kind: Kind) -> String {
    let instead = match kind {
        Kind::TcpRoute => {
            "TCP to the address of a Service needs no route; at a Gateway only HTTP is served"
        }
        Kind::TlsRoute => {
            "TLS to the address of a Service needs no route; at a Gateway let an HTTPS listener \
             terminate it and attach an HTTPRoute or GRPCRoute"
        }
        Kind::UdpRoute => "UDP is not carried at all; let clients send it to the endpoints",
        Kind::ListenerSet => "write its listeners into the Gateway",
        Kind::XBackendTrafficPolicy => "bound retries by `retry` in the rules of HTTPRoutes",
        _ => "refer to a Service",
    };
    format!("{kind} is not built yet and has no effect: {instead}")
}

/// The status of a TLSRoute, TCPRoute or UDPRoute: not accepted by any parent of ours.
pub(crate) fn route<R: Route>(
    input: Input<'_>,
    plans: &Plans,
    route: &R,
    findings: &mut Findings,
) -> Option<RouteStatus> {
    let message = not_built(R::KIND);
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
        ("" | "core", "Service") => (input.scope.has_mesh).then_some(&input.scope.mesh_controller),
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
    let message = not_built(Kind::ListenerSet);
    findings.add(&notes::KIND_NOT_BUILT, "kind", message.as_str());
    let parent = &set.spec.parent_ref;
    let namespace = parent.namespace(set.namespace());
    let plan = plans.get(&ObjectKey::new(namespace, parent.name.as_str()))?;
    let (reason, message) = match barred(input, &plan.object, set) {
        None => (Reason::ListenersNotValid, message),
        Some(why) => {
            let field = format!("spec.allowedListeners.namespaces of Gateway {}", plan.name);
            (Reason::NotAllowed, format!("{field} {why}"))
        }
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

/// Why `allowedListeners.namespaces` of the Gateway does not let the set in, with the cure; nobody is
/// let in by default.
fn barred(
    input: Input<'_>,
    gateway: &weft_api::Gateway,
    set: &ListenerSet,
) -> Option<&'static str> {
    let allowed = gateway.spec.allowed_listeners.as_ref();
    let namespaces = allowed.and_then(|allowed| allowed.namespaces.as_ref());
    let selector = namespaces.and_then(|filter| filter.selector.as_deref());
    let from = allowed.map_or(&FromNamespaces::None, |allowed| allowed.from());
    match (from, selector) {
        (FromNamespaces::All, _) => None,
        (FromNamespaces::Same, _) => (gateway.namespace() != set.namespace())
            .then_some("lets in its own namespace only (from: Same); set from to All or Selector"),
        (FromNamespaces::Selector, Some(selector)) => {
            let labels = input.store.namespace_labels(set.namespace());
            let taken = selects(selector, labels).unwrap_or(false);
            (!taken).then_some("has a selector that does not take the namespace; label it")
        }
        (FromNamespaces::Selector, None) => Some("is from Selector without a selector; add one"),
        (FromNamespaces::None, _) => Some(
            "lets in no ListenerSet (from: None, the default); set from to Same, All or Selector",
        ),
        _ => Some(
            "lets in no ListenerSet (from is no value known); set from to Same, All or Selector",
        ),
    }
}

/// The status of an XBackendTrafficPolicy: refused for each of its targets.
pub(crate) fn traffic_policy(
    scope: &Scope,
    policy: &XBackendTrafficPolicy,
    findings: &mut Findings,
) -> Option<PolicyStatus> {
    let message = not_built(Kind::XBackendTrafficPolicy);
    findings.add(&notes::KIND_NOT_BUILT, "kind", message.as_str());
    let ancestor = |target: &PolicyTargetReference| ParentReference {
        group: Some(target.group.clone()),
        kind: Some(target.kind.clone()),
        namespace: Some(policy.namespace().to_owned()),
        name: target.name.clone(),
        section_name: target.section_name.clone(),
        ..ParentReference::default()
    };
    let controller = scope.mesh_controller.as_str();
    let rejection = Rejection::new(Reason::UnsupportedValue.as_str(), message);
    let condition = negative(ConditionType::Accepted, &rejection, policy.generation());
    let ours = policy.spec.target_refs.iter().map(|target| Ancestor {
        reference: ancestor(target),
        controller,
        conditions: vec![condition.clone()],
    });
    ancestors(&policy.status, ours.collect(), &[controller])
}

/// An XBackend has nobody who would refer to it: routes that name one are told InvalidKind.
pub(crate) fn backend(findings: &mut Findings) {
    findings.add(&notes::KIND_NOT_BUILT, "kind", not_built(Kind::XBackend));
}
