//! Whose an address is that was dialled: a Service's, a pod's of the mesh, or somebody else's.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use weft_ir::{Peers, ServicePort, Tables};

use super::Origin;

/// What is known of addresses.
#[derive(Default)]
pub(super) struct Known {
    pub(super) services: Services,
    pub(super) peers: PeerIndex,
}

/// Whose an address and port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// A Service's.
    Service(ServicePort),
    /// Of a pod that is a member of the mesh, by this SPIFFE ID.
    Member(Arc<str>),
    /// Somebody's of whom nothing is known: a pod's that is no member, or one outside of the cluster.
    Other,
}

/// Services by their ClusterIPs and ports. Headless ones have none: who dials them dials pods.
#[derive(Default)]
pub(super) struct Services {
    tables: Arc<Tables>,
    ports: HashMap<(IpAddr, u16), ServicePort>,
}

/// Members of the mesh by their addresses.
#[derive(Default)]
pub(super) struct PeerIndex {
    peers: Arc<Peers>,
    index: HashMap<IpAddr, Arc<str>>,
}

impl Known {
    /// Whose `wanted` is, for those who dial from `origin`.
    pub(super) fn whose(&self, origin: &Origin, wanted: SocketAddr) -> Whose {
        let address = wanted.ip().to_canonical();
        if let Some(service) = self.services.ports.get(&(address, wanted.port())) {
            return Whose::Service(service.clone());
        }
        // To itself a pod needs no tunnel.
        if origin.ips.contains(&address) {
            return Whose::Other;
        }
        let member = self.peers.of(address).cloned();
        member.map_or(Whose::Other, Whose::Member)
    }
}

impl Services {
    /// Takes over the Services of new tables.
    pub(super) fn update(&mut self, tables: &Arc<Tables>) {
        if Arc::ptr_eq(&self.tables, tables) {
            return;
        }
        let services = tables.services.values();
        let ports = services.flat_map(|service| {
            service.ports.iter().flat_map(|frontend| {
                let named = ServicePort {
                    service: service.name.clone(),
                    port: frontend.port,
                };
                let addresses = service.cluster_ips.iter();
                addresses.map(move |ip| ((*ip, named.port), named.clone()))
            })
        });
        self.ports = ports.collect();
        self.tables = Arc::clone(tables);
    }

    /// Whether there is such a port still.
    pub(super) fn has(&self, named: &ServicePort) -> bool {
        let service = self.tables.services.get(&named.service);
        service.is_some_and(|service| service.port(named.port).is_some())
    }
}

impl PeerIndex {
    /// Who has to answer at that address.
    pub(super) fn of(&self, address: IpAddr) -> Option<&Arc<str>> {
        self.index.get(&address)
    }

    /// Takes over what changed: the nodes whose members are others.
    pub(super) fn update(&mut self, peers: Arc<Peers>) {
        if Arc::ptr_eq(&self.peers, &peers) {
            return;
        }
        let is_same = |one: &Peers, node: &Arc<str>, other| {
            let members = one.get(node);
            members.is_some_and(|members| Arc::ptr_eq(members, other))
        };
        // First all that go: an address may move to another node.
        for (node, members) in &*self.peers {
            if !is_same(&peers, node, members) {
                for address in members.keys() {
                    self.index.remove(address);
                }
            }
        }
        for (node, members) in &*peers {
            if !is_same(&self.peers, node, members) {
                let members = members.iter();
                self.index
                    .extend(members.map(|(address, id)| (*address, Arc::clone(id))));
            }
        }
        self.peers = peers;
    }
}
