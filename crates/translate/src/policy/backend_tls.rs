//! BackendTLSPolicies: which of them cover a Service port.
//!
//! None can be honoured yet, so that "requests to its target answer 5xx; plaintext never" holds for
//! what they cover, be it reached as a backend of a rule or dialled by a mesh client. The API leaves
//! the second to implementations ("Service mesh workload-to-service communication",
//! BackendTLSPolicySpec.targetRefs): the policy speaks of the Service, so it holds for every way to
//! it.

use weft_api::{BackendTlsPolicy, Object, reference::PolicyTargetReference, service::ServicePort};
use weft_ir::Name;
use weft_store::{Store, Target};

/// The BackendTLSPolicies that target the Service, or one of its ports.
fn targeting<'s>(
    store: &'s Store,
    service: &'s Name,
) -> impl Iterator<Item = &'s BackendTlsPolicy> {
    let named = move |group| {
        store.backend_tls_policies_for(Target {
            group,
            ..Target::service(&service.namespace, &service.name)
        })
    };
    // The alias must not be a way around a policy.
    named("").chain(named("core")).map(AsRef::as_ref)
}

/// The policy that covers the port, by name; the first of several.
pub(crate) fn covering<'s>(
    store: &'s Store,
    service: &'s Name,
    port: &ServicePort,
) -> Option<&'s BackendTlsPolicy> {
    targeting(store, service)
        .filter(|policy| covers(policy, service, port))
        .min_by(|left, right| left.metadata.name.cmp(&right.metadata.name))
}

/// Whether a policy covers the port.
fn covers(policy: &BackendTlsPolicy, service: &Name, port: &ServicePort) -> bool {
    policy.namespace() == &*service.namespace
        && policy
            .spec
            .target_refs
            .iter()
            .any(|target| names(target, service, port))
}

/// Whether a target is the port of the Service, both of the policy's namespace. One without section
/// is every port; one with a section the port of that name
/// (LocalPolicyTargetReferenceWithSectionName).
pub(crate) fn names(target: &PolicyTargetReference, service: &Name, port: &ServicePort) -> bool {
    let section = target.section_name.as_deref().unwrap_or_default();
    matches!(target.group.as_str(), "" | "core")
        && target.kind == "Service"
        && target.name == *service.name
        && (section.is_empty() || port.name.as_deref() == Some(section))
}
