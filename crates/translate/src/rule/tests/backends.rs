//! Backends (routing sections 2, 7 and 9): what can be referred to, and what answers otherwise.

use super::{ParentMode, Row, check, check_grpc, http_rule};

const REFERENCES: &[Row<'_>] = &[
    (
        "weights, 1 by default (BackendRef.weight)",
        "{backendRefs: [{name: web, port: 80}, {name: web, port: 81, weight: 9}, {name: web, port: 82, weight: 0}]}",
        &["/ -> shop/web:80 Http1, shop/web:81 Http2 x9, shop/web:82 Http1 x0"],
    ),
    (
        "a weight outside 0 to 1,000,000 (BackendRef.weight)",
        "{backendRefs: [{name: web, port: 80, weight: -1}, {name: web, port: 80, weight: 1000001}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA222 spec.rules[0].backendRefs[0].weight",
            "WA222 spec.rules[0].backendRefs[1].weight",
        ],
    ),
    (
        "missing Service: BackendNotFound, its share answers 500 (section 7)",
        "{backendRefs: [{name: web, port: 80}, {name: none, port: 80, weight: 3}]}",
        &[
            "ResolvedRefs=False/BackendNotFound",
            "/ -> shop/web:80 Http1, BackendNotFound(Service shop/none:80) x3",
            "WA102 spec.rules[0].backendRefs[1].name",
        ],
    ),
    (
        "a missing Service of weight 0 is still reported (section 7)",
        "{backendRefs: [{name: web, port: 80}, {name: none, port: 80, weight: 0}]}",
        &[
            "ResolvedRefs=False/BackendNotFound",
            "/ -> shop/web:80 Http1, BackendNotFound(Service shop/none:80) x0",
            "WA102 spec.rules[0].backendRefs[1].name",
        ],
    ),
    (
        "no port: \"Must have port for Service reference\" (BackendObjectReference)",
        "{backendRefs: [{name: web}]}",
        &[
            "ResolvedRefs=False/BackendNotFound",
            "/ -> BackendNotFound(Service shop/web)",
            "WA103 spec.rules[0].backendRefs[0].port",
        ],
    ),
    (
        "not a port of the Service (section 7)",
        "{backendRefs: [{name: web, port: 8080}]}",
        &[
            "ResolvedRefs=False/BackendNotFound",
            "/ -> BackendNotFound(Service shop/web:8080)",
            "WA103 spec.rules[0].backendRefs[0].port",
        ],
    ),
    (
        "a port that is not TCP",
        "{backendRefs: [{name: web, port: 53}]}",
        &[
            "ResolvedRefs=False/UnsupportedProtocol",
            "/ -> UnsupportedProtocol(Service shop/web:53)",
            "WA112 spec.rules[0].backendRefs[0].port",
        ],
    ),
    (
        "a port that is UDP and TCP is TCP here",
        "{backendRefs: [{name: web, port: 54}]}",
        &["/ -> shop/web:54 Http1"],
    ),
    (
        "unknown kind: InvalidKind (HTTPRouteInvalidBackendRefUnknownKind)",
        "{backendRefs: [{group: unknown.example.com, kind: NonExistent, name: web, port: 8080}]}",
        &[
            "ResolvedRefs=False/InvalidKind",
            "/ -> InvalidKind(NonExistent shop/web:8080)",
            "WA104 spec.rules[0].backendRefs[0].group",
        ],
    ),
    (
        "a kind of the core group that is no backend",
        "{backendRefs: [{kind: ConfigMap, name: web, port: 80}]}",
        &[
            "ResolvedRefs=False/InvalidKind",
            "/ -> InvalidKind(ConfigMap shop/web:80)",
            "WA104 spec.rules[0].backendRefs[0].kind",
        ],
    ),
    (
        "group core is read as the core group (section 14)",
        "{backendRefs: [{group: core, kind: Service, name: web, port: 80}]}",
        &["/", "WA109 spec.rules[0].backendRefs[0].group"],
    ),
    (
        "headless and without selector (HTTPRouteServiceTypes)",
        "{backendRefs: [{name: headless, port: 80}]}",
        &["/ -> shop/headless:80 Http1"],
    ),
    (
        "ExternalName (CVE-2021-25740)",
        "{backendRefs: [{name: external, port: 80}]}",
        &[
            "ResolvedRefs=False/InvalidKind",
            "/ -> InvalidKind(Service shop/external:80)",
            "WA110 spec.rules[0].backendRefs[0].name",
        ],
    ),
    (
        "no backends: in the tables, answers 500 (HTTPRouteNoBackendRefs)",
        "{backendRefs: [], filters: []}",
        &["/"],
    ),
];

#[test]
fn references() {
    check(REFERENCES);
}

