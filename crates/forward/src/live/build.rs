//! Turning tables into live views, reusing every part that did not change.

use std::sync::Arc;

use weft_balance::WeightedSplit;
use weft_ir::{
    Filter, Filters, Frontend, Group, Name, Port, RouteKind, RouteSet, Rule, ServicePort, Target,
    UpstreamProtocol,
};
use weft_telemetry::metrics::{
    Backend as BackendLabels, ConnectionLabels, Parent, Protocol, Reporter, RequestHandles,
    RequestLabels, Route as RouteLabels,
};

use super::{
    LiveBackend, LiveMirror, LiveRoutes, LiveRule, View, ViewKind, cluster_key::ClusterKey,
    state::State,
};
use crate::upstream::Cluster;

/// Where the requests of one inlet come from, as labels.
struct Origin {
    reporter: Reporter,
    parent: Parent,
    /// Secret with the certificate that backends are shown.
    client_certificate: Option<Name>,
}

impl State {
    pub(super) fn gateway_view(
        &mut self,
        gateway: &Name,
        (port, client_certificate): (&Arc<Port>, Option<Name>),
        old: Option<&ViewKind>,
    ) -> View {
        let origin = Origin {
            reporter: Reporter::Gateway,
            parent: Parent {
                kind: Arc::from("Gateway"),
                name: Arc::clone(&gateway.name),
                namespace: Arc::clone(&gateway.namespace),
                port: port.port,
            },
            client_certificate,
        };
        // What is live under another certificate has other connections.
        let old_routes = match old {
            Some(ViewKind::Gateway {
                listeners,
                client_certificate,
                ..
            }) if *client_certificate == origin.client_certificate => listeners.as_slice(),
            _ => &[],
        };
        let listeners = port
            .listeners
            .iter()
            .map(|listener| self.routes(&origin, &listener.routes, old_routes))
            .collect();
        self.view(
            &origin,
            ViewKind::Gateway {
                port: Arc::clone(port),
                client_certificate: origin.client_certificate.clone(),
                listeners,
            },
        )
    }

