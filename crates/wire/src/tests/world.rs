//! Configurations, generated and by hand.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use proptest::{collection::vec, prelude::*, sample::select};
use weft_ir::{
    AllowList, Authorities, Backend, BackendFault, BackendTls, Cidr, Cors, Endpoint, EndpointSet,
    EndpointState, Fail, Filter, Filters, Fraction, Frontend, FrontendProtocol, Gateway, GrpcMatch,
    GrpcMethodMatch, HeaderMatch, HeaderModifier, Hostname, HttpMatch, Listener, Matches, Mirror,
    Name, Namespaces, NodePeers, NodeWorkloads, OriginPattern, PathMatch, PathModifier, Peers,
    Port, PortProtocol, QueryMatch, Redirect, Regex, Retry, Rewrite, RouteEntry, RouteId,
    RouteKind, RouteSet, Rule, Scheme, Service, ServicePort, StringMatch, SubjectAltName, Tables,
    Target, Timeouts, UpstreamProtocol, Workload, Workloads,
};

use crate::{CaBundle, Certificate, Configuration};

/// What a configuration is built from.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) gateways: Vec<Vec<Listening>>,
    pub(super) services: Vec<Vec<Fronting>>,
    pub(super) routes: Vec<Route>,
    /// Service, port and the number of endpoints.
    pub(super) endpoints: Vec<(u8, u16, u8)>,
    /// Secret and the content.
    pub(super) certificates: Vec<(u8, u8)>,
    /// ConfigMap and the content.
    pub(super) ca_bundles: Vec<(u8, u8)>,
    /// Name of a pod, whether its namespace has consumers, its node, and whether it is a member.
    pub(super) workloads: Vec<(u8, bool, u8, bool)>,
    /// Node of a peer, and the peer.
    pub(super) peers: Vec<(u8, u8)>,
    /// Numbers of namespaces of the mesh.
    pub(super) namespaces: Vec<u8>,
}

/// A listener: number, port, whether it has hostname and certificate.
pub(super) type Listening = (u8, u16, Option<u8>);
/// A port of a Service, whether it has an empty producer group, and an empty consumer group.
pub(super) type Fronting = (u16, bool, bool);

#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) grpc: bool,
    pub(super) namespace: u8,
    pub(super) name: u8,
    pub(super) created: Option<i64>,
    /// Numbers of sample rules.
    pub(super) rules: Vec<u8>,
    /// Gateway, listener and hostname.
    pub(super) listeners: Vec<(u8, u8, Option<u8>)>,
    /// Service, port and whether it is a consumer's.
    pub(super) frontends: Vec<(u8, u16, bool)>,
}

/// Builds worlds. Parts that are alike in successive worlds are shared, as `translate` does it; a
/// fresh builder shares nothing with another one's.
#[derive(Default)]
pub(super) struct Builder {
    rules: BTreeMap<String, Arc<Rule>>,
    sets: BTreeMap<String, Arc<RouteSet>>,
    gateways: BTreeMap<String, Arc<Gateway>>,
    services: BTreeMap<String, Arc<Service>>,
    endpoints: BTreeMap<String, Arc<EndpointSet>>,
    ca_bundles: BTreeMap<String, Arc<CaBundle>>,
    workloads: BTreeMap<String, Arc<Workload>>,
    nodes: BTreeMap<String, Arc<NodeWorkloads>>,
    peers: BTreeMap<String, Arc<NodePeers>>,
    namespaces: BTreeMap<String, Arc<Namespaces>>,
}

fn memo<T>(known: &mut BTreeMap<String, Arc<T>>, key: String, make: impl FnOnce() -> T) -> Arc<T> {
    known.entry(key).or_insert_with(|| Arc::new(make())).clone()
}

