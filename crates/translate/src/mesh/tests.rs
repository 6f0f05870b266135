//! Services as parents, one row per clause of routing.md sections 2 and 9 (GEP-1294, GEP-1324).

use crate::fixture::{CLASS, check, notes, output, status, tables};

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

fn grpc(name: &str, parent: &str) -> String {
    route("GRPCRoute", name, parent)
}

#[test]
fn parents_are_services_with_a_cluster_ip() {
    let no_parent = |name: &str| format!("Service {name} Accepted=False/NoMatchingParent");
    let rows: Vec<(&str, &str, String)> = vec![
        ("ClusterIP", "name: web", "Service web".into()),
        (
            "NodePort, through its ClusterIP",
            "name: node",
            "Service node".into(),
        ),
        (
            "LoadBalancer, through its ClusterIP",
            "name: balanced",
            "Service balanced".into(),
        ),
        (
            "without selector",
            "name: unselected",
            "Service unselected".into(),
        ),
        (
            "address not given yet",
            "name: pending",
            "Service pending".into(),
        ),
        ("headless", "name: headless", no_parent("headless")),
        ("ExternalName", "name: external", no_parent("external")),
        ("does not exist", "name: nope", no_parent("nope")),
        ("port", "name: web, port: 80", "Service web:80".into()),
        (
            "port that is none",
            "name: web, port: 81",
            no_parent("web:81"),
        ),
        ("UDP port", "name: web, port: 53", no_parent("web:53")),
        (
            "sectionName is a port name",
            "name: web, sectionName: alt",
            "Service web#alt".into(),
        ),
        (
            "sectionName that is none",
            "name: web, sectionName: nope",
            no_parent("web#nope"),
        ),
        (
            "both of one port",
            "name: web, sectionName: alt, port: 8080",
            "Service web#alt:8080".into(),
        ),
        (
            "both of two ports",
            "name: web, sectionName: alt, port: 80",
            no_parent("web#alt:80"),
        ),
        (
            "port that is not HTTP",
            "name: web, port: 443",
            "Service web:443 Accepted=False/UnsupportedValue".into(),
        ),
    ];
    for (name, parent, expected) in rows {
        check(
            SERVICES,
            &[(
                name,
                &http("shop/r", parent),
                "HTTPRoute shop/r",
                &[&expected],
            )],
        );
    }
}

#[test]
fn the_core_group_has_an_alias() {
    let world = http("shop/r", "name: web").replace("group: ''", "group: core");
    let output = output(&format!("{SERVICES}\n{world}"));
    assert_eq!(status(&output, "HTTPRoute shop/r"), ["Service web"]);
    assert!(notes(&output, "HTTPRoute shop/r").contains(&"WA109 spec.parentRefs[0].group".into()));
}

/// No grant is needed in a mesh, neither for the parent nor for the backend.
#[test]
fn groups_are_by_namespace_and_port() {
    let groups = |world: &str| -> Vec<String> {
        let lines = tables(&output(&format!("{SERVICES}\n{world}")));
        lines
            .into_iter()
            .filter(|line| line.starts_with("shop/web:"))
            .collect()
    };
    let rows: [(&str, String, &[&str]); 8] = [
        (
            "no route",
            String::new(),
            &[
                "shop/web:80 Opaque",
                "shop/web:443 Opaque",
                "shop/web:8080 Http",
            ],
        ),
        (
            "a producer route acts on every port",
            http("shop/r", "name: web"),
            &[
                "shop/web:80 Http producer: shop/r#0",
                "shop/web:443 Opaque",
                "shop/web:8080 Http producer: shop/r#0",
            ],
        ),
        (
            "a route for one port",
            http("shop/r", "name: web, port: 80"),
            &[
                "shop/web:80 Http producer: shop/r#0",
                "shop/web:443 Opaque",
                "shop/web:8080 Http",
            ],
        ),
        (
            "a consumer route makes its own group",
            http("shop/r", "name: web, port: 80") + &http("pay/r", "name: web, port: 80"),
            &[
                "shop/web:80 Http producer: shop/r#0",
                "shop/web:80 Http pay: pay/r#0",
                "shop/web:443 Opaque",
                "shop/web:8080 Http",
            ],
        ),
        (
            "groups are per port",
            http("shop/r", "name: web, port: 80") + &http("pay/r", "name: web, port: 8080"),
            &[
                "shop/web:80 Http producer: shop/r#0",
                "shop/web:443 Opaque",
                "shop/web:8080 Http pay: pay/r#0",
            ],
        ),
        (
            "routes of one kind merge",
            http("shop/a", "name: web, port: 80") + &http("shop/b", "name: web, port: 80"),
            &[
                "shop/web:80 Http producer: shop/a#0 shop/b#0",
                "shop/web:443 Opaque",
                "shop/web:8080 Http",
            ],
        ),
        (
            "GRPCRoute before HTTPRoute",
            http("shop/a", "name: web, port: 80") + &grpc("shop/b", "name: web, port: 80"),
            &[
                "shop/web:80 Http2 producer: grpc:shop/b#0",
                "shop/web:443 Opaque",
                "shop/web:8080 Http",
            ],
        ),
        (
            "kinds do not conflict between groups",
            http("shop/a", "name: web, port: 80") + &grpc("pay/b", "name: web, port: 80"),
            &[
                "shop/web:80 Http producer: shop/a#0",
                "shop/web:80 Http pay: grpc:pay/b#0",
                "shop/web:443 Opaque",
                "shop/web:8080 Http",
            ],
        ),
    ];
    for (name, world, expected) in rows {
        assert_eq!(groups(&world), expected, "{name}");
    }
}

#[test]
fn kinds_conflict_per_port_and_group() {
    let both = |parent: &str, other: &str| http("shop/h", parent) + &grpc("shop/g", other);
    let lost = "Service web:80 Accepted=False/Conflicted";
    check(
        SERVICES,
        &[
            (
                "the HTTPRoute loses",
                &both("name: web, port: 80", "name: web, port: 80"),
                "HTTPRoute shop/h",
                &[lost],
            ),
            (
                "the GRPCRoute wins",
                &both("name: web, port: 80", "name: web"),
                "GRPCRoute shop/g",
                &["Service web"],
            ),
            (
                "another port is left",
                &both("name: web", "name: web, port: 80"),
                "HTTPRoute shop/h",
                &["Service web"],
            ),
            (
                "another group",
                &(http("shop/h", "name: web, port: 80") + &grpc("pay/g", "name: web, port: 80")),
                "HTTPRoute shop/h",
                &["Service web:80"],
            ),
            (
                "a route that is not accepted takes nothing",
                &(http("shop/h", "name: web, port: 80")
                    + "GRPCRoute shop/g {parentRefs: [{group: '', kind: Service, name: web}], rules: [{matches: [{method: {type: Glob, service: a}}]}]}"),
                "HTTPRoute shop/h",
                &["Service web:80"],
            ),
        ],
    );
    let world = format!("{SERVICES}\n{}", both("name: web", "name: web, port: 80"));
    let output = output(&world);
    assert!(notes(&output, "HTTPRoute shop/h").contains(&"WA209 spec.parentRefs[0]".into()));
    let crate::Status::Route(route) =
        &*output.statuses[&crate::fixture::reference("HTTPRoute shop/h")]
    else {
        panic!("a route has a route status");
    };
    let message = &route.parents[0].conditions[0].message;
    assert!(
        message.contains("port 80 taken by a GRPCRoute"),
        "lost ports are listed: {message}"
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
    let crate::Status::Route(route) =
        &*output.statuses[&crate::fixture::reference("HTTPRoute pay/r")]
    else {
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
