//! From pods to workloads: what the proxy of a node has to know of the pods that run there.
//!
//! One pod that comes or goes costs its own judgement and a copy of the list of its node.

mod annotations;
mod membership;
mod peers;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_api::{
    Namespace, Object, ObjectKey, ObjectRef, Pod,
    workload::{CAPTURED, MESH, POLICY},
};
use weft_ir::{Workload, Workloads};

use self::annotations::Annotated;
pub use self::membership::is_member;
use crate::{
    Input, Output,
    context::name_of,
    enrolment::Starting,
    field::Quoted,
    notes::{self, Findings},
    snapshot::Snapshot,
};

/// The pods and namespaces of the last translation.
#[derive(Default)]
pub(crate) struct Pods {
    pods: Snapshot<Pod>,
    namespaces: Snapshot<Namespace>,
    /// What namespaces say for all of their pods.
    stated: BTreeMap<ObjectKey, OfNamespace>,
    starting: Starting,
}

/// What a namespace says for all of its pods.
#[derive(Clone, Debug, Default, PartialEq)]
struct OfNamespace {
    annotated: Annotated,
    is_permissive: bool,
}

impl Pods {
    /// Takes over the state of the store.
    pub(crate) fn update(&mut self, input: Input<'_>, output: &mut Output) {
        let store = input.store;
        let mut nodes: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut keys: BTreeSet<ObjectKey> = BTreeSet::new();
        for change in self.namespaces.update(store.namespaces().entries()) {
            let now = change.new.as_deref();
            self.namespace(&change.key, now, output);
            let is_enrolled = now.is_some_and(|it| is_member(None, Some(it)));
            peers::enrol(&mut output.namespaces, change.key.name(), is_enrolled);
            let pods = store.pods().in_namespace(change.key.name());
            keys.extend(pods.map(|pod| pod.key()));
        }
        let mut before: BTreeMap<ObjectKey, Arc<Pod>> = BTreeMap::new();
        for change in self.pods.update(store.pods().entries()) {
            before.extend(change.old.map(|old| (change.key.clone(), old)));
            keys.insert(change.key);
        }
        let starting = input.scope.enrolment.starting();
        keys.extend(self.starting.differing(&starting).cloned());
        self.starting = starting;
        for key in keys {
            let now = store.pods().at(&key);
            let old = before.get(&key).or(now);
            let old_node = old.and_then(|pod| pod.spec.node_name.as_deref());
            let mut findings = Findings::new(ObjectRef::new(Pod::KIND, key.clone()));
            let workload = now.and_then(|pod| {
                let namespace = store.namespaces().get("", key.namespace());
                self.workload(pod, namespace.map(AsRef::as_ref), &mut findings)
            });
            nodes.extend(old_node.map(Arc::from));
            nodes.extend(workload.as_ref().map(|it| Arc::clone(&it.node)));
            put(&mut output.workloads, (&key, old_node), workload);
            let object = ObjectRef::new(Pod::KIND, key);
            output.put(&object, None, findings.into_vec());
        }
        for node in nodes {
            let peers = peers::on(&node, input, &output.workloads);
            peers::put(&mut output.peers, node, peers);
        }
    }

    fn namespace(&mut self, key: &ObjectKey, now: Option<&Namespace>, output: &mut Output) {
        let object = ObjectRef::new(Namespace::KIND, key.clone());
        let mut findings = Findings::new(object.clone());
        match now {
            Some(namespace) => {
                let stated = OfNamespace::read(namespace, &mut findings);
                self.stated.insert(key.clone(), stated);
            }
            None => drop(self.stated.remove(key)),
        }
        output.put(&object, None, findings.into_vec());
    }