impl Builder {
    pub(super) fn build(&mut self, world: &World) -> Configuration {
        let mut tables = Tables::default();
        let (workloads, peers) = (self.workloads(world), self.peers(world));
        let namespaces = memo(
            &mut self.namespaces,
            format!("{:?}", world.namespaces),
            || {
                (world.namespaces.iter())
                    .map(|at| format!("mesh{at}").into())
                    .collect()
            },
        );
        for (at, listeners) in (0..).zip(&world.gateways) {
            if let Some(gateway) = self.gateway(at, listeners, world) {
                tables.gateways.insert(gateway.name.clone(), gateway);
            }
        }
        for (at, ports) in (0..).zip(&world.services) {
            let service = self.service(at, ports, world);
            tables.services.insert(service.name.clone(), service);
        }
        let mut endpoints = BTreeMap::new();
        for (service, port, count) in &world.endpoints {
            let set = memo(&mut self.endpoints, format!("{service} {count}"), || {
                EndpointSet::new((0..*count).map(|at| endpoint(*service, at)).collect())
            });
            endpoints.insert(service_port(*service, *port), set);
        }
        let certificate = |(secret, content): &(u8, u8)| {
            let certificate = Certificate {
                chain_pem: Bytes::from(format!("chain {content}")),
                key_pem: Bytes::from(format!("key {content}")),
            };
            (secret_name(*secret), Arc::new(certificate))
        };
        let ca_bundles = world.ca_bundles.iter().map(|(config_map, content)| {
            let pem = format!("authorities {content}");
            let key = format!("{config_map} {content}");
            let bundle = memo(&mut self.ca_bundles, key, || CaBundle { pem });
            (config_map_name(*config_map), bundle)
        });
        Configuration {
            workloads: Arc::new(workloads),
            peers: Arc::new(peers),
            namespaces,
            ca_bundles: Arc::new(ca_bundles.collect()),
            tables: Arc::new(tables),
            endpoints: Arc::new(endpoints),
            certificates: Arc::new(world.certificates.iter().map(certificate).collect()),
        }
    }

    fn workloads(&mut self, world: &World) -> Workloads {
        let mut nodes: BTreeMap<u8, (String, NodeWorkloads)> = BTreeMap::new();
        for pod in &world.workloads {
            let key = format!("{pod:?}");
            let pod = (
                memo(&mut self.workloads, key.clone(), || workload(*pod)),
                pod.2,
            );
            let (pod, node) = pod;
            let (keys, pods) = nodes.entry(node).or_default();
            keys.push_str(&key);
            pods.insert(pod.name.clone(), pod);
        }
        let share = |(node, (key, pods)): (u8, (String, NodeWorkloads))| {
            (node_name(node), memo(&mut self.nodes, key, || pods))
        };
        nodes.into_iter().map(share).collect()
    }

    fn peers(&mut self, world: &World) -> Peers {
        let mut nodes: BTreeMap<u8, NodePeers> = BTreeMap::new();
        for (node, peer) in &world.peers {
            let identity = format!("spiffe://cluster.local/ns/shop/sa/peer{peer}");
            let addresses: [IpAddr; 2] = [
                [10, 2, *node, *peer].into(),
                [0xfd00, 0, 0, 0, 0, 0, u16::from(*node), u16::from(*peer)].into(),
            ];
            let peers = addresses.map(|address| (address, Arc::from(&*identity)));
            nodes.entry(*node).or_default().extend(peers);
        }
        let share = |(node, peers): (u8, NodePeers)| {
            (
                node_name(node),
                memo(&mut self.peers, format!("{peers:?}"), || peers),
            )
        };
        nodes.into_iter().map(share).collect()
    }

