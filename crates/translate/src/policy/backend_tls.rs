//! BackendTLSPolicies: which of them decides for a Service port, and what it asks for.
//!
//! The policy speaks of the Service, so it holds for every way to it: as a backend of a rule or a
//! mirror, and dialled by a mesh client, which the API leaves to implementations ("Service mesh
//! workload-to-service communication", BackendTLSPolicySpec.targetRefs). A policy that decides and
//! cannot be honoured leaves its ports with no one to speak to; plaintext is no substitute.

mod judge;
mod status;
#[cfg(test)]
mod tests;

use std::{cmp::Reverse, sync::Arc};

use weft_api::{BackendTlsPolicy, Object, reference::PolicyTargetReference, service::ServicePort};
use weft_ir::{BackendTls, Name};
use weft_store::{Store, Target};

pub(crate) use self::{
    judge::{Judgement, judge, refers_to},
    status::{Senders, tls_policy as state},
};
use crate::Input;

/// A policy that decides for a port and cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dishonoured {
    /// The policy.
    pub(crate) policy: Name,
    /// What is wrong with it.
    pub(crate) why: String,
}

/// What to speak TLS with the endpoints of a port by; `None` when no policy covers it.
pub(crate) fn of_port(
    input: Input<'_>,
    service: &Name,
    port: &ServicePort,
) -> Option<Result<Arc<BackendTls>, Dishonoured>> {
    let policy = covering(input.store, service, port)?;
    let settings = match judge(input, policy) {
        Judgement {
            settings: Ok(settings),
            ..
        } => Ok(Arc::new(settings)),
        Judgement {
            settings: Err(rejection),
            ..
        } => Err(Dishonoured {
            policy: name_of(policy),
            why: rejection.message,
        }),
    };
    Some(settings)
}

/// The policy that decides for the port: one that names the port before one for the whole Service,
/// then by precedence.
fn covering<'s>(
    store: &'s Store,
    service: &'s Name,
    port: &ServicePort,
) -> Option<&'s BackendTlsPolicy> {
    let specificity = |policy: &BackendTlsPolicy| {
        let targets = policy.spec.target_refs.iter();
        let naming = targets.filter(|target| names(target, service, port));
        naming.map(|target| section(target).is_some()).max()
    };
    let mut best = None;
    for policy in targeting(store, service) {
        let Some(is_specific) = specificity(policy) else {
            continue;
        };
        let rank = (Reverse(is_specific), Precedence::of(policy));
        if best.as_ref().is_none_or(|(other, _)| rank < *other) {
            best = Some((rank, policy));
        }
    }
    best.map(|(_, policy)| policy)
}

/// The policies that target the Service, or one of its ports.
fn targeting<'s>(
    store: &'s Store,
    service: &'s Name,
) -> impl Iterator<Item = &'s BackendTlsPolicy> {
    // The alias must not be a way around a policy.
    let named = ["", "core"].map(|group| {
        let target = Target {
            group,
            ..Target::service(&service.namespace, &service.name)
        };
        let policies = store.backend_tls_policies_for(target);
        policies.map(AsRef::as_ref).collect::<Vec<_>>()
    });
    named.into_iter().flatten()
}

/// Which of two policies for one target decides: "the older policy by creation timestamp", then the
/// first "in alphabetical order by {namespace}/{name}" (BackendTLSPolicySpec.targetRefs). The lesser
/// one does; both are of one namespace.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Precedence<'p> {
    created: Option<i64>,
    name: &'p str,
}

impl<'p> Precedence<'p> {
    fn of(policy: &'p BackendTlsPolicy) -> Self {
        Self {
            created: policy.created().map(|time| time.0.as_second()),
            name: policy.name(),
        }
    }
}

/// Whether a target is the port of the Service, both of the policy's namespace. One without section
/// is every port; one with a section the port of that name
/// (LocalPolicyTargetReferenceWithSectionName).
fn names(target: &PolicyTargetReference, service: &Name, port: &ServicePort) -> bool {
    is_service(target)
        && target.name == *service.name
        && section(target).is_none_or(|section| port.name.as_deref() == Some(section))
}

fn is_service(target: &PolicyTargetReference) -> bool {
    matches!(target.group.as_str(), "" | "core") && target.kind == "Service"
}

fn section(target: &PolicyTargetReference) -> Option<&str> {
    target
        .section_name
        .as_deref()
        .filter(|name| !name.is_empty())
}

/// The Services of a policy's namespace that it targets; repeats are possible.
pub(crate) fn targets(policy: &BackendTlsPolicy) -> impl Iterator<Item = Name> {
    let services = policy.spec.target_refs.iter().filter(|it| is_service(it));
    services.map(|target| Name::new(policy.namespace(), target.name.as_str()))
}

fn name_of(policy: &BackendTlsPolicy) -> Name {
    Name::new(policy.namespace(), policy.name())
}
