//! What survives a change of the tables and what does not.

use std::{collections::HashMap, sync::Arc};

use weft_ir::{
    Backend, Endpoint, EndpointSet, EndpointState, Endpoints, Filters, Frontend, FrontendProtocol,
    Gateway, HttpMatch, Listener, Matches, Name, Port, PortProtocol, RouteEntry, RouteId,
    RouteKind, RouteSet, Rule, Service, ServicePort, Tables, Target, Timeouts, UpstreamProtocol,
};
use weft_telemetry::metrics::{BuildInfo, LabelGroups, Registry};

use super::{Configuration, Inlet, InletKey, Live};
use crate::live::{LiveRoutes, View, ViewKind};

fn live() -> Live {
    let build = BuildInfo {
        version: "test",
        commit: "",
    };
    Live::new(Registry::new(build, LabelGroups::default()), 1, 7)
}

fn web() -> ServicePort {
    ServicePort {
        service: Name::new("shop", "web"),
        port: 80,
    }
}

fn edge() -> Arc<InletKey> {
    Arc::new(InletKey::Gateway {
        gateway: Name::new("infra", "edge"),
        port: 80,
    })
}

fn mesh() -> Arc<InletKey> {
    Arc::new(InletKey::Mesh {
        service: web(),
        client_namespace: Arc::from("client"),
    })
}

fn rule() -> Arc<Rule> {
    numbered(0)
}

fn numbered(index: u16) -> Arc<Rule> {
    let target = Target::Service {
        port: web(),
        protocol: UpstreamProtocol::Http1,
        tls: None,
    };
    let route = RouteId {
        kind: RouteKind::Http,
        name: Name::new("shop", "web"),
    };
    Arc::new(Rule {
        route: Arc::new(route),
        index,
        name: None,
        matches: Matches::Http(vec![HttpMatch::default()]),
        filters: Filters::default(),
        backends: vec![Backend {
            weight: 1,
            filters: Filters::default(),
            target,
        }],
        timeouts: Timeouts::default(),
        retry: None,
        idempotent: false,
    })
}

fn routes(rules: Vec<Arc<Rule>>) -> Arc<RouteSet> {
    Arc::new(RouteSet::new(vec![RouteEntry {
        hostnames: Vec::new(),
        created: None,
        rules,
    }]))
}

fn port(routes: &Arc<RouteSet>) -> Arc<Port> {
    let listener = Arc::new(Listener {
        name: Arc::from("http"),
        hostname: None,
        certificates: Vec::new(),
        routes: Arc::clone(routes),
    });
    Arc::new(Port::new(80, PortProtocol::Http, vec![listener]))
}

fn frontend(producer: Option<Arc<RouteSet>>) -> Arc<Frontend> {
    Arc::new(Frontend {
        port: 80,
        protocol: FrontendProtocol::Http,
        upstream: UpstreamProtocol::Http1,
        producer,
        consumers: Default::default(),
        fault: None,
        tls: None,
    })
}

/// Tables with that port of the Gateway, that frontend of the Service, and these endpoints of it.
fn configuration(
    port: Option<&Arc<Port>>,
    frontend: Option<&Arc<Frontend>>,
    endpoints: Option<&Arc<EndpointSet>>,
) -> Configuration {
    let mut tables = Tables::default();
    if let Some(port) = port {
        let name = Name::new("infra", "edge");
        let gateway = Gateway {
            name: name.clone(),
            ports: vec![Arc::clone(port)],
            client_certificate: None,
        };
        tables.gateways.insert(name, Arc::new(gateway));
    }
    if let Some(frontend) = frontend {
        let service = Service {
            name: web().service,
            cluster_ips: Vec::new(),
            ports: vec![Arc::clone(frontend)],
        };
        tables.services.insert(web().service, Arc::new(service));
    }
    let mut table = Endpoints::default();
    if let Some(endpoints) = endpoints {
        table.insert(web(), Arc::clone(endpoints));
    }
    Configuration {
        tables: Arc::new(tables),
        endpoints: Arc::new(table),
        certificates: Arc::new(HashMap::new()),
        roots: Arc::default(),
        members: Arc::default(),
    }
}

