//! The status of a BackendTLSPolicy: a verdict for everyone who would use its targets.

use std::collections::{BTreeMap, BTreeSet};

use weft_api::{
    BackendTlsPolicy, Condition, ConditionType, GATEWAY_GROUP, Kind, Object, Reason,
    policy::PolicyStatus,
    reference::{ParentReference, PolicyTargetReference},
};
use weft_ir::Name;
use weft_store::Store;

use super::{Judgement, Precedence, is_service, judge, name_of, names, section, targeting};
use crate::{
    Input, mesh,
    notes::{self, Findings},
    route::Rejection,
    status::{Ancestor, ancestors, verdict},
};

/// Who sends to one Service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Senders {
    /// Gateways with a route to it.
    pub(crate) gateways: BTreeSet<Name>,
    /// Whether mesh routes send to it.
    pub(crate) mesh: bool,
}

/// The status of a policy: one entry per Gateway with a route to a target, and per target that mesh
/// clients reach, themselves or by a route. "Ancestors refer to objects that are either the Target of
/// a policy or above it": above the Service there is nothing in a mesh.
pub(crate) fn tls_policy(
    input: Input<'_>,
    policy: &BackendTlsPolicy,
    senders: &BTreeMap<Name, Senders>,
    findings: &mut Findings,
) -> Option<PolicyStatus> {
    let judgement = judge(input, policy);
    let standings = standings(input.store, policy);
    note(policy, &judgement, &standings, findings);
    let mut gateways: BTreeMap<&Name, Vec<&Standing>> = BTreeMap::new();
    let mut services: BTreeMap<&Name, Vec<&Standing>> = BTreeMap::new();
    for standing in &standings {
        let name = &standing.service;
        let of_target = senders.get(name);
        for gateway in of_target.iter().flat_map(|it| &it.gateways) {
            gateways.entry(gateway).or_default().push(standing);
        }
        let is_reached = of_target.is_some_and(|it| it.mesh) || standing.dialled;
        if is_reached && input.scope.has_mesh {
            services.entry(name).or_default().push(standing);
        }
    }
    let scope = input.scope;
    let entry = |(group, kind), name: &Name, controller, standings: &[&Standing]| Ancestor {
        reference: reference(group, kind, name),
        controller,
        conditions: conditions(policy, &judgement, standings),
    };
    let of_gateways = gateways.iter().map(|(name, standings)| {
        let kind = (GATEWAY_GROUP, Kind::Gateway);
        entry(kind, name, scope.gateway_controller.as_str(), standings)
    });
    let of_services = services.iter().map(|(name, standings)| {
        let kind = ("", Kind::Service);
        entry(kind, name, scope.mesh_controller.as_str(), standings)
    });
    let ours = of_gateways.chain(of_services).collect();
    let controllers = [
        scope.gateway_controller.as_str(),
        scope.mesh_controller.as_str(),
    ];
    ancestors(&policy.status, ours, &controllers)
}

fn reference(group: &str, kind: Kind, name: &Name) -> ParentReference {
    ParentReference {
        group: Some(group.to_owned()),
        kind: Some(kind.as_str().to_owned()),
        namespace: Some(name.namespace.to_string()),
        name: name.name.to_string(),
        ..ParentReference::default()
    }
}

/// How a policy stands with one of its targets.
struct Standing {
    /// Position in `spec.targetRefs`.
    at: usize,
    service: Name,
    /// Whether mesh clients dial what the target names.
    dialled: bool,
    place: Place,
}

/// Whether the policy decides for a target.
enum Place {
    /// It does, but for ports that others name.
    Decides,
    /// Another policy for the same target comes before it.
    After(Name),
    /// There is no such thing.
    Missing(String),
}

fn standings(store: &Store, policy: &BackendTlsPolicy) -> Vec<Standing> {
    let targets = policy.spec.target_refs.iter().enumerate();
    let services = targets.filter(|(_, target)| is_service(target));
    services
        .map(|(at, target)| standing(store, policy, at, target))
        .collect()
}

fn standing(
    store: &Store,
    policy: &BackendTlsPolicy,
    at: usize,
    target: &PolicyTargetReference,
) -> Standing {
    let name = Name::new(policy.namespace(), target.name.as_str());
    let service = store.service(&name.namespace, &name.name);
    let named = |port: &_| names(target, &name, port);
    let place = match (service, section(target)) {
        (None, _) => Place::Missing(format!("Service {name} does not exist")),
        (Some(service), Some(section)) if !service.spec.ports.iter().any(named) => {
            Place::Missing(format!("Service {name} has no port named {section:?}"))
        }
        _ => before(store, policy, &name, target).map_or(Place::Decides, Place::After),
    };
    let dialled =
        service.is_some_and(|service| mesh::dialled(service).any(|(_, port)| named(port)));
    Standing {
        at,
        service: name,
        dialled,
        place,
    }
}

