//! The endpoint table: from Services and their EndpointSlices to the addresses behind each port.
//!
//! It is made beside the tables, not in them: pods come and go without any route being looked at.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use weft_api::{
    EndpointSlice, Namespace, Object, Pod, Service, service,
    service::{EndpointAddressType, Transport},
};
use weft_ir::{Endpoint, EndpointSet, EndpointState, Endpoints, Name, ServicePort};
use weft_store::Store;

use crate::{context::name_of, enrolment::Enrolment};

#[cfg(test)]
mod tests;

/// The endpoints of one Service port, of which those are members that `enrolment` says. Empty when
/// the Service, its port or its endpoints do not exist.
pub fn endpoints(store: &Store, port: &ServicePort, enrolment: &Enrolment) -> EndpointSet {
    let Name { namespace, name } = &port.service;
    let members = Members { store, enrolment };
    let ports = store
        .service(namespace, name)
        .map(|service| service.spec.ports.as_slice());
    let is_it = |it: &&service::ServicePort| tcp_number(it) == Some(port.port);
    match ports.unwrap_or_default().iter().find(is_it) {
        Some(found) => members.collect(store.endpoint_slices_of(namespace, name), found),
        None => EndpointSet::default(),
    }
}

/// The endpoints of every Service port, kept up to date. An update costs one comparison per Service
/// and the work of the Services whose slices changed; sets that come out equal keep their `Arc`.
#[derive(Debug, Default)]
pub struct EndpointTable {
    enrolment: Enrolment,
    sources: BTreeMap<Name, Source>,
    /// Revision of the Pods at the last update.
    pods: u64,
    table: Arc<Endpoints>,
}

/// What the sets of a Service were made from.
#[derive(Debug)]
struct Source {
    service: Arc<Service>,
    slices: Vec<Arc<EndpointSlice>>,
    namespace: Option<Arc<Namespace>>,
    /// Of the endpoints that name one, in their order; `None` for one that is not known. Empty where
    /// nobody can be a member.
    pods: Vec<Option<Arc<Pod>>>,
}

/// What tells members from others.
#[derive(Clone, Copy)]
struct Members<'s> {
    store: &'s Store,
    enrolment: &'s Enrolment,
}

impl EndpointTable {
    /// An empty table, whose endpoints are members as `enrolment` says. By default nobody is.
    pub fn new(enrolment: Enrolment) -> Self {
        Self {
            enrolment,
            ..Self::default()
        }
    }

    /// Takes over who is a member from the next update on. The rule stays: only pods come and go that are
    /// starting.
    pub fn enrol(&mut self, enrolment: &Enrolment) {
        self.enrolment.clone_from(enrolment);
    }

    /// The table as of the last update. Every TCP port of every Service has an entry, if only an
    /// empty one. Whoever shares it keeps it as it is: the next change makes another one.
    pub fn table(&self) -> &Arc<Endpoints> {
        &self.table
    }

    /// Takes over the state of the store, the same one each time, and returns the ports whose endpoints
    /// changed or went, ascending.
    pub fn update(&mut self, store: &Store) -> Vec<ServicePort> {
        let mut changed = Vec::new();
        let enrolment = self.enrolment.clone();
        let members = Members {
            store,
            enrolment: &enrolment,
        };
        let pods = std::mem::replace(&mut self.pods, store.pods().revision());
        let pods_differ = enrolment.is_on() && pods != self.pods;
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
            let namespace = members.namespace(key.namespace());
            let is_known = |known: &Source| {
                known.is(service, slices())
                    && same(known.namespace.as_ref(), namespace)
                    && !(pods_differ && members.differ(slices(), &known.pods))
            };
            if known.is_some_and(is_known) {
                continue;
            }
            let ports = service.spec.ports.iter();
            let sets =
                ports.filter_map(|port| Some((tcp_number(port)?, members.collect(slices(), port))));
            self.replace(&name, sets.collect(), &mut changed);
            let source = Source {
                service: service.clone(),
                slices: slices().cloned().collect(),
                namespace: namespace.cloned(),
                pods: members.pods(slices()).map(|pod| pod.cloned()).collect(),
            };
            self.sources.insert(name, source);
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

fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

fn tcp_number(port: &service::ServicePort) -> Option<u16> {
    let number = u16::try_from(port.port).ok().filter(|number| *number != 0);
    number.filter(|_| *port.protocol() == Transport::Tcp)
}

/// The Pod that an endpoint names.
fn pod_name(endpoint: &service::Endpoint) -> Option<&str> {
    let target = endpoint.target_ref.as_ref();
    let pod = target.filter(|it| it.kind.as_deref() == Some("Pod"))?;
    pod.name.as_deref()
}

impl<'s> Members<'s> {
    fn namespace(self, name: &str) -> Option<&'s Arc<Namespace>> {
        let namespaces = self.enrolment.is_on().then(|| self.store.namespaces())?;
        namespaces.get("", name)
    }

    /// A Pod of the Namespace of a slice: no slice speaks for Pods of others.
    fn pod(self, slice: &EndpointSlice, name: &str) -> Option<&'s Arc<Pod>> {
        let pods = self.enrolment.is_on().then(|| self.store.pods())?;
        pods.get(slice.namespace(), name)
    }

    /// The Pods that endpoints name, as far as they are known.
    fn pods<'a>(
        self,
        slices: impl Iterator<Item = &'a Arc<EndpointSlice>>,
    ) -> impl Iterator<Item = Option<&'s Arc<Pod>>> {
        let slices = slices.filter(move |_| self.enrolment.is_on());
        slices.flat_map(move |slice| {
            let named = slice.endpoints.iter().filter_map(pod_name);
            named.map(move |name| self.pod(slice, name))
        })
    }

    fn differ<'a>(
        self,
        slices: impl Iterator<Item = &'a Arc<EndpointSlice>>,
        known: &[Option<Arc<Pod>>],
    ) -> bool {
        let mut pods = self.pods(slices);
        let all_same = known
            .iter()
            .all(|known| pods.next().is_some_and(|pod| same(known.as_ref(), pod)));
        !(all_same && pods.next().is_none())
    }

    /// Whoever writes the slices has resolved the target port, be it a number or a name: a slice port
    /// belongs to the Service port of the same name (EndpointPort.name).
    fn collect<'a>(
        self,
        slices: impl Iterator<Item = &'a Arc<EndpointSlice>>,
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
                    endpoints.extend(addressed.filter_map(|it| self.endpoint(slice, it, number)));
                }
            }
        }
        EndpointSet::new(endpoints)
    }

    /// An endpoint, if it serves. Of its addresses, which are fungible, the first counts.
    fn endpoint(
        self,
        slice: &EndpointSlice,
        endpoint: &service::Endpoint,
        port: u16,
    ) -> Option<Endpoint> {
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
        let pod = pod_name(endpoint);
        let known = pod.and_then(|pod| self.pod(slice, pod));
        let namespace = self.namespace(slice.namespace());
        Some(Endpoint {
            address: SocketAddr::new(address, port),
            state,
            pod: pod.map(Arc::from),
            zone: endpoint.zone.as_deref().map(Arc::from),
            member: self.enrolment.member(
                slice.namespace(),
                namespace.map(AsRef::as_ref),
                known.map(AsRef::as_ref),
            ),
        })
    }
}
