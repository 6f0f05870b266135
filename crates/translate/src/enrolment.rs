//! Which endpoints are members of the mesh, and as whom.
//!
//! Who is to be a member is one question for everybody ([`is_member`]); whether an endpoint can be
//! reached as one depends on who serves it, which a [`Scope`](crate::Scope) knows.

use std::{collections::BTreeMap, sync::Arc};

use weft_api::{Namespace, Object, ObjectKey, Pod, workload::CAPTURED};
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
    /// Those of them whose Pod is captured (annotation `weft.dev/captured: "true"`), and those that have
    /// started captured, of which that is still to be written.
    Captured(TrustDomain, Starting),
}

/// Pods that were members before they had an address, by their keys, with their UIDs: the plugin of their
/// node lets none of them get one before it is captured. So they are reached as members from the first
/// moment at which anybody knows where they are; one whose node cannot be reached so is not reached at all.
///
/// A pod is added while it has no address, and goes when it is captured or no member any more: what makes a
/// difference comes with a change of the Pod or of its Namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Starting(Arc<BTreeMap<ObjectKey, Arc<str>>>);

impl Starting {
    /// These pods.
    #[must_use]
    pub fn new(pods: BTreeMap<ObjectKey, Arc<str>>) -> Self {
        Self(Arc::new(pods))
    }

    fn has(&self, pod: &Pod) -> bool {
        let uid = self.0.get(&pod.key());
        uid.is_some() && uid.map(AsRef::as_ref) == pod.metadata.uid.as_deref()
    }

    /// The pods that only one of both has, or has with another UID.
    pub(crate) fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a ObjectKey> {
        let only = |one: &'a Self, other: &'a Self| {
            let pods = one.0.iter();
            pods.filter_map(|(key, uid)| (other.0.get(key) != Some(uid)).then_some(key))
        };
        only(self, other).chain(only(other, self))
    }
}

impl Enrolment {
    /// Those whose Pod is captured.
    #[must_use]
    pub fn captured(domain: TrustDomain) -> Self {
        Self::Captured(domain, Starting::default())
    }

    /// Takes over which pods are starting, where that matters.
    pub fn start(&mut self, pods: Starting) {
        if let Self::Captured(_, starting) = self {
            *starting = pods;
        }
    }

    /// The pods that are starting.
    pub(crate) fn starting(&self) -> Starting {
        match self {
            Self::Captured(_, starting) => starting.clone(),
            Self::Nobody | Self::Labelled(_) => Starting::default(),
        }
    }

    /// Whether both go by the same rule, whatever pods are starting.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Captured(one, _), Self::Captured(other, _)) => one == other,
            _ => self == other,
        }
    }

    /// Whether anybody can be a member.
    pub(crate) fn is_on(&self) -> bool {
        *self != Self::Nobody
    }

    /// The SPIFFE ID of an endpoint in the namespace `name`, that of its Pod or else of its Service, if it is
    /// a member. `pod` is what is known of the Pod that the endpoint names, or that has its address.
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
            Self::Captured(domain, starting) => {
                let is_reachable = |pod: &Pod| is_captured(pod) || starting.has(pod);
                (domain, pod.is_some_and(is_reachable))
            }
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
