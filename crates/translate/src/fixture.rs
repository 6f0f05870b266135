//! Test worlds in few words, and outputs as lines of text.
//!
//! A world is one object per line, `Kind namespace/name {spec}`, the spec in flow YAML; lines that
//! begin with a space continue the one before. `@{...}` before the spec adds metadata. Kinds without
//! spec take the braces as the object itself.

use std::{fmt::Write, net::IpAddr};

use serde_json::{Map, Value, json};
use weft_api::{AnyObject, Condition, Kind, ObjectRef, gateway::ListenerStatus};
use weft_ir::{Matches, Name, RouteSet};
use weft_store::Store;

use crate::{GatewayFacts, Output, Scope, Status, translate};

/// A class of ours, for worlds with Gateways.
pub(crate) const CLASS: &str = "GatewayClass weft {controllerName: weft.dev/gateway-controller}\n";

/// What is said when all is well.
const GOOD: [&str; 4] = [
    "Accepted=True/Accepted",
    "Programmed=True/Programmed",
    "ResolvedRefs=True/ResolvedRefs",
    "Conflicted=False/NoConflicts",
];

/// The objects of a world.
pub(crate) fn objects(world: &str) -> Vec<AnyObject> {
    let mut lines: Vec<String> = Vec::new();
    for line in world.lines().filter(|line| !line.trim().is_empty()) {
        match lines.last_mut() {
            Some(last) if line.starts_with(' ') => last.push_str(line),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.iter().map(|line| object(line)).collect()
}

/// A store with the objects of a world.
pub(crate) fn store(world: &str) -> Store {
    store_of(objects(world))
}

/// A store with these objects.
pub(crate) fn store_of(objects: impl IntoIterator<Item = AnyObject>) -> Store {
    let mut store = Store::default();
    for object in objects {
        store.apply(object);
    }
    store
}

/// A standalone scope in which every Gateway of the worlds has an address.
pub(crate) fn scope() -> Scope {
    let mut scope = Scope::standalone();
    for name in ["gw", "other", "a", "b"] {
        let addresses = vec![IpAddr::from([127, 0, 0, 9])];
        let facts = GatewayFacts {
            addresses,
            ..GatewayFacts::default()
        };
        scope.gateways.insert(Name::new("infra", name), facts);
    }
    scope
}

/// Translates a world in that scope.
pub(crate) fn output(world: &str) -> Output {
    translate(&store(world), &scope())
}

/// The reference of an object named `Kind namespace/name`.
pub(crate) fn reference(name: &str) -> ObjectRef {
    object(&format!("{name} {{}}")).reference()
}

fn object(line: &str) -> AnyObject {
    let bad = |what: &str| -> ! { panic!("{what} in the test world: {line}") };
    let (kind_name, rest) = line.split_once(' ').unwrap_or_else(|| bad("no name"));
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, "{}"));
    let same_name = |kind: &&Kind| kind.as_str() == kind_name;
    let kind = Kind::ALL
        .iter()
        .find(same_name)
        .unwrap_or_else(|| bad("an unknown kind"));
    let (extra, body) = match rest.trim().strip_prefix('@') {
        Some(rest) => rest.split_at(rest.find('}').unwrap_or_else(|| bad("no end of @")) + 1),
        None => ("{}", rest.trim()),
    };
    let read = |text: &str| -> Map<String, Value> {
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let body = if body.is_empty() { "{}" } else { body };
    let mut body = read(body);
    let mut metadata = read(extra);
    if let Some(Value::Object(inner)) = body.remove("metadata") {
        metadata.extend(inner);
    }
    match name.split_once('/') {
        Some((namespace, name)) => {
            metadata.insert("namespace".into(), namespace.into());
            metadata.insert("name".into(), name.into());
        }
        None => {
            metadata.insert("name".into(), name.into());
        }
    }
    let without_spec = matches!(
        kind,
        Kind::Secret | Kind::ConfigMap | Kind::EndpointSlice | Kind::Namespace | Kind::Pod
    );
    let mut object = match without_spec {
        true => Value::Object(body),
        false => json!({ "spec": body }),
    };
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind_name.into();
    object["metadata"] = metadata.into();
    AnyObject::parse(object).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The status of an object, one line per part; what is well is left out, so that `gateway` alone is
/// a Gateway in the best of states.
pub(crate) fn status(output: &Output, name: &str) -> Vec<String> {
    let Some(status) = output.statuses.get(&reference(name)) else {
        return Vec::new();
    };
    match &**status {
        Status::GatewayClass(class) => vec![line("class", &class.conditions)],
        Status::Mesh(class) => vec![line("mesh", &class.conditions)],
        Status::Gateway(gateway) => {
            let own = line("gateway", &gateway.conditions);
            let listeners = gateway.listeners.iter().map(listener);
            std::iter::once(own).chain(listeners).collect()
        }
        Status::ListenerSet(set) => {
            let own = line("set", &set.conditions);
            let listeners = set.listeners.iter().map(listener);
            std::iter::once(own).chain(listeners).collect()
        }
        Status::Route(route) => {
            let parents = route.parents.iter().map(|entry| {
                let parent = &entry.parent_ref;
                let mut name = format!("{} {}", parent.kind(), parent.name);
                if let Some(section) = &parent.section_name {
                    let _ = write!(name, "#{section}");
                }
                if let Some(port) = parent.port {
                    let _ = write!(name, ":{port}");
                }
                line(&name, &entry.conditions)
            });
            parents.collect()
        }
        Status::Policy(policy) => {
            let ancestors = policy.ancestors.iter().map(|entry| {
                let name = format!("{} {}", entry.ancestor_ref.kind(), entry.ancestor_ref.name);
                line(&name, &entry.conditions)
            });
            ancestors.collect()
        }
    }
}

fn listener(listener: &ListenerStatus) -> String {
    let kinds: Vec<_> = listener
        .supported_kinds
        .iter()
        .map(|it| it.kind.as_str())
        .collect();
    let mut name = format!("{} ({})", listener.name, listener.attached_routes);
    if kinds != ["HTTPRoute", "GRPCRoute"] {
        let _ = write!(name, " [{}]", kinds.join(","));
    }
    line(&name, &listener.conditions)
}

fn line(name: &str, conditions: &[Condition]) -> String {
    let mut line = name.to_owned();
    for condition in conditions {
        let Condition {
            type_,
            status,
            reason,
            ..
        } = condition;
        let text = format!("{type_}={status:?}/{reason}");
        if !GOOD.contains(&text.as_str()) {
            let _ = write!(line, " {text}");
        }
    }
    line
}

/// What the tables hold, one line per listener and per group of a Service port.
pub(crate) fn tables(output: &Output) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, gateway) in &output.tables.gateways {
        for port in &gateway.ports {
            for listener in &port.listeners {
                let host = listener
                    .hostname
                    .as_ref()
                    .map_or("*".into(), ToString::to_string);
                let at = format!("{name}:{} {} {host}", port.port, listener.name);
                lines.push(format!("{at}: {}", routes(&listener.routes)));
            }
        }
    }
    for (name, service) in &output.tables.services {
        for port in &service.ports {
            let at = format!("{name}:{} {:?}", port.port, port.protocol);
            let groups = port.producer.iter().map(|routes| ("producer", routes));
            let consumers = port
                .consumers
                .iter()
                .map(|(name, routes)| (name.as_ref(), routes));
            let groups: Vec<_> = groups.chain(consumers).collect();
            if let Some(fault) = port.fault {
                lines.push(format!("{at} else {}", fault.as_str()));
            } else if groups.is_empty() {
                lines.push(at.clone());
            }
            for (group, set) in groups {
                lines.push(format!("{at} {group}: {}", routes(set)));
            }
        }
    }
    lines
}

