//! Attachment to Gateways, one row per clause of routing.md section 3 and of the comments of
//! `ParentReference`, `AllowedRoutes` and `HTTPRouteSpec.hostnames`.

use crate::fixture::{CLASS, check, notes, output, scope, status, store, tables};
use crate::{ClassPolicy, Scope, translate};

const BASE: &str = "
Service shop/web {clusterIP: 10.0.0.1, ports: [{port: 80}]}
Service infra/web {clusterIP: 10.0.0.2, ports: [{port: 80}]}
Namespace shop {metadata: {}}
Gateway infra/gw {gatewayClassName: weft, listeners: [
  {name: own, port: 80, protocol: HTTP},
  {name: all, port: 8080, protocol: HTTP, hostname: '*.example.com', allowedRoutes: {namespaces: {from: All}}},
  {name: grpc, port: 9090, protocol: HTTP, allowedRoutes: {namespaces: {from: All}, kinds: [{kind: GRPCRoute}]}},
  {name: picked, port: 9091, protocol: HTTP, hostname: picked.com, allowedRoutes: {namespaces: {from: Selector,
    selector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [shop]}]}}}}]}";

/// An HTTPRoute `namespace/route` with one rule.
fn route(namespace: &str, parents: &str, hostnames: &str) -> String {
    format!(
        "HTTPRoute {namespace}/route {{parentRefs: [{parents}], hostnames: [{hostnames}], \
         rules: [{{backendRefs: [{{name: web, port: 80}}]}}]}}"
    )
}

#[test]
fn parent_refs_select_listeners() {
    let gw = |extra: &str| format!("{{name: gw, namespace: infra{extra}}}");
    let rows: [(&str, &str, String, &str, &[&str]); 15] = [
        (
            "whole Gateway, own namespace",
            "infra",
            gw(""),
            "a.example.com",
            &["Gateway gw"],
        ),
        (
            "whole Gateway, another namespace: one listener is enough",
            "shop",
            gw(""),
            "a.example.com",
            &["Gateway gw"],
        ),
        (
            "sectionName",
            "infra",
            gw(", sectionName: own"),
            "",
            &["Gateway gw#own"],
        ),
        (
            "sectionName that is none",
            "infra",
            gw(", sectionName: nope"),
            "",
            &["Gateway gw#nope Accepted=False/NoMatchingParent"],
        ),
        ("port", "shop", gw(", port: 8080"), "", &["Gateway gw:8080"]),
        (
            "port that is none",
            "shop",
            gw(", port: 81"),
            "",
            &["Gateway gw:81 Accepted=False/NoMatchingParent"],
        ),
        (
            "sectionName and port of one listener",
            "shop",
            gw(", sectionName: all, port: 8080"),
            "",
            &["Gateway gw#all:8080"],
        ),
        (
            "sectionName and port of two listeners",
            "shop",
            gw(", sectionName: all, port: 80"),
            "",
            &["Gateway gw#all:80 Accepted=False/NoMatchingParent"],
        ),
        (
            "namespace Same",
            "shop",
            gw(", sectionName: own"),
            "",
            &["Gateway gw#own Accepted=False/NotAllowedByListeners"],
        ),
        (
            "kind not allowed",
            "shop",
            gw(", sectionName: grpc"),
            "",
            &["Gateway gw#grpc Accepted=False/NotAllowedByListeners"],
        ),
        (
            "namespace Selector, by the label every namespace has",
            "shop",
            gw(", sectionName: picked"),
            "",
            &["Gateway gw#picked"],
        ),
        (
            "namespace Selector, another namespace",
            "infra",
            gw(", sectionName: picked"),
            "",
            &["Gateway gw#picked Accepted=False/NotAllowedByListeners"],
        ),
        (
            "no common hostname",
            "shop",
            gw(", sectionName: all"),
            "example.com",
            &["Gateway gw#all Accepted=False/NoMatchingListenerHostname"],
        ),
        (
            "no hostname at all among those given",
            "infra",
            gw(", sectionName: own"),
            "'no host'",
            &["Gateway gw#own Accepted=False/NoMatchingListenerHostname"],
        ),
        (
            "kind comes before hostname",
            "infra",
            gw(", sectionName: grpc"),
            "a.org",
            &["Gateway gw#grpc Accepted=False/NotAllowedByListeners"],
        ),
    ];
    for (name, namespace, parent, hostnames, expected) in rows {
        let world = route(namespace, &parent, hostnames);
        let object = format!("HTTPRoute {namespace}/route");
        check(BASE, &[(name, &world, &object, expected)]);
    }
}