    pub(super) fn mesh_view(
        &mut self,
        service: &ServicePort,
        frontend: &Arc<Frontend>,
        client_namespace: &str,
        old: Option<&ViewKind>,
    ) -> View {
        let origin = Origin {
            reporter: Reporter::Source,
            parent: Parent {
                kind: Arc::from("Service"),
                name: Arc::clone(&service.service.name),
                namespace: Arc::clone(&service.service.namespace),
                port: service.port,
            },
            client_certificate: None,
        };
        let old_routes = match old {
            Some(ViewKind::Mesh {
                routes: Some(routes),
                ..
            }) => std::slice::from_ref(routes),
            _ => &[],
        };
        let routes = match frontend.group(client_namespace) {
            Group::Consumer(set) | Group::Producer(set) => {
                Some(self.routes(&origin, set, old_routes))
            }
            Group::PassThrough => None,
        };
        let target = match frontend.fault {
            Some(fault) => Target::Fault {
                fault,
                reference: format!("Service {service}"),
            },
            None => Target::Service {
                port: service.clone(),
                protocol: frontend.upstream,
                tls: frontend.tls.clone(),
            },
        };
        let service = self.backend(&origin, RouteLabels::default(), &target);
        self.view(
            &origin,
            ViewKind::Mesh {
                frontend: Arc::clone(frontend),
                routes,
                service: Arc::new(service),
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
    ) -> Arc<LiveRoutes> {
        if let Some(same) = old.iter().find(|routes| Arc::ptr_eq(&routes.set, set)) {
            return Arc::clone(same);
        }
        // Here, and not when the first request asks.
        set.prepare();
        let mut known = Known::new(old);
        let rules = set
            .rules()
            .iter()
            .map(|rule| match known.take(rule) {
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
        let labels = RouteLabels {
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
                let live = self.backend(origin, labels.clone(), &backend.target);
                live.handles.set_weight(backend.weight);
                live
            })
            .collect();
        let weights: Vec<u32> = rule.backends.iter().map(|backend| backend.weight).collect();
        let is_terminal = rule.filters.is_terminal();
        let own = match backends.first() {
            Some(first) if !is_terminal && weights.iter().any(|weight| *weight > 0) => {
                Arc::clone(&first.handles)
            }
            _ => self.handles(origin, labels, BackendLabels::default()),
        };
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let filters = rule.backends.iter().map(|backend| &backend.filters);
        LiveRule {
            rule: Arc::clone(rule),
            backends,
            split: WeightedSplit::new(&weights, self.seed),
            mirrors: self.mirrors(origin, std::iter::once(&rule.filters).chain(filters)),
            own,
        }
    }

    fn mirrors<'a>(
        &mut self,
        origin: &Origin,
        filters: impl Iterator<Item = &'a Filters>,
    ) -> Vec<LiveMirror> {
        filters
            .flat_map(Filters::iter)
            .filter_map(|filter| match filter {
                Filter::Mirror(mirror) => Some(LiveMirror {
                    target: mirror.target.clone(),
                    cluster: self.cluster_of(origin, &mirror.target)?,
                }),
                _ => None,
            })
            .collect()
    }

    /// The cluster of a target; `None` for a reference that cannot be used.
    fn cluster_of(&mut self, origin: &Origin, target: &Target) -> Option<Arc<Cluster>> {
        match target {
            Target::Service { port, tls, .. } => {
                let certificate = origin.client_certificate.as_ref();
                Some(self.cluster(ClusterKey::new(port, tls.as_ref(), certificate)))
            }
            Target::Fault { .. } => None,
        }
    }

    fn backend(&mut self, origin: &Origin, route: RouteLabels, target: &Target) -> LiveBackend {
        let (labels, protocol) = match target {
            Target::Service { port, protocol, .. } => (backend_labels(port), *protocol),
            Target::Fault { reference, .. } => {
                let labels = BackendLabels {
                    name: Arc::from(reference.as_str()),
                    ..Default::default()
                };
                (labels, UpstreamProtocol::Http1)
            }
        };
        LiveBackend {
            handles: self.handles(origin, route, labels),
            cluster: self.cluster_of(origin, target),
            protocol,
        }
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

pub(super) fn backend_labels(port: &ServicePort) -> BackendLabels {
    BackendLabels {
        name: Arc::clone(&port.service.name),
        namespace: Arc::clone(&port.service.namespace),
        port: port.port,
    }
}

/// The live rules of old route sets. They are asked for in their order, so that a rule that did not
/// change costs a comparison of pointers.
struct Known<'a> {
    /// Each with the place where the next rule is expected.
    sets: Vec<(&'a [Arc<LiveRule>], usize)>,
    /// The set that had the last one.
    last: usize,
}

impl<'a> Known<'a> {
    fn new(old: &'a [Arc<LiveRoutes>]) -> Self {
        let sets = old.iter().map(|routes| (routes.rules.as_slice(), 0));
        Self {
            sets: sets.collect(),
            last: 0,
        }
    }

    /// What is live of this very rule.
    fn take(&mut self, rule: &Arc<Rule>) -> Option<&'a Arc<LiveRule>> {
        let is_it = |live: &&Arc<LiveRule>| Arc::ptr_eq(&live.rule, rule);
        if let Some((rules, next)) = self.sets.get_mut(self.last)
            && let Some(live) = rules.get(*next).filter(is_it)
        {
            *next += 1;
            return Some(live);
        }
        let identity = (rule.route.as_ref(), rule.index);
        let found = (0..).zip(&mut self.sets).find_map(|(set, (rules, next))| {
            let at = rules.binary_search_by(|live| {
                let Rule { route, index, .. } = live.rule.as_ref();
                (route.as_ref(), *index).cmp(&identity)
            });
            // What stood in the place of a changed rule has been passed as well.
            *next = at.map_or_else(|at| at, |at| at + 1);
            let live = rules.get(at.ok()?).filter(is_it)?;
            Some((set, live))
        });
        let (set, live) = found?;
        self.last = set;
        Some(live)
    }
}
