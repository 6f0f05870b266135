//! What is not built yet, or belongs to somebody else: refused by name, and never served as if the
//! refused part were not there.

use super::{Case, PLAIN};

const EXTERNAL: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: external-http}
spec: {gatewayClassName: example, listeners: [{name: http, port: 80, protocol: HTTP}]}
";

const NO_IMPORT: &[&str] = &["Accepted=True", "ResolvedRefs=False InvalidKind"];

pub(super) const CASES: &[Case] = &[
    Case {
        files: &[
            "tls-routing/gateway.yaml",
            "tls-routing/tls-route.yaml",
            "tls-routing/tls-route-terminate.yaml",
        ],
        statuses: &[
            (
                "Gateway default/example-gateway",
                &[
                    "Accepted=False ListenersNotValid",
                    "tls Accepted=False UnsupportedProtocol",
                    "tls-terminate Accepted=False UnsupportedProtocol",
                    "tls Programmed=False",
                ],
            ),
            (
                "TLSRoute default/foo-route",
                &["Accepted=False UnsupportedValue: TLSRoute is not built yet"],
            ),
            (
                "TLSRoute default/bar-route",
                &["Accepted=False UnsupportedValue: TLSRoute is not built yet"],
            ),
        ],
        ..PLAIN
    },
    Case {
        files: &["tcp-routing/gateway.yaml", "tcp-routing/tcp-route.yaml"],
        statuses: &[
            (
                "Gateway default/my-tcp-gateway",
                &[
                    "foo Accepted=False UnsupportedProtocol",
                    "foo Programmed=False",
                ],
            ),
            (
                "TCPRoute default/tcp-app-1",
                &["Accepted=False UnsupportedValue: TCPRoute is not built yet"],
            ),
        ],
        ..PLAIN
    },
    Case {
        files: &["udp-routing/gateway.yaml", "udp-routing/udp-route.yaml"],
        statuses: &[
            (
                "Gateway default/my-udp-gateway",
                &[
                    "foo Accepted=False UnsupportedProtocol",
                    "foo Programmed=False",
                ],
            ),
            (
                "UDPRoute default/udp-app-1",
                &["Accepted=False UnsupportedValue: UDPRoute is not built yet"],
            ),
        ],
        ..PLAIN
    },
    Case {
        // The Gateway itself serves; the listeners of others do not.
        files: &["listenerset/listenerset.yaml"],
        statuses: &[
            (
                "ListenerSet team-1-ns/first-workload-listeners",
                &[
                    "Accepted=False ListenersNotValid: ListenerSet is not built yet",
                    "first Programmed=False",
                ],
            ),
            (
                "ListenerSet team-2-ns/second-workload-listeners",
                &["second Accepted=False UnsupportedValue"],
            ),
        ],
        answers: &[("GET http://foo.com/", "404")],
        ..PLAIN
    },
    Case {
        // What the policies protect is never sent in plaintext.
        files: &[
            "backendtlspolicy/backendtlspolicy-ca-certs.yaml",
            "backendtlspolicy/backendtlspolicy-system-certs.yaml",
        ],
        given: "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: example, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: edge}]
  rules:
  - {matches: [{path: {value: /auth}}], backendRefs: [{name: auth, port: 80}]}
  - {matches: [{path: {value: /dev}}], backendRefs: [{name: dev, port: 80}]}
  - {backendRefs: [{name: plain, port: 80}]}
",
        statuses: &[
            (
                "BackendTLSPolicy default/tls-upstream-auth",
                &[
                    "Accepted=False NoValidCACertificate",
                    "ResolvedRefs=False InvalidCACertificateRef",
                ],
            ),
            (
                // Whether this machine has authorities is not for the example to say.
                "BackendTLSPolicy default/tls-upstream-dev",
                &["ResolvedRefs=True"],
            ),
            (
                "HTTPRoute default/web",
                &["Accepted=True", "ResolvedRefs=False UnsupportedProtocol"],
            ),
        ],
        answers: &[
            ("GET http://any/auth", "500"),
            ("GET http://any/", "plain GET /"),
        ],
        ..PLAIN
    },
    Case {
        files: &["backend-tls.yaml"],
        statuses: &[(
            "Gateway default/backend-tls",
            &[
                "ResolvedRefs=False InvalidClientCertificateRef: spec.tls.backend.clientCertificateRef",
            ],
        )],
        answers: &[("GET http://foo.example.com/", "404")],
        ..PLAIN
    },
    Case {
        files: &["frontend-cert-validation.yaml"],
        statuses: &[(
            "Gateway default/client-validation-basic",
            &[
                "foo-https Accepted=False UnsupportedValue: spec.tls.frontend.default.validation",
                "bar-https Accepted=False UnsupportedValue: spec.tls.frontend.perPort[0].tls.validation",
                "foo-https Programmed=False",
            ],
        )],
        ..PLAIN
    },
    Case {
        files: &["gateway-addresses.yaml"],
        statuses: &[(
            "Gateway default/gateway-addresses",
            &[
                "Accepted=False UnsupportedAddress: spec.addresses[10].type",
                "Programmed=False",
            ],
        )],
        ..PLAIN
    },
    Case {
        // A ServiceImport as parent is another controller's: it gets no status from this one.
        files: &[
            "multicluster/0-namespaces.yaml",
            "multicluster/httproute-gamma.yaml",
        ],
        statuses: &[("HTTPRoute default/store", &[])],
        ..PLAIN
    },
    Case {
        files: &["multicluster/httproute-simple.yaml"],
        given: EXTERNAL,
        statuses: &[("HTTPRoute default/store", NO_IMPORT)],
        answers: &[("GET http://any/", "500")],
        ..PLAIN
    },
    Case {
        // Nine of ten requests have a backend; the tenth fails as its weight says.
        files: &["multicluster/httproute-hybrid.yaml"],
        given: EXTERNAL,
        statuses: &[("HTTPRoute default/store", NO_IMPORT)],
        splits: &[("GET http://any/", &[("store", 90), ("500", 10)])],
        ..PLAIN
    },
    Case {
        files: &["multicluster/httproute-location.yaml"],
        given: EXTERNAL,
        statuses: &[("HTTPRoute default/store", NO_IMPORT)],
        answers: &[("GET http://any/west", "500"), ("GET http://any/", "500")],
        ..PLAIN
    },
    Case {
        files: &["multicluster/httproute-method.yaml"],
        given: "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: api-gw}
spec: {gatewayClassName: example, listeners: [{name: http, port: 80, protocol: HTTP}]}
",
        statuses: &[("HTTPRoute default/api", NO_IMPORT)],
        answers: &[("POST http://any/", "500"), ("GET http://any/", "500")],
        ..PLAIN
    },
    Case {
        files: &[
            "multicluster/httproute-referencegrant.yaml",
            "multicluster/0-namespaces.yaml",
        ],
        adopt: true,
        statuses: &[("HTTPRoute foo/foo", NO_IMPORT)],
        answers: &[("GET http://any/bar", "500"), ("GET http://any/foo", "404")],
        ..PLAIN
    },
];