/// Hosts of the route on a listener, as the tables hold them.
#[test]
fn hostnames_intersect() {
    let rows: [(&str, &str, &str, &str); 11] = [
        ("neither has any", "", "", "infra/route#0"),
        ("the route has none", "a.com", "", "infra/route#0@a.com"),
        (
            "the listener has none",
            "",
            "a.com, '*.b.com'",
            "infra/route#0@a.com,*.b.com",
        ),
        ("equal", "a.com", "a.com", "infra/route#0@a.com"),
        (
            "case does not matter",
            "A.com",
            "a.COM",
            "infra/route#0@a.com",
        ),
        (
            "wildcard listener, exact route",
            "'*.a.com'",
            "x.a.com, a.com",
            "infra/route#0@x.a.com",
        ),
        (
            "exact listener, wildcard route",
            "x.a.com",
            "'*.a.com'",
            "infra/route#0@x.a.com",
        ),
        (
            "wildcard takes several labels",
            "'*.a.com'",
            "x.y.a.com",
            "infra/route#0@x.y.a.com",
        ),
        (
            "narrower wildcard of the route",
            "'*.a.com'",
            "'*.b.a.com'",
            "infra/route#0@*.b.a.com",
        ),
        (
            "narrower wildcard of the listener",
            "'*.b.a.com'",
            "'*.a.com'",
            "infra/route#0@*.b.a.com",
        ),
        (
            "others are ignored",
            "'*.a.com'",
            "x.a.com, x.b.com",
            "infra/route#0@x.a.com",
        ),
    ];
    for (name, listener, hostnames, expected) in rows {
        let hostname = if listener.is_empty() {
            ""
        } else {
            ", hostname: "
        };
        let world = format!(
            "{CLASS}Service infra/web {{clusterIP: None, ports: [{{port: 80}}]}}\n\
             Gateway infra/gw {{gatewayClassName: weft, listeners: [\
             {{name: l, port: 80, protocol: HTTP{hostname}{listener}}}]}}\n{}",
            route("infra", "{name: gw}", hostnames)
        );
        let lines = tables(&output(&world));
        let served = lines.first().and_then(|line| line.split_once(": "));
        assert_eq!(served.map(|(_, routes)| routes), Some(expected), "{name}");
    }
}

#[test]
fn parents_of_other_kinds_are_ignored_or_refused() {
    let base = format!("{BASE}\nGateway infra/foreign {{gatewayClassName: theirs}}\n");
    let row = |parent: &str| route("infra", parent, "");
    check(
        &base,
        &[
            (
                "a kind of another group",
                &row("{group: example.com, kind: Hub, name: gw}"),
                "HTTPRoute infra/route",
                &[],
            ),
            (
                "Service of the default group",
                &row("{kind: Service, name: web}"),
                "HTTPRoute infra/route",
                &[],
            ),
            (
                "ListenerSet",
                &row("{kind: ListenerSet, name: set}"),
                "HTTPRoute infra/route",
                &["ListenerSet set Accepted=False/UnsupportedValue"],
            ),
            (
                "missing Gateway, where nobody else serves any",
                &row("{name: nope}"),
                "HTTPRoute infra/route",
                &["Gateway nope Accepted=False/NoMatchingParent"],
            ),
        ],
    );
    let world = format!("{CLASS}{base}{}", row("{kind: Service, name: web}"));
    assert_eq!(
        notes(&output(&world), "HTTPRoute infra/route"),
        ["WA212 spec.parentRefs[0].group"]
    );
}

#[test]
fn gateways_of_others_get_no_entry() {
    let world = format!(
        "{CLASS}{BASE}\nGateway infra/foreign {{gatewayClassName: theirs, listeners: [{{name: a, port: 80, protocol: HTTP}}]}}\n{}",
        route("infra", "{name: foreign}, {name: gw}, {name: missing}", "")
    );
    let cluster = Scope {
        classes: ClassPolicy::Ours,
        ..scope()
    };
    let output = translate(&store(&world), &cluster);
    assert_eq!(status(&output, "HTTPRoute infra/route"), ["Gateway gw"]);
    assert_eq!(
        status(&output, "Gateway infra/foreign"),
        [""; 0],
        "foreign Gateways are not judged"
    );
    assert_eq!(
        notes(&output, "HTTPRoute infra/route"),
        ["WA106 spec.parentRefs[2].name"],
        "a Gateway that exists nowhere is worth a finding"
    );
}

#[test]
fn listeners_that_are_not_served_take_no_route() {
    let base = "Service infra/web {clusterIP: None, ports: [{port: 80}]}
Gateway infra/gw {gatewayClassName: weft, listeners: [
  {name: one, port: 80, protocol: HTTP}, {name: two, port: 80, protocol: HTTP},
  {name: tcp, port: 81, protocol: TCP}]}
Gateway infra/other {gatewayClassName: weft, infrastructure: {parametersRef: {group: a, kind: B, name: c}},
  listeners: [{name: one, port: 80, protocol: HTTP}]}";
    let row = |parent: &str| route("infra", parent, "");
    check(
        base,
        &[
            (
                "conflicted listener",
                &row("{name: gw, sectionName: one}"),
                "HTTPRoute infra/route",
                &["Gateway gw#one Accepted=False/NoMatchingParent"],
            ),
            (
                "protocol that is not served",
                &row("{name: gw, sectionName: tcp}"),
                "HTTPRoute infra/route",
                &["Gateway gw#tcp Accepted=False/NotAllowedByListeners"],
            ),
            (
                "Gateway that is not accepted",
                &row("{name: other}"),
                "HTTPRoute infra/route",
                &["Gateway other Accepted=False/NoMatchingParent"],
            ),
        ],
    );
}

/// Every kind that fits may attach; routes of both kinds share a listener.
#[test]
fn kinds_coexist_on_a_listener() {
    let world = format!(
        "{CLASS}{BASE}\n{}\nGRPCRoute infra/route {{parentRefs: [{{name: gw, sectionName: own}}], \
         rules: [{{backendRefs: [{{name: web, port: 80}}]}}]}}",
        route("infra", "{name: gw, sectionName: own}", "")
    );
    let output = output(&world);
    let own = tables(&output)
        .into_iter()
        .find(|line| line.contains("own"));
    assert_eq!(
        own.as_deref(),
        Some("infra/gw:80 own *: infra/route#0 grpc:infra/route#0")
    );
    for route in ["HTTPRoute infra/route", "GRPCRoute infra/route"] {
        assert_eq!(status(&output, route), ["Gateway gw#own"], "{route}");
    }
}
