//! Taking apart and putting together, over generated configurations.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::{collection::vec, prelude::*};
use weft_ir::{EndpointSet, Name, ServicePort, Tables};

use super::{
    snapshot,
    world::{Builder, gateway_name, node_name, worlds},
};
use crate::{Assembler, Configuration, Disassembler, Scope, Snapshot, diff};

/// What a Gateway's scope has of a configuration, by looking at all of it.
fn restricted(all: &Configuration, name: &Name) -> Configuration {
    let gateway = all.tables.gateways.get(name);
    let listeners = gateway.into_iter().flat_map(|gateway| &gateway.ports);
    let listeners: Vec<_> = listeners.flat_map(|port| &port.listeners).collect();
    let rules = listeners
        .iter()
        .flat_map(|listener| listener.routes.rules());
    let ports = rules.clone().flat_map(|rule| rule.service_ports());
    let ports: BTreeSet<&ServicePort> = ports.collect();
    let settings = rules.flat_map(|rule| rule.backend_tls());
    let config_maps: BTreeSet<&Name> = settings.flat_map(|tls| tls.config_maps()).collect();
    let towards_clients = listeners.iter().flat_map(|listener| &listener.certificates);
    let towards_backends = gateway.and_then(|gateway| gateway.client_certificate.as_ref());
    let secrets: BTreeSet<&Name> = towards_clients.chain(towards_backends).collect();
    let tables = Tables {
        gateways: gateway
            .map(|it| (name.clone(), it.clone()))
            .into_iter()
            .collect(),
        services: BTreeMap::new(),
    };
    let mut endpoints = (*all.endpoints).clone();
    endpoints.retain(|port, _| ports.contains(port));
    let mut certificates = (*all.certificates).clone();
    certificates.retain(|name, _| secrets.contains(name));
    let mut ca_bundles = (*all.ca_bundles).clone();
    ca_bundles.retain(|name, _| config_maps.contains(name));
    Configuration {
        ca_bundles: Arc::new(ca_bundles),
        tables: Arc::new(tables),
        endpoints: Arc::new(endpoints),
        certificates: Arc::new(certificates),
        ..Configuration::default()
    }
}

/// The same as somebody sees it who is outside of the mesh.
fn outside(mut all: Configuration) -> Configuration {
    for set in Arc::make_mut(&mut all.endpoints).values_mut() {
        let mut endpoints = set.all().to_vec();
        endpoints.iter_mut().for_each(|it| it.member = None);
        *set = Arc::new(EndpointSet::new(endpoints));
    }
    all
}

/// What a node's scope has of a configuration, by looking at all of it.
fn restricted_to_node(all: &Configuration, node: &str) -> Configuration {
    let mut workloads = (*all.workloads).clone();
    workloads.retain(|name, _| **name == *node);
    let pods = workloads.values().flat_map(|pods| pods.values());
    let dial = pods.filter(|pod| pod.is_member || pod.is_leaving);
    let clients = dial.map(|pod| pod.name.namespace.clone()).collect();
    Configuration {
        namespaces: all.namespaces.clone(),
        workloads: Arc::new(workloads),
        ..seen_by(all, &clients)
    }
}

/// What the scope of a namespace has of the configuration of a node, by looking at all of it.
fn restricted_to_namespace(node: &Configuration, namespace: &Arc<str>) -> Configuration {
    let mut workloads = (*node.workloads).clone();
    for pods in workloads.values_mut() {
        Arc::make_mut(pods).retain(|name, pod| name.namespace == *namespace && pod.is_member);
    }
    workloads.retain(|_, pods| !pods.is_empty());
    Configuration {
        workloads: Arc::new(workloads),
        ..seen_by(node, &[namespace.clone()].into())
    }
}

/// What members of these namespaces need to reach others.
fn seen_by(all: &Configuration, namespaces: &BTreeSet<Arc<str>>) -> Configuration {
    if namespaces.is_empty() {
        return Configuration::default();
    }
    let mut services = all.tables.services.clone();
    for service in services.values_mut() {
        for port in &mut Arc::make_mut(service).ports {
            let consumers = &mut Arc::make_mut(port).consumers;
            consumers.retain(|it, _| namespaces.contains(it));
        }
    }
    let frontends = services.values().flat_map(|service| &service.ports);
    let frontends: Vec<_> = frontends.collect();
    let sets = frontends
        .iter()
        .flat_map(|it| it.producer.iter().chain(it.consumers.values()));
    let rules: Vec<_> = sets.flat_map(|set| set.rules()).collect();
    let own = services.values().flat_map(|service| {
        let port = |it: &Arc<weft_ir::Frontend>| ServicePort {
            service: service.name.clone(),
            port: it.port,
        };
        service.ports.iter().map(port).collect::<Vec<_>>()
    });
    let referred = rules.iter().flat_map(|rule| rule.service_ports()).cloned();
    let ports: BTreeSet<ServicePort> = own.chain(referred).collect();
    let settings = rules.iter().flat_map(|rule| rule.backend_tls());
    let settings = settings.chain(frontends.iter().filter_map(|it| it.tls.as_ref()));
    let config_maps: BTreeSet<Name> = settings
        .flat_map(|tls| tls.config_maps().iter().cloned())
        .collect();
    let mut endpoints = (*all.endpoints).clone();
    endpoints.retain(|port, _| ports.contains(port));
    let mut ca_bundles = (*all.ca_bundles).clone();
    ca_bundles.retain(|name, _| config_maps.contains(name));
    Configuration {
        tables: Arc::new(Tables {
            services,
            ..Tables::default()
        }),
        endpoints: Arc::new(endpoints),
        ca_bundles: Arc::new(ca_bundles),
        peers: all.peers.clone(),
        ..Configuration::default()
    }
}

