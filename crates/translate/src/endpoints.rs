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

use self::addresses::Addresses;
use crate::{context::name_of, enrolment::Enrolment};

mod addresses;
#[cfg(test)]
mod tests;

/// The endpoints of one Service port, of which those are members that `enrolment` says. Empty when
/// the Service, its port or its endpoints do not exist.
pub fn endpoints(store: &Store, port: &ServicePort, enrolment: &Enrolment) -> EndpointSet {
    let Name { namespace, name } = &port.service;
    let members = Members {
        store,
        enrolment,
        addresses: &Addresses::of(store, enrolment),
    };
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
    /// Revisions of Pods and Namespaces at the last update.
    seen: (u64, u64),
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
    /// Of the others, in their order, the members at their addresses. Empty as well.
    addressed: Vec<Option<Arc<str>>>,
}

/// What tells members from others.
#[derive(Clone, Copy)]
struct Members<'s> {
    store: &'s Store,
    enrolment: &'s Enrolment,
    addresses: &'s Addresses<'s>,
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
            addresses: &Addresses::of(store, &enrolment),
        };
        let seen = (store.pods().revision(), store.namespaces().revision());
        let pods_differ = std::mem::replace(&mut self.seen, seen) != seen && enrolment.is_on();
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
                    && !(pods_differ && members.differ(slices, known))
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
                addressed: members.addressed(slices()).map(|it| it.cloned()).collect(),
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

/// The Pod that an endpoint names, which is one of the Namespace of its slice.
fn pod_name<'a>(slice: &EndpointSlice, endpoint: &'a service::Endpoint) -> Option<&'a str> {
    let target = endpoint.target_ref.as_ref();
    let pod = target.filter(|it| it.kind.as_deref() == Some("Pod"))?;
    let is_own = |namespace: &String| namespace.is_empty() || namespace == slice.namespace();
    pod.name
        .as_deref()
        .filter(|_| pod.namespace.as_ref().is_none_or(is_own))
}

/// Of the addresses of an endpoint, which are fungible, the first counts.
fn address(endpoint: &service::Endpoint) -> Option<IpAddr> {
    endpoint.addresses.first()?.parse().ok()
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
            let named = slice.endpoints.iter();
            let named = named.filter_map(|it| pod_name(slice, it));
            named.map(move |name| self.pod(slice, name))
        })
    }

    /// The members at the addresses of endpoints that name no Pod.
    fn addressed<'a>(
        self,
        slices: impl Iterator<Item = &'a Arc<EndpointSlice>>,
    ) -> impl Iterator<Item = Option<&'s Arc<str>>> {
        let slices = slices.filter(move |_| self.enrolment.is_on());
        slices.flat_map(move |slice| {
            let others = slice.endpoints.iter();
            let others = others.filter(|it| pod_name(slice, it).is_none());
            others.map(move |it| self.addresses.member(address(it)?))
        })
    }

    /// Whether other Pods, or other members, are behind the same slices by now.
    fn differ<'a, S>(self, slices: impl Fn() -> S, known: &Source) -> bool
    where
        S: Iterator<Item = &'a Arc<EndpointSlice>>,
    {
        let same_pod = |(known, pod): (&Option<Arc<Pod>>, _)| same(known.as_ref(), pod);
        let same_member = |(known, member): (&Option<Arc<str>>, _)| known.as_ref() == member;
        let mut pods = known.pods.iter().zip(self.pods(slices()));
        let mut addressed = known.addressed.iter().zip(self.addressed(slices()));
        !(pods.all(same_pod) && addressed.all(same_member))
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

    /// An endpoint, if it serves.
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
        let address = address(endpoint)?;
        let family = match address {
            IpAddr::V4(_) => EndpointAddressType::V4,
            IpAddr::V6(_) => EndpointAddressType::V6,
        };
        if slice.address_type != family {
            return None;
        }
        let pod = pod_name(slice, endpoint);
        Some(Endpoint {
            address: SocketAddr::new(address, port),
            state,
            pod: pod.map(Arc::from),
            zone: endpoint.zone.as_deref().map(Arc::from),
            member: self.member(slice, pod, address),
        })
    }

    /// Who answers for an endpoint, if a member does: the Pod it names, else whoever has its address
    /// (EndpointSlice API: `targetRef` is optional).
    fn member(self, slice: &EndpointSlice, pod: Option<&str>, address: IpAddr) -> Option<Arc<str>> {
        let known = pod.and_then(|pod| self.pod(slice, pod));
        let namespace = self.namespace(slice.namespace()).map(AsRef::as_ref);
        let of_slice = || {
            let known = known.map(AsRef::as_ref);
            self.enrolment.member(slice.namespace(), namespace, known)
        };
        match pod {
            Some(_) => of_slice(),
            None => self.addresses.member(address).cloned().or_else(of_slice),
        }
    }
}
