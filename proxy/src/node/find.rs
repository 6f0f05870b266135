//! Pods that run already: after a restart of the supervisor, and when a namespace joins the mesh.

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use weft_intercept::{Netns, pods};

use super::{core::Seen, roster::Roster};

/// What runs.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Members, with their namespaces.
    pub(super) seen: Vec<Seen<Arc<Netns>>>,
    /// Why others that seem to be are not believed.
    pub(super) doubts: BTreeSet<String>,
}

/// The members of the roster that run on this node: a process in the pod's cgroup and an address of the
/// pod have to agree.
///
/// # Errors
/// When `proc`, which is that of the node, cannot be read, or `node` in it, a process of the node
/// itself.
pub(super) fn running(proc: &Path, node: &Path, roster: &Roster) -> io::Result<Found> {
    let mut running = Found::default();
    let node = Netns::open(&node.join("ns/net")).map_err(io::Error::other)?;
    for found in pods::running(proc, node.id())? {
        let Some(member) = roster.member(&found.uid) else {
            continue;
        };
        // Its addresses are not known to the control plane yet; its runtime will bring them.
        if member.ips.is_empty() {
            continue;
        }
        let uid = found.uid.clone();
        match found.claim(&member.ips) {
            Ok(netns) => running.seen.push(Seen {
                uid,
                id: netns.id(),
                netns: Arc::new(netns),
            }),
            Err(error) => drop(running.doubts.insert(error.to_string())),
        }
    }
    Ok(running)
}
