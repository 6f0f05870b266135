//! Pods, which come one by one and are kept by node; peers, which come by node; and namespaces.

use std::sync::Arc;

use weft_ir::{Name, Namespaces, NodePeers, Peers, Workload, Workloads};

use crate::{
    Configuration, Key, Kind, Resource,
    body::{self, Decoded},
};

/// Takes over a resource of one of these types; says what of it was not understood.
pub(super) fn upsert(into: &mut Configuration, resource: &Resource) -> Result<Vec<String>, String> {
    let (Key { kind, name }, body) = (resource.key(), resource.body());
    match kind {
        Kind::Peers => {
            let Decoded { value, problems } = body::decode_peers(body)?;
            replace_peers(&mut into.peers, name, value);
            Ok(problems)
        }
        Kind::Namespaces => {
            let Decoded { value, problems } = body::decode_namespaces(body)?;
            replace_namespaces(&mut into.namespaces, value);
            Ok(problems)
        }
        _ => {
            let Decoded { value, problems } = body::decode_workload(name, body)?;
            replace(&mut into.workloads, name, Some(value));
            Ok(problems)
        }
    }
}

/// A resource of one of these types is gone.
pub(super) fn remove(from: &mut Configuration, key: &Key) {
    match key.kind {
        Kind::Peers => replace_peers(&mut from.peers, &key.name, NodePeers::default()),
        Kind::Namespaces => replace_namespaces(&mut from.namespaces, Namespaces::default()),
        _ => replace(&mut from.workloads, &key.name, None),
    }
}

/// Takes over a pod, or that it is gone. It may have been on another node. Lists of nodes that come out
/// equal stay. Costs a look at every node, of which a node's proxy has one.
fn replace(all: &mut Arc<Workloads>, name: &Name, pod: Option<Workload>) {
    let known = all.values().find_map(|pods| pods.get(name)).cloned();
    if known.as_deref() == pod.as_ref() {
        return;
    }
    let all = Arc::make_mut(all);
    if let Some(known) = known
        && let Some(pods) = all.get_mut(&known.node)
    {
        Arc::make_mut(pods).remove(name);
        if pods.is_empty() {
            all.remove(&known.node);
        }
    }
    if let Some(pod) = pod {
        let pods = all.entry(Arc::clone(&pod.node)).or_default();
        Arc::make_mut(pods).insert(name.clone(), Arc::new(pod));
    }
}

/// Takes over the members on a node, of whose key this is the name. Those that come out equal stay.
fn replace_peers(all: &mut Arc<Peers>, key: &Name, peers: NodePeers) {
    let node = &key.name;
    if peers.is_empty() {
        if all.contains_key(node) {
            Arc::make_mut(all).remove(node);
        }
    } else if all.get(node).is_none_or(|known| **known != peers) {
        Arc::make_mut(all).insert(Arc::clone(node), Arc::new(peers));
    }
}

/// Takes over the namespaces of the mesh. They stay if they are the same.
fn replace_namespaces(known: &mut Arc<Namespaces>, namespaces: Namespaces) {
    if **known != namespaces {
        *known = Arc::new(namespaces);
    }
}