#[test]
fn other_namespaces() {
    const GRANTED: &str = "{backendRefs: [{name: ledger, namespace: bank, port: 80}]}";
    const REFUSED: &str = "{backendRefs: [{name: vault, namespace: bank, port: 80}]}";
    const MISSING: &str = "{backendRefs: [{name: none, namespace: bank, port: 80}]}";
    const REFUSAL: &[&str] = &["ResolvedRefs=False/RefNotPermitted"];
    check(&[
        (
            "with a grant for the Service (HTTPRouteReferenceGrant)",
            GRANTED,
            &["/ -> bank/ledger:80 Http1"],
        ),
        (
            "without a grant (HTTPRouteInvalidCrossNamespaceBackendRef)",
            REFUSED,
            &[
                REFUSAL[0],
                "/ -> RefNotPermitted(Service bank/vault:80)",
                "WA105 spec.rules[0].backendRefs[0].namespace",
            ],
        ),
        (
            "without a grant nobody learns what exists (GEP-709)",
            MISSING,
            &[
                REFUSAL[0],
                "/ -> RefNotPermitted(Service bank/none:80)",
                "WA105 spec.rules[0].backendRefs[0].namespace",
            ],
        ),
        (
            "the route's own namespace needs none, written or not",
            "{backendRefs: [{name: web, namespace: shop, port: 80}]}",
            &["/"],
        ),
    ]);
    for (name, rule, expected) in [
        (
            "mesh routes need no grant (GEP-1294)",
            REFUSED,
            "/ -> bank/vault:80 AsClient",
        ),
        (
            "with one they work as well",
            GRANTED,
            "/ -> bank/ledger:80 AsClient",
        ),
    ] {
        assert_eq!(http_rule(rule, ParentMode::Mesh), [expected], "{name}");
    }
    check_grpc(&[(
        "a grant names the kind of the route (ReferenceGrantFrom.kind)",
        GRANTED,
        &[
            REFUSAL[0],
            "*/* -> RefNotPermitted(Service bank/ledger:80)",
            "WA105 spec.rules[0].backendRefs[0].namespace",
        ],
    )]);
}

#[test]
fn protocols() {
    const UNUSABLE: [&str; 2] = [
        "ResolvedRefs=False/UnsupportedProtocol",
        "WA112 spec.rules[0].backendRefs[0].port",
    ];
    check(&[
        (
            "kubernetes.io/h2c (HTTPRouteBackendProtocolH2C)",
            "{backendRefs: [{name: web, port: 81}]}",
            &["/ -> shop/web:81 Http2"],
        ),
        (
            "kubernetes.io/ws (HTTPRouteBackendProtocolWebSocket)",
            "{backendRefs: [{name: web, port: 82}]}",
            &["/ -> shop/web:82 Http1"],
        ),
        (
            "one that HTTP cannot be sent in (HTTPBackendRef)",
            "{backendRefs: [{name: web, port: 83}]}",
            &[
                UNUSABLE[0],
                "/ -> UnsupportedProtocol(Service shop/web:83)",
                UNUSABLE[1],
            ],
        ),
    ]);
    check_grpc(&[
        (
            "gRPC is HTTP/2",
            "{backendRefs: [{name: web, port: 54}]}",
            &["*/* -> shop/web:54 Http2"],
        ),
        (
            "which a WebSocket port does not speak (GRPCBackendRef)",
            "{backendRefs: [{name: web, port: 82}]}",
            &[
                UNUSABLE[0],
                "*/* -> UnsupportedProtocol(Service shop/web:82)",
                UNUSABLE[1],
            ],
        ),
    ]);
    let mesh = http_rule("{backendRefs: [{name: web, port: 80}]}", ParentMode::Mesh);
    assert_eq!(
        mesh,
        ["/ -> shop/web:80 AsClient"],
        "mesh backends get what the client speaks"
    );
}

const REFUSED: [&str; 2] = [
    "ResolvedRefs=False/UnsupportedProtocol",
    "WA401 spec.rules[0].backendRefs[0].name",
];

const UNDER_POLICIES: &[Row<'_>] = &[
    (
        "a policy for every port",
        "{backendRefs: [{name: secure, port: 80}]}",
        &[
            "/ -> shop/secure:80 Http1 TLS as a, authorities of the platform (BackendTLSPolicy shop/secure)",
        ],
    ),
    (
        "an appProtocol that the policy explains",
        "{backendRefs: [{name: secure, port: 443}]}",
        &[
            "/ -> shop/secure:443 Http1 TLS as a, authorities of the platform (BackendTLSPolicy shop/secure)",
        ],
    ),
    (
        "an appProtocol that it does not",
        "{backendRefs: [{name: secure, port: 3306}]}",
        &[
            REFUSED[0],
            "/ -> UnsupportedProtocol(Service shop/secure:3306)",
            "WA112 spec.rules[0].backendRefs[0].port",
        ],
    ),
    (
        "a policy for one port (sectionName)",
        "{backendRefs: [{name: partly, port: 443}]}",
        &[
            "/ -> shop/partly:443 Http1 TLS as a, authorities of the platform (BackendTLSPolicy shop/partly)",
        ],
    ),
    (
        "leaves the other port alone (sectionName)",
        "{backendRefs: [{name: partly, port: 80}]}",
        &["/ -> shop/partly:80 Http1"],
    ),
    (
        "a policy that cannot be honoured: never plaintext (section 14)",
        "{backendRefs: [{name: sealed, port: 80}]}",
        &[
            REFUSED[0],
            "/ -> BackendTLSPolicy(Service shop/sealed:80)",
            REFUSED[1],
        ],
    ),
    (
        "said before the appProtocol, which the policy explains",
        "{backendRefs: [{name: sealed, port: 443}]}",
        &[
            REFUSED[0],
            "/ -> BackendTLSPolicy(Service shop/sealed:443)",
            REFUSED[1],
        ],
    ),
    (
        "a policy of another namespace targets nothing here",
        "{backendRefs: [{name: web, port: 80}]}",
        &["/"],
    ),
];

#[test]
fn backend_tls_policies() {
    check(UNDER_POLICIES);
    let mesh = |service: &str| {
        let rule = format!("{{backendRefs: [{{name: {service}, port: 80}}]}}");
        http_rule(&rule, ParentMode::Mesh)
    };
    assert_eq!(
        mesh("sealed")[0],
        REFUSED[0],
        "routed mesh traffic is not sent in plaintext either"
    );
    assert_eq!(
        mesh("secure"),
        [
            "/ -> shop/secure:80 AsClient TLS as a, authorities of the platform (BackendTLSPolicy shop/secure)"
        ],
        "nor where the policy can be honoured"
    );
}
