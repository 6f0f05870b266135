//! Which pods are of the mesh. One rule, asked by everybody: who is captured, who gets a certificate,
//! and which endpoints are reached through the tunnel must never be answered differently.

use weft_api::{Namespace, Object, Pod, workload::MESH};

use crate::field::Quoted;

/// The namespace of the system, of which only pods are enrolled that say so themselves.
const SYSTEM: &str = "kube-system";
/// The mark of our own pods; Gateways among them have identities of their own and are not captured.
const OWN: (&str, &str) = ("app.kubernetes.io/part-of", "weft");

/// What the label of an object says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stated<'a> {
    Nothing,
    Enabled,
    Disabled,
    /// A text that means nothing, and counts as nothing.
    Unknown(&'a str),
}

/// Whether a pod is to be of the mesh: it or its namespace says so by the label `weft.dev/mesh`, that
/// of the pod first. Never: pods on the network of their node, our own pods, and pods of `kube-system`
/// that do not say so themselves (user interface, labels). A value that means nothing counts as
/// absent. A pod whose namespace is not known says it alone, and something without a pod is what its
/// namespace says.
///
/// Whether a pod still runs, and whether it is captured already, are other questions.
#[must_use]
pub fn is_member(pod: Option<&Pod>, namespace: Option<&Namespace>) -> bool {
    if pod.is_some_and(|pod| cannot_be(pod).is_some()) {
        return false;
    }
    match pod.map_or(Stated::Nothing, stated) {
        Stated::Enabled => true,
        Stated::Disabled => false,
        Stated::Nothing | Stated::Unknown(_) => {
            let is_enabled = |it: &Namespace| stated(it) == Stated::Enabled && it.name() != SYSTEM;
            namespace.is_some_and(is_enabled)
        }
    }
}

/// Why a pod is not of the mesh whatever labels say.
pub(super) fn cannot_be(pod: &Pod) -> Option<&'static str> {
    if pod.is_on_host_network() {
        Some("it shares the network of its node (hostNetwork)")
    } else if pod.label(OWN.0) == Some(OWN.1) {
        Some("it is a part of Weft (app.kubernetes.io/part-of: weft)")
    } else {
        None
    }
}

/// What the label says.
pub(super) fn stated(object: &impl Object) -> Stated<'_> {
    match object.label(MESH) {
        None => Stated::Nothing,
        Some("enabled") => Stated::Enabled,
        Some("disabled") => Stated::Disabled,
        Some(other) => Stated::Unknown(other),
    }
}

/// What is wrong with the label of an object, for people.
pub(super) fn complaint(object: &impl Object) -> Option<String> {
    match stated(object) {
        Stated::Unknown(value) => {
            Some(format!("{} is neither enabled nor disabled", Quoted(value)))
        }
        Stated::Nothing | Stated::Enabled | Stated::Disabled => None,
    }
}
