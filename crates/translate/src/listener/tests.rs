//! Listeners by themselves, one row per clause of `Listener`, `ListenerTLSConfig` and the reasons of
//! `ListenerStatus` (routing.md sections 3 and 8).

use crate::fixture::{CLASS, check, notes, output, rows, status, tables};

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

/// The listener, and its status beside that of a Gateway without other listeners.
const ASKED: &str = "
HTTP                              | port: 80, protocol: HTTP |
TLS is not served                 | port: 80, protocol: TLS, tls: {mode: Passthrough} | UnsupportedProtocol
TCP is not served                 | port: 80, protocol: TCP | UnsupportedProtocol
an unknown protocol               | port: 80, protocol: example.com/x | UnsupportedProtocol
HTTP with tls                     | port: 80, protocol: HTTP, tls: {} | UnsupportedValue
HTTPS                             | port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: good}]} |
HTTPS without tls                 | port: 443, protocol: HTTPS | UnsupportedValue
HTTPS without certificate         | port: 443, protocol: HTTPS, tls: {} | UnsupportedValue
HTTPS passed through              | port: 443, protocol: HTTPS, tls: {mode: Passthrough, certificateRefs: [{name: good}]} | UnsupportedValue
unknown tls mode                  | port: 443, protocol: HTTPS, tls: {mode: Mirror, certificateRefs: [{name: good}]} | UnsupportedValue
tls option                        | port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: good}], options: {a.b/c: d}} | UnsupportedValue
hostname that is none             | port: 80, protocol: HTTP, hostname: 'a b' | UnsupportedValue
IP address as hostname            | port: 80, protocol: HTTP, hostname: 1.2.3.4 | UnsupportedValue
port out of range                 | port: 70000, protocol: HTTP | UnsupportedValue
no port                           | port: 0, protocol: HTTP | UnsupportedValue
unknown namespaces.from           | port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Friends}} | UnsupportedValue
from None is not for routes       | port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: None}} | UnsupportedValue
Selector without selector         | port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector}} | UnsupportedValue
selector with an unknown operator | port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: Like, values: [b]}]}}} | UnsupportedValue
";

#[test]
fn listeners_are_judged_by_what_they_ask_for() {
    for [name, listener, reason] in rows(ASKED) {
        let kinds = if reason == "UnsupportedProtocol" {
            " []"
        } else {
            ""
        };
        let expected = match reason {
            "" => "gateway + l (0)".to_owned(),
            reason => format!(
                "gateway Accepted=False/ListenersNotValid Programmed=False/Invalid + \
                 l (0){kinds} Accepted=False/{reason} Programmed=False/Invalid"
            ),
        };
        check(
            name,
            &(secret("infra/good") + &gateway(listener)),
            "Gateway infra/gw",
            &expected,
        );
    }
}

/// `allowedRoutes.kinds`, and the status of the listener.
const KINDS: &str = "
one of two                       | {kind: HTTPRoute}                                      | l (0) [HTTPRoute]
order is kept, repeats are not   | {kind: GRPCRoute}, {kind: HTTPRoute}, {kind: GRPCRoute} | l (0) [GRPCRoute,HTTPRoute]
only an invalid one              | {kind: TLSRoute}                                       | l (0) [] ResolvedRefs=False/InvalidRouteKinds
valid and invalid                | {kind: FooRoute}, {kind: HTTPRoute}                    | l (0) [HTTPRoute] ResolvedRefs=False/InvalidRouteKinds
the group counts                 | {group: example.com, kind: HTTPRoute}                  | l (0) [] ResolvedRefs=False/InvalidRouteKinds
";

#[test]
fn kinds_asked_for_are_those_supported_or_invalid() {
    for [name, kinds, expected] in rows(KINDS) {
        let listener = format!("port: 80, protocol: HTTP, allowedRoutes: {{kinds: [{kinds}]}}");
        let own = match expected.contains("ResolvedRefs") {
            true => "gateway ResolvedRefs=False/ListenersNotResolved",
            false => "gateway",
        };
        check(
            name,
            &gateway(&listener),
            "Gateway infra/gw",
            &format!("{own} + {expected}"),
        );
    }
}

/// `certificateRefs`, number of usable ones, reason.
const CERTIFICATES: &str = "
same namespace                     | {name: good}                     | 1 |
several                            | {name: good}, {name: second}     | 2 |
does not exist                     | {name: nope}                     | 0 | InvalidCertificateRef
unknown group                      | {group: example.com, name: good} | 0 | InvalidCertificateRef
unknown kind                       | {kind: ConfigMap, name: good}    | 0 | InvalidCertificateRef
wrong type                         | {name: opaque}                   | 0 | InvalidCertificateRef
no data                            | {name: empty}                    | 0 | InvalidCertificateRef
no key                             | {name: keyless}                  | 0 | InvalidCertificateRef
no PEM                             | {name: garbage}                  | 0 | InvalidCertificateRef
granted by name                    | {name: granted, namespace: vault} | 1 |
granted for another name           | {name: other, namespace: vault}  | 0 | RefNotPermitted
granted for another kind           | {name: ungranted, namespace: shop} | 0 | RefNotPermitted
permission comes before existence  | {name: nope, namespace: shop}    | 0 | RefNotPermitted
one of two is enough to serve      | {name: nope}, {name: good}       | 1 | InvalidCertificateRef
permission is said first           | {name: nope}, {name: nope, namespace: shop} | 0 | RefNotPermitted
";