    /// What the node of a pod has to know of it. `None` for one that is on no node, that has ended,
    /// and that shares the network of its node: nothing is ever done to these.
    fn workload(
        &self,
        pod: &Pod,
        namespace: Option<&Namespace>,
        findings: &mut Findings,
    ) -> Option<Workload> {
        complain(pod, findings);
        let own = Annotated::read(&pod.metadata.annotations, findings);
        let key = ObjectKey::cluster(pod.namespace());
        let stated = self.stated.get(&key).cloned().unwrap_or_default();
        let node = pod.spec.node_name.as_deref()?;
        let uid = pod.metadata.uid.as_deref()?;
        if node.is_empty() || pod.is_finished() || pod.is_on_host_network() {
            return None;
        }
        let annotated = own.or(&stated.annotated);
        let containers = pod.spec.init_containers.iter();
        let containers = containers.chain(&pod.spec.containers);
        let probe_ports: BTreeSet<u16> = containers.flat_map(|it| it.asked_ports()).collect();
        let is_member = is_member(Some(pod), namespace);
        Some(Workload {
            name: name_of(&pod.key()),
            uid: uid.into(),
            node: node.into(),
            service_account: pod.spec.service_account_name().into(),
            addresses: pod.addresses(),
            is_member,
            is_leaving: !is_member && pod.annotation(CAPTURED).is_some(),
            is_permissive: stated.is_permissive,
            probe_ports: probe_ports.into_iter().collect(),
            exclude_inbound_ports: annotated.exclude_inbound_ports.unwrap_or_default(),
            exclude_outbound_ports: annotated.exclude_outbound_ports.unwrap_or_default(),
            exclude_outbound_cidrs: annotated.exclude_outbound_cidrs.unwrap_or_default(),
            opaque_ports: annotated.opaque_ports.unwrap_or_default(),
            drain_seconds: annotated.drain_seconds,
        })
    }
}

impl OfNamespace {
    fn read(namespace: &Namespace, findings: &mut Findings) -> Self {
        if let Some(message) = membership::complaint(namespace) {
            findings.add(&notes::MESH_LABEL, label(MESH), message);
        }
        let is_permissive = match namespace.label(POLICY) {
            Some("permissive") => true,
            None | Some("strict") => false,
            Some(other) => {
                let message = format!("{} is neither strict nor permissive", Quoted(other));
                findings.add(&notes::MESH_LABEL, label(POLICY), message);
                false
            }
        };
        if namespace.annotation(POLICY).is_some() {
            let message = "is read as a label only".to_owned();
            let field = format!("metadata.annotations[{POLICY}]");
            findings.add(&notes::MESH_ANNOTATION, field, message);
        }
        Self {
            annotated: Annotated::read(&namespace.metadata.annotations, findings),
            is_permissive,
        }
    }
}

/// What is wrong with the label of a pod.
fn complain(pod: &Pod, findings: &mut Findings) {
    if let Some(message) = membership::complaint(pod) {
        findings.add(&notes::MESH_LABEL, label(MESH), message);
    }
    if membership::stated(pod) == membership::Stated::Enabled
        && let Some(why) = membership::cannot_be(pod)
    {
        findings.add(&notes::NEVER_ENROLLED, label(MESH), why);
    }
}

fn label(key: &str) -> String {
    format!("metadata.labels[{key}]")
}

/// Takes over a workload, or that a pod is none any more. Lists of nodes that come out equal stay.
fn put(
    all: &mut Arc<Workloads>,
    (key, old_node): (&ObjectKey, Option<&str>),
    workload: Option<Workload>,
) {
    let name = name_of(key);
    if let Some(old) = old_node.filter(|old| workload.as_ref().is_none_or(|it| *it.node != **old))
        && all.get(old).is_some_and(|pods| pods.contains_key(&name))
    {
        let all = Arc::make_mut(all);
        let mut is_empty = false;
        if let Some(pods) = all.get_mut(old) {
            let pods = Arc::make_mut(pods);
            pods.remove(&name);
            is_empty = pods.is_empty();
        }
        if is_empty {
            all.remove(old);
        }
    }
    let Some(workload) = workload else { return };
    let known = all.get(&workload.node).and_then(|pods| pods.get(&name));
    if known.is_none_or(|known| **known != workload) {
        let pods = Arc::make_mut(all).entry(Arc::clone(&workload.node));
        Arc::make_mut(pods.or_default()).insert(name, Arc::new(workload));
    }
}
