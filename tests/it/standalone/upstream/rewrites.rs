//! Redirects and rewrites.

use super::{Case, PLAIN};

const FILTER_GATEWAY: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: my-filter-gateway, namespace: gateway-api-example-ns1}
spec: {gatewayClassName: filter-lb, listeners: [{name: http, port: 80, protocol: HTTP}]}
";

pub(super) const CASES: &[Case] = &[
    Case {
        files: &["http-redirect.yaml"],
        answers: &[
            (
                "GET http://my-filter.example.com/x?q=1",
                "302 | location: https://my-filter.example.com/x?q=1",
            ),
            (
                "GET https://my-filter.example.com/x",
                "my-filter-svc1 GET /x",
            ),
            ("GET http://other.example.com/x", "404"),
        ],
        ..PLAIN
    },
    Case {
        files: &["http-redirect-path.yaml", "0-namespaces.yaml"],
        given: FILTER_GATEWAY,
        answers: &[(
            "GET http://my-filter.example.com/bar?q=1",
            "302 | location: http://my-filter.example.com/foo?q=1",
        )],
        ..PLAIN
    },
    Case {
        // It rewrites for nobody: a rule without backends answers 500.
        files: &["http-rewrite.yaml", "0-namespaces.yaml"],
        given: FILTER_GATEWAY,
        answers: &[("GET http://my-filter.example.com/bar", "500")],
        ..PLAIN
    },
    Case {
        files: &[
            "http-redirect-rewrite/gateway-redirect-http-https.yaml",
            "http-redirect-rewrite/httproute-redirect-http.yaml",
            "http-redirect-rewrite/httproute-redirect-https.yaml",
        ],
        answers: &[
            (
                "GET http://redirect.example/x",
                "301 | location: https://redirect.example/x",
            ),
            ("GET https://redirect.example/x", "example-svc GET /x"),
        ],
        ..PLAIN
    },
    Case {
        files: &[
            "http-redirect-rewrite/gateway-redirect-http-https.yaml",
            "http-redirect-rewrite/httproute-redirect-303.yaml",
        ],
        answers: &[
            (
                "POST http://forms.example.com/submit-form",
                "303 | location: http://forms.example.com/thank-you",
            ),
            (
                "POST https://forms.example.com/submit-form",
                "303 | location: https://forms.example.com/thank-you",
            ),
            ("GET http://forms.example.com/submit-form", "404"),
        ],
        ..PLAIN
    },
    Case {
        files: &[
            "http-redirect-rewrite/gateway-redirect-http-https.yaml",
            "http-redirect-rewrite/httproute-redirect-307.yaml",
        ],
        answers: &[(
            "PUT http://api.example.com/api/v1/things",
            "307 | location: http://api.example.com/api/v2",
        )],
        ..PLAIN
    },
    Case {
        files: &[
            "http-redirect-rewrite/gateway-redirect-http-https.yaml",
            "http-redirect-rewrite/httproute-redirect-308.yaml",
        ],
        answers: &[(
            "DELETE http://api.example.com/old-api/1",
            "308 | location: http://api.example.com/new-api",
        )],
        ..PLAIN
    },
    Case {
        files: &["http-redirect-rewrite/httproute-redirect-full.yaml"],
        adopt: true,
        answers: &[
            (
                "GET http://redirect.example/cayenne/teaspoon",
                "302 | location: http://redirect.example/paprika",
            ),
            ("GET http://redirect.example/cayennes", "404"),
        ],
        ..PLAIN
    },
    Case {
        files: &["http-redirect-rewrite/httproute-redirect-prefix.yaml"],
        adopt: true,
        answers: &[
            (
                "GET http://redirect.example/cayenne/teaspoon",
                "302 | location: http://redirect.example/paprika/teaspoon",
            ),
            (
                "GET http://redirect.example/cayenne",
                "302 | location: http://redirect.example/paprika",
            ),
        ],
        ..PLAIN
    },
    Case {
        files: &["http-redirect-rewrite/httproute-rewrite.yaml"],
        adopt: true,
        answers: &[(
            "GET http://rewrite.example/x",
            "example-svc GET /x | saw host: elsewhere.example",
        )],
        ..PLAIN
    },
    Case {
        files: &["http-redirect-rewrite/httproute-rewrite-full-path.yaml"],
        adopt: true,
        answers: &[(
            "GET http://rewrite.example/cardamom/teaspoon",
            "example-svc GET /fennel | saw host: elsewhere.example",
        )],
        ..PLAIN
    },
    Case {
        files: &["http-redirect-rewrite/httproute-rewrite-prefix-path.yaml"],
        adopt: true,
        answers: &[
            (
                "GET http://rewrite.example/cardamom/teaspoon?q=1",
                "example-svc GET /fennel/teaspoon?q=1 | saw host: elsewhere.example",
            ),
            (
                "GET http://rewrite.example/cardamom",
                "example-svc GET /fennel",
            ),
        ],
        ..PLAIN
    },
];
