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
    service::ServicePort,
};
use weft_ir::Name;
use weft_store::Store;

use crate::{
    Input,
    gateway::Plans,
    mesh,
    notes::{self, Findings},
    policy::backend_tls,
    route::Rejection,
    scope::{ClassPolicy, Scope},
    status::{keep_foreign, merge_parents, negative},
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

/// Who would use the targets of a BackendTLSPolicy.
#[derive(Default)]
pub(crate) struct Senders {
    /// Gateways with a route to a target.
    pub(crate) gateways: BTreeSet<Name>,
    /// Targets that mesh routes send to.
    pub(crate) services: BTreeSet<Name>,
}

/// The status of a BackendTLSPolicy: refused under every Gateway with a route to its targets, and for
/// every target that mesh clients reach, itself or by a route. Requests to the targets answer 5xx;
/// plaintext is never sent.
pub(crate) fn tls_policy(
    input: Input<'_>,
    policy: &BackendTlsPolicy,
    senders: Senders,
    findings: &mut Findings,
) -> Option<PolicyStatus> {
    let message = "TLS to backends is not built yet: requests to the target are refused, because \
                   plaintext is no substitute";
    let Senders {
        gateways,
        mut services,
    } = senders;
    let dialled = note_dialled(input.store, policy, findings);
    if dialled.is_empty() {
        findings.add(&notes::BACKEND_TLS, "kind", message);
    }
    services.extend(dialled);
    let ancestor = |group: &str, kind: Kind, name: &Name| ParentReference {
        group: Some(group.to_owned()),
        kind: Some(kind.as_str().to_owned()),
        namespace: Some(name.namespace.to_string()),
        name: name.name.to_string(),
        ..ParentReference::default()
    };
    let scope = input.scope;
    let gateways = gateways.iter().map(|gateway| {
        let ancestor = ancestor(GATEWAY_GROUP, Kind::Gateway, gateway);
        (ancestor, scope.gateway_controller.as_str())
    });
    // "Ancestors refer to objects that are either the Target of a policy or above it": above the
    // Service there is nothing in a mesh.
    let services = services.iter().map(|service| {
        let ancestor = ancestor("", Kind::Service, service);
        (ancestor, scope.mesh_controller.as_str())
    });
    let ancestors = gateways.chain(services).collect();
    let condition = refused(policy, message);
    ancestors_status(&policy.status, ancestors, condition, &controllers(scope))
}

/// The targets that mesh clients dial, each with a finding: what no route takes would be passed
/// through to them, and is refused.
fn note_dialled(
    store: &Store,
    policy: &BackendTlsPolicy,
    findings: &mut Findings,
) -> BTreeSet<Name> {
    let mut services = BTreeSet::new();
    for (at, target) in policy.spec.target_refs.iter().enumerate() {
        let field = format!("spec.targetRefs[{at}]");
        if (target.group.as_str(), target.kind.as_str()) == ("core", "Service") {
            let message = "\"core\" is read as \"\"";
            findings.add(&notes::CORE_GROUP_ALIAS, format!("{field}.group"), message);
        }
        let name = Name::new(policy.namespace(), target.name.as_str());
        let Some(service) = store.service(&name.namespace, &name.name) else {
            continue;
        };
        let covered = |(_, port): &(u16, &ServicePort)| backend_tls::names(target, &name, port);
        let ports: BTreeSet<u16> = mesh::dialled(service)
            .filter(covered)
            .map(|(number, _)| number)
            .collect();
        if ports.is_empty() {
            continue;
        }
        let message = format!(
            "TLS to Service {name} is not built yet: mesh requests to {} that no route takes are \
             answered 500, other connections reset",
            mesh::list(ports.iter()),
        );
        findings.add(&notes::BACKEND_TLS, field, message);
        services.insert(name);
    }
    services
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
    let ancestors = policy.spec.target_refs.iter().map(ancestor);
    let ancestors = ancestors.map(|ancestor| (ancestor, controller)).collect();
    let condition = refused(policy, &message);
    ancestors_status(&policy.status, ancestors, condition, &[controller])
}

fn refused(policy: &impl Object, message: &str) -> Condition {
    let rejection = Rejection::new(Reason::UnsupportedValue.as_str(), message);
    negative(ConditionType::Accepted, &rejection, policy.generation())
}

/// Entries of other controllers as they are, then one of ours per ancestor and controller. The list
/// holds 16.
fn ancestors_status(
    old: &PolicyStatus,
    references: Vec<(ParentReference, &str)>,
    condition: Condition,
    controllers: &[&str],
) -> Option<PolicyStatus> {
    const MAX_ANCESTORS: usize = 16;
    let own = |entry: &&AncestorStatus| controllers.contains(&entry.controller_name.as_str());
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
    let references = references.into_iter().take(room);
    ancestors.extend(references.map(|(reference, controller)| {
        let before = old.ancestors.iter().find(|before| {
            before.controller_name == controller && before.ancestor_ref == reference
        });
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
    findings.add(&notes::KIND_NOT_BUILT, "kind", not_built(Kind::XBackend));
}
