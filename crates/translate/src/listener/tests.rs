//! Listeners by themselves, one row per clause of `Listener`, `ListenerTLSConfig` and the reasons of
//! `ListenerStatus` (routing.md sections 3 and 8).

use crate::fixture::{CLASS, check, notes, output, tables};

const PEM_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\\nMIIBAAAA\\n-----END CERTIFICATE-----";
const PEM_KEY: &str = "-----BEGIN PRIVATE KEY-----\\nMIIBAAAA\\n-----END PRIVATE KEY-----";

fn secret(name: &str) -> String {
    format!(
        "Secret {name} {{type: kubernetes.io/tls, stringData: \
         {{tls.crt: \"{PEM_CERTIFICATE}\", tls.key: \"{PEM_KEY}\"}}}}\n"
    )
}

fn gateway(listener: &str) -> String {
    format!("Gateway infra/gw {{gatewayClassName: weft, listeners: [{{name: l, {listener}}}]}}")
}

const NOT_SERVED: &str = "gateway Accepted=False/ListenersNotValid Programmed=False/Invalid";

#[test]
fn listeners_are_judged_by_what_they_ask_for() {
    let refused = |reason: &str| {
        vec![
            NOT_SERVED.to_owned(),
            format!("l (0) Accepted=False/{reason} Programmed=False/Invalid"),
        ]
    };
    let rows: Vec<(&str, &str, Vec<String>)> = vec![
        (
            "HTTP",
            "port: 80, protocol: HTTP",
            vec!["gateway".into(), "l (0)".into()],
        ),
        (
            "TLS is not served",
            "port: 80, protocol: TLS, tls: {mode: Passthrough}",
            vec![
                NOT_SERVED.into(),
                "l (0) [] Accepted=False/UnsupportedProtocol Programmed=False/Invalid".into(),
            ],
        ),
        (
            "TCP is not served",
            "port: 80, protocol: TCP",
            vec![
                NOT_SERVED.into(),
                "l (0) [] Accepted=False/UnsupportedProtocol Programmed=False/Invalid".into(),
            ],
        ),
        (
            "an unknown protocol is not served",
            "port: 80, protocol: example.com/x",
            vec![
                NOT_SERVED.into(),
                "l (0) [] Accepted=False/UnsupportedProtocol Programmed=False/Invalid".into(),
            ],
        ),
        (
            "HTTP with tls",
            "port: 80, protocol: HTTP, tls: {}",
            refused("UnsupportedValue"),
        ),
        (
            "HTTPS without tls",
            "port: 443, protocol: HTTPS",
            refused("UnsupportedValue"),
        ),
        (
            "HTTPS without certificate",
            "port: 443, protocol: HTTPS, tls: {}",
            refused("UnsupportedValue"),
        ),
        (
            "HTTPS passed through",
            "port: 443, protocol: HTTPS, tls: {mode: Passthrough, certificateRefs: [{name: good}]}",
            refused("UnsupportedValue"),
        ),
        (
            "unknown tls mode",
            "port: 443, protocol: HTTPS, tls: {mode: Mirror, certificateRefs: [{name: good}]}",
            refused("UnsupportedValue"),
        ),
        (
            "tls option",
            "port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: good}], options: {a.b/c: d}}",
            refused("UnsupportedValue"),
        ),
        (
            "hostname that is none",
            "port: 80, protocol: HTTP, hostname: 'a b'",
            refused("UnsupportedValue"),
        ),
        (
            "IP address as hostname",
            "port: 80, protocol: HTTP, hostname: 1.2.3.4",
            refused("UnsupportedValue"),
        ),
        (
            "port out of range",
            "port: 70000, protocol: HTTP",
            refused("UnsupportedValue"),
        ),
        (
            "unknown namespaces.from",
            "port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Friends}}",
            refused("UnsupportedValue"),
        ),
        (
            "from None is not for routes",
            "port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: None}}",
            refused("UnsupportedValue"),
        ),
        (
            "Selector without selector",
            "port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector}}",
            refused("UnsupportedValue"),
        ),
        (
            "selector with an unknown operator",
            "port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: Like, values: [b]}]}}}",
            refused("UnsupportedValue"),
        ),
    ];
    for (name, listener, expected) in rows {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(
            &secret("infra/good"),
            &[(name, &gateway(listener), "Gateway infra/gw", &expected)],
        );
    }
}

