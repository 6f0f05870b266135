//! What is live in one process: inlets and clusters, kept in step with the configuration.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use weft_certs::{Acceptor, AcceptorError, Entry, HostPattern, ServerCert};
use weft_ir::{
    EndpointSet, Endpoints, Frontend, Group, Name, Port, PortProtocol, ServicePort, Tables,
};
use weft_telemetry::metrics::Registry;

use super::{
    Inlet, Roots, View, ViewKind,
    cluster_key::{ClusterKey, Material},
};
use crate::{
    members::{Members, Sender},
    upstream::{Cluster, Transport},
};

/// Names an inlet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InletKey {
    /// A port of a Gateway.
    Gateway {
        /// The Gateway.
        gateway: Name,
        /// Port as written in its listeners.
        port: u16,
    },
    /// A port of a Service, for clients of one namespace.
    Mesh {
        /// The Service port.
        service: ServicePort,
        /// Namespace the clients belong to.
        client_namespace: Arc<str>,
    },
}

impl fmt::Display for InletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway { gateway, port } => write!(f, "Gateway {gateway} port {port}"),
            Self::Mesh {
                service,
                client_namespace,
            } => {
                write!(f, "Service {service} for clients of {client_namespace}")
            }
        }
    }
}

/// What a process serves, as one value.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// The compiled routes.
    pub tables: Arc<Tables>,
    /// The endpoints of every Service port.
    pub endpoints: Arc<Endpoints>,
    /// Certificates of listeners, and those that backends are shown, by the Secret they come from.
    pub certificates: Arc<HashMap<Name, ServerCert>>,
    /// Who may vouch for backends.
    pub roots: Arc<Roots>,
    /// What it takes to reach endpoints that are members of the mesh.
    pub members: Arc<Members>,
}

/// Everything live in one process. Locked when the configuration changes and when an inlet is used
/// for the first time, never for a request.
#[derive(Debug)]
pub struct Live {
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) registry: Registry,
    pub(super) workers: usize,
    pub(super) seed: u64,
    configuration: Configuration,
    inlets: HashMap<Arc<InletKey>, Arc<Inlet>>,
    clusters: HashMap<ClusterKey, ClusterEntry>,
}

#[derive(Debug)]
struct ClusterEntry {
    cluster: Arc<Cluster>,
    applied: Option<Arc<EndpointSet>>,
    material: Material,
}

