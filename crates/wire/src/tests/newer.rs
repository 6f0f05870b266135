//! Invariant 6: what a newer sender writes and this version does not know fails closed, for its own
//! rule, port or resource only, and by name.

use std::sync::Arc;

use ciborium::{Value, cbor};
use weft_ir::{Filter, NoRecord, RequestView, RouteKind, RouteSet};

use super::{
    snapshot,
    world::{Builder, Route, World, gateway_name, routes},
};
use crate::{Applied, Assembler, Difference, Resource, Snapshot, proto::config as message};

/// `HTTPRoute ns0/r0`, whose first rule takes PUT on `/exact` and the second everything; a GRPCRoute
/// `ns0/r1`; `ns0/r2`, which takes everything; a Gateway with two ports, a Service with two.
fn world() -> World {
    let mut world = routes(&[2, 0, 4]);
    world.routes[0].rules = vec![1, 4];
    world.routes[1].grpc = true;
    world.gateways = vec![vec![(0, 80, None), (1, 8080, None)]];
    world.services = vec![vec![(80, true, false), (443, false, true)]];
    world.routes.push(Route {
        listeners: Vec::new(),
        frontends: vec![(0, 80, false)],
        ..world.routes[2].clone()
    });
    world.routes[3].name = 3;
    world
}

/// The snapshot of the world with a change to the body of one resource.
fn edited(key: &str, edit: impl Fn(&mut Value)) -> Difference {
    let snapshot: Snapshot = snapshot(&Builder::default().build(&world()));
    let mut found = false;
    let upserts = snapshot.iter().map(|resource| {
        if resource.key().to_string() != key {
            return resource.clone();
        }
        found = true;
        let mut body: Value = ciborium::from_reader(&**resource.body()).expect("a body is CBOR");
        edit(&mut body);
        let mut bytes = Vec::new();
        ciborium::into_writer(&body, &mut bytes).expect("a value can be written");
        let sent = message::Resource {
            body: bytes.into(),
            version: 7,
            ..resource.to_message()
        };
        Arc::new(Resource::from_message(&sent).expect("the type and name are as before"))
    });
    let upserts = upserts.collect();
    assert!(found, "{key} is in the snapshot");
    Difference {
        upserts,
        removed: Vec::new(),
    }
}

/// The value at a path of field names and positions.
fn at<'v>(mut value: &'v mut Value, path: &str) -> &'v mut Value {
    for step in path.split('/') {
        value = match value {
            Value::Array(list) => &mut list[step.parse::<usize>().expect("a position")],
            Value::Map(fields) => {
                let field = fields
                    .iter_mut()
                    .find(|(key, _)| key.as_text() == Some(step));
                &mut field
                    .unwrap_or_else(|| panic!("no field {step} in {path}"))
                    .1
            }
            other => panic!("{step} of {path} stands in {other:?}"),
        };
    }
    value
}

fn put(value: &mut Value, path: &str, name: &str, new: Value) {
    let Value::Map(fields) = at(value, path) else {
        panic!("{path} is no map");
    };
    fields.retain(|(key, _)| key.as_text() != Some(name));
    fields.push((name.into(), new));
}

fn apply(difference: &Difference) -> (Applied, Vec<String>) {
    let applied = Assembler::default().apply(difference);
    let problems = applied.problems.iter().map(ToString::to_string).collect();
    (applied, problems)
}

fn listener(applied: &Applied) -> &RouteSet {
    let gateway = &applied.configuration.tables.gateways[&gateway_name(0)];
    &gateway.ports[0].listeners[0].routes
}

/// What becomes of a request: the rule that takes it, and whether that refuses it.
fn asked(set: &RouteSet, method: &str, path: &str) -> String {
    let request = http::Request::builder().method(method).uri(path).body(());
    let (parts, ()) = request.expect("a request").into_parts();
    let view = RequestView::new(&parts, "x.example");
    let Some(winner) = set.find(&view, &mut NoRecord) else {
        return "404".to_owned();
    };
    let rule = &set.rules()[winner.rule as usize];
    let refuses = rule
        .filters
        .iter()
        .any(|filter| *filter == Filter::Unsupported);
    let outcome = if refuses { "500" } else { "served" };
    format!("{} {} {outcome}", rule.route.name, rule.index)
}

/// What is newer, the edit, and what is said and becomes of the requests.
type Row = (&'static str, fn(&mut Value), [&'static str; 2]);