fn endpoints(ports: &[u16]) -> Arc<EndpointSet> {
    let endpoint = |port: &u16| Endpoint {
        address: ([127, 0, 0, 1], *port).into(),
        state: EndpointState::Ready,
        pod: None,
        zone: None,
        member: None,
    };
    Arc::new(EndpointSet::new(ports.iter().map(endpoint).collect()))
}

fn view(inlet: &Inlet) -> Arc<View> {
    inlet.view().expect("the inlet has a view")
}

/// The live routes of a Gateway's one listener.
fn listener(inlet: &Inlet) -> Arc<LiveRoutes> {
    match &view(inlet).kind {
        ViewKind::Gateway { listeners, .. } => Arc::clone(&listeners[0]),
        ViewKind::Mesh { .. } => panic!("a Gateway's inlet"),
    }
}

/// Addresses a request can be sent to, by port.
fn reachable(inlet: &Inlet) -> Vec<u16> {
    let routes = listener(inlet);
    let cluster = routes.rules[0].backends[0].cluster.as_ref();
    let cluster = cluster.expect("a backend that can be used");
    cluster.with_members(|members| members.iter().map(|member| member.address.port()).collect())
}

#[test]
fn what_is_pointer_equal_keeps_its_live_form() {
    let live = live();
    let (rule, other) = (numbered(0), numbered(1));
    let set = routes(vec![Arc::clone(&rule)]);
    let first = port(&set);
    live.apply(configuration(Some(&first), None, None))
        .expect("applied");
    let inlet = live.inlet(&edge()).expect("an inlet");
    let (old_view, old_routes) = (view(&inlet), listener(&inlet));

    live.apply(configuration(Some(&first), None, None))
        .expect("applied");
    assert!(
        Arc::ptr_eq(&view(&inlet), &old_view),
        "the same port keeps its view"
    );

    live.apply(configuration(Some(&port(&set)), None, None))
        .expect("applied");
    assert!(
        !Arc::ptr_eq(&view(&inlet), &old_view),
        "another port has another view"
    );
    assert!(
        Arc::ptr_eq(&listener(&inlet), &old_routes),
        "with the same routes"
    );

    let grown = routes(vec![other, Arc::clone(&rule)]);
    live.apply(configuration(Some(&port(&grown)), None, None))
        .expect("applied");
    let new_routes = listener(&inlet);
    assert!(!Arc::ptr_eq(&new_routes, &old_routes), "other routes");
    assert_eq!(new_routes.rules.len(), 2, "both rules");
    let kept = new_routes
        .rules
        .iter()
        .any(|rule| Arc::ptr_eq(rule, &old_routes.rules[0]));
    assert!(
        kept,
        "but the rule that stays keeps its counters and its split"
    );
}

#[test]
fn a_request_keeps_the_view_it_began_with() {
    let live = live();
    let first = port(&routes(vec![rule()]));
    live.apply(configuration(Some(&first), None, Some(&endpoints(&[1]))))
        .expect("applied");
    let inlet = live.inlet(&edge()).expect("an inlet");
    let held = view(&inlet);
    live.apply(configuration(None, None, None))
        .expect("applied");
    assert!(inlet.view().is_none(), "the Gateway is gone");
    let ViewKind::Gateway { listeners, .. } = &held.kind else {
        panic!("a Gateway's view")
    };
    assert_eq!(
        listeners[0].rules.len(),
        1,
        "its request still has its rule"
    );
}

#[test]
fn endpoints_change_under_routes_that_stay() {
    let live = live();
    let port = port(&routes(vec![rule()]));
    let apply = |set: Option<&Arc<EndpointSet>>| {
        live.apply(configuration(Some(&port), None, set))
            .expect("applied");
    };
    apply(Some(&endpoints(&[1, 2])));
    let inlet = live.inlet(&edge()).expect("an inlet");
    let old = view(&inlet);
    assert_eq!(reachable(&inlet), [1, 2], "from the start");
    apply(Some(&endpoints(&[2, 3])));
    assert_eq!(reachable(&inlet), [2, 3], "one left, one came");
    apply(Some(&endpoints(&[])));
    assert_eq!(reachable(&inlet), [0_u16; 0], "an empty set");
    apply(Some(&endpoints(&[4])));
    assert_eq!(reachable(&inlet), [4], "and back");
    apply(None);
    assert_eq!(reachable(&inlet), [0_u16; 0], "no set at all");
    assert!(Arc::ptr_eq(&view(&inlet), &old), "no route was touched");
}

