//! Cross-origin requests: preflights are answered here, other answers of backends are marked.

use super::{Case, PLAIN};

/// The Gateway the examples attach to.
const GATEWAY: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: same-namespace}
spec: {gatewayClassName: example, listeners: [{name: http, port: 80, protocol: HTTP}]}
";

const WITH: Case = Case {
    given: GATEWAY,
    ..PLAIN
};

pub(super) const CASES: &[Case] = &[
    Case {
        files: &["http-cors/httproute-all-fields-set.yaml"],
        answers: &[
            (
                "OPTIONS http://any/cors-behavior-creds-true | origin: https://www.foo.com | access-control-request-method: GET | access-control-request-headers: x-header-1, x-header-2",
                "204 | access-control-allow-origin: https://www.foo.com | access-control-allow-credentials: true | access-control-max-age: 3600 | access-control-allow-headers: x-header-1, x-header-2",
            ),
            (
                "OPTIONS http://any/cors-behavior-creds-true | origin: https://other.foo.com | access-control-request-method: GET",
                "204 | no access-control-allow-origin",
            ),
            (
                "GET http://any/cors-behavior-creds-true | origin: https://a.bar.com",
                "infra-backend-v1 GET /cors-behavior-creds-true | access-control-allow-origin: https://a.bar.com | access-control-allow-credentials: true | access-control-expose-headers: x-header-3, x-header-4",
            ),
            (
                "GET http://any/cors-behavior-creds-true",
                "infra-backend-v1 GET /cors-behavior-creds-true | no access-control-allow-origin",
            ),
        ],
        ..WITH
    },
    Case {
        // The specification leaves the choice between `*` and the origin of the request.
        files: &["http-cors/httproute-all-origins-no-creds.yaml"],
        answers: &[(
            "GET http://any/cors-behavior-creds-false | origin: https://any.example",
            "infra-backend-v1 GET /cors-behavior-creds-false | access-control-allow-origin: https://any.example | no access-control-allow-credentials",
        )],
        ..WITH
    },
    Case {
        files: &["http-cors/httproute-credentials-true.yaml"],
        answers: &[
            (
                "GET http://any/cors-behavior-creds-true | origin: https://app.example",
                "infra-backend-v1 GET /cors-behavior-creds-true | access-control-allow-origin: https://app.example | access-control-allow-credentials: true",
            ),
            (
                "GET http://any/cors-behavior-creds-true | origin: https://other.example",
                "infra-backend-v1 GET /cors-behavior-creds-true | no access-control-allow-origin",
            ),
        ],
        ..WITH
    },
    Case {
        files: &["http-cors/httproute-origins-with-wildcards-no-creds.yaml"],
        answers: &[
            (
                "GET http://any/cors-behavior-creds-false | origin: https://a.b.foo.com",
                "infra-backend-v1 GET /cors-behavior-creds-false | access-control-allow-origin: https://a.b.foo.com",
            ),
            (
                "GET http://any/cors-behavior-creds-false | origin: https://foo.com",
                "infra-backend-v1 GET /cors-behavior-creds-false | no access-control-allow-origin",
            ),
            (
                "GET http://any/cors-behavior-creds-false | origin: http://www.baz.com",
                "infra-backend-v1 GET /cors-behavior-creds-false | no access-control-allow-origin",
            ),
        ],
        ..WITH
    },
    Case {
        files: &["http-cors/httproute-specific-origin-no-creds.yaml"],
        answers: &[(
            "GET http://any/cors-behavior-creds-false | origin: https://app.example",
            "infra-backend-v1 GET /cors-behavior-creds-false | access-control-allow-origin: https://app.example | no access-control-allow-credentials",
        )],
        ..WITH
    },
];
