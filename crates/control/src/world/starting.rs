//! Pods that start captured, before that is written at them: they are reached through the tunnel from the
//! first moment at which anybody knows their address, and never in plaintext.
//!
//! The plugin of a node lets no pod of the mesh have a network before it is captured. So one that was a
//! member while it had no address is captured as soon as it has one. One that had an address before it was
//! a member runs, and speaks in the clear until its node has captured it. Which of both a pod is stands in
//! no object: it is remembered here from the first sight of it, at every replica. What a replica has not
//! seen it does not guess, and goes by the annotation.
//!
//! A node without our proxy captures nobody, so its pods are none of these.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_api::{
    Kind, Object, ObjectKey, ObjectRef, Pod,
    workload::{CAPTURED, PodPhase},
};
use weft_store::Store;
use weft_translate::{Starting, is_member};

/// What the proxies of nodes are known by beside their namespace, as the chart labels them.
const PROXY: [(&str, &str); 2] = [
    ("app.kubernetes.io/name", "weft-node"),
    ("app.kubernetes.io/part-of", "weft"),
];

/// See the file.
#[derive(Debug)]
pub(super) struct Beginners {
    /// Where the proxies of nodes run: these labels on a pod of anybody else mean nothing.
    namespace: Option<String>,
    /// Pods that were seen without an address, with their UIDs.
    pods: BTreeMap<ObjectKey, Arc<str>>,
    /// The nodes of our proxies that run.
    proxies: BTreeMap<ObjectKey, String>,
    shared: Starting,
}

impl Beginners {
    /// None yet. `namespace` is that of the proxies of nodes; `None` where there are none.
    pub(super) fn new(namespace: Option<&str>) -> Self {
        Self {
            namespace: namespace.map(str::to_owned),
            pods: BTreeMap::new(),
            proxies: BTreeMap::new(),
            shared: Starting::default(),
        }
    }

    /// A pod as it is now.
    pub(super) fn see(&mut self, pod: &Pod) {
        let key = pod.key();
        if self.is_proxy(pod) {
            let is_running = pod.status.phase == Some(PodPhase::Running);
            match pod.spec.node_name.clone().filter(|_| is_running) {
                Some(node) => self.proxies.insert(key, node),
                None => self.proxies.remove(&key),
            };
        } else if !has_address(pod)
            && let Some(uid) = pod.metadata.uid.as_deref()
        {
            self.pods.insert(key, uid.into());
        }
    }

    fn is_proxy(&self, pod: &Pod) -> bool {
        let is_labelled = |(label, value): &(&str, &str)| pod.label(label) == Some(value);
        self.namespace.as_deref() == Some(pod.namespace()) && PROXY.iter().all(is_labelled)
    }

    /// An object is gone.
    pub(super) fn forget(&mut self, object: &ObjectRef) {
        if object.kind == Kind::Pod {
            self.pods.remove(&object.key);
            self.proxies.remove(&object.key);
        }
    }

    /// The pods that start captured. Those of which it is known by now that they do not are forgotten, and
    /// those of which it is written.
    pub(super) fn settle(&mut self, store: &Store) -> Starting {
        let nodes: BTreeSet<&str> = self.proxies.values().map(String::as_str).collect();
        self.pods.retain(|key, uid| {
            let pod = store.pods().at(key);
            pod.is_some_and(|pod| {
                pod.metadata.uid.as_deref() == Some(uid) && starts(pod, store, &nodes)
            })
        });
        let now = Starting::new(self.pods.clone());
        if self.shared != now {
            self.shared = now;
        }
        self.shared.clone()
    }
}

/// Whether the pod, which had no address, is to be captured before it has one.
fn starts(pod: &Pod, store: &Store, nodes: &BTreeSet<&str>) -> bool {
    let namespace = store.namespaces().get("", pod.namespace());
    // Namespaces and pods come by ways of their own.
    let may_be_member = match namespace {
        Some(namespace) => is_member(Some(pod), Some(namespace.as_ref())),
        None => !has_address(pod),
    };
    let node = pod.spec.node_name.as_deref().filter(|it| !it.is_empty());
    let may_be_captured = has_address(pod) || node.is_none_or(|it| nodes.contains(it));
    !pod.is_finished()
        && pod.annotation(CAPTURED) != Some("true")
        && may_be_member
        && may_be_captured
}

fn has_address(pod: &Pod) -> bool {
    pod.status.addresses().next().is_some()
}