    fn gateway(&mut self, at: u8, listeners: &[Listening], world: &World) -> Option<Arc<Gateway>> {
        let mut ports: BTreeMap<u16, Vec<Arc<Listener>>> = BTreeMap::new();
        let mut key = format!("{at}");
        for (number, port, host) in listeners {
            let on_port = ports.entry(*port).or_default();
            let hostname = host.map(hostname);
            if on_port.iter().any(|other| other.hostname == hostname) {
                continue;
            }
            let attached = world.routes.iter().flat_map(|route| {
                let here = route
                    .listeners
                    .iter()
                    .filter(|it| (it.0, it.1) == (at, *number));
                here.map(move |(.., host)| (route, *host))
            });
            let attached: Vec<_> = attached.collect();
            let routes = self.set(&attached);
            key += &format!("; {number} {port} {host:?} {:p}", Arc::as_ptr(&routes));
            let certificates = host.map(secret_name).into_iter();
            on_port.push(Arc::new(Listener {
                name: format!("l{number}").into(),
                hostname,
                certificates: certificates.filter(|_| *port == 443).collect(),
                routes,
            }));
        }
        let protocol = |port| match port {
            443 => PortProtocol::Https,
            _ => PortProtocol::Http,
        };
        let ports: Vec<Arc<Port>> = ports
            .into_iter()
            .map(|(port, listeners)| Arc::new(Port::new(port, protocol(port), listeners)))
            .collect();
        let name = gateway_name(at);
        let is_served = !ports.is_empty();
        let client_certificate = (at == 1).then(|| secret_name(at));
        let gateway = || Gateway {
            name,
            ports,
            client_certificate,
        };
        is_served.then(|| memo(&mut self.gateways, key, gateway))
    }

    fn service(&mut self, at: u8, ports: &[Fronting], world: &World) -> Arc<Service> {
        let mut key = format!("{at}");
        let mut frontends: BTreeMap<u16, Arc<Frontend>> = BTreeMap::new();
        for (port, producer, consumer) in ports {
            let mut set = |is_consumer: bool, forced: bool| {
                let wanted = (at, *port, is_consumer);
                let here = |route: &&Route| route.frontends.contains(&wanted);
                let here: Vec<_> = (world.routes.iter().filter(here))
                    .map(|route| (route, None))
                    .collect();
                (forced || !here.is_empty()).then(|| self.set(&here))
            };
            let (producer, consumer) = (set(false, *producer), set(true, *consumer));
            key += &format!(
                "; {port} {:?} {:?}",
                producer.as_ref().map(Arc::as_ptr),
                consumer.as_ref().map(Arc::as_ptr)
            );
            let frontend = Frontend {
                port: *port,
                protocol: FrontendProtocol::Http2,
                upstream: UpstreamProtocol::AsClient,
                tls: (*port == 80).then(|| Arc::new(backend_tls(at))),
                fault: (*port == 443).then_some(BackendFault::BackendTls),
                producer,
                consumers: consumer
                    .map(|set| ("client".into(), set))
                    .into_iter()
                    .collect(),
            };
            frontends.insert(*port, Arc::new(frontend));
        }
        let service = || Service {
            name: service_name(at),
            cluster_ips: vec![[10, 0, 0, at].into(), [0xfd00, 0, 0, 0, 0, 0, 0, 1].into()],
            ports: frontends.into_values().collect(),
        };
        memo(&mut self.services, key, service)
    }

    fn set(&mut self, attached: &[(&Route, Option<u8>)]) -> Arc<RouteSet> {
        let entries = attached.iter().map(|(route, host)| {
            let id = Arc::new(RouteId {
                kind: if route.grpc {
                    RouteKind::Grpc
                } else {
                    RouteKind::Http
                },
                name: Name::new(format!("ns{}", route.namespace), format!("r{}", route.name)),
            });
            let rules = (0..).zip(&route.rules).map(|(index, sample)| {
                let key = format!("{id} {index} {sample}");
                memo(&mut self.rules, key, || rule(&id, index, *sample))
            });
            RouteEntry {
                rules: rules.collect(),
                hostnames: host.map(hostname).into_iter().collect(),
                created: route.created,
            }
        });
        let entries: Vec<RouteEntry> = entries.collect();
        let pointers = entries.iter().map(|entry| {
            let rules: Vec<_> = entry.rules.iter().map(Arc::as_ptr).collect();
            format!("{rules:?} {:?} {:?}", entry.hostnames, entry.created)
        });
        let key = pointers.collect::<Vec<_>>().join("; ");
        memo(&mut self.sets, key, || RouteSet::new(entries))
    }
}

