//! Attachment to Gateways, one row per clause of routing.md section 3 and of the comments of
//! `ParentReference`, `AllowedRoutes` and `HTTPRouteSpec.hostnames`.

use crate::fixture::{CLASS, check, notes, output, rows, scope, status, store, tables};
use crate::{ClassPolicy, Scope, translate};

const BASE: &str = "
Service shop/web {clusterIP: 10.0.0.1, ports: [{port: 80}]}
Service infra/web {clusterIP: 10.0.0.2, ports: [{port: 80}]}
Namespace shop {}
Gateway infra/gw {gatewayClassName: weft, listeners: [
  {name: own, port: 80, protocol: HTTP},
  {name: all, port: 8080, protocol: HTTP, hostname: '*.example.com', allowedRoutes: {namespaces: {from: All}}},
  {name: grpc, port: 9090, protocol: HTTP, allowedRoutes: {namespaces: {from: All}, kinds: [{kind: GRPCRoute}]}},
  {name: picked, port: 9091, protocol: HTTP, hostname: picked.com, allowedRoutes: {namespaces: {from: Selector,
    selector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [shop]}]}}}}]}
";

/// An HTTPRoute `namespace/route` with one rule.
fn route(namespace: &str, parents: &str, hostnames: &str) -> String {
    format!(
        "HTTPRoute {namespace}/route {{parentRefs: [{parents}], hostnames: [{hostnames}], \
         rules: [{{backendRefs: [{{name: web, port: 80}}]}}]}}"
    )
}

/// Namespace of the route, rest of its parentRef to `gw`, hostnames, status.
const PARENT_REFS: &str = "
whole Gateway, own namespace                 | infra |                             | a.example.com | Gateway gw
whole Gateway: one listener is enough        | shop  |                             | a.example.com | Gateway gw
sectionName                                  | infra | , sectionName: own          |               | Gateway gw#own
sectionName that is none                     | infra | , sectionName: nope         |               | Gateway gw#nope Accepted=False/NoMatchingParent
port                                         | shop  | , port: 8080                |               | Gateway gw:8080
port that is none                            | shop  | , port: 81                  |               | Gateway gw:81 Accepted=False/NoMatchingParent
sectionName and port of one listener         | shop  | , sectionName: all, port: 8080 |            | Gateway gw#all:8080
sectionName and port of two listeners        | shop  | , sectionName: all, port: 80 |              | Gateway gw#all:80 Accepted=False/NoMatchingParent
namespace Same                               | shop  | , sectionName: own          |               | Gateway gw#own Accepted=False/NotAllowedByListeners
kind not allowed                             | shop  | , sectionName: grpc         |               | Gateway gw#grpc Accepted=False/NotAllowedByListeners
Selector, by the label every namespace has   | shop  | , sectionName: picked       |               | Gateway gw#picked
Selector, another namespace                  | infra | , sectionName: picked       |               | Gateway gw#picked Accepted=False/NotAllowedByListeners
no common hostname                           | shop  | , sectionName: all          | example.com   | Gateway gw#all Accepted=False/NoMatchingListenerHostname
no hostname at all among those given         | infra | , sectionName: own          | 'no host'     | Gateway gw#own Accepted=False/NoMatchingListenerHostname
kind comes before hostname                   | infra | , sectionName: grpc         | a.org         | Gateway gw#grpc Accepted=False/NotAllowedByListeners
section comes before kind                    | infra | , sectionName: grpc, port: 80 |             | Gateway gw#grpc:80 Accepted=False/NoMatchingParent
";

#[test]
fn parent_refs_select_listeners() {
    for [name, namespace, extra, hostnames, expected] in rows(PARENT_REFS) {
        let parent = format!("{{name: gw, namespace: infra{extra}}}");
        let world = BASE.to_owned() + &route(namespace, &parent, hostnames);
        check(
            name,
            &world,
            &format!("HTTPRoute {namespace}/route"),
            expected,
        );
    }
}

