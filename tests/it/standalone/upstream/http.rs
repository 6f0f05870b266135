//! HTTPRoutes: matching, attachment, TLS, header filters, mirrors, grants.

use super::{Case, PLAIN};

/// A Gateway with one HTTP listener, as the example names it.
const ACME: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: acme-gw}
spec: {gatewayClassName: acme-lb, listeners: [{name: http, port: 80, protocol: HTTP}]}
";

pub(super) const CASES: &[Case] = &[
    Case {
        files: &["basic-http.yaml"],
        answers: &[
            ("GET http://foo.com/bar/x", "my-service1 GET /bar/x"),
            ("GET http://foo.com/barx", "404"),
            ("GET http://bar.com/bar", "404"),
            ("GET http://foo.com/some/thing?great=example | magic: foo", "my-service2 GET /some/thing?great=example"),
            ("GET http://foo.com/some/thing?great=example", "404"),
            ("GET http://foo.com/some/thing?great=other | magic: foo", "404"),
            ("POST http://foo.com/some/thing?great=example | magic: foo", "404"),
        ],
        ..PLAIN
    },
    Case {
        // The backend of the first rule is a kind nobody here knows.
        files: &["default-match-http.yaml"],
        statuses: &[("HTTPRoute default/default-match-route", &[
            "Accepted=True",
            "ResolvedRefs=False InvalidKind: spec.rules[0].backendRefs[0]",
        ])],
        answers: &[
            ("GET http://default-match.com/any | magic: default-match", "500"),
            ("GET http://default-match.com/example/exact", "my-service-2 GET /example/exact"),
            ("GET http://default-match.com/example/exact | magic: default-match", "my-service-2 GET /example/exact"),
            ("GET http://default-match.com/example/exact/not", "404"),
        ],
        ..PLAIN
    },
    Case {
        files: &["httproute.yaml"],
        adopt: true,
        answers: &[
            ("GET http://any/mypath", "my-service-1 GET /mypath"),
            ("GET http://any/mypath/x", "my-service-1 GET /mypath/x"),
            ("GET http://any/mypath-012/x", "my-service-2 GET /mypath-012/x"),
            ("GET http://any/mypath-013", "404"),
            ("GET http://any/my%20path/123", "my-service-3 GET /my%20path/123"),
        ],
        ..PLAIN
    },
    Case {
        files: &["http-filter.yaml"],
        adopt: true,
        answers: &[
            ("GET http://my.filter.com/", "my-filter-svc1 GET / | saw my-header: foo"),
            ("GET http://my.filter.com/ | my-header: own", "my-filter-svc1 GET / | saw my-header: own,foo"),
        ],
        ..PLAIN
    },
    Case {
        files: &["http-request-header-add.yaml"],
        given: ACME,
        answers: &[
            ("GET http://any/add-a-request-header", "echo GET /add-a-request-header | saw my-header-name: my-header-value"),
            ("GET http://any/other", "404"),
        ],
        ..PLAIN
    },
    Case {
        files: &["http-request-header-set.yaml"],
        given: ACME,
        answers: &[(
            "GET http://any/edit-a-request-header | my-header-name: old",
            "echo GET /edit-a-request-header | saw my-header-name: my-new-header-value",
        )],
        ..PLAIN
    },
    Case {
        files: &["http-request-header-remove.yaml"],
        given: ACME,
        answers: &[(
            "GET http://any/remove-a-request-header | x-request-id: 1 | x-other: 2",
            "echo GET /remove-a-request-header | saw no x-request-id | saw x-other: 2",
        )],
        ..PLAIN
    },
    Case {
        files: &["http-request-mirroring/httproute-mirroring.yaml"],
        given: "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: mirror-gateway}
spec: {gatewayClassName: acme-lb, listeners: [{name: http, port: 80, protocol: HTTP}]}
",
        answers: &[("GET http://mirror.example/x", "foo-v1 GET /x | copy to foo-v2")],
        ..PLAIN
    },
    Case {
        files: &["http-routing/gateway.yaml", "http-routing/foo-httproute.yaml", "http-routing/bar-httproute.yaml"],
        answers: &[
            ("GET http://example.com/", "example-svc GET /"),
            ("GET http://foo.example.com/login", "foo-svc GET /login"),
            ("GET http://foo.example.com/other", "404"),
            ("GET http://bar.example.com/", "bar-svc GET /"),
            ("GET http://bar.example.com/ | env: canary", "bar-svc-canary GET /"),
            ("GET http://baz.example.com/", "404"),
        ],
        ..PLAIN
    },
    Case {
        files: &["simple-gateway/gateway.yaml", "simple-gateway/httproute.yaml"],
        answers: &[("GET http://any/x", "foo-svc GET /x")],
        ..PLAIN
    },
    Case {
        // Routes of other namespaces than the Gateway's stay outside.
        files: &["simple-gateway/gateway.yaml", "0-namespaces.yaml"],
        given: "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: other, namespace: gateway-api-example-ns1}
spec: {parentRefs: [{name: prod-web, namespace: default}]}
",
        statuses: &[("HTTPRoute gateway-api-example-ns1/other", &["Accepted=False NotAllowedByListeners"])],
        answers: &[("GET http://any/x", "404")],
        ..PLAIN
    },
    Case {
        files: &["http-route-attachment/gateway-strict.yaml", "http-route-attachment/httproute.yaml", "0-namespaces.yaml"],
        answers: &[("GET http://any/x", "foo-svc GET /x")],
        ..PLAIN
    },
    Case {
        files: &["http-route-attachment/gateway-namespaces.yaml"],
        given: "\
{apiVersion: v1, kind: Namespace, metadata: {name: exposed, labels: {expose-apps: \"true\"}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: hidden}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: exposed}
spec:
  hostnames: [exposed.example]
  parentRefs: [{name: prod-gateway, namespace: gateway-api-example-ns1}]
  rules: [{backendRefs: [{name: app, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: hidden}
spec:
  hostnames: [hidden.example]
  parentRefs: [{name: prod-gateway, namespace: gateway-api-example-ns1}]
  rules: [{backendRefs: [{name: app, port: 80}]}]
",
        statuses: &[("HTTPRoute hidden/app", &["Accepted=False NotAllowedByListeners"])],
        answers: &[
            ("GET http://exposed.example/", "app GET /"),
            ("GET http://hidden.example/", "404"),
        ],
        ..PLAIN
    },
    Case {
        files: &["cross-namespace-routing/0-namespaces.yaml", "cross-namespace-routing/gateway.yaml", "cross-namespace-routing/site-route.yaml", "cross-namespace-routing/store-route.yaml"],
        answers: &[
            ("GET https://foo.example.com/", "home GET /"),
            ("GET https://foo.example.com/store/1", "store GET /store/1"),
        ],
        splits: &[("GET https://foo.example.com/login", &[("login-v1", 90), ("login-v2", 10)])],
        ..PLAIN
    },
    Case {
        files: &["simple-http-https/gateway.yaml", "simple-http-https/foo-route.yaml", "simple-http-https/bar-route.yaml", "simple-http-https/tls-redirect-route.yaml"],
        answers: &[
            ("GET https://foo.example.com/x", "foo-app GET /x"),
            ("GET https://foo.example.com/orders/1", "foo-orders-app GET /orders/1"),
            ("GET https://bar.example.com/orders", "bar-app GET /orders"),
            ("GET http://foo.example.com/x?q=1", "302 | location: https://foo.example.com/x?q=1"),
            ("GET http://bar.example.com/", "302 | location: https://bar.example.com/"),
            ("GET http://baz.example.com/", "404"),
        ],
        ..PLAIN
    },
    Case {
        files: &["tls-basic.yaml"],
        given: "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: foo}
spec: {parentRefs: [{name: tls-basic, sectionName: foo-https}], rules: [{backendRefs: [{name: foo, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bar}
spec: {parentRefs: [{name: tls-basic, sectionName: bar-https}], rules: [{backendRefs: [{name: bar, port: 80}]}]}
",
        answers: &[
            ("GET https://foo.example.com/", "foo GET /"),
            ("GET https://bar.example.com/", "bar GET /"),
        ],
        ..PLAIN
    },
    Case {
        files: &["wildcard-tls-gateway.yaml"],
        given: "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: foo}
spec: {parentRefs: [{name: wildcard-tls-gateway, sectionName: foo-https}], rules: [{backendRefs: [{name: foo, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: others}
spec: {parentRefs: [{name: wildcard-tls-gateway, sectionName: wildcard-https}], rules: [{backendRefs: [{name: others, port: 80}]}]}
",
        answers: &[
            ("GET https://foo.example.com/", "foo GET /"),
            ("GET https://bar.example.com/", "others GET /"),
        ],
        ..PLAIN
    },
    Case {
        files: &["tls-cert-cross-namespace.yaml", "0-namespaces.yaml"],
        given: "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: gateway-api-example-ns1}
spec: {parentRefs: [{name: cross-namespace-tls-gateway}], rules: [{backendRefs: [{name: app, port: 80}]}]}
",
        answers: &[("GET https://any.example.com/", "app GET /")],
        ..PLAIN
    },
    Case {
        files: &["reference-grant.yaml"],
        given: "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: example
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: prod}
spec:
  hostnames: [prod.example]
  parentRefs: [{name: edge, namespace: default}]
  rules: [{backendRefs: [{name: app, namespace: default, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: test}
spec:
  hostnames: [test.example]
  parentRefs: [{name: edge, namespace: default}]
  rules: [{backendRefs: [{name: app, namespace: default, port: 80}]}]
",
        statuses: &[("HTTPRoute test/app", &["Accepted=True", "ResolvedRefs=False RefNotPermitted"])],
        answers: &[
            ("GET http://prod.example/", "app GET /"),
            ("GET http://test.example/", "500"),
        ],
        ..PLAIN
    },
];