#[test]
fn kinds_asked_for_are_those_supported_or_invalid() {
    let kinds = |kinds: &str| {
        gateway(&format!(
            "port: 80, protocol: HTTP, allowedRoutes: {{kinds: [{kinds}]}}"
        ))
    };
    let unresolved = "gateway ResolvedRefs=False/ListenersNotResolved";
    check(
        "",
        &[
            (
                "one of two",
                &kinds("{kind: HTTPRoute}"),
                "Gateway infra/gw",
                &["gateway", "l (0) [HTTPRoute]"],
            ),
            (
                "listed order is kept, repeats are not",
                &kinds("{kind: GRPCRoute}, {kind: HTTPRoute}, {kind: GRPCRoute}"),
                "Gateway infra/gw",
                &["gateway", "l (0) [GRPCRoute,HTTPRoute]"],
            ),
            (
                "only an invalid one",
                &kinds("{kind: TLSRoute}"),
                "Gateway infra/gw",
                &[unresolved, "l (0) [] ResolvedRefs=False/InvalidRouteKinds"],
            ),
            (
                "valid and invalid",
                &kinds("{kind: FooRoute}, {kind: HTTPRoute}"),
                "Gateway infra/gw",
                &[
                    unresolved,
                    "l (0) [HTTPRoute] ResolvedRefs=False/InvalidRouteKinds",
                ],
            ),
            (
                "the group counts",
                &kinds("{group: example.com, kind: HTTPRoute}"),
                "Gateway infra/gw",
                &[unresolved, "l (0) [] ResolvedRefs=False/InvalidRouteKinds"],
            ),
        ],
    );
}

#[test]
fn certificates_are_secrets_that_may_be_used() {
    let base = [
        secret("infra/good"),
        secret("infra/second"),
        secret("vault/granted"),
        secret("vault/other"),
        secret("shop/ungranted"),
        "Secret infra/opaque {type: Opaque, stringData: {tls.crt: a, tls.key: b}}\n".to_owned(),
        "Secret infra/empty {type: kubernetes.io/tls}\n".to_owned(),
        "Secret infra/garbage {type: kubernetes.io/tls, stringData: {tls.crt: Hello, tls.key: world}}\n".to_owned(),
        format!("Secret infra/keyless {{type: kubernetes.io/tls, stringData: {{tls.crt: \"{PEM_CERTIFICATE}\"}}}}\n"),
        "ReferenceGrant vault/grant {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: infra}], to: [{group: '', kind: Secret, name: granted}]}\n".to_owned(),
        "ReferenceGrant shop/route {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: infra}], to: [{group: '', kind: Secret}]}\n".to_owned(),
    ]
    .concat();
    let https = |refs: &str| {
        gateway(&format!(
            "port: 443, protocol: HTTPS, tls: {{certificateRefs: [{refs}]}}"
        ))
    };
    let unusable = "gateway Accepted=True/ListenersNotValid Programmed=False/Invalid ResolvedRefs=False/ListenersNotResolved";
    let invalid: &[&str] = &[
        unusable,
        "l (0) Programmed=False/Invalid ResolvedRefs=False/InvalidCertificateRef",
    ];
    let denied: &[&str] = &[
        unusable,
        "l (0) Programmed=False/Invalid ResolvedRefs=False/RefNotPermitted",
    ];
    let partly = "gateway ResolvedRefs=False/ListenersNotResolved";
    check(
        &base,
        &[
            (
                "same namespace",
                &https("{name: good}"),
                "Gateway infra/gw",
                &["gateway", "l (0)"],
            ),
            (
                "several",
                &https("{name: good}, {name: second}"),
                "Gateway infra/gw",
                &["gateway", "l (0)"],
            ),
            (
                "does not exist",
                &https("{name: nope}"),
                "Gateway infra/gw",
                invalid,
            ),
            (
                "unknown group",
                &https("{group: example.com, name: good}"),
                "Gateway infra/gw",
                invalid,
            ),
            (
                "unknown kind",
                &https("{kind: ConfigMap, name: good}"),
                "Gateway infra/gw",
                invalid,
            ),
            (
                "wrong type",
                &https("{name: opaque}"),
                "Gateway infra/gw",
                invalid,
            ),
            (
                "no data",
                &https("{name: empty}"),
                "Gateway infra/gw",
                invalid,
            ),
            (
                "no key",
                &https("{name: keyless}"),
                "Gateway infra/gw",
                invalid,
            ),
            (
                "no PEM",
                &https("{name: garbage}"),
                "Gateway infra/gw",
                invalid,
            ),
            (
                "granted by name",
                &https("{name: granted, namespace: vault}"),
                "Gateway infra/gw",
                &["gateway", "l (0)"],
            ),
            (
                "granted for another name",
                &https("{name: other, namespace: vault}"),
                "Gateway infra/gw",
                denied,
            ),
            (
                "granted for another kind",
                &https("{name: ungranted, namespace: shop}"),
                "Gateway infra/gw",
                denied,
            ),
            (
                "permission comes before existence",
                &https("{name: nope, namespace: shop}"),
                "Gateway infra/gw",
                denied,
            ),
            (
                "one of two is enough to serve",
                &https("{name: nope}, {name: good}"),
                "Gateway infra/gw",
                &[partly, "l (0) ResolvedRefs=False/InvalidCertificateRef"],
            ),
            (
                "permission is said first",
                &https("{name: nope}, {name: nope, namespace: shop}"),
                "Gateway infra/gw",
                denied,
            ),
        ],
    );
}

