//! Where Gateways listen: on an address of their own, and on the shared addresses (localhost and
//! those of `--bind`) for every port that no other Gateway has there.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use weft_api::{Gateway, Object};
use weft_forward::InletKey;
use weft_ir::{Name, Tables};
use weft_proxy::Bind;
use weft_store::Store;
use weft_translate::GatewayFacts;

use super::{LOCALHOST, Sockets};
use crate::run::addresses::Owner;

/// Where one Gateway listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewayPlace {
    /// Its own address.
    pub(crate) address: Ipv4Addr,
    /// Port of the Gateway to port listened on.
    pub(crate) ports: BTreeMap<u16, u16>,
    /// The ports listened on that are its own on the addresses that Gateways share.
    pub(crate) shared: BTreeSet<u16>,
    /// Those of them that are open on 127.0.0.1, as far as the system lets them.
    pub(crate) localhost: BTreeSet<u16>,
}

impl Sockets {
    /// Gives every Gateway its address and ports.
    pub(crate) fn place_gateways(&mut self, store: &Store) {
        let name = |gateway: &Gateway| {
            let key = gateway.key();
            Name::new(key.namespace(), key.name())
        };
        let known: BTreeSet<Name> = store.gateways().iter().map(|it| name(it)).collect();
        let gone: Vec<Name> = self
            .gateways
            .keys()
            .filter(|name| !known.contains(*name))
            .cloned()
            .collect();
        for name in gone {
            self.gateways.remove(&name);
            self.book.release(&Owner::Gateway(name));
        }
        for gateway in store.gateways() {
            let name = name(gateway);
            let owner = Owner::Gateway(name.clone());
            let asked = asked_address(gateway);
            let address = self.book.claim(&owner, asked);
            let listeners = gateway.spec.listeners.iter();
            let ports = listeners.filter_map(|listener| u16::try_from(listener.port).ok());
            let ports = self.listen_on(ports.filter(|port| *port != 0));
            let before = self.gateways.remove(&name);
            let (shared, localhost) = before
                .map(|it| (it.shared, it.localhost))
                .unwrap_or_default();
            let place = GatewayPlace {
                address,
                ports,
                shared,
                localhost,
            };
            self.gateways.insert(name, place);
        }
    }

    /// What translation has to know about the Gateways.
    pub(crate) fn facts(&self) -> BTreeMap<Name, GatewayFacts> {
        let facts = |(name, place): (&Name, &GatewayPlace)| {
            let open = self.open_addresses.iter().copied();
            let may = |address, port: &u16| {
                let socket = SocketAddr::new(address, *port);
                !self.refused.contains(&socket)
            };
            let open = open.filter(|address| place.shared.iter().any(|port| may(*address, port)));
            let unusable = self.unusable.iter().filter(|((it, _), _)| it == name);
            let facts = GatewayFacts {
                addresses: std::iter::once(IpAddr::V4(place.address))
                    .chain(open)
                    .collect(),
                unusable_ports: unusable
                    .map(|((_, port), why)| (*port, why.clone()))
                    .collect(),
                ..GatewayFacts::default()
            };
            (name.clone(), facts)
        };
        self.gateways.iter().map(facts).collect()
    }

    pub(super) fn plan_gateways(&mut self, tables: &Tables) -> bool {
        let served: BTreeMap<&Name, BTreeMap<u16, u16>> = tables
            .gateways
            .iter()
            .filter_map(|(name, gateway)| {
                let place = self.gateways.get(name)?;
                let open = gateway.ports.iter().filter_map(|port| {
                    let listen_on = place.ports.get(&port.port)?;
                    Some((port.port, *listen_on))
                });
                Some((name, open.collect()))
            })
            .collect();
        self.holders.retain(|port, holder| {
            let ports = served.get(&*holder);
            ports.is_some_and(|ports| ports.values().any(|it| it == port))
        });
        for (name, ports) in &served {
            for port in ports.values() {
                self.holders.entry(*port).or_insert_with(|| (*name).clone());
            }
        }
        let binds: BTreeSet<Bind> = served
            .iter()
            .flat_map(|(name, ports)| self.binds_of(name, ports))
            .collect();
        for (name, place) in &mut self.gateways {
            let held = self.holders.iter().filter(|(_, holder)| *holder == name);
            place.shared = held.map(|(port, _)| *port).collect();
            let all = binds.iter().filter(|bind| is_of(bind, name));
            place.localhost = all
                .filter(|bind| bind.address.ip() == LOCALHOST[0] && place.address != LOCALHOST[0])
                .map(|bind| bind.address.port())
                .collect();
        }
        if binds == self.gateway_binds {
            return false;
        }
        let wanted = Arc::make_mut(&mut self.wanted);
        wanted.retain(|bind| !self.gateway_binds.contains(bind));
        wanted.extend(binds.iter().cloned());
        self.gateway_binds = binds;
        true
    }

    fn binds_of(&self, name: &Name, ports: &BTreeMap<u16, u16>) -> Vec<Bind> {
        let Some(place) = self.gateways.get(name) else {
            return Vec::new();
        };
        let mut binds = Vec::new();
        for (port, listen_on) in ports {
            let key = Arc::new(InletKey::Gateway {
                gateway: name.clone(),
                port: *port,
            });
            let bind = |address| Bind {
                key: Arc::clone(&key),
                address: SocketAddr::new(address, *listen_on),
            };
            binds.push(bind(place.address.into()));
            if self.holders.get(listen_on) == Some(name) {
                let shared = self.shared_addresses();
                let shared = shared.filter(|address| *address != IpAddr::V4(place.address));
                let shared = shared.map(bind);
                binds.extend(shared.filter(|bind| !self.refused.contains(&bind.address)));
            }
        }
        binds
    }

    /// Localhost and the addresses of `--bind`, without those that are somebody's own.
    fn shared_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let all = LOCALHOST.iter().chain(&self.open_addresses).copied();
        all.filter(|address| match address {
            IpAddr::V4(address) => self.book.owner_of(*address).is_none(),
            IpAddr::V6(_) => true,
        })
    }
}

fn is_of(bind: &Bind, name: &Name) -> bool {
    matches!(bind.key.as_ref(), InletKey::Gateway { gateway, .. } if gateway == name)
}

/// The first loopback address that `spec.addresses` asks for.
fn asked_address(gateway: &Gateway) -> Option<Ipv4Addr> {
    let asked = gateway.spec.addresses.iter();
    let mut asked = asked.filter_map(|address| address.value.as_deref()?.parse().ok());
    asked.find(Ipv4Addr::is_loopback)
}
