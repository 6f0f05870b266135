//! Which endpoints are members of the mesh, and as whom.
//!
//! Who is to be a member is one question for everybody ([`is_member`]); whether an endpoint can be
//! reached as one depends on who serves it, which a [`Scope`](crate::Scope) knows.

use std::sync::Arc;

use weft_api::{Namespace, Object, Pod, workload::CAPTURED};
use weft_spiffe::TrustDomain;

use crate::workload::is_member;

#[cfg(test)]
mod tests;

/// The account of a Pod that names none.
const DEFAULT_ACCOUNT: &str = "default";

/// Which endpoints are members of the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Enrolment {
    /// None: no data path would answer for them.
    #[default]
    Nobody,
    /// Those that the label `weft.dev/mesh` enrols, with identities in this trust domain: where one
    /// process stands for every workload, so that nothing has to be captured. Endpoints without a Pod
    /// belong to the Namespace of their Service and its account `default`.
    Labelled(TrustDomain),
    /// Those of them whose Pod is captured (annotation `weft.dev/captured: "true"`).
    Captured(TrustDomain),
}

impl Enrolment {
    /// Whether anybody can be a member.
    pub(crate) fn is_on(&self) -> bool {
        *self != Self::Nobody
    }

    /// The SPIFFE ID of an endpoint of a Service in the namespace `name`, if it is a member. `pod` is
    /// what is known of the Pod that the endpoint names.
    ///
    /// An account whose name Kubernetes would not have makes a text that is no SPIFFE ID: nobody can
    /// answer to it, and the endpoint is not reached in plaintext instead.
    pub(crate) fn member(
        &self,
        name: &str,
        namespace: Option<&Namespace>,
        pod: Option<&Pod>,
    ) -> Option<Arc<str>> {
        let (domain, is_reachable) = match self {
            Self::Nobody => return None,
            Self::Labelled(domain) => (domain, true),
            Self::Captured(domain) => (domain, pod.is_some_and(is_captured)),
        };
        if !is_reachable || !is_member(pod, namespace) {
            return None;
        }
        let account = pod.map_or(DEFAULT_ACCOUNT, |pod| pod.spec.service_account_name());
        Some(format!("spiffe://{domain}/ns/{name}/sa/{account}").into())
    }
}

fn is_captured(pod: &Pod) -> bool {
    pod.annotation(CAPTURED) == Some("true")
}