/// Hostname of the listener, hostnames of the route, the route as the listener's table holds it.
const HOSTNAMES: &str = "
neither has any                     |               |                    | infra/route#0
the route has none                  | a.com         |                    | infra/route#0@a.com
the listener has none               |               | a.com, '*.b.com'   | infra/route#0@a.com,*.b.com
equal                               | a.com         | a.com              | infra/route#0@a.com
case does not matter                | A.com         | a.COM              | infra/route#0@a.com
wildcard listener, exact route      | '*.a.com'     | x.a.com, a.com     | infra/route#0@x.a.com
exact listener, wildcard route      | x.a.com       | '*.a.com'          | infra/route#0@x.a.com
a wildcard takes several labels     | '*.a.com'     | x.y.a.com          | infra/route#0@x.y.a.com
narrower wildcard of the route      | '*.a.com'     | '*.b.a.com'        | infra/route#0@*.b.a.com
narrower wildcard of the listener   | '*.b.a.com'   | '*.a.com'          | infra/route#0@*.b.a.com
others are ignored                  | '*.a.com'     | x.a.com, x.b.com   | infra/route#0@x.a.com
what is no hostname is no wildcard  |               | a.com, 'a b'       | infra/route#0@a.com
";

#[test]
fn hostnames_intersect() {
    for [name, listener, hostnames, expected] in rows(HOSTNAMES) {
        let hostname = match listener {
            "" => String::new(),
            listener => format!(", hostname: {listener}"),
        };
        let world = format!(
            "{CLASS}Service infra/web {{clusterIP: None, ports: [{{port: 80}}]}}\n\
             Gateway infra/gw {{gatewayClassName: weft, listeners: [\
             {{name: l, port: 80, protocol: HTTP{hostname}}}]}}\n{}",
            route("infra", "{name: gw}", hostnames)
        );
        let lines = tables(&output(&world));
        let served = lines.first().and_then(|line| line.split_once(": "));
        assert_eq!(served.map(|(_, routes)| routes), Some(expected), "{name}");
    }
}

const OTHER_PARENTS: &str = "
a kind of another group               | {group: example.com, kind: Hub, name: gw} |
Service of the default group          | {kind: Service, name: web}                |
ListenerSet                           | {kind: ListenerSet, name: set}            | ListenerSet set Accepted=False/UnsupportedValue
missing Gateway, nobody else serves   | {name: nope}                              | Gateway nope Accepted=False/NoMatchingParent
";

#[test]
fn parents_of_other_kinds_are_ignored_or_refused() {
    for [name, parent, expected] in rows(OTHER_PARENTS) {
        let world = BASE.to_owned() + &route("infra", parent, "");
        check(name, &world, "HTTPRoute infra/route", expected);
    }
    let world = BASE.to_owned() + &route("infra", "{kind: Service, name: web}", "");
    let found = notes(&output(&world), "HTTPRoute infra/route");
    assert_eq!(
        found,
        ["WA212 spec.parentRefs[0].group"],
        "a finding says why nothing happens"
    );
}

#[test]
fn gateways_of_others_get_no_entry() {
    let world = format!(
        "{CLASS}{BASE}Gateway infra/foreign {{gatewayClassName: theirs, listeners: []}}\n{}",
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
        "not ours to judge"
    );
    assert_eq!(
        notes(&output, "HTTPRoute infra/route"),
        ["WA106 spec.parentRefs[2].name"],
        "a Gateway that exists nowhere is worth a finding"
    );
}

const NOT_SERVED: &str = "
conflicted listener             | {name: gw, sectionName: one} | Gateway gw#one Accepted=False/NoMatchingParent
protocol that is not served     | {name: gw, sectionName: tcp} | Gateway gw#tcp Accepted=False/NotAllowedByListeners
Gateway that is not accepted    | {name: other}                | Gateway other Accepted=False/NoMatchingParent
";

#[test]
fn listeners_that_are_not_served_take_no_route() {
    let base = "Service infra/web {clusterIP: None, ports: [{port: 80}]}
Gateway infra/gw {gatewayClassName: weft, listeners: [
  {name: one, port: 80, protocol: HTTP}, {name: two, port: 80, protocol: HTTP}, {name: tcp, port: 81, protocol: TCP}]}
Gateway infra/other {gatewayClassName: weft, infrastructure: {parametersRef: {group: a, kind: B, name: c}},
  listeners: [{name: one, port: 80, protocol: HTTP}]}
";
    for [name, parent, expected] in rows(NOT_SERVED) {
        let world = base.to_owned() + &route("infra", parent, "");
        check(name, &world, "HTTPRoute infra/route", expected);
    }
}

/// Every kind that fits may attach; routes of both kinds share a listener.
#[test]
fn kinds_coexist_on_a_listener() {
    let world = format!(
        "{CLASS}{BASE}{}\nGRPCRoute infra/route {{parentRefs: [{{name: gw, sectionName: own}}], \
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