pub(super) fn gateway_name(at: u8) -> Name {
    Name::new("infra", format!("gw{at}"))
}

pub(super) fn service_name(at: u8) -> Name {
    Name::new("shop", format!("s{at}"))
}

fn secret_name(at: u8) -> Name {
    Name::new("infra", format!("tls{at}"))
}

pub(super) fn node_name(at: u8) -> Arc<str> {
    format!("node{at}").into()
}

/// A pod with something in every field, if it is a member.
fn workload((name, consumes, node, is_member): (u8, bool, u8, bool)) -> Workload {
    let ports = |port: u16| {
        if is_member {
            vec![port, port + 1]
        } else {
            Vec::new()
        }
    };
    Workload {
        name: Name::new(
            if consumes { "client" } else { "shop" },
            format!("pod{name}"),
        ),
        uid: format!("uid-{name}-{node}").into(),
        node: node_name(node),
        service_account: "web".into(),
        addresses: vec![[10, 2, node, name].into()],
        is_member,
        is_leaving: !is_member && consumes,
        is_permissive: is_member,
        probe_ports: ports(1),
        exclude_inbound_ports: ports(10),
        exclude_outbound_ports: ports(20),
        exclude_outbound_cidrs: Cidr::parse("fd00::/8")
            .filter(|_| is_member)
            .into_iter()
            .collect(),
        opaque_ports: ports(30),
        drain_seconds: is_member.then_some(900),
    }
}

pub(super) fn config_map_name(at: u8) -> Name {
    Name::new("shop", format!("ca{at}"))
}

fn backend_tls(sample: u8) -> BackendTls {
    BackendTls {
        policy: Name::new("shop", "tls"),
        hostname: "web.example".into(),
        authorities: match sample {
            0 => Authorities::System,
            _ => Authorities::ConfigMaps(vec![config_map_name(sample % 3)]),
        },
        subject_alt_names: vec![
            SubjectAltName::Hostname("*.web.example".into()),
            SubjectAltName::Uri("spiffe://web.example/web".into()),
        ],
    }
}

fn service_port(service: u8, port: u16) -> ServicePort {
    ServicePort {
        service: service_name(service),
        port,
    }
}

fn hostname(at: u8) -> Hostname {
    let texts = ["a.example", "*.example", "b.a.example"];
    Hostname::parse(texts[usize::from(at) % texts.len()]).expect("a hostname")
}

fn endpoint(service: u8, at: u8) -> Endpoint {
    let ip = [10, 1, service, at];
    Endpoint {
        address: match at % 2 {
            0 => SocketAddr::from((ip, 8080)),
            _ => "[fd00::1]:8080".parse().expect("an address"),
        },
        state: [EndpointState::Ready, EndpointState::Terminating][usize::from(at % 3 == 2)],
        pod: (at.is_multiple_of(2)).then(|| format!("pod-{at}").into()),
        zone: (at.is_multiple_of(3)).then(|| "zone-a".into()),
        member: (at % 5 == 4).then(|| "spiffe://cluster.local/ns/shop/sa/web".into()),
    }
}

