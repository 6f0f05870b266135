//! BackendTLSPolicies against the clauses of their type comments, one row each.

use weft_ir::{Name, Target};

use crate::{
    Output, Scope, Translator, UnusableAuthorities,
    fixture::{CLASS, notes, objects, output, rows, scope, status, store},
    translate,
};

/// A Gateway and a mesh Service whose routes send to `shop/web:80`, and authorities of every sort.
const BASE: &str = "
Gateway infra/gw {gatewayClassName: weft, listeners: [{name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}
Service shop/web {clusterIP: None, ports: [{name: http, port: 80}, {name: alt, port: 81}]}
HTTPRoute shop/r {parentRefs: [{name: gw, namespace: infra}], rules: [{backendRefs: [{name: web, port: 80}]}]}
ConfigMap shop/ca {data: {ca.crt: \"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\"}}
ConfigMap shop/more {data: {ca.crt: \"-----BEGIN CERTIFICATE-----\\nMIIC\\n-----END CERTIFICATE-----\"}}
ConfigMap shop/text {data: {ca.crt: Hello}}
ConfigMap shop/blank {data: {ca.crt: ''}}
ConfigMap shop/other {data: {tls.crt: x}}
ConfigMap far/ca {data: {ca.crt: \"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\"}}
";

const CA: &str = "validation: {hostname: web.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]}";

/// What the rule sends to the Service port by.
fn sent(output: &Output, port: u16) -> String {
    let gateway = &output.tables.gateways[&Name::new("infra", "gw")];
    let rules = gateway.ports[0].listeners[0].routes.rules();
    let targets = rules
        .iter()
        .flat_map(|rule| &rule.backends)
        .map(|it| &it.target);
    let found = targets.filter_map(|target| match target {
        Target::Service { port: to, tls, .. } if to.port == port => Some(match tls {
            Some(tls) => tls.to_string(),
            None => "plaintext".to_owned(),
        }),
        Target::Fault { fault, reference } if reference.ends_with(&format!(":{port}")) => {
            Some(fault.as_str().to_owned())
        }
        _ => None,
    });
    found.collect::<Vec<_>>().join("; ")
}

fn policy(validation: &str) -> String {
    format!(
        "BackendTLSPolicy shop/p {{targetRefs: [{{group: '', kind: Service, name: web}}], {validation}}}"
    )
}

/// Validation, the verdict under the Gateway, and what traffic gets.
const VALIDATION: &str = "
one ConfigMap                | hostname: web.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]   | | TLS as web.example, authorities of ConfigMap shop/ca (BackendTLSPolicy shop/p)
names have no case           | hostname: Web.Example, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]   | | TLS as web.example, authorities of ConfigMap shop/ca (BackendTLSPolicy shop/p)
several ConfigMaps           | hostname: a.b, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}, {group: '', kind: ConfigMap, name: more}] | | TLS as a.b, authorities of ConfigMap shop/ca and ConfigMap shop/more (BackendTLSPolicy shop/p)
the platform's               | hostname: a.b, wellKnownCACertificates: System | | TLS as a.b, authorities of the platform (BackendTLSPolicy shop/p)
an empty set is unspecified  | hostname: a.b, wellKnownCACertificates: '', caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}] | | TLS as a.b, authorities of ConfigMap shop/ca (BackendTLSPolicy shop/p)
a set of somebody else       | hostname: a.b, wellKnownCACertificates: acme.io/roots | Accepted=False/Invalid | BackendTLSPolicy
both sorts                   | hostname: a.b, wellKnownCACertificates: System, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}] | Accepted=False/Invalid | BackendTLSPolicy
neither                      | hostname: a.b | Accepted=False/Invalid | BackendTLSPolicy
no such ConfigMap            | hostname: a.b, caCertificateRefs: [{group: '', kind: ConfigMap, name: nope}]  | Accepted=False/NoValidCACertificate ResolvedRefs=False/InvalidCACertificateRef | BackendTLSPolicy
no ca.crt                    | hostname: a.b, caCertificateRefs: [{group: '', kind: ConfigMap, name: other}] | Accepted=False/NoValidCACertificate ResolvedRefs=False/InvalidCACertificateRef | BackendTLSPolicy
ca.crt is no certificate     | hostname: a.b, caCertificateRefs: [{group: '', kind: ConfigMap, name: text}]  | Accepted=False/NoValidCACertificate ResolvedRefs=False/InvalidCACertificateRef | BackendTLSPolicy
ca.crt is empty              | hostname: a.b, caCertificateRefs: [{group: '', kind: ConfigMap, name: blank}] | Accepted=False/NoValidCACertificate ResolvedRefs=False/InvalidCACertificateRef | BackendTLSPolicy
another namespace            | hostname: a.b, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca, namespace: far}] | Accepted=False/NoValidCACertificate ResolvedRefs=False/InvalidCACertificateRef | BackendTLSPolicy
another kind                 | hostname: a.b, caCertificateRefs: [{group: '', kind: Secret, name: ca}] | Accepted=False/NoValidCACertificate ResolvedRefs=False/InvalidKind | BackendTLSPolicy
another group                | hostname: a.b, caCertificateRefs: [{group: invalid.io, kind: ConfigMap, name: ca}] | Accepted=False/NoValidCACertificate ResolvedRefs=False/InvalidKind | BackendTLSPolicy
one good reference is enough | hostname: a.b, caCertificateRefs: [{group: '', kind: ConfigMap, name: nope}, {group: '', kind: ConfigMap, name: ca}] | ResolvedRefs=False/InvalidCACertificateRef | TLS as a.b, authorities of ConfigMap shop/ca (BackendTLSPolicy shop/p)
no hostname                  | caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}] | Accepted=False/Invalid | BackendTLSPolicy
a wildcard as hostname       | hostname: '*.b', wellKnownCACertificates: System      | Accepted=False/Invalid | BackendTLSPolicy
an address as hostname       | hostname: 10.0.0.1, wellKnownCACertificates: System   | Accepted=False/Invalid | BackendTLSPolicy
further names                | hostname: a.b, wellKnownCACertificates: System, subjectAltNames: [{type: Hostname, hostname: '*.c'}, {type: URI, uri: 'spiffe://d/e'}] | | TLS as a.b, authorities of the platform, for *.c or spiffe://d/e (BackendTLSPolicy shop/p)
a name without its field     | hostname: a.b, wellKnownCACertificates: System, subjectAltNames: [{type: Hostname}] | Accepted=False/Invalid | BackendTLSPolicy
a name of the other field    | hostname: a.b, wellKnownCACertificates: System, subjectAltNames: [{type: URI, hostname: c}] | Accepted=False/Invalid | BackendTLSPolicy
a name with both fields      | hostname: a.b, wellKnownCACertificates: System, subjectAltNames: [{type: URI, hostname: c, uri: 'a:b'}] | Accepted=False/Invalid | BackendTLSPolicy
a name of a new type         | hostname: a.b, wellKnownCACertificates: System, subjectAltNames: [{type: Email, uri: 'a:b'}] | Accepted=False/Invalid | BackendTLSPolicy
a URI without scheme         | hostname: a.b, wellKnownCACertificates: System, subjectAltNames: [{type: URI, uri: d/e}] | Accepted=False/Invalid | BackendTLSPolicy
a URI of nothing but scheme  | hostname: a.b, wellKnownCACertificates: System, subjectAltNames: [{type: URI, uri: 'spiffe://'}] | Accepted=False/Invalid | BackendTLSPolicy
a host that is none          | hostname: a.b, wellKnownCACertificates: System, subjectAltNames: [{type: Hostname, hostname: 'a b'}] | Accepted=False/Invalid | BackendTLSPolicy
";

