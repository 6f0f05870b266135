//! Turning tables into live views, reusing every part that did not change.

use std::{collections::HashMap, fmt, sync::Arc};

use weft_balance::WeightedSplit;
use weft_certs::{Acceptor, AcceptorError, Entry, HostPattern, ServerCert};
use weft_ir::{
    EndpointSet, Endpoints, Filter, Filters, Frontend, Group, Name, Port, PortProtocol, RouteKind,
    RouteSet, Rule, ServicePort, Tables, Target, UpstreamProtocol,
};
use weft_telemetry::metrics::{
    Backend as BackendLabels, ConnectionLabels, Parent, Protocol, Registry, Reporter,
    RequestHandles, RequestLabels, Route as RouteLabels,
};

use super::{Inlet, LiveBackend, LiveMirror, LiveRoutes, LiveRule, View, ViewKind};
use crate::upstream::Cluster;

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

/// Everything live in one process: inlets and clusters, updated from tables.
#[derive(Debug)]
pub struct Live {
    registry: Registry,
    workers: usize,
    seed: u64,
    inlets: HashMap<InletKey, Arc<Inlet>>,
    certificates: HashMap<Name, ServerCert>,
    clusters: HashMap<ServicePort, ClusterEntry>,
}

#[derive(Debug)]
struct ClusterEntry {
    cluster: Arc<Cluster>,
    applied: Option<Arc<EndpointSet>>,
}

impl Live {
    /// Nothing yet. `workers` is the number of worker threads, `seed` starts the splits.
    pub fn new(registry: Registry, workers: usize, seed: u64) -> Self {
        Self {
            registry,
            workers,
            seed,
            inlets: HashMap::new(),
            certificates: HashMap::new(),
            clusters: HashMap::new(),
        }
    }

    /// The inlet of that name; made on first use, without a view until the tables have one.
    pub fn inlet(&mut self, key: &InletKey) -> Arc<Inlet> {
        let make = || Arc::new(Inlet::new(key.clone()));
        Arc::clone(self.inlets.entry(key.clone()).or_insert_with(make))
    }

    /// Forgets an inlet whose listeners are closed. Open connections keep its last view only until
    /// their current request ends.
    pub fn remove_inlet(&mut self, key: &InletKey) {
        if let Some(inlet) = self.inlets.remove(key) {
            inlet.view.store(None);
            inlet.close();
        }
    }

    /// Takes over the server certificates, by the Secret they come from. Handshakes from now on use
    /// them; open connections and session tickets stay valid.
    ///
    /// # Errors
    /// When the system has no randomness for a new acceptor's tickets.
    pub fn apply_certificates(
        &mut self,
        certificates: HashMap<Name, ServerCert>,
    ) -> Result<(), AcceptorError> {
        self.certificates = certificates;
        self.inlets
            .values()
            .try_for_each(|inlet| self.update_acceptor(inlet))
    }

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
        let entries = port.listeners.iter().flat_map(|listener| {
            let hostname = listener.hostname.as_ref().map(ToString::to_string);
            let host = HostPattern::new(hostname.as_deref().unwrap_or_default());
            listener.certificates.iter().filter_map(move |secret| {
                let cert = self.certificates.get(secret)?.clone();
                Some(Entry {
                    host: host.clone(),
                    cert,
                })
            })
        });
        match inlet.acceptor() {
            Some(acceptor) => acceptor.replace(entries),
            None => inlet
                .acceptor
                .store(Some(Arc::new(Acceptor::https(entries)?))),
        }
        Ok(())
    }

    /// Swaps the view of every inlet to `tables`. Requests under way keep the view they started
    /// with. Parts that are pointer-equal to the last tables keep their live form.
    pub fn apply_tables(&mut self, tables: &Tables) {
        let inlets: Vec<_> = self.inlets.values().cloned().collect();
        for inlet in inlets {
            self.update(&inlet, tables);
        }
        self.clusters
            .retain(|_, entry| Arc::strong_count(&entry.cluster) > 1);
    }

    fn update(&mut self, inlet: &Inlet, tables: &Tables) {
        let old = inlet.view();
        match &inlet.key {
            InletKey::Gateway { gateway, port } => {
                let new = tables.gateways.get(gateway).and_then(|gateway| {
                    gateway
                        .ports
                        .iter()
                        .find(|candidate| candidate.port == *port)
                });
                match (new, old.as_deref().map(|view| &view.kind)) {
                    (None, _) => inlet.view.store(None),
                    (Some(new), Some(ViewKind::Gateway { port, .. })) if Arc::ptr_eq(new, port) => {
                    }
                    (Some(new), _) => {
                        let view = self.gateway_view(gateway, new, old.as_deref());
                        inlet.view.store(Some(Arc::new(view)));
                    }
                }
            }
            InletKey::Mesh {
                service,
                client_namespace,
            } => {
                let found = tables.services.get(&service.service);
                let new = found.and_then(|found| found.port(service.port));
                match (new, old.as_deref().map(|view| &view.kind)) {
                    (None, _) => inlet.view.store(None),
                    (Some(new), Some(ViewKind::Mesh { frontend, .. }))
                        if Arc::ptr_eq(new, frontend) => {}
                    (Some(new), _) => {
                        let view = self.mesh_view(service, new, client_namespace, old.as_deref());
                        inlet.view.store(Some(Arc::new(view)));
                    }
                }
            }
        }
    }

    /// Takes over the endpoints of every cluster in use.
    pub fn apply_endpoints(&mut self, endpoints: &Endpoints) {
        for (port, entry) in &mut self.clusters {
            let set = endpoints.get(port);
            let same = match (&entry.applied, set) {
                (Some(old), Some(new)) => Arc::ptr_eq(old, new),
                (None, None) => true,
                _ => false,
            };
            if same {
                continue;
            }
            let empty = EndpointSet::default();
            let current = set.map_or(&empty, Arc::as_ref);
            entry.cluster.set_endpoints(current, self.workers);
            entry.applied = set.cloned();
        }
    }
}

