//! What a node does so that its kubelet can probe captured pods.
//!
//! Pods let one source through without the mesh ([`super::PROBE_V4`], [`super::PROBE_V6`]). Connections
//! of the node's own processes to ports that are declared as probes get that source on their way out;
//! nothing else does, not even what the node forwards or masquerades to the same ports.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{CaptureError, Fault, delete, judge, plan::Plan, replace};
use crate::netns::Netns;

/// Makes these the probes of a node, in the network namespace of its kubelet, or repairs them. Says what
/// was wrong. The set is replaced as a whole: it holds the ports of the pods of one node.
///
/// # Errors
/// See [`CaptureError`]; then the node has the probes it had before.
pub fn apply(node: &Netns, probes: &BTreeSet<SocketAddr>) -> Result<Option<Fault>, CaptureError> {
    let plan = Plan::of_node(probes);
    node.within(|| {
        let fault = judge(&plan)?;
        if fault.is_some() {
            replace(&plan)?;
        }
        Ok(fault)
    })?
}

/// Takes them all away; a node that has none is no error.
///
/// # Errors
/// See [`CaptureError`].
pub fn remove(node: &Netns) -> Result<(), CaptureError> {
    let plan = Plan::of_node(&BTreeSet::new());
    node.within(|| delete(&plan))?
}