#[test]
fn validation() {
    for [name, validation, verdict, expected] in rows(VALIDATION) {
        let world = format!(
            "{CLASS}{BASE}{}",
            policy(&format!("validation: {{{validation}}}"))
        );
        let output = output(&world);
        let line = format!("Gateway gw {verdict}");
        assert_eq!(
            status(&output, "BackendTLSPolicy shop/p"),
            [line.trim()],
            "{name}"
        );
        assert_eq!(sent(&output, 80), expected, "{name}");
        let is_told = !notes(&output, "BackendTLSPolicy shop/p").is_empty();
        assert_eq!(
            is_told,
            !verdict.is_empty(),
            "{name}: a finding for each fault"
        );
    }
}

#[test]
fn options_are_not_accepted_and_ignored() {
    let world = format!(
        "{CLASS}{BASE}{}",
        policy(&format!("options: {{a.io/tls-min: '1.3'}}, {CA}"))
    );
    let output = output(&world);
    let found = status(&output, "BackendTLSPolicy shop/p");
    assert_eq!(found, ["Gateway gw Accepted=False/Invalid"]);
    assert_eq!(sent(&output, 80), "BackendTLSPolicy");
}

/// Two policies, each with its metadata and target; the verdicts on both, and which of them decides
/// for the ports 80 and 81.
const PRECEDENCE: &str = "
by name                       | {}                                         | web       | {}                                         | web       | good     | Conflicted | a | a
the older one                 | {creationTimestamp: '2021-07-15T01:02:04Z'} | web       | {creationTimestamp: '2021-07-15T01:02:03Z'} | web       | Conflicted | good     | b | b
by name when as old           | {creationTimestamp: '2021-07-15T01:02:03Z'} | web       | {creationTimestamp: '2021-07-15T01:02:03Z'} | web       | good     | Conflicted | a | a
a port beats the Service      | {}                                         | web       | {}                                         | web, sectionName: alt | good | good | a | b
though it is younger          | {creationTimestamp: '2021-07-15T01:02:03Z'} | web       | {creationTimestamp: '2021-07-15T01:02:04Z'} | web, sectionName: alt | good | good | a | b
two for one port              | {}                                         | web, sectionName: alt | {}                             | web, sectionName: alt | good | Conflicted | | a
a port each                   | {}                                         | web, sectionName: http | {}                            | web, sectionName: alt | good | good | a | b
an empty section is none      | {}                                         | web       | {}                                         | \"web, sectionName: ''\" | good | Conflicted | a | a
";