/// Sample rules; together they have a value in every field that rules have.
fn rule(route: &Arc<RouteId>, index: u16, sample: u8) -> Rule {
    let matches = match route.kind {
        RouteKind::Grpc => Matches::Grpc(vec![grpc_match(sample)]),
        _ => Matches::Http(vec![http_match(sample), http_match(sample.wrapping_add(1))]),
    };
    let target = Target::Service {
        port: service_port(sample % 4, 80),
        protocol: UpstreamProtocol::Http1,
        tls: sample
            .is_multiple_of(2)
            .then(|| Arc::new(backend_tls(sample))),
    };
    let fault = Target::Fault {
        fault: BackendFault::RefNotPermitted,
        reference: "Service shop/web:80".to_owned(),
    };
    let backend = |weight, target, filters| Backend {
        weight,
        filters,
        target,
    };
    let filters = Filters::from(vec![filter(sample)]);
    Rule {
        route: route.clone(),
        index,
        name: (sample.is_multiple_of(2)).then(|| format!("rule-{sample}").into()),
        matches,
        backends: vec![
            backend(3, target, Filters::default()),
            backend(1, fault, filters.clone()),
        ],
        filters,
        timeouts: Timeouts {
            request: Some(Duration::from_millis(1500)),
            backend_request: (sample.is_multiple_of(2)).then_some(Duration::from_secs(1)),
        },
        retry: (sample.is_multiple_of(3)).then(|| Retry {
            codes: vec![500, 503],
            attempts: 2,
            backoff: Duration::from_millis(25),
        }),
        idempotent: sample.is_multiple_of(5),
    }
}

fn text(sample: u8) -> StringMatch {
    match sample % 2 {
        0 => StringMatch::Exact("v".into()),
        _ => StringMatch::Regex(Regex::new("v[12]|é").expect("an expression")),
    }
}

fn http_match(sample: u8) -> HttpMatch {
    let path = match sample % 4 {
        0 => PathMatch::default(),
        1 => PathMatch::exact("/exact").expect("a path"),
        2 => PathMatch::prefix("/prefix/").expect("a path"),
        _ => PathMatch::regex("/v[0-9]+/.*").expect("an expression"),
    };
    let header = HeaderMatch {
        name: HeaderName::from_static("x-header"),
        value: text(sample),
    };
    let query = QueryMatch {
        name: "q".into(),
        value: text(sample / 2),
    };
    let headers = if sample.is_multiple_of(3) {
        vec![header]
    } else {
        Vec::new()
    };
    let query = if sample.is_multiple_of(5) {
        vec![query]
    } else {
        Vec::new()
    };
    HttpMatch::new(
        path,
        (sample % 2 == 1).then_some(Method::PUT),
        headers,
        query,
    )
}

fn grpc_match(sample: u8) -> GrpcMatch {
    let method = match sample % 3 {
        0 => None,
        1 => Some(GrpcMethodMatch::exact(Some("pkg.Service"), None)),
        _ => Some(GrpcMethodMatch::regex(None, Some("Get.*")).expect("an expression")),
    };
    GrpcMatch::new(method, Vec::new())
}

fn filter(sample: u8) -> Filter {
    let header = (
        HeaderName::from_static("x-a"),
        HeaderValue::from_static("1"),
    );
    let modifier = HeaderModifier {
        set: vec![header.clone()],
        add: vec![header],
        remove: vec![HeaderName::from_static("x-b")],
    };
    let prefix = PathModifier::Prefix {
        prefix: "/a".into(),
        replacement: "/b".into(),
    };
    match sample % 7 {
        0 => Filter::RequestHeaders(modifier),
        1 => Filter::ResponseHeaders(modifier),
        2 => Filter::Redirect(Redirect {
            scheme: Some(Scheme::Https),
            hostname: Some("b.example".into()),
            port: Some(8443),
            path: Some(PathModifier::Full("/full".into())),
            status: 308,
        }),
        3 => Filter::Rewrite(Rewrite {
            hostname: Some("c.example".into()),
            path: Some(prefix),
        }),
        4 => Filter::Mirror(Mirror {
            target: Target::Service {
                port: service_port(sample % 4, 8080),
                protocol: UpstreamProtocol::Http2,
                tls: (sample % 2 == 1).then(|| Arc::new(backend_tls(sample))),
            },
            fraction: Fraction::percent(25),
        }),
        5 => Filter::Cors(Cors {
            allow_origins: vec![OriginPattern::parse("https://*.example:8443").expect("an origin")],
            allow_credentials: true,
            allow_methods: AllowList::new(["PUT"]).expect("methods"),
            allow_headers: AllowList::new(["*"]).expect("headers"),
            expose_headers: AllowList::new(["x-a", "x-b"]).expect("headers"),
            max_age: 7,
        }),
        _ => Filter::Fail(Fail {
            status: 503,
            reason: "extensionRef".into(),
        }),
    }
}

