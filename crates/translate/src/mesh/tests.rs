//! Services as parents, one row per clause of routing.md sections 2 and 9 (GEP-1294, GEP-1324).

use crate::{
    Scope, Status, Translator,
    fixture::{CLASS, check, lines, notes, output, reference, rows, scope, status, store, tables},
};

const SERVICES: &str = "
Service shop/web {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}, {name: alt, port: 8080, appProtocol: http},
  {name: tls, port: 443, appProtocol: https}, {name: dns, port: 53, protocol: UDP}]}
Service shop/headless {clusterIP: None, ports: [{port: 80}]}
Service shop/external {type: ExternalName, externalName: example.com, ports: [{port: 80}]}
Service shop/node {type: NodePort, clusterIP: 10.0.0.2, ports: [{port: 80}]}
Service shop/balanced {type: LoadBalancer, clusterIP: 10.0.0.3, ports: [{port: 80}]}
Service shop/unselected {clusterIP: 10.0.0.4, ports: [{port: 80}]}
Service shop/pending {ports: [{port: 80}]}
Service shop/dual {clusterIP: 10.0.0.5, clusterIPs: [10.0.0.5, 'fd00::5'], ports: [{port: 80}]}";

/// A route of a kind with one parentRef to a Service of namespace `shop`.
fn route(kind: &str, name: &str, parent: &str) -> String {
    format!(
        "{kind} {name} {{parentRefs: [{{group: '', kind: Service, namespace: shop, {parent}}}], \
         rules: [{{backendRefs: [{{namespace: shop, name: web, port: 80}}]}}]}}\n"
    )
}

fn http(name: &str, parent: &str) -> String {
    route("HTTPRoute", name, parent)
}

/// The parentRef, and the entry of the status.
const PARENTS: &str = "
ClusterIP                        | name: web                                | Service web
NodePort, through its ClusterIP  | name: node                               | Service node
LoadBalancer, likewise           | name: balanced                           | Service balanced
without selector                 | name: unselected                         | Service unselected
address not given yet            | name: pending                            | Service pending
headless                         | name: headless                           | Service headless Accepted=False/NoMatchingParent
ExternalName                     | name: external                           | Service external Accepted=False/NoMatchingParent
does not exist                   | name: nope                               | Service nope Accepted=False/NoMatchingParent
port                             | name: web, port: 80                      | Service web:80
port that is none                | name: web, port: 81                      | Service web:81 Accepted=False/NoMatchingParent
UDP port                         | name: web, port: 53                      | Service web:53 Accepted=False/NoMatchingParent
sectionName is a port name       | name: web, sectionName: alt              | Service web#alt
sectionName that is none         | name: web, sectionName: nope             | Service web#nope Accepted=False/NoMatchingParent
both of one port                 | name: web, sectionName: alt, port: 8080  | Service web#alt:8080
both of two ports                | name: web, sectionName: alt, port: 80    | Service web#alt:80 Accepted=False/NoMatchingParent
port that is not HTTP            | name: web, port: 443                     | Service web:443 Accepted=False/UnsupportedValue
";

#[test]
fn parents_are_services_with_a_cluster_ip() {
    for [name, parent, expected] in rows(PARENTS) {
        let world = format!("{SERVICES}\n{}", http("shop/r", parent));
        check(name, &world, "HTTPRoute shop/r", expected);
    }
}

#[test]
fn the_core_group_has_an_alias() {
    let world = http("shop/r", "name: web").replace("group: ''", "group: core");
    let output = output(&format!("{SERVICES}\n{world}"));
    assert_eq!(status(&output, "HTTPRoute shop/r"), ["Service web"]);
    assert!(notes(&output, "HTTPRoute shop/r").contains(&"WA109 spec.parentRefs[0].group".into()));
}

/// Routes as `kind namespace/name port`, and the groups of port 80 and 8080 of Service `web`.
const GROUPS: &str = "
no route                                  |                              | 80 Opaque + 8080 Http
a producer route acts on every port       | H shop/r                     | 80 Http producer: shop/r#0 + 8080 Http producer: shop/r#0
a route for one port                      | H shop/r 80                  | 80 Http producer: shop/r#0 + 8080 Http
a consumer route makes its own group      | H shop/r 80, H pay/r 80      | 80 Http producer: shop/r#0 + 80 Http pay: pay/r#0 + 8080 Http
groups are per port                       | H shop/r 80, H pay/r 8080    | 80 Http producer: shop/r#0 + 8080 Http pay: pay/r#0
routes of one kind merge                  | H shop/a 80, H shop/b 80     | 80 Http producer: shop/a#0 shop/b#0 + 8080 Http
GRPCRoute before HTTPRoute                | H shop/a 80, G shop/b 80     | 80 Http2 producer: grpc:shop/b#0 + 8080 Http
what is declared counts before what routes | H shop/a 8080, G pay/b 8080 | 80 Opaque + 8080 Http producer: shop/a#0 + 8080 Http pay: grpc:pay/b#0
kinds do not conflict between groups      | H shop/a 80, G pay/b 80      | 80 Http producer: shop/a#0 + 80 Http pay: grpc:pay/b#0 + 8080 Http
";