#[test]
fn precedence() {
    for [
        name,
        meta_a,
        target_a,
        meta_b,
        target_b,
        verdict_a,
        verdict_b,
        first,
        second,
    ] in rows(PRECEDENCE)
    {
        let both = "HTTPRoute shop/both {parentRefs: [{name: gw, namespace: infra}], rules: [{matches: [{path: {value: /b}}], backendRefs: [{name: web, port: 81}]}]}";
        let line = |name: &str, meta: &str, target: &str| {
            let target = target.trim_matches('"');
            format!(
                "BackendTLSPolicy shop/{name} @{meta} {{targetRefs: [{{group: '', kind: Service, name: {target}}}], {CA}}}\n"
            )
        };
        let world = format!(
            "{CLASS}{BASE}{both}\n{}{}",
            line("a", meta_a, target_a),
            line("b", meta_b, target_b)
        );
        let output = output(&world);
        for (policy, verdict) in [("a", verdict_a), ("b", verdict_b)] {
            let expected = match verdict {
                "good" => "Gateway gw".to_owned(),
                reason => format!("Gateway gw Accepted=False/{reason}"),
            };
            assert_eq!(
                status(&output, &format!("BackendTLSPolicy shop/{policy}")),
                [expected],
                "{name}: {policy}"
            );
        }
        for (port, policy) in [(80, first), (81, second)] {
            let expected = match policy {
                "" => "plaintext".to_owned(),
                policy => format!("(BackendTLSPolicy shop/{policy})"),
            };
            let found = sent(&output, port);
            assert!(
                found.ends_with(&expected),
                "{name}: port {port} gets {found}"
            );
        }
    }
}

/// A policy that comes first and cannot be honoured does not make room for the next.
#[test]
fn the_first_policy_decides_although_it_is_broken() {
    let broken = "BackendTLSPolicy shop/a {targetRefs: [{group: '', kind: Service, name: web}], validation: {hostname: a}}";
    let output = output(&format!("{CLASS}{BASE}{broken}\n{}", policy(CA)));
    assert_eq!(sent(&output, 80), "BackendTLSPolicy");
    let found = status(&output, "BackendTLSPolicy shop/p");
    assert_eq!(found, ["Gateway gw Accepted=False/Conflicted"]);
}

/// Targets, the entries of the status, and findings.
const TARGETS: &str = "
the Service                 | {group: '', kind: Service, name: web}                    | Gateway gw |
by the alias of the group   | {group: core, kind: Service, name: web}                  | Gateway gw | WA109 spec.targetRefs[0].group
a port that is none         | {group: '', kind: Service, name: web, sectionName: nope} | Gateway gw Accepted=False/TargetNotFound | WA406 spec.targetRefs[0]
a Service that is none      | {group: '', kind: Service, name: nope}                   | | WA406 spec.targetRefs[0]
another kind                | {group: '', kind: Pod, name: web}                        | | WA406 spec.targetRefs[0]
nobody's backend            | {group: '', kind: Service, name: idle}                   | |
dialled by mesh clients     | {group: '', kind: Service, name: api}                    | Service api |
a backend of a mesh route   | {group: '', kind: Service, name: used}                   | Service used |
";

#[test]
fn targets() {
    for [name, target, ancestor, finding] in rows(TARGETS) {
        let world = format!(
            "{CLASS}{BASE}
Service shop/idle {{clusterIP: None, ports: [{{port: 80}}]}}
Service shop/used {{clusterIP: None, ports: [{{port: 80}}]}}
Service shop/api {{clusterIP: 10.0.0.1, ports: [{{name: http, port: 80}}]}}
HTTPRoute shop/m {{parentRefs: [{{group: '', kind: Service, name: api}}], rules: [{{backendRefs: [{{name: used, port: 80}}]}}]}}
BackendTLSPolicy shop/p {{targetRefs: [{target}], {CA}}}
BackendTLSPolicy far/p {{targetRefs: [{target}], validation: {{hostname: a, wellKnownCACertificates: System}}}}"
        );
        let output = output(&world);
        let expected: Vec<_> = Some(ancestor)
            .filter(|it| !it.is_empty())
            .into_iter()
            .collect();
        assert_eq!(
            status(&output, "BackendTLSPolicy shop/p"),
            expected,
            "{name}"
        );
        let expected: Vec<_> = Some(finding)
            .filter(|it| !it.is_empty())
            .into_iter()
            .collect();
        assert_eq!(
            notes(&output, "BackendTLSPolicy shop/p"),
            expected,
            "{name}"
        );
    }
}