/// Pods, each on one node at a time.
fn pods() -> impl Strategy<Value = Vec<(u8, bool, u8, bool)>> {
    vec((0..3_u8, any::<bool>(), 0..2_u8, any::<bool>()), 0..5).prop_map(|mut pods| {
        pods.sort_unstable();
        pods.dedup_by_key(|pod| (pod.0, pod.1));
        pods
    })
}

/// Worlds of few names, so that what changes meets what stays.
pub(super) fn worlds() -> impl Strategy<Value = World> {
    let port = || select(vec![80_u16, 443, 8080]);
    let host = || prop::option::of(0..3_u8);
    let listener = (0..3_u8, port(), host());
    let gateway = vec(listener, 0..4).prop_map(|mut listeners| {
        // Names of listeners are distinct.
        listeners.sort_by_key(|it| it.0);
        listeners.dedup_by_key(|it| it.0);
        listeners
    });
    let service = vec((port(), any::<bool>(), any::<bool>()), 0..3);
    let head = (any::<bool>(), 0..2_u8, 0..3_u8, prop::option::of(0..2_i64));
    let parents = (
        vec((0..2_u8, 0..3_u8, host()), 0..3),
        vec((0..2_u8, port(), any::<bool>()), 0..3),
    );
    let route = (head, vec(0..42_u8, 1..3), parents).prop_map(
        |((grpc, namespace, name, created), rules, (mut listeners, mut frontends))| {
            listeners.sort();
            listeners.dedup_by_key(|it| (it.0, it.1));
            frontends.sort();
            frontends.dedup();
            Route {
                grpc,
                namespace,
                name,
                created,
                rules,
                listeners,
                frontends,
            }
        },
    );
    let routes = vec(route, 0..8).prop_map(|mut routes| {
        routes.sort_by_key(|route| (route.grpc, route.namespace, route.name));
        routes.dedup_by_key(|route| (route.grpc, route.namespace, route.name));
        routes
    });
    (
        vec(gateway, 0..3),
        vec(service, 0..3),
        routes,
        vec((0..5_u8, port(), 0..4_u8), 0..6),
        vec((0..3_u8, 0..2_u8), 0..3),
        vec((0..3_u8, 0..2_u8), 0..4),
        (pods(), vec((0..3_u8, 0..3_u8), 0..5), vec(0..4_u8, 0..3)),
    )
        .prop_map(
            |(gateways, services, routes, endpoints, certificates, ca_bundles, mesh)| World {
                gateways,
                services,
                routes,
                endpoints,
                certificates,
                ca_bundles,
                workloads: mesh.0,
                peers: mesh.1,
                namespaces: mesh.2,
            },
        )
}

/// One Gateway with listener `l0` on port 80, and the routes `ns0/r0`, `ns0/r1`… of one rule each.
pub(super) fn routes(samples: &[u8]) -> World {
    let route = |(name, sample): (u8, &u8)| Route {
        grpc: false,
        namespace: 0,
        name,
        created: None,
        rules: vec![*sample],
        listeners: vec![(0, 0, None)],
        frontends: Vec::new(),
    };
    World {
        gateways: vec![vec![(0, 80, None)]],
        routes: (0..).zip(samples).map(route).collect(),
        ..World::default()
    }
}