/// Where the requests of one inlet come from, as labels.
struct Origin {
    reporter: Reporter,
    parent: Parent,
}

impl Live {
    fn gateway_view(&mut self, gateway: &Name, port: &Arc<Port>, old: Option<&View>) -> View {
        let origin = Origin {
            reporter: Reporter::Gateway,
            parent: Parent {
                kind: Arc::from("Gateway"),
                name: Arc::clone(&gateway.name),
                namespace: Arc::clone(&gateway.namespace),
                port: port.port,
            },
        };
        let old_routes = match old.map(|view| &view.kind) {
            Some(ViewKind::Gateway { listeners, .. }) => listeners.as_slice(),
            _ => &[],
        };
        let known = known_rules(old_routes.iter().map(Arc::as_ref));
        let listeners = port
            .listeners
            .iter()
            .map(|listener| self.routes(&origin, &listener.routes, old_routes, &known))
            .collect();
        self.view(
            &origin,
            ViewKind::Gateway {
                port: Arc::clone(port),
                listeners,
            },
        )
    }

    fn mesh_view(
        &mut self,
        service: &ServicePort,
        frontend: &Arc<Frontend>,
        client_namespace: &str,
        old: Option<&View>,
    ) -> View {
        let origin = Origin {
            reporter: Reporter::Source,
            parent: Parent {
                kind: Arc::from("Service"),
                name: Arc::clone(&service.service.name),
                namespace: Arc::clone(&service.service.namespace),
                port: service.port,
            },
        };
        let old_routes = match old.map(|view| &view.kind) {
            Some(ViewKind::Mesh {
                routes: Some(routes),
                ..
            }) => std::slice::from_ref(routes),
            _ => &[],
        };
        let known = known_rules(old_routes.iter().map(Arc::as_ref));
        let routes = match frontend.group(client_namespace) {
            Group::Consumer(set) | Group::Producer(set) => {
                Some(self.routes(&origin, set, old_routes, &known))
            }
            Group::PassThrough => None,
        };
        let target = Target::Service {
            port: service.clone(),
            protocol: frontend.upstream,
        };
        let service = self.backend(&origin, RouteLabels::default(), &target);
        self.view(
            &origin,
            ViewKind::Mesh {
                frontend: Arc::clone(frontend),
                routes,
                service,
            },
        )
    }

    fn view(&self, origin: &Origin, kind: ViewKind) -> View {
        let connections = self.registry.connection_metrics(ConnectionLabels {
            reporter: origin.reporter,
            parent: origin.parent.clone(),
            protocol: None,
        });
        let unrouted = self.handles(origin, RouteLabels::default(), BackendLabels::default());
        View {
            kind,
            connections,
            unrouted,
        }
    }