/// A listener without certificate stays in the tables: its hosts must not fall to another listener.
#[test]
fn listeners_without_certificate_keep_their_hosts() {
    let world = format!(
        "{CLASS}{}Gateway infra/gw {{gatewayClassName: weft, listeners: [
  {{name: bad, port: 443, protocol: HTTPS, hostname: a.com, tls: {{certificateRefs: [{{name: nope}}]}}}},
  {{name: good, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: good}}]}}}}]}}",
        secret("infra/good")
    );
    let output = output(&world);
    assert_eq!(
        tables(&output),
        ["infra/gw:443 bad a.com: ", "infra/gw:443 good *: "]
    );
    let gateway = output.tables.gateways.values().next();
    let listeners = gateway
        .map(|it| &it.ports[0].listeners)
        .expect("the Gateway is in the tables");
    assert!(
        listeners[0].certificates.is_empty(),
        "nothing to shake hands with"
    );
    assert_eq!(
        listeners[1].certificates.len(),
        1,
        "the other listener has its certificate"
    );
}

/// What was to be protected by client certificates is not served without.
#[test]
fn client_certificates_are_refused_not_ignored() {
    let tls = "tls: {certificateRefs: [{name: good}]}";
    let gateway = |frontend: &str| {
        format!(
            "Gateway infra/gw {{gatewayClassName: weft, tls: {{frontend: {{{frontend}}}}}, listeners: [
  {{name: a, port: 443, protocol: HTTPS, {tls}}}, {{name: b, port: 444, protocol: HTTPS, {tls}}}, {{name: c, port: 80, protocol: HTTP}}]}}"
        )
    };
    const VALIDATION: &str =
        "validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]}";
    let partly = "gateway Accepted=True/ListenersNotValid";
    check(
        &secret("infra/good"),
        &[
            (
                "no validation",
                &gateway("default: {}"),
                "Gateway infra/gw",
                &["gateway", "a (0)", "b (0)", "c (0)"],
            ),
            (
                "every HTTPS port",
                &gateway(&format!("default: {{{VALIDATION}}}")),
                "Gateway infra/gw",
                &[
                    partly,
                    "a (0) Accepted=False/UnsupportedValue Programmed=False/Invalid",
                    "b (0) Accepted=False/UnsupportedValue Programmed=False/Invalid",
                    "c (0)",
                ],
            ),
            (
                "one port",
                &gateway(&format!(
                    "default: {{}}, perPort: [{{port: 444, tls: {{{VALIDATION}}}}}]"
                )),
                "Gateway infra/gw",
                &[
                    partly,
                    "a (0)",
                    "b (0) Accepted=False/UnsupportedValue Programmed=False/Invalid",
                    "c (0)",
                ],
            ),
            (
                "a port without validation overrides",
                &gateway(&format!(
                    "default: {{{VALIDATION}}}, perPort: [{{port: 443, tls: {{}}}}]"
                )),
                "Gateway infra/gw",
                &[
                    partly,
                    "a (0)",
                    "b (0) Accepted=False/UnsupportedValue Programmed=False/Invalid",
                    "c (0)",
                ],
            ),
        ],
    );
    let world = format!(
        "{CLASS}{}{}",
        secret("infra/good"),
        gateway(&format!("default: {{{VALIDATION}}}"))
    );
    let found = notes(&output(&world), "Gateway infra/gw");
    assert!(
        found.contains(&"WA403 spec.tls.frontend.default.validation".to_owned()),
        "{found:?}"
    );
}