#[test]
fn an_endpoint_that_stays_keeps_what_is_known_of_it() {
    let live = live();
    let port = port(&routes(vec![rule()]));
    live.apply(configuration(Some(&port), None, Some(&endpoints(&[1, 2]))))
        .expect("applied");
    let inlet = live.inlet(&edge()).expect("an inlet");
    let second = || {
        let routes = listener(&inlet);
        let cluster = routes.rules[0].backends[0]
            .cluster
            .clone()
            .expect("a cluster");
        cluster.with_members(|members| {
            let found = members.iter().find(|member| member.address.port() == 2);
            Arc::clone(&found.expect("endpoint 2").0)
        })
    };
    let before = second();
    live.apply(configuration(Some(&port), None, Some(&endpoints(&[2, 3]))))
        .expect("applied");
    assert!(
        Arc::ptr_eq(&before, &second()),
        "load, health and connections"
    );
}

#[test]
fn a_service_without_routes_gets_its_view_with_its_first_connection() {
    let live = live();
    let plain = frontend(None);
    live.apply(configuration(None, Some(&plain), None))
        .expect("applied");
    let inlet = live.inlet(&mesh()).expect("an inlet");
    assert!(inlet.view().is_none(), "nobody has asked");
    assert!(live.activate(&inlet).is_some(), "the first connection");

    let routed = frontend(Some(routes(vec![rule()])));
    live.apply(configuration(None, Some(&routed), None))
        .expect("applied");
    let has_routes = || match &view(&inlet).kind {
        ViewKind::Mesh { routes, .. } => routes.is_some(),
        ViewKind::Gateway { .. } => panic!("a Service's inlet"),
    };
    assert!(has_routes(), "routes act at once");
    live.apply(configuration(None, Some(&plain), None))
        .expect("applied");
    assert!(!has_routes(), "and so does their end");
}

#[test]
fn a_routed_service_has_its_view_at_once() {
    let live = live();
    let routed = frontend(Some(routes(vec![rule()])));
    live.apply(configuration(None, Some(&routed), None))
        .expect("applied");
    let inlet = live.inlet(&mesh()).expect("an inlet");
    assert!(inlet.view().is_some());
}

#[test]
fn an_inlet_may_come_before_what_it_is_for() {
    let live = live();
    let inlet = live.inlet(&edge()).expect("an inlet");
    assert!(inlet.view().is_none(), "no Gateway yet");
    let port = port(&routes(vec![rule()]));
    live.apply(configuration(Some(&port), None, None))
        .expect("applied");
    assert!(inlet.view().is_some(), "now there is");
    let again = live.inlet(&edge()).expect("an inlet");
    assert!(Arc::ptr_eq(&inlet, &again), "one inlet per name");
}

#[test]
fn a_removed_inlet_serves_nothing_more_and_lets_go() {
    let live = live();
    let port = port(&routes(vec![rule()]));
    live.apply(configuration(Some(&port), None, None))
        .expect("applied");
    let inlet = live.inlet(&edge()).expect("an inlet");
    live.remove_inlet(&edge());
    assert!(inlet.view().is_none(), "no view");
    assert!(inlet.is_draining(), "its connections are told to leave");
    assert!(live.inlets().is_empty(), "and nobody knows it");
    live.apply(configuration(Some(&port), None, None))
        .expect("applied");
    assert!(inlet.view().is_none(), "a later change does not wake it");
}

#[test]
fn a_service_that_nothing_refers_to_is_forgotten() {
    let live = live();
    let port = port(&routes(vec![rule()]));
    let set = endpoints(&[1]);
    live.apply(configuration(Some(&port), None, Some(&set)))
        .expect("applied");
    let inlet = live.inlet(&edge()).expect("an inlet");
    assert_eq!(live.lock().clusters.len(), 1, "the rule's backend");
    live.apply(configuration(None, None, Some(&set)))
        .expect("applied");
    drop(inlet);
    assert!(
        live.lock().clusters.is_empty(),
        "its counters and connections go with it"
    );
}