const SECRETS: &str = "
Secret infra/opaque {type: Opaque, stringData: {tls.crt: a, tls.key: b}}
Secret infra/empty {type: kubernetes.io/tls}
Secret infra/garbage {type: kubernetes.io/tls, stringData: {tls.crt: Hello, tls.key: world}}
ReferenceGrant vault/grant {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: infra}], to: [{group: '', kind: Secret, name: granted}]}
ReferenceGrant shop/route {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: infra}], to: [{group: '', kind: Secret}]}
";

#[test]
fn certificates_are_secrets_that_may_be_used() {
    let names = [
        "infra/good",
        "infra/second",
        "vault/granted",
        "vault/other",
        "shop/ungranted",
    ];
    let keyless = secret("infra/keyless").replace("tls.key", "key");
    let base: String = names.map(secret).concat() + &keyless + SECRETS;
    for [name, references, usable, reason] in rows(CERTIFICATES) {
        let tls = format!("tls: {{certificateRefs: [{references}]}}");
        let own = match (usable, reason) {
            (_, "") => "gateway",
            ("0", _) => {
                "gateway Accepted=True/ListenersNotValid Programmed=False/Invalid \
                 ResolvedRefs=False/ListenersNotResolved"
            }
            _ => "gateway ResolvedRefs=False/ListenersNotResolved",
        };
        let programmed = if usable == "0" {
            " Programmed=False/Invalid"
        } else {
            ""
        };
        let resolved = match reason {
            "" => String::new(),
            reason => format!(" ResolvedRefs=False/{reason}"),
        };
        let world = base.clone() + &gateway(&format!("port: 443, protocol: HTTPS, {tls}"));
        let expected = format!("{own} + l (0){programmed}{resolved}");
        check(name, &world, "Gateway infra/gw", &expected);
    }
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

/// Which of the listeners a (443), b (444), both HTTPS, and c (80) is refused.
const CLIENT_VALIDATION: &str = "
no validation                      | default: {}                                      |
every HTTPS port                   | default: {VALIDATION}                            | ab
one port                           | default: {}, perPort: [{port: 444, tls: {VALIDATION}}] | b
a port without it overrides        | default: {VALIDATION}, perPort: [{port: 443, tls: {}}] | b
";

/// What was to be protected by client certificates is not served without.
#[test]
fn client_certificates_are_refused_not_ignored() {
    let validation = "validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]}";
    let tls = "protocol: HTTPS, tls: {certificateRefs: [{name: good}]}";
    let world = |frontend: &str| {
        let frontend = frontend.replace("VALIDATION", validation);
        format!(
            "{CLASS}{}Gateway infra/gw {{gatewayClassName: weft, tls: {{frontend: {{{frontend}}}}}, listeners: [
  {{name: a, port: 443, {tls}}}, {{name: b, port: 444, {tls}}}, {{name: c, port: 80, protocol: HTTP}}]}}",
            secret("infra/good")
        )
    };
    for [name, frontend, refused] in rows(CLIENT_VALIDATION) {
        let listener = |name: &str| match refused.contains(name) {
            true => format!("{name} (0) Accepted=False/UnsupportedValue Programmed=False/Invalid"),
            false => format!("{name} (0)"),
        };
        let seen = status(&output(&world(frontend)), "Gateway infra/gw");
        assert_eq!(seen[1..], ["a", "b", "c"].map(listener), "{name}");
    }
    let found = notes(&output(&world("default: {VALIDATION}")), "Gateway infra/gw");
    let expected = ["WA403 spec.tls.frontend.default.validation"];
    assert_eq!(
        found, expected,
        "said once, however many listeners it concerns"
    );
    let found = notes(
        &output(&world(
            "default: {}, perPort: [{port: 80, tls: {VALIDATION}}]",
        )),
        "Gateway infra/gw",
    );
    let expected = ["WA403 spec.tls.frontend.perPort[0].tls.validation"];
    assert_eq!(found, expected, "nor where there is no HTTPS listener");
    let http = world("default: {VALIDATION}").replace(tls, "protocol: HTTP");
    let found = notes(&output(&http), "Gateway infra/gw");
    let expected = ["WA403 spec.tls.frontend.default.validation"];
    assert_eq!(found, expected, "nor where there is none at all");
}
