//! From differences back to a configuration.

mod groups;
mod pods;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use weft_ir::{Gateway, Name, RouteId, Service, ServicePort, Tables};

use self::groups::Groups;
use crate::{
    CaBundles, Certificates, Configuration, Difference, Key, Kind, Resource, Snapshot,
    body::{self, Decoded, Ports},
    diff,
};

/// Puts resources together to the configuration they were taken from.
///
/// Every resource stands for itself: one that cannot be read leaves the last version of it in force
/// and everything else takes effect. Parts of the configuration that a difference does not concern
/// are shared with the configuration before.
#[derive(Debug, Default)]
pub struct Assembler {
    versions: BTreeMap<Key, u64>,
    groups: Groups,
    current: Configuration,
}

/// What is wrong with a resource that was received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name}: {message}")]
pub struct Problem {
    /// Type of the resource, as sent.
    pub kind: String,
    /// Name of the resource, as sent.
    pub name: String,
    /// What is wrong, for people.
    pub message: String,
}

/// What [`Assembler::apply`] did.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The configuration now.
    pub configuration: Configuration,
    /// Service ports whose endpoints changed or went, ascending.
    pub endpoints: Vec<ServicePort>,
    /// What was not understood, and therefore is as it was before or refuses its requests.
    pub problems: Vec<Problem>,
}

/// What a difference touches beyond the resources themselves.
#[derive(Default)]
struct Touched {
    gateways: BTreeSet<Name>,
    services: BTreeSet<Name>,
    endpoints: Vec<ServicePort>,
}

impl Assembler {
    /// An assembler that holds the resources of a snapshot, and what of them was not understood.
    pub fn load(snapshot: &Snapshot) -> (Self, Applied) {
        let mut assembler = Self::default();
        let applied = assembler.apply(&diff(&Snapshot::default(), snapshot));
        (assembler, applied)
    }

    /// The configuration as of the last change.
    pub fn configuration(&self) -> &Configuration {
        &self.current
    }

    /// The versions of the resources that are held. 0 stands for one that is not held as it was
    /// sent, so that a sender sends it again.
    pub fn versions(&self) -> &BTreeMap<Key, u64> {
        &self.versions
    }

    /// Applies a difference. After `apply(&diff(a, b))` an assembler that held `a` holds `b`, apart
    /// from what is among the problems.
    pub fn apply(&mut self, difference: &Difference) -> Applied {
        let mut touched = Touched::default();
        let mut problems = Vec::new();
        for key in &difference.removed {
            if self.versions.remove(key).is_some() {
                self.remove(key, &mut touched);
            }
        }
        for resource in &difference.upserts {
            let said = match self.upsert(resource, &mut touched) {
                Ok(said) => {
                    let as_sent = if said.is_empty() {
                        resource.version()
                    } else {
                        0
                    };
                    self.versions.insert(resource.key().clone(), as_sent);
                    said
                }
                Err(error) => {
                    // What is held, if anything, is not what was sent.
                    if let Some(version) = self.versions.get_mut(resource.key()) {
                        *version = 0;
                    }
                    vec![format!("is ignored: {error}")]
                }
            };
            let Key { kind, name } = resource.key();
            problems.extend(said.into_iter().map(|message| Problem {
                kind: kind.as_str().to_owned(),
                name: name.to_string(),
                message,
            }));
        }
        self.settle(&mut touched);
        touched.endpoints.sort();
        touched.endpoints.dedup();
        Applied {
            configuration: self.current.clone(),
            endpoints: touched.endpoints,
            problems,
        }
    }

    /// Takes over a resource; says what of it was not understood.
    fn upsert(
        &mut self,
        resource: &Resource,
        touched: &mut Touched,
    ) -> Result<Vec<String>, String> {
        let Key { kind, name } = resource.key();
        let body: &Bytes = resource.body();
        match *kind {
            Kind::Gateway => {
                let Decoded { value, problems } = body::decode_gateway(name, body)?;
                // Routes of the same change are filled in when all is known.
                touched.gateways.insert(name.clone());
                self.put_gateway(value);
                Ok(problems)
            }
            Kind::Service => {
                let Decoded { value, problems } = body::decode_service(name, body)?;
                touched.services.insert(name.clone());
                self.put_service(value);
                Ok(problems)
            }
            Kind::Route(kind) => {
                let id = self.groups.id(RouteId {
                    kind,
                    name: name.clone(),
                });
                let Decoded { value, problems } = body::decode_route(&id, body)?;
                self.groups.put(&id, value);
                Ok(problems)
            }
            Kind::Endpoints => {
                let Decoded { value, problems } = body::decode_endpoints(body)?;
                self.replace_endpoints(name, value, touched);
                Ok(problems)
            }
            Kind::Certificate => {
                let Decoded { value, problems } = body::decode_certificate(body)?;
                let known = self.current.certificates.get(name);
                if known.is_none_or(|known| **known != value) {
                    self.certificates().insert(name.clone(), Arc::new(value));
                }
                Ok(problems)
            }
            Kind::CaBundle => {
                let Decoded { value, problems } = body::decode_ca_bundle(body)?;
                let known = self.current.ca_bundles.get(name);
                if known.is_none_or(|known| **known != value) {
                    self.ca_bundles().insert(name.clone(), Arc::new(value));
                }
                Ok(problems)
            }
            Kind::Workload | Kind::Peers | Kind::Namespaces => {
                pods::upsert(&mut self.current, resource)
            }
        }
    }

