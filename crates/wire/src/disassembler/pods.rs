//! Pods, peers and namespaces, and what there is of a configuration for the pods of one node or of one
//! namespace there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_ir::{Frontend, Name, NodeWorkloads, Service, Tables, Workloads};

use super::changed;
use crate::{Configuration, Key, Kind, Snapshot, body};

/// The part of one configuration after the other that concerns some pods. What did not change in a
/// configuration is not changed in its part either (`Arc` pointer equality).
#[derive(Debug, Default)]
pub(super) struct PodsView {
    /// Namespaces of whose clients Services are seen.
    namespaces: BTreeSet<Arc<str>>,
    /// The tables that were seen last, and what there is of them for the pods.
    tables: (Arc<Tables>, Arc<Tables>),
    /// Services that have consumers elsewhere, and what there is of them for the pods.
    narrowed: BTreeMap<Name, (Arc<Service>, Arc<Service>)>,
}

impl PodsView {
    /// The part of `node`.
    pub(super) fn of_node(&mut self, node: &str, now: &Configuration) -> Configuration {
        let pods = now.workloads.get_key_value(node);
        let workloads = pods.map(|(node, pods)| (Arc::clone(node), Arc::clone(pods)));
        let pods = pods.into_iter().flat_map(|(_, pods)| pods.values());
        let clients = pods.filter(|pod| pod.is_member || pod.is_leaving);
        let namespaces = clients.map(|pod| Arc::clone(&pod.name.namespace)).collect();
        Configuration {
            namespaces: Arc::clone(&now.namespaces),
            ..self.view(namespaces, workloads.into_iter().collect(), now)
        }
    }

    /// The part of the members of `namespace`, of a configuration that is the part of a node.
    pub(super) fn of_namespace(
        &mut self,
        namespace: &Arc<str>,
        now: &Configuration,
    ) -> Configuration {
        let here = |pods: &NodeWorkloads| -> NodeWorkloads {
            let pods = pods.iter().filter(|(name, _)| name.namespace == *namespace);
            let members = pods.filter(|(_, pod)| pod.is_member);
            let members = members.map(|(name, pod)| (name.clone(), Arc::clone(pod)));
            members.collect()
        };
        let nodes = now.workloads.iter().map(|(node, pods)| (node, here(pods)));
        let nodes = nodes.filter(|(_, pods)| !pods.is_empty());
        let workloads = nodes.map(|(node, pods)| (Arc::clone(node), Arc::new(pods)));
        self.view([Arc::clone(namespace)].into(), workloads.collect(), now)
    }

    fn view(
        &mut self,
        namespaces: BTreeSet<Arc<str>>,
        workloads: Workloads,
        now: &Configuration,
    ) -> Configuration {
        let is_same = Arc::ptr_eq(&self.tables.0, &now.tables);
        if namespaces != self.namespaces || !is_same {
            if namespaces != self.namespaces {
                self.narrowed.clear();
                self.namespaces = namespaces;
            }
            let tables = Tables {
                services: self.services(&now.tables),
                ..Tables::default()
            };
            self.tables = (Arc::clone(&now.tables), Arc::new(tables));
        }
        Configuration {
            tables: Arc::clone(&self.tables.1),
            endpoints: Arc::clone(&now.endpoints),
            ca_bundles: Arc::clone(&now.ca_bundles),
            workloads: Arc::new(workloads),
            peers: match self.namespaces.is_empty() {
                true => Arc::default(),
                false => Arc::clone(&now.peers),
            },
            namespaces: Arc::default(),
            // Of listeners, of which pods have none.
            certificates: Arc::default(),
        }
    }

    fn services(&mut self, tables: &Tables) -> BTreeMap<Name, Arc<Service>> {
        let before = std::mem::take(&mut self.narrowed);
        if self.namespaces.is_empty() {
            return BTreeMap::new();
        }
        let mut services = BTreeMap::new();
        for (name, service) in &tables.services {
            let is_foreign = |port: &Arc<Frontend>| {
                let mut consumers = port.consumers.keys();
                consumers.any(|namespace| !self.namespaces.contains(namespace))
            };
            let service = if service.ports.iter().any(is_foreign) {
                let known = before.get(name).filter(|it| Arc::ptr_eq(&it.0, service));
                let pair = known.cloned().unwrap_or_else(|| {
                    (
                        Arc::clone(service),
                        Arc::new(narrow(service, &self.namespaces)),
                    )
                });
                self.narrowed.insert(name.clone(), pair.clone());
                pair.1
            } else {
                Arc::clone(service)
            };
            services.insert(name.clone(), service);
        }
        services
    }
}

/// A Service as clients of these namespaces see it.
fn narrow(service: &Service, namespaces: &BTreeSet<Arc<str>>) -> Service {
    let narrow = |port: &Arc<Frontend>| {
        let mut port = Frontend::clone(port);
        port.consumers
            .retain(|namespace, _| namespaces.contains(namespace));
        Arc::new(port)
    };
    Service {
        ports: service.ports.iter().map(narrow).collect(),
        ..service.clone()
    }
}

/// Takes the pods, peers and namespaces of a configuration over into a snapshot of the one before.
pub(super) fn update(seen: &Configuration, now: &Configuration, next: &mut Snapshot) {
    let none = NodeWorkloads::default();
    let mut here = Vec::new();
    for (_, before, after) in changed(&seen.workloads, &now.workloads) {
        let (before, after) = (before.map_or(&none, |it| it), after.map_or(&none, |it| it));
        for (name, _, workload) in changed(before, after) {
            match workload {
                Some(workload) => here.push(workload),
                None => next.remove(&Key::new(Kind::Workload, name.clone())),
            }
        }
    }
    // Afterwards: one that has moved is gone where it was.
    for workload in here {
        next.put(body::encode_workload(workload));
    }
    for (node, _, peers) in changed(&seen.peers, &now.peers) {
        match peers.filter(|peers| !peers.is_empty()) {
            Some(peers) => next.put(body::encode_peers(node, peers)),
            None => next.remove(&Key::of_peers(node)),
        }
    }
    if !Arc::ptr_eq(&seen.namespaces, &now.namespaces) {
        if now.namespaces.is_empty() {
            next.remove(&Key::of_namespaces());
        } else {
            next.put(body::encode_namespaces(&now.namespaces));
        }
    }
}