/// Rules as `namespace/name#index@host`, gRPC ones with a leading `grpc:`.
fn routes(set: &RouteSet) -> String {
    let entries = set.entries().iter().map(|entry| {
        let hosts: Vec<_> = entry.hostnames.iter().map(ToString::to_string).collect();
        let rules = entry.rules.iter().map(|rule| {
            let kind = if matches!(rule.matches, Matches::Grpc(_)) {
                "grpc:"
            } else {
                ""
            };
            format!("{kind}{}#{}", rule.route.name, rule.index)
        });
        let rules: Vec<_> = rules.collect();
        match hosts.is_empty() {
            true => rules.join(" "),
            false => format!("{}@{}", rules.join(" "), hosts.join(",")),
        }
    });
    entries.collect::<Vec<_>>().join(" ")
}

/// The findings about an object as `code field`.
pub(crate) fn notes(output: &Output, name: &str) -> Vec<String> {
    let notes = output.notes.get(&reference(name));
    let line = |note: &crate::Note| format!("{} {}", note.code.id, note.field);
    notes
        .map(|notes| notes.iter().map(line).collect())
        .unwrap_or_default()
}

/// The rows of a table written as text: one row per line, columns separated by `|`. The last column
/// is usually what is expected, several lines of it joined by `+`, nothing for none.
pub(crate) fn rows<const N: usize>(table: &str) -> Vec<[&str; N]> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let row = |line| {
        let columns: Vec<&str> = str::split(line, '|').map(str::trim).collect();
        columns
            .try_into()
            .unwrap_or_else(|_| panic!("a row of {N} columns: {line}"))
    };
    lines.map(row).collect()
}

