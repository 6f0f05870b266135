//! What there is of a configuration for the pods of one node.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_ir::{Frontend, Name, NodeWorkloads, Service, Tables};

use crate::Configuration;

/// The part of one configuration after the other that concerns a node. What did not change in a
/// configuration is not changed in its part either (`Arc` pointer equality).
#[derive(Debug, Default)]
pub(super) struct NodeView {
    /// Namespaces that have members on the node.
    namespaces: BTreeSet<Arc<str>>,
    /// The tables that were seen last, and what there is of them for the node.
    tables: (Arc<Tables>, Arc<Tables>),
    /// Services that have consumers elsewhere, and what there is of them for the node.
    narrowed: BTreeMap<Name, (Arc<Service>, Arc<Service>)>,
}

impl NodeView {
    /// The part of `node`.
    pub(super) fn of(&mut self, node: &str, now: &Configuration) -> Configuration {
        let pods = now.workloads.get_key_value(node);
        let workloads = pods.map(|(node, pods)| (Arc::clone(node), Arc::clone(pods)));
        let namespaces = pods
            .map(|(_, pods)| namespaces_of(pods))
            .unwrap_or_default();
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
            workloads: Arc::new(workloads.into_iter().collect()),
            // Of listeners, of which a node has none.
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

fn namespaces_of(pods: &NodeWorkloads) -> BTreeSet<Arc<str>> {
    let members = pods.values().filter(|pod| pod.is_member);
    members.map(|pod| Arc::clone(&pod.name.namespace)).collect()
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