/// Edits of rule 0 of `ns0/r0`, whose matches are PUT on exactly `/exact`, and on prefix `/prefix`.
fn rule_edits() -> Vec<Row> {
    const RULE: &str = "forms/0/rules/0/is";
    const FILTER: &str = "rule 0 has a filter that is not known here";
    const ANSWERS: &str = "rule 0 answers 500: ";
    vec![
        (
            "a filter",
            |body| {
                let newer = cbor!([{"type" => "Teleport", "to" => "mars"}]).expect("a value");
                put(body, RULE, "filters", newer);
            },
            [FILTER, "ns0/r0 0 500"],
        ),
        (
            "a value inside a filter",
            |body| {
                let newer = cbor!([{"type" => "Redirect", "status" => "teapot"}]).expect("a value");
                put(body, RULE, "filters", newer);
            },
            [ANSWERS, "ns0/r0 0 500"],
        ),
        (
            "a kind of target",
            |body| {
                let newer = cbor!([{"weight" => 1, "target" => {"moon" => {}}}]).expect("a value");
                put(body, RULE, "backends", newer);
            },
            [ANSWERS, "ns0/r0 0 500"],
        ),
        (
            "a policy that must be known",
            |body| {
                let needs = cbor!(["authorisation"]).expect("a value");
                put(body, "forms/0/rules/0", "needs", needs);
            },
            [
                "rule 0 answers 500: needs \"authorisation\"",
                "ns0/r0 0 500",
            ],
        ),
        (
            "a type of path match beside one that is known",
            |body| {
                let newer = cbor!({"type" => "Glob", "value" => "/ex*"}).expect("a value");
                put(body, "forms/0/rules/0/is/matches/http/1", "path", newer);
            },
            [ANSWERS, "ns0/r0 0 500"],
        ),
        (
            "a field that may be ignored",
            |body| put(body, RULE, "comment", "hello".into()),
            ["", "ns0/r0 0 served"],
        ),
    ]
}

#[test]
fn a_rule_that_is_not_understood_refuses_its_own_requests_only() {
    for (row, edit, [said, outcome]) in rule_edits() {
        let (applied, problems) = apply(&edited("HTTPRoute ns0/r0", edit));
        if said.is_empty() {
            assert!(problems.is_empty(), "{row}: {problems:?}");
        } else {
            assert_eq!(problems.len(), 1, "{row}: {problems:?}");
            let start = format!("HTTPRoute ns0/r0: {said}");
            assert!(problems[0].starts_with(&start), "{row}: {problems:?}");
        }
        let set = listener(&applied);
        assert_eq!(asked(set, "PUT", "/exact"), outcome, "{row}");
        assert_eq!(
            asked(set, "GET", "/"),
            "ns0/r0 1 served",
            "{row}: the next rule"
        );
        assert!(set.has(RouteKind::Grpc), "{row}: other routes are there");
    }
}

/// The one rule of `ns0/r2` takes everything; that of `ns0/r0` is not understood in any match.
#[test]
fn matches_that_are_not_understood_take_what_nothing_else_takes() {
    type Edit = (&'static str, fn(&mut Value));
    let edits: [Edit; 4] = [
        ("types of path match", |body| {
            let newer = cbor!({"type" => "Glob", "value" => "/ex*"}).expect("a value");
            for matched in ["0", "1"] {
                let path = format!("forms/0/rules/0/is/matches/http/{matched}");
                put(body, &path, "path", newer.clone());
            }
        }),
        ("types of header match", |body| {
            let newer =
                cbor!([{"name" => "x", "type" => "Range", "value" => "1-2"}]).expect("a value");
            for matched in ["0", "1"] {
                let path = format!("forms/0/rules/0/is/matches/http/{matched}");
                put(body, &path, "headers", newer.clone());
            }
        }),
        ("a list of another kind", |body| {
            let newer = cbor!({"http4" => [{"path" => "/"}]}).expect("a value");
            put(body, "forms/0/rules/0/is", "matches", newer);
        }),
        ("no list", |body| {
            put(body, "forms/0/rules/0/is", "matches", 1.into())
        }),
    ];
    for (row, edit) in edits {
        let only_rule = |body: &mut Value| {
            edit(body);
            let Value::Array(rules) = at(body, "forms/0/rules") else {
                panic!("rules are a list");
            };
            rules.truncate(1);
        };
        let difference = edited("HTTPRoute ns0/r0", only_rule);
        let (applied, problems) = apply(&difference);
        assert_eq!(problems.len(), 1, "{row}: {problems:?}");
        assert_eq!(
            asked(listener(&applied), "PUT", "/exact"),
            "ns0/r2 0 served",
            "{row}"
        );
        let mut alone = difference;
        alone
            .upserts
            .retain(|it| it.key().to_string() != "HTTPRoute ns0/r2");
        let (applied, _) = apply(&alone);
        assert_eq!(
            asked(listener(&applied), "GET", "/"),
            "ns0/r0 0 500",
            "{row}, alone"
        );
    }
}

#[test]
fn calls_that_are_not_understood_are_refused() {
    let (applied, problems) = apply(&edited("GRPCRoute ns0/r1", |body| {
        let newer = cbor!({"grpc" => [{"method" => {"type" => "Glob", "service" => "*"}}]});
        put(
            body,
            "forms/0/rules/0/is",
            "matches",
            newer.expect("a value"),
        );
    }));
    assert_eq!(problems.len(), 1, "{problems:?}");
    let set = listener(&applied);
    let rule = set
        .rules()
        .iter()
        .find(|rule| rule.route.kind == RouteKind::Grpc);
    assert!(rule.is_some_and(|rule| rule.filters.is_terminal()));
}

#[test]
fn parents_and_resources_that_are_not_understood_are_left_out() {
    let (applied, problems) = apply(&edited("HTTPRoute ns0/r0", |body| {
        let Value::Array(parents) = at(body, "forms/0/parents") else {
            panic!("parents are a list");
        };
        let newer = cbor!({"parent" => {"type" => "Waypoint", "name" => "w"}});
        parents.push(newer.expect("a value"));
    }));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("HTTPRoute ns0/r0: a parent is left out: "));
    assert_eq!(
        asked(listener(&applied), "PUT", "/exact"),
        "ns0/r0 0 served"
    );
}