impl Live {
    /// Nothing yet. `workers` is the number of worker threads, `seed` starts the splits.
    pub fn new(registry: Registry, workers: usize, seed: u64) -> Self {
        let state = State {
            registry,
            workers,
            seed,
            configuration: Configuration::default(),
            inlets: HashMap::new(),
            clusters: HashMap::new(),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every step leaves the maps whole; a panic in one of them poisons nothing that matters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inlet of that name; made on first use, with what the configuration has for it.
    ///
    /// # Errors
    /// When the system has no randomness for the session tickets of an HTTPS port.
    pub fn inlet(&self, key: &Arc<InletKey>) -> Result<Arc<Inlet>, AcceptorError> {
        let mut state = self.lock();
        if let Some(inlet) = state.inlets.get(key) {
            return Ok(Arc::clone(inlet));
        }
        let inlet = Arc::new(Inlet::new(Arc::clone(key)));
        state.inlets.insert(Arc::clone(key), Arc::clone(&inlet));
        state.update_caller(&inlet);
        state.update(&inlet);
        state.update_acceptor(&inlet)?;
        Ok(inlet)
    }

    /// Builds the view of an inlet that had no connection so far. Ports of Services without routes
    /// are many and mostly idle, so they get one when it is needed.
    pub(crate) fn activate(&self, inlet: &Inlet) -> Option<Arc<View>> {
        inlet.activate();
        self.lock().update(inlet);
        inlet.view()
    }

    /// Forgets an inlet whose listening sockets are closed. Its idle and opaque connections end;
    /// requests in flight finish with the view they have.
    pub fn remove_inlet(&self, key: &InletKey) {
        if let Some(inlet) = self.lock().inlets.remove(key) {
            inlet.view.store(None);
            inlet.close();
        }
    }

    /// Every inlet, for draining.
    pub fn inlets(&self) -> Vec<Arc<Inlet>> {
        self.lock().inlets.values().cloned().collect()
    }

    /// Takes over a new configuration. Requests under way keep the view they started with; parts
    /// that are pointer-equal to the last configuration keep their live form.
    ///
    /// # Errors
    /// When the system has no randomness for the session tickets of a new HTTPS port; everything
    /// else is applied.
    pub fn apply(&self, configuration: Configuration) -> Result<(), AcceptorError> {
        let mut state = self.lock();
        let old = std::mem::replace(&mut state.configuration, configuration);
        let members_differ = !Arc::ptr_eq(&old.members, &state.configuration.members);
        let endpoints_differ =
            members_differ || !Arc::ptr_eq(&old.endpoints, &state.configuration.endpoints);
        let inlets: Vec<_> = state.inlets.values().cloned().collect();
        // A name to be reached with comes before the endpoints that ask for it.
        if members_differ {
            for inlet in &inlets {
                state.update_caller(inlet);
            }
        }
        // A backend gains its endpoints before a route can choose it, and loses its last one only
        // after no route can: in between, no request meets an empty cluster.
        if endpoints_differ {
            state.update_clusters(members_differ, |set| !set.all().is_empty());
        }
        if !Arc::ptr_eq(&old.roots, &state.configuration.roots)
            || !Arc::ptr_eq(&old.certificates, &state.configuration.certificates)
        {
            state.update_transports();
        }
        for inlet in &inlets {
            state.update(inlet);
        }
        if endpoints_differ {
            state.update_clusters(members_differ, |set| set.all().is_empty());
        }
        state
            .clusters
            .retain(|_, entry| Arc::strong_count(&entry.cluster) > 1);
        inlets
            .iter()
            .map(|inlet| state.update_acceptor(inlet))
            .fold(Ok(()), Result::and)
    }
}

impl State {
    fn update_acceptor(&self, inlet: &Inlet) -> Result<(), AcceptorError> {
        let Some(view) = inlet.view() else {
            return Ok(());
        };
        let ViewKind::Gateway { port, .. } = &view.kind else {
            return Ok(());
        };
        if port.protocol != PortProtocol::Https {
            return Ok(());
        }
        let certificates = &self.configuration.certificates;
        // One entry per listener, those without a usable certificate included: their names are not
        // another listener's.
        let entries = port.listeners.iter().map(|listener| {
            let hostname = listener.hostname.as_ref().map(ToString::to_string);
            let secrets = listener.certificates.iter();
            Entry {
                host: HostPattern::new(hostname.as_deref().unwrap_or_default()),
                certs: secrets
                    .filter_map(|secret| certificates.get(secret).cloned())
                    .collect(),
            }
        });
        match inlet.acceptor() {
            Some(acceptor) => acceptor.replace(entries),
            None => inlet
                .acceptor
                .store(Some(Arc::new(Acceptor::https(entries)?))),
        }
        Ok(())
    }

    fn update(&mut self, inlet: &Inlet) {
        let old = inlet.view();
        let old_kind = old.as_deref().map(|view| &view.kind);
        let view = match inlet.key.as_ref() {
            InletKey::Gateway { gateway, port } => match (self.port(gateway, *port), old_kind) {
                (None, _) => None,
                (
                    Some((new, certificate)),
                    Some(ViewKind::Gateway {
                        port,
                        client_certificate,
                        ..
                    }),
                ) if Arc::ptr_eq(&new, port) && certificate == *client_certificate => {
                    return;
                }
                (Some((new, certificate)), _) => {
                    Some(self.gateway_view(gateway, (&new, certificate), old_kind))
                }
            },
            InletKey::Mesh {
                service,
                client_namespace,
            } => match (self.frontend(service), old_kind) {
                (None, _) => None,
                (Some(new), Some(ViewKind::Mesh { frontend, .. }))
                    if Arc::ptr_eq(&new, frontend) =>
                {
                    return;
                }
                (Some(new), None) if inlet.may_wait() && passes_through(&new, client_namespace) => {
                    return;
                }
                (Some(new), _) => Some(self.mesh_view(service, &new, client_namespace, old_kind)),
            },
        };
        inlet.view.store(view.map(Arc::new));
    }

    /// A port of a Gateway, and the Secret with the certificate that backends are shown.
    fn port(&self, gateway: &Name, port: u16) -> Option<(Arc<Port>, Option<Name>)> {
        let gateway = self.configuration.tables.gateways.get(gateway)?;
        let found = gateway.ports.iter().find(|it| it.port == port)?;
        Some((Arc::clone(found), gateway.client_certificate.clone()))
    }

    fn frontend(&self, service: &ServicePort) -> Option<Arc<Frontend>> {
        self.configuration
            .tables
            .services
            .get(&service.service)?
            .port(service.port)
            .cloned()
    }

    fn update_caller(&self, inlet: &Inlet) {
        let callers = &self.configuration.members.callers;
        inlet
            .caller
            .store(callers.get(&Sender::of(&inlet.key)).cloned());
    }

    /// Brings clusters up to date whose new endpoint set satisfies `which`; those with members also
    /// when it is these that are reached otherwise.
    fn update_clusters(&mut self, members_differ: bool, which: impl Fn(&EndpointSet) -> bool) {
        let empty = Arc::new(EndpointSet::default());
        for (key, entry) in &mut self.clusters {
            let endpoints = &self.configuration.endpoints;
            let set = endpoints.get(&key.port).unwrap_or(&empty);
            let same = entry
                .applied
                .as_ref()
                .is_some_and(|applied| Arc::ptr_eq(applied, set));
            let is_due = !same || (members_differ && set.has_members());
            if is_due && which(set) {
                let members = &self.configuration.members;
                entry.cluster.set_endpoints(set, members, self.workers);
                entry.applied = Some(Arc::clone(set));
            }
        }
    }

    /// Takes over certificates that changed, for the clusters that use them.
    fn update_transports(&mut self) {
        for (key, entry) in &mut self.clusters {
            let Some(tls) = &key.tls else { continue };
            let material = Material::of(tls, &self.configuration);
            if !material.is(&entry.material) {
                let transport = material.transport(tls, self.registry.tls());
                entry.cluster.set_transport(transport, self.workers);
                entry.material = material;
            }
        }
    }

    /// The cluster of that name, with its endpoints.
    pub(super) fn cluster(&mut self, key: ClusterKey) -> Arc<Cluster> {
        if let Some(entry) = self.clusters.get(&key) {
            return Arc::clone(&entry.cluster);
        }
        let labels = super::build::backend_labels(&key.port);
        let metrics = self.registry.backend_metrics(labels);
        let (transport, material) = match &key.tls {
            None => (Transport::Plain, Material::default()),
            Some(tls) => {
                let material = Material::of(tls, &self.configuration);
                (material.transport(tls, self.registry.tls()), material)
            }
        };
        let cluster = Arc::new(Cluster::new(key.port.clone(), metrics, transport));
        let applied = self.configuration.endpoints.get(&key.port).cloned();
        if let Some(set) = &applied {
            cluster.set_endpoints(set, &self.configuration.members, self.workers);
        }
        let entry = ClusterEntry {
            cluster: Arc::clone(&cluster),
            applied,
            material,
        };
        self.clusters.insert(key, entry);
        cluster
    }
}

fn passes_through(frontend: &Frontend, client_namespace: &str) -> bool {
    matches!(frontend.group(client_namespace), Group::PassThrough)
}

#[cfg(test)]
mod tests;