/// The lines of an expectation.
pub(crate) fn lines(expected: &str) -> Vec<&str> {
    expected
        .split('+')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
}

/// Translates a world with a class of ours and compares the status of one object.
pub(crate) fn check(name: &str, world: &str, object: &str, expected: &str) {
    let seen = status(&output(&format!("{CLASS}{world}")), object);
    assert_eq!(
        seen,
        lines(expected),
        "{name}\nstatus of {object} in: {world}"
    );
}

/// Worlds that between them hold every kind of object and every sort of problem.
pub(crate) const WORLDS: &[&str] = &[GATEWAYS, MESH, TROUBLE, PODS];

/// Pods that come, go, move and end; namespaces that change their mind.
const PODS: &str = "
Namespace shop {metadata: {labels: {weft.dev/mesh: enabled}, annotations: {weft.dev/opaque-ports: '5432'}}}
Namespace shop {metadata: {labels: {weft.dev/mesh: disabled, weft.dev/policy: permissive}}}
Pod shop/a @{uid: u-1} {spec: {nodeName: n1}, status: {phase: Running, podIP: 10.3.0.1}}
Pod shop/a @{uid: u-2} {spec: {nodeName: n2}, status: {phase: Pending}}
Pod shop/a @{uid: u-1} {spec: {nodeName: n1}, status: {phase: Succeeded}}
Pod shop/b @{uid: u-3} {metadata: {labels: {weft.dev/mesh: maybe}, annotations: {weft.dev/drain-seconds: x}}, spec: {nodeName: n1}}
Pod pay/c @{uid: u-4} {metadata: {labels: {weft.dev/mesh: enabled}}, spec: {nodeName: n2}}
";

/// Gateways with routes of both kinds, certificates and grants.
const GATEWAYS: &str = "
GatewayClass weft {controllerName: weft.dev/gateway-controller}
GatewayClass other {controllerName: example.com/other}
Namespace shop {metadata: {labels: {team: shop}}}
Secret infra/cert {type: kubernetes.io/tls, stringData: {tls.crt: \"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\", tls.key: \"-----BEGIN PRIVATE KEY-----\\nMIIB\\n-----END PRIVATE KEY-----\"}}
Gateway infra/gw @{generation: 2} {gatewayClassName: weft, listeners: [
  {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}},
  {name: shop, port: 80, protocol: HTTP, hostname: '*.shop.com', allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: shop}}}}},
  {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}},
  {name: tcp, port: 9000, protocol: TCP}]}
Gateway infra/other {gatewayClassName: other, listeners: [{name: http, port: 80, protocol: HTTP}]}
Service infra/web {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]}
Service shop/cart {clusterIP: 10.0.0.2, ports: [{name: http, port: 80, appProtocol: kubernetes.io/h2c}]}
ReferenceGrant shop/grant {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: infra}], to: [{group: '', kind: Service}]}
HTTPRoute infra/home {parentRefs: [{name: gw}], hostnames: [home.com, x.shop.com], rules: [{backendRefs: [{name: web, port: 80}, {name: cart, namespace: shop, port: 80, weight: 3}]}]}
HTTPRoute shop/web {parentRefs: [{name: gw, namespace: infra}, {name: other, namespace: infra}], rules: [
  {matches: [{path: {value: /a}}, {path: {value: /b}}], backendRefs: [{name: cart, port: 80}]},
  {filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}]}
GRPCRoute shop/calls {parentRefs: [{name: gw, namespace: infra, sectionName: http}], rules: [{backendRefs: [{name: cart, port: 80}]}]}
";

