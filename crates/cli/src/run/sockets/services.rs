//! Where Services listen: on a ClusterIP for clients of the default client namespace, and on
//! further ones for the clients whose routes differ (GEP-1324 consumer routes).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use weft_api::{Object, Service, service::ServiceType};
use weft_forward::InletKey;
use weft_ir::{Name, ServicePort, Tables};
use weft_proxy::Bind;

use super::Sockets;
use crate::run::addresses::Owner;

/// Where one Service listens.
#[derive(Debug)]
pub(crate) struct ServicePlace {
    /// Its ClusterIP: clients that dial it belong to the default client namespace.
    pub(crate) address: Ipv4Addr,
    /// Port of the Service to port listened on.
    pub(crate) ports: BTreeMap<u16, u16>,
    /// Addresses for clients of the namespaces that have routes of their own for the Service.
    pub(crate) clients: BTreeMap<Arc<str>, Ipv4Addr>,
    /// Address for clients of every other namespace, where the default client namespace has routes
    /// of its own.
    pub(crate) others: Option<Ipv4Addr>,
    source: Arc<weft_ir::Service>,
    binds: Vec<Bind>,
}

impl Sockets {
    /// The Service with the ClusterIP it has here, as an API server would have filled it in.
    pub(crate) fn admit(&mut self, service: Arc<Service>) -> Arc<Service> {
        let (namespace, name) = service.key().into();
        let owner = Owner::Service(Name { namespace, name });
        let spec = &service.spec;
        if spec.is_headless() || *spec.type_() == ServiceType::ExternalName {
            self.book.release(&owner);
            return service;
        }
        let asked = asked_address(&service);
        let address = self.book.claim(&owner, asked);
        if let Some(asked) = asked.filter(|asked| *asked != address) {
            let holder = match self.book.owner_of(asked) {
                Some(holder) => holder.to_string(),
                None => "another process".to_owned(),
            };
            self.remarks.push(format!(
                "{owner}: spec.clusterIP {asked} is in use by {holder}; {address} is used instead"
            ));
        }
        let text = address.to_string();
        if spec.cluster_ip.as_ref() == Some(&text) && spec.cluster_ips.len() <= 1 {
            return service;
        }
        let mut admitted = Arc::unwrap_or_clone(service);
        admitted.spec.cluster_ips = vec![text.clone()];
        admitted.spec.cluster_ip = Some(text);
        Arc::new(admitted)
    }

    /// A Service is gone: its address is free again.
    pub(crate) fn dismiss(&mut self, service: &Name) {
        self.book.release(&Owner::Service(service.clone()));
    }

    pub(super) fn plan_services(&mut self, tables: &Tables) -> bool {
        let (changed, gone) = self.differences(tables);
        for name in &gone {
            self.drop_service(name, &BTreeSet::new());
        }
        for service in &changed {
            self.plan_service(service);
        }
        self.stale.clear();
        !(changed.is_empty() && gone.is_empty())
    }

    /// Services whose tables are not those their place was made for, and those without tables.
    fn differences(&self, tables: &Tables) -> (Vec<Arc<weft_ir::Service>>, Vec<Name>) {
        let is_planned = |service: &Arc<weft_ir::Service>| {
            let place = self.services.get(&service.name);
            let is_current = place.is_some_and(|place| Arc::ptr_eq(&place.source, service));
            is_current && !self.stale.contains(&service.name)
        };
        let changed = tables.services.values().filter(|it| !is_planned(it));
        let gone = self.services.keys();
        let gone = gone.filter(|name| !tables.services.contains_key(*name));
        (changed.cloned().collect(), gone.cloned().collect())
    }

    fn plan_service(&mut self, service: &Arc<weft_ir::Service>) {
        let name = &service.name;
        let address = service
            .cluster_ips
            .iter()
            .find_map(|address| match address {
                IpAddr::V4(address) if address.is_loopback() => Some(*address),
                _ => None,
            });
        let (own_routes, views) = self.views(service);
        self.drop_service(name, &views);
        let Some(address) = address else {
            return;
        };
        let ports = self.listen_on(service.ports.iter().map(|it| it.port));
        let claim = |client_namespace: Arc<str>| {
            let owner = Owner::ServiceFor {
                service: name.clone(),
                client_namespace: client_namespace.clone(),
            };
            (client_namespace, self.book.claim(&owner, None))
        };
        let mut clients: BTreeMap<Arc<str>, Ipv4Addr> = views.into_iter().map(claim).collect();
        let of_default = [(self.default_client.clone(), address)];
        let of_clients = clients.iter().map(|(it, address)| (it.clone(), *address));
        let addresses = of_default.into_iter().chain(of_clients);
        let binds: Vec<Bind> = addresses
            .flat_map(|(client, address)| binds(name, &ports, &client, address))
            .collect();
        Arc::make_mut(&mut self.wanted).extend(binds.iter().cloned());
        let others = own_routes
            .then(|| clients.remove(&name.namespace))
            .flatten();
        let place = ServicePlace {
            address,
            ports,
            clients,
            others,
            source: service.clone(),
            binds,
        };
        self.services.insert(name.clone(), Arc::new(place));
    }

    /// Whether clients of the default namespace have routes of their own to the Service, and the other
    /// namespaces whose clients dial it by an address of their own.
    fn views(&self, service: &weft_ir::Service) -> (bool, BTreeSet<Arc<str>>) {
        let ports = service.ports.iter();
        let namespaces = ports.flat_map(|frontend| frontend.consumers.keys().cloned());
        let mut views: BTreeSet<Arc<str>> = namespaces.collect();
        let own_routes = views.remove(&self.default_client);
        if own_routes {
            // Clients of the Service's own namespace have the producer's routes, as all others do.
            views.insert(service.name.namespace.clone());
        }
        (own_routes, views)
    }

    /// Takes the sockets of a Service off the list and gives back the addresses of all clients but
    /// those in `keep`.
    fn drop_service(&mut self, name: &Name, keep: &BTreeSet<Arc<str>>) {
        let Some(place) = self.services.remove(name) else {
            return;
        };
        let wanted = Arc::make_mut(&mut self.wanted);
        for bind in &place.binds {
            wanted.remove(bind);
        }
        let others = place.others.map(|_| name.namespace.clone());
        let clients = place.clients.keys().cloned().chain(others);
        for client_namespace in clients.filter(|client| !keep.contains(client)) {
            self.book.release(&Owner::ServiceFor {
                service: name.clone(),
                client_namespace,
            });
        }
    }
}

/// The ClusterIP that is written in a Service, if it can be one here.
pub(crate) fn asked_address(service: &Service) -> Option<Ipv4Addr> {
    let mut written = service
        .spec
        .addresses()
        .filter_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
    written.find(Ipv4Addr::is_loopback)
}

/// Where clients of one namespace are listened for at their address of the Service.
fn binds(
    service: &Name,
    ports: &BTreeMap<u16, u16>,
    client_namespace: &Arc<str>,
    address: Ipv4Addr,
) -> Vec<Bind> {
    let bind = |(port, listen_on): (&u16, &u16)| Bind {
        key: Arc::new(InletKey::Mesh {
            service: ServicePort {
                service: service.clone(),
                port: *port,
            },
            client_namespace: client_namespace.clone(),
        }),
        address: SocketAddr::new(address.into(), *listen_on),
    };
    ports.iter().map(bind).collect()
}