/// Several routes written as in [`GROUPS`].
fn routes(short: &str) -> String {
    let described = |text: &str| {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let parent = match parts.get(2) {
            Some(port) => format!("name: web, port: {port}"),
            None => "name: web".to_owned(),
        };
        let kind = if parts[0] == "G" {
            "GRPCRoute"
        } else {
            "HTTPRoute"
        };
        route(kind, parts[1], &parent)
    };
    short
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(described)
        .collect()
}

/// No grant is needed in a mesh, neither for the parent nor for the backend.
#[test]
fn groups_are_by_namespace_and_port() {
    for [name, short, expected] in rows(GROUPS) {
        let lines = tables(&output(&format!("{SERVICES}\n{}", routes(short))));
        let groups = lines
            .iter()
            .filter_map(|line| line.strip_prefix("shop/web:"));
        let groups: Vec<_> = groups.filter(|line| !line.starts_with("443")).collect();
        assert_eq!(groups, self::lines(expected), "{name}");
    }
}

/// Routes, the one that is looked at, and its entry.
const CONFLICTS: &str = "
the HTTPRoute loses              | H shop/h 80, G shop/g 80  | HTTPRoute shop/h | Service web:80 Accepted=False/Conflicted
the GRPCRoute wins               | H shop/h 80, G shop/g     | GRPCRoute shop/g | Service web
another port is left             | H shop/h, G shop/g 80     | HTTPRoute shop/h | Service web
another group                    | H shop/h 80, G pay/g 80   | HTTPRoute shop/h | Service web:80
within a consumer group as well  | H pay/h 80, G pay/g 80    | HTTPRoute pay/h  | Service web:80 Accepted=False/Conflicted
";

#[test]
fn kinds_conflict_per_port_and_group() {
    for [name, short, object, expected] in rows(CONFLICTS) {
        check(
            name,
            &format!("{SERVICES}\n{}", routes(short)),
            object,
            expected,
        );
    }
    let rejected = routes("H shop/h 80")
        + "GRPCRoute shop/g {parentRefs: [{group: '', kind: Service, name: web}], \
           rules: [{matches: [{method: {type: Glob, service: a}}]}]}";
    let world = format!("{SERVICES}\n{rejected}");
    check(
        "a route that is not accepted takes nothing",
        &world,
        "HTTPRoute shop/h",
        "Service web:80",
    );
}

#[test]
fn ports_that_are_lost_are_listed() {
    let output = output(&format!("{SERVICES}\n{}", routes("H shop/h, G shop/g 80")));
    assert!(notes(&output, "HTTPRoute shop/h").contains(&"WA209 spec.parentRefs[0]".into()));
    let status = &*output.statuses[&reference("HTTPRoute shop/h")];
    let Status::Route(route) = status else {
        panic!("a route has a route status")
    };
    let message = &route.parents[0].conditions[0].message;
    assert!(
        message.contains("port 80 taken by a GRPCRoute"),
        "{message}"
    );
}

/// `hostnames` have no effect in a mesh, and no status error.
#[test]
fn hostnames_are_ignored() {
    let world = "HTTPRoute shop/r {parentRefs: [{group: '', kind: Service, name: web, port: 80}], hostnames: [a.com],
  rules: [{backendRefs: [{name: web, port: 80}]}]}";
    let output = output(&format!("{SERVICES}\n{world}"));
    assert_eq!(status(&output, "HTTPRoute shop/r"), ["Service web:80"]);
    assert!(tables(&output).contains(&"shop/web:80 Http producer: shop/r#0".into()));
}

#[test]
fn one_route_may_have_both_sorts_of_parent() {
    let world = "Gateway infra/gw {gatewayClassName: weft, listeners: [{name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}
HTTPRoute pay/r {parentRefs: [{name: gw, namespace: infra}, {group: '', kind: Service, name: web, namespace: shop}],
  rules: [{backendRefs: [{name: web, namespace: shop, port: 80}]}]}";
    let output = output(&format!("{CLASS}{SERVICES}\n{world}"));
    assert_eq!(
        status(&output, "HTTPRoute pay/r"),
        [
            "Gateway gw ResolvedRefs=False/RefNotPermitted",
            "Service web"
        ],
        "a backend of another namespace needs a grant at a Gateway and none in the mesh"
    );
    let Status::Route(route) = &*output.statuses[&reference("HTTPRoute pay/r")] else {
        panic!("a route has a route status");
    };
    let controllers: Vec<_> = route
        .parents
        .iter()
        .map(|it| it.controller_name.as_str())
        .collect();
    assert_eq!(
        controllers,
        ["weft.dev/gateway-controller", "weft.dev/mesh-controller"]
    );
}