/// Sends the difference to a configuration; returns what came out of it.
fn step(
    disassembler: &mut Disassembler,
    assembler: &mut Assembler,
    now: &Configuration,
) -> Result<Configuration, TestCaseError> {
    let old = disassembler.snapshot().clone();
    let new = disassembler.update(now).clone();
    let fresh = Disassembler::new(disassembler.scope().clone())
        .update(now)
        .clone();
    prop_assert_eq!(&new, &fresh, "an update is what a fresh disassembler makes");
    let applied = assembler.apply(&diff(&old, &new));
    prop_assert_eq!(&applied.problems, &[], "all is of this version");
    let versions = new.iter().map(|it| (it.key().clone(), it.version()));
    prop_assert_eq!(
        assembler.versions(),
        &versions.collect(),
        "what is held is known"
    );
    Ok(applied.configuration)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// `apply(a, diff(a, b)) == b`, step by step, for everything, each Gateway, each node and the
    /// namespaces there, with parts shared from one state to the next and without.
    #[test]
    fn what_is_taken_apart_and_sent_in_differences_is_put_together_again(
        worlds in vec((worlds(), any::<bool>()), 1..6),
    ) {
        let scopes = [
            Scope::Everything,
            Scope::Gateway(gateway_name(0)),
            Scope::Gateway(gateway_name(1)),
            Scope::GatewayOutside(gateway_name(1)),
            Scope::Node(node_name(0)),
            Scope::Node(node_name(1)),
        ];
        let mut sides: Vec<_> = scopes
            .iter()
            .map(|scope| (Disassembler::new(scope.clone()), Assembler::default()))
            .collect();
        let shards = [Scope::Shard("shop".into()), Scope::Shard("client".into())];
        let mut shards = shards.map(|it| (Disassembler::new(it), Assembler::default()));
        let mut builder = Builder::default();
        for (world, shares) in &worlds {
            if !shares {
                builder = Builder::default();
            }
            let all = builder.build(world);
            let mut node = Configuration::default();
            for (disassembler, assembler) in &mut sides {
                let now = step(disassembler, assembler, &all)?;
                let expected = match disassembler.scope() {
                    Scope::Gateway(name) => restricted(&all, name),
                    Scope::GatewayOutside(name) => outside(restricted(&all, name)),
                    Scope::Node(name) => restricted_to_node(&all, name),
                    _ => all.clone(),
                };
                prop_assert_eq!(&now, &expected);
                if *disassembler.scope() == Scope::Node(node_name(0)) {
                    node = now;
                }
            }
            for (disassembler, assembler) in &mut shards {
                let now = step(disassembler, assembler, &node)?;
                let Scope::Shard(namespace) = disassembler.scope() else { continue };
                prop_assert_eq!(&now, &restricted_to_namespace(&node, namespace));
            }
        }
    }

    /// Any two snapshots differ by their difference, whatever they were made from.
    #[test]
    fn differences_lead_from_any_snapshot_to_any_other(a in worlds(), b in worlds()) {
        let (a, b) = (Builder::default().build(&a), Builder::default().build(&b));
        let (from, to) = (snapshot(&a), snapshot(&b));
        let (mut assembler, _) = Assembler::load(&from);
        let difference = diff(&from, &to);
        prop_assert_eq!(&assembler.apply(&difference).configuration, &b);
        let have = from.iter().map(|it| (it.key().clone(), it.version())).collect();
        let mut since = to.since(&have);
        // Both say the same, in another order.
        since.removed.sort();
        let mut removed = difference.removed.clone();
        removed.sort();
        prop_assert_eq!(since.removed, removed);
        prop_assert_eq!(since.upserts, difference.upserts);
        prop_assert!(diff(&to, &to).is_empty(), "a snapshot is itself");
        prop_assert_eq!(diff(&Snapshot::default(), &to).upserts.len(), to.len());
    }
}