/// The policy that decides in place of this one, if another does.
fn before(
    store: &Store,
    policy: &BackendTlsPolicy,
    service: &Name,
    target: &PolicyTargetReference,
) -> Option<Name> {
    let is_same = |other: &PolicyTargetReference| {
        is_service(other) && other.name == target.name && section(other) == section(target)
    };
    let aims = |rival: &&BackendTlsPolicy| rival.spec.target_refs.iter().any(is_same);
    let rivals = targeting(store, service).filter(aims);
    let ranked = rivals.map(|rival| (Precedence::of(rival), rival));
    let (_, first) = ranked.min_by(|(one, _), (other, _)| one.cmp(other))?;
    (first.name() != policy.name()).then(|| name_of(first))
}

/// The verdict for an ancestor that reaches these targets.
fn conditions(
    policy: &BackendTlsPolicy,
    judgement: &Judgement,
    standings: &[&Standing],
) -> Vec<Condition> {
    let generation = policy.generation();
    let accepted = accepted(judgement, standings);
    let resolved = judgement.resolved_refs.as_ref();
    vec![
        verdict(
            ConditionType::Accepted,
            Reason::Accepted,
            accepted.as_ref().map(String::as_str),
            generation,
        ),
        verdict(
            ConditionType::ResolvedRefs,
            Reason::ResolvedRefs,
            resolved.map(|()| "every reference can be used"),
            generation,
        ),
    ]
}

fn accepted(judgement: &Judgement, standings: &[&Standing]) -> Result<String, Rejection> {
    let decides = |standing: &&Standing| matches!(standing.place, Place::Decides);
    if standings.iter().any(decides) {
        return match &judgement.settings {
            Ok(settings) => Ok(format!("the targets get TLS as {}", settings.hostname)),
            Err(rejection) => Err(rejection.clone()),
        };
    }
    let after = standings.iter().find_map(|standing| match &standing.place {
        Place::After(other) => Some((standing, other)),
        _ => None,
    });
    if let Some((standing, other)) = after {
        let message = conflict(standing, other);
        return Err(Rejection::new(Reason::Conflicted.as_str(), message));
    }
    let missing = standings
        .iter()
        .filter_map(|standing| match &standing.place {
            Place::Missing(what) => Some(what.as_str()),
            _ => None,
        });
    let missing: Vec<_> = missing.collect();
    let reason = Reason::TargetNotFound.as_str();
    Err(Rejection::new(reason, missing.join("; ")))
}

fn conflict(standing: &Standing, other: &Name) -> String {
    let Standing { at, service, .. } = standing;
    format!(
        "BackendTLSPolicy {other} comes before this one (older, or first by name) for \
         spec.targetRefs[{at}], Service {service}"
    )
}

/// Findings: what is wrong with the policy, and with each of its targets.
fn note(
    policy: &BackendTlsPolicy,
    judgement: &Judgement,
    standings: &[Standing],
    findings: &mut Findings,
) {
    let code = match judgement.settings {
        Ok(_) => &notes::CA_REF,
        Err(_) => &notes::BACKEND_TLS,
    };
    for fault in &judgement.faults {
        findings.add(code, fault.field.as_str(), fault.message.as_str());
    }
    for (at, target) in policy.spec.target_refs.iter().enumerate() {
        let field = format!("spec.targetRefs[{at}]");
        if !is_service(target) {
            let message = format!("{} of group {:?} is no target", target.kind, target.group);
            findings.add(&notes::POLICY_TARGET, field, message);
        } else if target.group == "core" {
            let message = "\"core\" is read as \"\"";
            findings.add(&notes::CORE_GROUP_ALIAS, format!("{field}.group"), message);
        }
    }
    for standing in standings {
        let field = format!("spec.targetRefs[{}]", standing.at);
        match &standing.place {
            Place::Decides => {}
            Place::After(other) => {
                findings.add(&notes::POLICY_CONFLICT, field, conflict(standing, other));
            }
            Place::Missing(what) => findings.add(&notes::POLICY_TARGET, field, what.as_str()),
        }
    }
}
