//! Pods, which come one by one and are kept by node.

use std::sync::Arc;

use weft_ir::{Name, Workload, Workloads};

/// Takes over a pod, or that it is gone. It may have been on another node. Lists of nodes that come out
/// equal stay. Costs a look at every node, of which a node's proxy has one.
pub(super) fn replace(all: &mut Arc<Workloads>, name: &Name, pod: Option<Workload>) {
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
