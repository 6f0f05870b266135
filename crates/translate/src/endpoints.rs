//! The endpoint table: from Services and their EndpointSlices to the addresses behind each port.
//!
//! It is made beside the tables, not in them: pods come and go without any route being looked at.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use weft_api::{
    EndpointSlice, Service, service,
    service::{EndpointAddressType, Transport},
};
use weft_ir::{Endpoint, EndpointSet, EndpointState, Endpoints, Name, ServicePort};
use weft_store::Store;

use crate::context::name_of;

#[cfg(test)]
mod tests;

/// The endpoints of one Service port. Empty when the Service, its port or its endpoints do not
/// exist.
pub fn endpoints(store: &Store, port: &ServicePort) -> EndpointSet {
    let Name { namespace, name } = &port.service;
    let ports = store
        .service(namespace, name)
        .map(|service| service.spec.ports.as_slice());
    let is_it = |it: &&service::ServicePort| tcp_number(it) == Some(port.port);
    match ports.unwrap_or_default().iter().find(is_it) {
        Some(found) => collect(store.endpoint_slices_of(namespace, name), found),
        None => EndpointSet::default(),
    }
}

/// The endpoints of every Service port, kept up to date. An update costs one comparison per Service
/// and the work of the Services whose slices changed; sets that come out equal keep their `Arc`.
#[derive(Debug, Default)]
pub struct EndpointTable {
    sources: BTreeMap<Name, Source>,
    table: Arc<Endpoints>,
}

/// What the sets of a Service were made from.
#[derive(Debug)]
struct Source {
    service: Arc<Service>,
    slices: Vec<Arc<EndpointSlice>>,
}

impl EndpointTable {
    /// The table as of the last update. Every TCP port of every Service has an entry, if only an
    /// empty one. Whoever shares it keeps it as it is: the next change makes another one.
    pub fn table(&self) -> &Arc<Endpoints> {
        &self.table
    }

    /// Takes over the state of the store and returns the ports whose endpoints changed or went,
    /// ascending.
    pub fn update(&mut self, store: &Store) -> Vec<ServicePort> {
        let mut changed = Vec::new();
        let gone = |name: &Name| store.service(&name.namespace, &name.name).is_none();
        let gone: Vec<_> = self
            .sources
            .keys()
            .filter(|name| gone(name))
            .cloned()
            .collect();
        for name in gone {
            self.sources.remove(&name);
            self.replace(&name, BTreeMap::new(), &mut changed);
        }
        for (key, service) in store.services().entries() {
            let slices = || store.endpoint_slices_of(key.namespace(), key.name());
            let name = name_of(key);
            let known = self.sources.get(&name);
            if known.is_some_and(|known| known.is(service, slices())) {
                continue;
            }
            let ports = service.spec.ports.iter();
            let sets = ports.filter_map(|port| Some((tcp_number(port)?, collect(slices(), port))));
            self.replace(&name, sets.collect(), &mut changed);
            let slices = slices().cloned().collect();
            self.sources.insert(
                name,
                Source {
                    service: service.clone(),
                    slices,
                },
            );
        }
        changed.sort();
        changed
    }

    fn replace(
        &mut self,
        name: &Name,
        mut sets: BTreeMap<u16, EndpointSet>,
        changed: &mut Vec<ServicePort>,
    ) {
        let key = |port| ServicePort {
            service: name.clone(),
            port,
        };
        let table = Arc::make_mut(&mut self.table);
        let before: Vec<u16> = table
            .range(key(0)..=key(u16::MAX))
            .map(|(key, _)| key.port)
            .collect();
        for port in before {
            match (sets.remove(&port), table.get_mut(&key(port))) {
                (Some(new), Some(old)) if **old == new => {}
                (Some(new), Some(old)) => {
                    *old = Arc::new(new);
                    changed.push(key(port));
                }
                _ => {
                    table.remove(&key(port));
                    changed.push(key(port));
                }
            }
        }
        for (port, set) in sets {
            table.insert(key(port), Arc::new(set));
            changed.push(key(port));
        }
    }
}

impl Source {
    fn is<'s>(
        &self,
        service: &Arc<Service>,
        slices: impl Iterator<Item = &'s Arc<EndpointSlice>>,
    ) -> bool {
        let mut known = self.slices.iter();
        let same =
            |slice: &Arc<EndpointSlice>| known.next().is_some_and(|it| Arc::ptr_eq(it, slice));
        Arc::ptr_eq(&self.service, service)
            && slices.into_iter().all(same)
            && known.next().is_none()
    }
}

fn tcp_number(port: &service::ServicePort) -> Option<u16> {
    let number = u16::try_from(port.port).ok().filter(|number| *number != 0);
    number.filter(|_| *port.protocol() == Transport::Tcp)
}

/// Whoever writes the slices has resolved the target port, be it a number or a name: a slice port
/// belongs to the Service port of the same name (EndpointPort.name).
fn collect<'s>(
    slices: impl Iterator<Item = &'s Arc<EndpointSlice>>,
    port: &service::ServicePort,
) -> EndpointSet {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let wanted = name(&port.name);
    let mut endpoints = Vec::new();
    for slice in slices {
        for target in &slice.ports {
            let number = target.port.and_then(|number| u16::try_from(number).ok());
            let Some(number) = number.filter(|number| *number != 0) else {
                continue;
            };
            if *target.protocol() == Transport::Tcp && name(&target.name) == wanted {
                let addressed = slice.endpoints.iter();
                endpoints.extend(addressed.filter_map(|it| endpoint(slice, it, number)));
            }
        }
    }
    EndpointSet::new(endpoints)
}

/// An endpoint, if it serves. Of its addresses, which are fungible, the first counts.
fn endpoint(slice: &EndpointSlice, endpoint: &service::Endpoint, port: u16) -> Option<Endpoint> {
    let conditions = &endpoint.conditions;
    let state = match (
        conditions.is_ready(),
        conditions.is_serving(),
        conditions.is_terminating(),
    ) {
        (true, _, _) => EndpointState::Ready,
        (false, true, true) => EndpointState::Terminating,
        _ => return None,
    };
    let address: IpAddr = endpoint.addresses.first()?.parse().ok()?;
    let family = match address {
        IpAddr::V4(_) => EndpointAddressType::V4,
        IpAddr::V6(_) => EndpointAddressType::V6,
    };
    if slice.address_type != family {
        return None;
    }
    let pod = endpoint
        .target_ref
        .as_ref()
        .filter(|it| it.kind.as_deref() == Some("Pod"));
    Some(Endpoint {
        address: SocketAddr::new(address, port),
        state,
        pod: pod.and_then(|pod| pod.name.as_deref()).map(Arc::from),
        zone: endpoint.zone.as_deref().map(Arc::from),
    })
}