    fn routes(
        &mut self,
        origin: &Origin,
        set: &Arc<RouteSet>,
        old: &[Arc<LiveRoutes>],
        known: &HashMap<*const Rule, Arc<LiveRule>>,
    ) -> Arc<LiveRoutes> {
        if let Some(same) = old.iter().find(|routes| Arc::ptr_eq(&routes.set, set)) {
            return Arc::clone(same);
        }
        let rules = set
            .rules()
            .iter()
            .map(|rule| match known.get(&Arc::as_ptr(rule)) {
                Some(live) => Arc::clone(live),
                None => Arc::new(self.rule(origin, rule)),
            })
            .collect();
        Arc::new(LiveRoutes {
            set: Arc::clone(set),
            rules,
        })
    }

    fn rule(&mut self, origin: &Origin, rule: &Arc<Rule>) -> LiveRule {
        let label = |rule: &Rule| RouteLabels {
            kind: Arc::from(rule.route.kind.as_str()),
            name: Arc::clone(&rule.route.name.name),
            namespace: Arc::clone(&rule.route.name.namespace),
            rule: rule
                .name
                .clone()
                .unwrap_or_else(|| Arc::from(rule.index.to_string())),
        };
        let backends: Vec<_> = rule
            .backends
            .iter()
            .map(|backend| {
                let live = self.backend(origin, label(rule), &backend.target);
                live.handles.set_weight(backend.weight);
                live
            })
            .collect();
        let weights: Vec<u32> = rule.backends.iter().map(|backend| backend.weight).collect();
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let filters = rule.backends.iter().map(|backend| &backend.filters);
        LiveRule {
            rule: Arc::clone(rule),
            backends,
            split: WeightedSplit::new(&weights, self.seed),
            mirrors: self.mirrors(std::iter::once(&rule.filters).chain(filters)),
            own: self.handles(origin, label(rule), BackendLabels::default()),
        }
    }

    fn mirrors<'a>(&mut self, filters: impl Iterator<Item = &'a Filters>) -> Vec<LiveMirror> {
        filters
            .flat_map(Filters::iter)
            .filter_map(|filter| match filter {
                Filter::Mirror(mirror) => match &mirror.target {
                    Target::Service { port, .. } => Some(LiveMirror {
                        port: port.clone(),
                        cluster: self.cluster(port),
                    }),
                    Target::Fault { .. } => None,
                },
                _ => None,
            })
            .collect()
    }

    fn backend(&mut self, origin: &Origin, route: RouteLabels, target: &Target) -> LiveBackend {
        match target {
            Target::Service { port, protocol } => LiveBackend {
                handles: self.handles(origin, route, backend_labels(port)),
                cluster: Some(self.cluster(port)),
                protocol: *protocol,
            },
            Target::Fault { reference, .. } => {
                let labels = BackendLabels {
                    name: Arc::from(reference.as_str()),
                    ..Default::default()
                };
                LiveBackend {
                    handles: self.handles(origin, route, labels),
                    cluster: None,
                    protocol: UpstreamProtocol::Http1,
                }
            }
        }
    }

    fn cluster(&mut self, port: &ServicePort) -> Arc<Cluster> {
        if let Some(entry) = self.clusters.get(port) {
            return Arc::clone(&entry.cluster);
        }
        let metrics = self.registry.backend_metrics(backend_labels(port));
        let cluster = Arc::new(Cluster::new(port.clone(), metrics));
        let entry = ClusterEntry {
            cluster: Arc::clone(&cluster),
            applied: None,
        };
        self.clusters.insert(port.clone(), entry);
        cluster
    }

    fn handles(
        &self,
        origin: &Origin,
        route: RouteLabels,
        backend: BackendLabels,
    ) -> Arc<RequestHandles> {
        let expected = match route.kind.as_ref() {
            kind if kind == RouteKind::Grpc.as_str() => Protocol::Grpc,
            _ => Protocol::Http1,
        };
        let labels = RequestLabels {
            reporter: origin.reporter,
            parent: origin.parent.clone(),
            route,
            backend,
            ..Default::default()
        };
        self.registry.request_handles(labels, expected)
    }
}

fn backend_labels(port: &ServicePort) -> BackendLabels {
    BackendLabels {
        name: Arc::clone(&port.service.name),
        namespace: Arc::clone(&port.service.namespace),
        port: port.port,
    }
}

/// The live rules of old route sets, by the identity of their rule.
fn known_rules<'a>(
    routes: impl Iterator<Item = &'a LiveRoutes>,
) -> HashMap<*const Rule, Arc<LiveRule>> {
    routes
        .flat_map(|routes| &routes.rules)
        .map(|live| (Arc::as_ptr(&live.rule), Arc::clone(live)))
        .collect()
}