    fn remove(&mut self, key: &Key, touched: &mut Touched) {
        let Key { kind, name } = key;
        match *kind {
            Kind::Gateway => {
                self.tables().gateways.remove(name);
            }
            Kind::Service => {
                self.tables().services.remove(name);
            }
            Kind::Route(kind) => {
                let name = name.clone();
                let id = self.groups.id(RouteId { kind, name });
                self.groups.put(&id, Vec::new());
            }
            Kind::Endpoints => self.replace_endpoints(name, Ports::new(), touched),
            Kind::Certificate => {
                self.certificates().remove(name);
            }
            Kind::CaBundle => {
                self.ca_bundles().remove(name);
            }
            Kind::Workload | Kind::Peers | Kind::Namespaces => pods::remove(&mut self.current, key),
        }
    }
}

/// Bringing the parts together.
impl Assembler {
    /// Rebuilds the sets whose routes changed, and what they belong to.
    fn settle(&mut self, touched: &mut Touched) {
        let changed = self.groups.settle();
        for parent in changed {
            match parent {
                body::Parent::Listener { gateway, .. } => touched.gateways.insert(gateway),
                body::Parent::Frontend { service, .. } => touched.services.insert(service),
            };
        }
        for name in &touched.gateways {
            if let Some(gateway) = self.current.tables.gateways.get(name) {
                self.put_gateway(Gateway::clone(gateway));
            }
        }
        for name in &touched.services {
            if let Some(service) = self.current.tables.services.get(name) {
                self.put_service(Service::clone(service));
            }
        }
    }

    /// Takes over a Gateway with the routes its listeners have.
    fn put_gateway(&mut self, gateway: Gateway) {
        let name = gateway.name.clone();
        let old = self.current.tables.gateways.get(&name);
        let new = self.groups.fill_gateway(gateway, old);
        if old.is_none_or(|old| !Arc::ptr_eq(old, &new)) {
            self.tables().gateways.insert(name, new);
        }
    }

    /// Takes over a Service with the routes its groups have.
    fn put_service(&mut self, service: Service) {
        let name = service.name.clone();
        let old = self.current.tables.services.get(&name);
        let new = self.groups.fill_service(service, old);
        if old.is_none_or(|old| !Arc::ptr_eq(old, &new)) {
            self.tables().services.insert(name, new);
        }
    }

    fn replace_endpoints(&mut self, service: &Name, mut ports: Ports, touched: &mut Touched) {
        let key = |port| ServicePort {
            service: service.clone(),
            port,
        };
        let known = self.current.endpoints.range(key(0)..=key(u16::MAX));
        let mut gone = Vec::new();
        for (port, set) in known {
            match ports.get(&port.port) {
                Some(new) if new == set => drop(ports.remove(&port.port)),
                Some(_) => {}
                None => gone.push(port.clone()),
            }
        }
        if ports.is_empty() && gone.is_empty() {
            return;
        }
        let table = Arc::make_mut(&mut self.current.endpoints);
        for port in gone {
            table.remove(&port);
            touched.endpoints.push(port);
        }
        for (port, set) in ports {
            table.insert(key(port), set);
            touched.endpoints.push(key(port));
        }
    }

    fn tables(&mut self) -> &mut Tables {
        Arc::make_mut(&mut self.current.tables)
    }

    fn certificates(&mut self) -> &mut Certificates {
        Arc::make_mut(&mut self.current.certificates)
    }

    fn ca_bundles(&mut self) -> &mut CaBundles {
        Arc::make_mut(&mut self.current.ca_bundles)
    }
}