#[test]
fn every_address_keys_the_same_frontends() {
    let output = output(SERVICES);
    let service = |name: &str| {
        let found = output
            .tables
            .services
            .values()
            .find(|service| *service.name.name == *name);
        found.map(|service| {
            service
                .cluster_ips
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        service("dual"),
        Some(vec!["10.0.0.5".into(), "fd00::5".into()])
    );
    assert_eq!(
        service("headless"),
        None,
        "nobody can dial a frontend that has no address"
    );
    assert_eq!(service("external"), None);
}

/// Routes of which `x` is refused, and what `x` is told of the traffic it does not get.
const LEFT_OUT: &str = "
the only one                    | shop/x             | WA226
the only consumer               | pay/x              | WA226
beside an accepted one          | shop/x, H shop/r   |
beside one of another kind      | shop/x, G shop/r   |
beside the producer's           | pay/x, H shop/r    |
beside a consumer's             | shop/x, H pay/r    | WA226
on one of the ports             | shop/x, H shop/r 80 | WA226
";

/// The specification ignores such a route; nobody should have to guess what that means.
#[test]
fn a_refused_route_says_whose_traffic_passes_unrouted() {
    for [name, short, expected] in rows(LEFT_OUT) {
        let (refused, others) = short.split_once(',').unwrap_or((short, ""));
        let teleport = "rules: [{filters: [{type: Teleport}]}]";
        let world = format!(
            "{SERVICES}\nHTTPRoute {refused} {{parentRefs: [{{group: '', kind: Service, \
             namespace: shop, name: web}}], {teleport}}}\n{}",
            routes(others)
        );
        let found = notes(&output(&world), &format!("HTTPRoute {refused}"));
        let told: Vec<_> = found
            .iter()
            .filter(|note| note.starts_with("WA226"))
            .collect();
        let expected: Vec<_> = lines(expected)
            .iter()
            .map(|code| format!("{code} spec.parentRefs[0]"))
            .collect();
        assert!(told.into_iter().eq(&expected), "{name}: {found:?}");
    }
    let under_tls = format!(
        "{SERVICES}\nBackendTLSPolicy shop/p {{targetRefs: [{{group: '', kind: Service, name: web}}], \
         validation: {{hostname: a}}}}\nHTTPRoute shop/x {{parentRefs: [{{group: '', kind: Service, \
         name: web}}], rules: [{{filters: [{{type: Teleport}}]}}]}}"
    );
    let found = notes(&output(&under_tls), "HTTPRoute shop/x");
    assert!(
        !found.iter().any(|note| note.starts_with("WA226")),
        "refused, not passed: {found:?}"
    );
}

#[test]
fn consumers_are_told_that_they_replace_the_producer() {
    let consumer = http("pay/r", "name: web, port: 80");
    let found = |world: &str| notes(&output(&format!("{SERVICES}\n{world}")), "HTTPRoute pay/r");
    assert_eq!(found(&consumer), ["WA501 spec.parentRefs[0]"]);
    let both = consumer + &http("shop/r", "name: web, port: 80");
    assert_eq!(
        found(&both),
        ["WA303 spec.parentRefs[0]", "WA501 spec.parentRefs[0]"]
    );
}

/// Routes of a Gateway and a Service, a policy for the latter, and what a mesh is told.
const BOTH: &str = "
Gateway infra/gw {gatewayClassName: weft, listeners: [{name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}
HTTPRoute shop/r {parentRefs: [{name: gw, namespace: infra}, {group: '', kind: Service, name: web}],
  rules: [{backendRefs: [{name: web, port: 80}]}]}
TCPRoute shop/t {parentRefs: [{group: '', kind: Service, name: web}], rules: [{backendRefs: [{name: web, port: 80}]}]}
BackendTLSPolicy shop/p {targetRefs: [{group: '', kind: Service, name: balanced}], validation: {hostname: a}}
XMesh weft {controllerName: weft.dev/mesh-controller}";

/// The object, its status with a mesh, and without.
const WITH_AND_WITHOUT: &str = "
HTTPRoute shop/r        | Gateway gw + Service web                         | Gateway gw
TCPRoute shop/t         | Service web Accepted=False/UnsupportedValue      |
BackendTLSPolicy shop/p | Service balanced Accepted=False/Invalid          |
XMesh weft              | mesh                                             | mesh Accepted=Unknown/Pending
";

#[test]
fn without_a_mesh_nothing_is_said_of_services_and_no_frontend_is_built() {
    let world = store(&format!("{CLASS}{SERVICES}{BOTH}"));
    let mut translator = Translator::default();
    for has_mesh in [true, false, true] {
        let scope = Scope {
            has_mesh,
            ..scope()
        };
        let output = translator.translate(&world, &scope);
        for [object, with, without] in rows(WITH_AND_WITHOUT) {
            let expected = if has_mesh { with } else { without };
            let found = status(&output, object);
            assert_eq!(found, lines(expected), "{object}, mesh: {has_mesh}");
        }
        let frontends = !output.tables.services.is_empty();
        assert_eq!(frontends, has_mesh, "frontends of Services");
        assert_eq!(output.tables.gateways.len(), 1, "the Gateway is served");
        let told = notes(&output, "HTTPRoute shop/r");
        let is_told = told.contains(&"WA119 spec.parentRefs[1]".to_owned());
        assert_eq!(is_told, !has_mesh, "mesh: {has_mesh}: {told:?}");
    }
}
