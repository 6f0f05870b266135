//! What is refused, row by row: the document, the code and the field.

use super::findings;
use crate::input::Channel;

/// What the row is about, the document or a part of it, the code and the field.
type Row = (&'static str, &'static str, &'static str, &'static str);

fn check(rows: &[(&str, &str, &str, &str)]) {
    for (name, text, code, field) in rows {
        let found = findings(Channel::Experimental, text);
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        let expected = |finding: &crate::Finding| finding.code == *code && finding.field == *field;
        assert!(
            found.iter().any(expected),
            "{name}: {code} at {field:?} expected, not {told:#?}"
        );
        assert!(
            found.iter().all(|finding| !finding.cure.is_empty()),
            "{name}: every finding has a cure"
        );
    }
}

fn service(spec: &str) -> String {
    format!("{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {spec}}}")
}

fn slice(rest: &str) -> String {
    format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: web}}, {rest}}}"
    )
}

fn route(spec: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: web}}, \
         spec: {spec}}}"
    )
}

#[test]
fn documents_that_are_no_objects_or_of_no_kind() {
    check(&[
        ("a list", "[1]", "WA122", ""),
        (
            "no kind",
            "{apiVersion: v1, metadata: {name: a}}",
            "WA122",
            "kind",
        ),
        (
            "no name",
            "{apiVersion: v1, kind: Service, metadata: {}}",
            "WA122",
            "metadata.name",
        ),
        (
            "bad name",
            "{apiVersion: v1, kind: Service, metadata: {name: A_b}, spec: {ports: [{port: 1}]}}",
            "WA100",
            "metadata.name",
        ),
        (
            "misspelt kind",
            "{apiVersion: v1, kind: Servise, metadata: {name: a}}",
            "WA123",
            "kind",
        ),
        (
            "old version",
            "{apiVersion: gateway.networking.k8s.io/v1alpha2, kind: HTTPRoute, metadata: {name: a}}",
            "WA123",
            "apiVersion",
        ),
    ]);
}

const SERVICES: &[Row] = &[
    ("no ports", "{}", "WA100", "spec.ports"),
    (
        "port 0",
        "{ports: [{port: 0}]}",
        "WA100",
        "spec.ports[0].port",
    ),
    (
        "port 65536",
        "{ports: [{port: 65536}]}",
        "WA100",
        "spec.ports[0].port",
    ),
    (
        "no port",
        "{ports: [{name: a}]}",
        "WA100",
        "spec.ports[0].port",
    ),
    (
        "unknown field",
        "{ports: [{port: 1, targetport: 2}]}",
        "WA101",
        "spec.ports[0].targetport",
    ),
    (
        "protocol",
        "{ports: [{port: 1, protocol: tcp}]}",
        "WA100",
        "spec.ports[0].protocol",
    ),
    (
        "same port and protocol",
        "{ports: [{port: 1, name: a}, {port: 1, name: b, protocol: TCP}]}",
        "WA100",
        "spec.ports[1]",
    ),
    (
        "same name",
        "{ports: [{port: 1, name: a}, {port: 2, name: a}]}",
        "WA100",
        "spec.ports[1].name",
    ),
    (
        "several ports, one without a name",
        "{ports: [{port: 1, name: a}, {port: 2}]}",
        "WA100",
        "spec.ports[1]",
    ),
    (
        "port name",
        "{ports: [{port: 1, name: Http}]}",
        "WA100",
        "spec.ports[0].name",
    ),
    (
        "target port",
        "{ports: [{port: 1, targetPort: a_b}]}",
        "WA100",
        "spec.ports[0].targetPort",
    ),
    (
        "target port too large",
        "{ports: [{port: 1, targetPort: 70000}]}",
        "WA100",
        "spec.ports[0].targetPort",
    ),
    (
        "appProtocol",
        "{ports: [{port: 1, appProtocol: 'a b'}]}",
        "WA100",
        "spec.ports[0].appProtocol",
    ),
    (
        "cluster address",
        "{ports: [{port: 1}], clusterIP: 10.0.0}",
        "WA100",
        "spec.clusterIP",
    ),
    (
        "cluster addresses differ",
        "{ports: [{port: 1}], clusterIP: 10.0.0.1, clusterIPs: [10.0.0.2]}",
        "WA100",
        "spec.clusterIPs[0]",
    ),
    (
        "two of one family",
        "{ports: [{port: 1}], clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 10.0.0.2]}",
        "WA100",
        "spec.clusterIPs[1]",
    ),
    (
        "external name",
        "{type: ExternalName, externalName: 'a b'}",
        "WA100",
        "spec.externalName",
    ),
    (
        "headless load balancer",
        "{type: LoadBalancer, clusterIP: None, ports: [{port: 1}]}",
        "WA100",
        "spec.clusterIP",
    ),
    (
        "selector",
        "{ports: [{port: 1}], selector: {a: 'b c'}}",
        "WA100",
        "spec.selector[a]",
    ),
];

#[test]
fn services() {
    for (name, part, code, field) in SERVICES {
        check(&[(name, &service(part), code, field)]);
    }
}