/// Services with producer and consumer routes of both kinds.
const MESH: &str = "
Service shop/api {clusterIP: 10.1.0.1, ports: [{name: http, port: 80}, {name: grpc, port: 90}]}
Service shop/v2 {clusterIP: 10.1.0.2, ports: [{port: 80}]}
Service shop/none {clusterIP: None, ports: [{port: 80}]}
HTTPRoute shop/split {parentRefs: [{group: '', kind: Service, name: api}], rules: [{backendRefs: [{name: api, port: 80, weight: 9}, {name: v2, port: 80}]}]}
HTTPRoute pay/mine {parentRefs: [{group: '', kind: Service, name: api, namespace: shop, port: 80}], rules: [{backendRefs: [{name: v2, namespace: shop, port: 80}]}]}
GRPCRoute shop/grpc {parentRefs: [{group: '', kind: Service, name: api, sectionName: grpc}], rules: [{backendRefs: [{name: api, port: 90}]}]}
GRPCRoute pay/headless {parentRefs: [{group: '', kind: Service, name: none, namespace: shop}], rules: [{backendRefs: [{name: api, namespace: shop, port: 90}]}]}
XMesh weft {controllerName: weft.dev/mesh-controller}
BackendTLSPolicy shop/tls {targetRefs: [{group: core, kind: Service, name: api, sectionName: grpc}], validation: {hostname: a}}
EndpointSlice shop/api-1 {metadata: {labels: {kubernetes.io/service-name: api}}, addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.2.0.1]}]}
";

/// Conflicts, kinds that are not built, and rules that cannot be served.
const TROUBLE: &str = "
GatewayClass weft {controllerName: weft.dev/gateway-controller, parametersRef: {group: a, kind: B, name: c}}
Gateway infra/a {gatewayClassName: weft, listeners: [{name: l, port: 80, protocol: HTTP}]}
Gateway infra/b {gatewayClassName: nobody, listeners: [{name: one, port: 80, protocol: HTTP}, {name: two, port: 80, protocol: HTTP},
  {name: three, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: nope}]}}, {name: four, port: 443, protocol: HTTPS, hostname: a.com, tls: {certificateRefs: [{name: nope, namespace: far}]}},
  {name: five, port: 81, protocol: HTTP, allowedRoutes: {kinds: [{kind: TLSRoute}]}}, {name: six, port: 82, protocol: HTTP}]}
Gateway infra/gw {gatewayClassName: weft, addresses: [{type: Hostname, value: a.com}], listeners: [{name: l, port: 80, protocol: HTTP}]}
ListenerSet infra/set {parentRef: {name: b}, listeners: [{name: x, port: 90, protocol: HTTP}]}
Service infra/web {clusterIP: 10.0.0.1, ports: [{port: 80}]}
Service infra/secure {clusterIP: 10.0.0.9, ports: [{port: 80}]}
BackendTLSPolicy infra/tls {targetRefs: [{group: '', kind: Service, name: secure}], validation: {hostname: a}}
BackendTLSPolicy shop/tls {targetRefs: [{group: '', kind: Service, name: v2}], validation: {hostname: a}}
XBackendTrafficPolicy infra/retries {targetRefs: [{group: '', kind: Service, name: web}]}
HTTPRoute infra/broken {parentRefs: [{name: b, sectionName: six}, {name: nope}, {kind: ListenerSet, name: set}], rules: [
  {matches: [{path: {type: RegularExpression, value: '('}}]}, {backendRefs: [{name: web, port: 81}, {name: secure, port: 80}]},
  {filters: [{type: Teleport}]}]}
HTTPRoute infra/fine {parentRefs: [{name: b}, {name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}, {matches: [{headers: [{name: a, value: '['  , type: RegularExpression}]}, {path: {value: /x}}]}]}
ListenerSet infra/far {parentRef: {name: other}, listeners: [{name: x, port: 90, protocol: HTTP}]}
HTTPRoute infra/odd {parentRefs: [{kind: ListenerSet, name: far}, {kind: ListenerSet, name: set}, {name: other}, {name: a}], rules: [{backendRefs: [{name: web, port: 80}]}]}
HTTPRoute infra/twin {parentRefs: [{name: b}], rules: [{backendRefs: [{name: secure, port: 80}]}]}
HTTPRoute shop/split {parentRefs: [{group: '', kind: Service, name: api}], rules: [{filters: [{type: Teleport}]}]}
HTTPRoute pay/later {parentRefs: [{group: '', kind: Service, name: api, namespace: shop}], rules: [{filters: [{type: Teleport}]}]}
HTTPRoute infra/mixed {parentRefs: [{group: '', kind: Service, name: web}], rules: [{backendRefs: [{name: nope, port: 80}]}]}
GRPCRoute infra/mixed {parentRefs: [{group: '', kind: Service, name: web}], rules: [{backendRefs: [{name: web, port: 80}]}]}
TLSRoute infra/tls {parentRefs: [{name: b}], rules: [{backendRefs: [{name: web, port: 80}]}]}
TCPRoute infra/tcp {parentRefs: [{group: '', kind: Service, name: web}], rules: [{backendRefs: [{name: web, port: 80}]}]}
UDPRoute infra/udp {parentRefs: [{name: b}], rules: [{backendRefs: [{name: web, port: 80}]}]}
";