#[test]
fn a_port_that_is_not_understood_is_not_served() {
    let (applied, problems) = apply(&edited("Gateway infra/gw0", |body| {
        put(body, "ports/0/is", "protocol", "QUIC".into());
    }));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("Gateway infra/gw0: port 80 is not served: "),
        "{problems:?}"
    );
    let gateway = &applied.configuration.tables.gateways[&gateway_name(0)];
    let ports: Vec<u16> = gateway.ports.iter().map(|port| port.port).collect();
    assert_eq!(ports, [8080], "the other port is served");
}

#[test]
fn a_frontend_that_is_not_understood_refuses_what_reaches_it() {
    let (applied, problems) = apply(&edited("Service shop/s0", |body| {
        put(body, "ports/0/is", "protocol", "carrierPigeon".into());
    }));
    assert_eq!(problems.len(), 1, "{problems:?}");
    let service = applied.configuration.tables.services.values().next();
    let service = service.expect("the Service is there");
    assert!(
        service.port(80).is_some_and(|port| port.fault.is_some()),
        "not passed through"
    );
    assert!(
        service
            .port(443)
            .is_some_and(|port| !port.consumers.is_empty()),
        "as sent"
    );
}

#[test]
fn a_resource_that_cannot_be_read_keeps_its_last_good_version() {
    let good = snapshot(&Builder::default().build(&world()));
    let (mut assembler, before) = Assembler::load(&good);
    let mut bad = edited("HTTPRoute ns0/r0", |body| *body = Value::Null);
    bad.upserts.retain(|resource| resource.version() == 7);
    let applied = assembler.apply(&bad);
    assert_eq!(applied.problems.len(), 1, "{:?}", applied.problems);
    assert_eq!(
        applied.configuration, before.configuration,
        "the last good version is in force"
    );
    let key = bad.upserts[0].key();
    assert_eq!(
        assembler.versions().get(key),
        Some(&0),
        "a sender that is told what is held sends the route again"
    );
    let again = Difference {
        upserts: vec![good.get(key).expect("the route was sent").clone()],
        removed: Vec::new(),
    };
    assert_eq!(assembler.apply(&again).problems, []);
    assert_eq!(assembler.versions()[key], again.upserts[0].version());
    let gone = Difference {
        upserts: Vec::new(),
        removed: vec![key.clone()],
    };
    let applied = assembler.apply(&gone);
    let set = listener(&applied);
    assert!(
        asked(set, "PUT", "/exact").starts_with("ns0/r2"),
        "what is held can be removed"
    );
}

/// What a reader without a mesh makes of the endpoints of a Service.
#[derive(serde::Deserialize)]
struct OlderEndpoints {
    ports: std::collections::BTreeMap<u16, weft_ir::EndpointSet>,
}

#[test]
fn members_of_the_mesh_are_no_endpoints_for_those_who_know_no_mesh() {
    let endpoint = |at: u8, member: Option<&str>| weft_ir::Endpoint {
        address: ([10, 1, 0, at], 8080).into(),
        state: weft_ir::EndpointState::Ready,
        pod: None,
        zone: None,
        member: member.map(Arc::from),
    };
    let web = Some("spiffe://test/ns/shop/sa/web");
    let mixed = [endpoint(1, web), endpoint(2, None), endpoint(3, web)];
    let plain = [endpoint(4, None)];
    let sets = [(80, mixed.to_vec()), (81, plain.to_vec())];
    let sets = sets.map(|(port, list)| (port, Arc::new(weft_ir::EndpointSet::new(list))));
    let ports = sets.iter().map(|(port, set)| (*port, set)).collect();
    let key = crate::Key::new(crate::Kind::Endpoints, gateway_name(0));
    let sent = crate::body::encode_endpoints(key, &ports).expect("a small body");

    let older: OlderEndpoints = ciborium::from_reader(&**sent.body()).expect("the older form");
    assert_eq!(older.ports[&80].all(), &mixed[1..2], "no member is seen");
    assert_eq!(older.ports[&81].all(), plain, "others are");
    let ours = crate::body::decode_endpoints(sent.body()).expect("our own form");
    assert_eq!(ours.value, sets.into(), "everybody is seen, as sent");
}