const SLICES: &[Row] = &[
    ("no address type", "endpoints: []", "WA100", "addressType"),
    (
        "no addresses",
        "addressType: IPv4, endpoints: [{}]",
        "WA100",
        "endpoints[0].addresses",
    ),
    (
        "empty addresses",
        "addressType: IPv4, endpoints: [{addresses: []}]",
        "WA100",
        "endpoints[0].addresses",
    ),
    (
        "other family",
        "addressType: IPv4, endpoints: [{addresses: ['::1']}]",
        "WA100",
        "endpoints[0].addresses[0]",
    ),
    (
        "no address",
        "addressType: IPv6, endpoints: [{addresses: [web]}]",
        "WA100",
        "endpoints[0].addresses[0]",
    ),
    (
        "unspecified",
        "addressType: IPv4, endpoints: [{addresses: [0.0.0.0]}]",
        "WA100",
        "endpoints[0].addresses[0]",
    ),
    (
        "link-local",
        "addressType: IPv4, endpoints: [{addresses: [169.254.1.1]}]",
        "WA100",
        "endpoints[0].addresses[0]",
    ),
    (
        "port",
        "addressType: IPv4, endpoints: [], ports: [{port: 0}]",
        "WA100",
        "ports[0].port",
    ),
    (
        "same port name",
        "addressType: IPv4, ports: [{port: 1}, {port: 2}]",
        "WA100",
        "ports[1].name",
    ),
];

#[test]
fn endpoint_slices() {
    for (name, part, code, field) in SLICES {
        check(&[(name, &slice(part), code, field)]);
    }
}

const ROUTES: &[Row] = &[
    (
        "unknown field",
        "{rules: [{backendRef: []}]}",
        "WA101",
        "spec.rules[0].backendRef",
    ),
    (
        "type",
        "{hostnames: a.example.com}",
        "WA100",
        "spec.hostnames",
    ),
    (
        "truth value for a text",
        "{rules: [{matches: [{headers: [{name: a, value: on}]}]}]}",
        "WA100",
        "spec.rules[0].matches[0].headers[0].value",
    ),
    (
        "filter type",
        "{rules: [{filters: [{type: Foo}]}]}",
        "WA100",
        "spec.rules[0].filters[0].type",
    ),
    (
        "filter without body",
        "{rules: [{filters: [{type: RequestRedirect}]}]}",
        "WA100",
        "spec.rules[0].filters[0]",
    ),
    (
        "relative path",
        "{rules: [{matches: [{path: {value: a}}]}]}",
        "WA100",
        "spec.rules[0].matches[0].path",
    ),
    (
        "same rule name",
        "{rules: [{name: a}, {name: a}]}",
        "WA100",
        "spec.rules",
    ),
    (
        "duration",
        "{rules: [{timeouts: {request: 1.5s}}]}",
        "WA100",
        "spec.rules[0].timeouts.request",
    ),
    (
        "backend timeout above request timeout",
        "{rules: [{timeouts: {request: 1s, backendRequest: 2s}}]}",
        "WA100",
        "spec.rules[0].timeouts",
    ),
];

#[test]
fn routes_by_schema_and_by_rules() {
    for (name, part, code, field) in ROUTES {
        check(&[(name, &route(part), code, field)]);
    }
    let many = route(&format!("{{rules: [{}]}}", "{}, ".repeat(17)));
    check(&[("too many rules", &many, "WA100", "spec.rules")]);
}

#[test]
fn metadata_and_configuration() {
    check(&[
        (
            "label value",
            "{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {b: 'c d'}}}",
            "WA100",
            "metadata.labels[b]",
        ),
        (
            "label key",
            "{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {'b c': d}}}",
            "WA100",
            "metadata.labels[b c]",
        ),
        (
            "unknown metadata",
            "{apiVersion: v1, kind: Namespace, metadata: {name: a, lables: {}}}",
            "WA101",
            "metadata.lables",
        ),
        (
            "base64",
            "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {b: '!'}}",
            "WA100",
            "data[b]",
        ),
        (
            "certificate without key",
            "{apiVersion: v1, kind: Secret, metadata: {name: a}, type: kubernetes.io/tls, data: {tls.crt: YQ==}}",
            "WA100",
            "data[tls.key]",
        ),
        (
            "key of a map",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {'a/b': c}}",
            "WA100",
            "data[a/b]",
        ),
    ]);
}

#[test]
fn loopback_addresses_are_what_endpoints_look_like_without_a_cluster() {
    for text in [
        slice("addressType: IPv4, endpoints: [{addresses: [127.0.0.1]}], ports: [{port: 1}]"),
        slice("addressType: IPv6, endpoints: [{addresses: ['::1']}], ports: [{port: 1}]"),
        service("{clusterIP: 127.1.2.3, ports: [{port: 80}]}"),
    ] {
        let verdict = super::judge(Channel::Experimental, &text);
        assert!(
            matches!(verdict, super::Verdict::Good(_)),
            "{text}: {verdict:?}"
        );
    }
}

#[test]
fn the_standard_channel_has_neither_experimental_fields_nor_kinds() {
    let text = "{apiVersion: gateway.networking.x-k8s.io/v1alpha1, kind: XMesh, metadata: {name: \
                a}, spec: {controllerName: a.dev/b}}";
    assert_eq!(findings(Channel::Standard, text)[0].code, "WA123");
    let text = route("{rules: [{retry: {attempts: 1}}]}");
    let found = findings(Channel::Standard, &text);
    assert_eq!(
        (found[0].code, found[0].field.as_str()),
        ("WA101", "spec.rules[0].retry")
    );
}