/// The mesh: what no route takes gets TLS as well, or is refused.
#[test]
fn frontends_are_under_the_policy_too() {
    let world = |validation: &str| {
        format!(
            "Service shop/web {{clusterIP: 10.0.0.1, ports: [{{name: http, port: 80}}, {{name: alt, port: 81}}]}}
ConfigMap shop/ca {{data: {{ca.crt: \"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\"}}}}
BackendTLSPolicy shop/p {{targetRefs: [{{group: '', kind: Service, name: web, sectionName: http}}], {validation}}}"
        )
    };
    for (validation, is_honoured) in [(CA, true), ("validation: {hostname: a}", false)] {
        let output = output(&world(validation));
        let ports = &output.tables.services[&Name::new("shop", "web")].ports;
        assert_eq!(ports[0].tls.is_some(), is_honoured, "{validation}");
        assert_eq!(ports[0].fault.is_none(), is_honoured, "{validation}");
        assert!(
            ports[1].tls.is_none() && ports[1].fault.is_none(),
            "another port"
        );
    }
}

#[test]
fn a_status_holds_sixteen_ancestors() {
    let mut world = format!("{CLASS}{BASE}{}\n", policy(CA));
    for number in 0..20 {
        world += &format!(
            "Gateway infra/g{number} {{gatewayClassName: weft, listeners: [{{name: l, port: 80, protocol: HTTP, allowedRoutes: {{namespaces: {{from: All}}}}}}]}}
HTTPRoute shop/r{number} {{parentRefs: [{{name: g{number}, namespace: infra}}], rules: [{{backendRefs: [{{name: web, port: 80}}]}}]}}\n"
        );
    }
    assert_eq!(status(&output(&world), "BackendTLSPolicy shop/p").len(), 16);
}

/// What a TLS stack says to the authorities counts as their form does.
#[test]
fn authorities_that_a_tls_stack_refuses() {
    let world = |validation: &str| store(&format!("{CLASS}{BASE}{}", policy(validation)));
    let name = Name::new("shop", "ca");
    let unusable = Scope {
        unusable_authorities: UnusableAuthorities {
            config_maps: [(name, "no such curve".to_owned())].into(),
            platform: Some("there are none".to_owned()),
        },
        ..scope()
    };
    let system = "validation: {hostname: a.b, wellKnownCACertificates: System}";
    for (validation, verdict) in [
        (
            CA,
            "Gateway gw Accepted=False/NoValidCACertificate ResolvedRefs=False/InvalidCACertificateRef",
        ),
        (system, "Gateway gw Accepted=False/Invalid"),
    ] {
        let output = translate(&world(validation), &unusable);
        assert_eq!(status(&output, "BackendTLSPolicy shop/p"), [verdict]);
        assert_eq!(sent(&output, 80), "BackendTLSPolicy");
    }
}

/// A translator that lives sees what a policy depends on change: authorities that come, go, and are
/// refused.
#[test]
fn changes_reach_the_routes() {
    let mut store = store(&format!("{CLASS}{BASE}{}", policy(CA)));
    let mut translator = Translator::default();
    let good = |output: &Output| sent(output, 80).starts_with("TLS as web.example");
    assert!(good(&translator.translate(&store, &scope())), "at first");
    for (what, line, is_good) in [
        ("emptied", "ConfigMap shop/ca {data: {ca.crt: ''}}", false),
        (
            "filled again",
            "ConfigMap shop/ca {data: {ca.crt: \"-----BEGIN CERTIFICATE-----\\nMIID\\n-----END CERTIFICATE-----\"}}",
            true,
        ),
    ] {
        for object in objects(line) {
            store.apply(object);
        }
        assert_eq!(
            good(&translator.translate(&store, &scope())),
            is_good,
            "{what}"
        );
    }
    let mut refused = scope();
    let why = "no such curve".to_owned();
    refused
        .unusable_authorities
        .config_maps
        .insert(Name::new("shop", "ca"), why);
    assert!(
        !good(&translator.translate(&store, &refused)),
        "refused by a TLS stack"
    );
    assert!(
        good(&translator.translate(&store, &scope())),
        "accepted again"
    );
}
