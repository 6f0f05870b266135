//! Lists of filters (routing section 6): what is never skipped, what may not stand together, and
//! which filters a GRPCRoute has.

use super::{Row, check, check_grpc};

const NOT_HONOURED: &[Row<'_>] = &[
    (
        "ExtensionRef: error response, reference unresolved (HTTPRouteFilter.type)",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [a]}}, {type: ExtensionRef, extensionRef: {group: example.com, kind: Wasm, name: a}}]}",
        &[
            "ResolvedRefs=False/InvalidKind",
            "/ | Fail 500: unresolved_filter",
            "WA104 spec.rules[0].filters[1].extensionRef",
        ],
    ),
    (
        "ExtensionRef on a backend: its share only (HTTPBackendRef.filters)",
        "{backendRefs: [{name: web, port: 80, filters: [{type: ExtensionRef, extensionRef: {group: example.com, kind: Wasm, name: a}}]}, {name: web, port: 81}]}",
        &[
            "ResolvedRefs=False/InvalidKind",
            "/ -> InvalidFilter(Service shop/web:80), shop/web:81 Http2",
            "WA104 spec.rules[0].backendRefs[0].filters[0].extensionRef",
        ],
    ),
    (
        "unknown type: \"must result in ... Accepted ... False\" (HTTPRouteFilter.type)",
        "{filters: [{type: RateLimit}]}",
        &[
            "Accepted=False/UnsupportedValue",
            "WA204 spec.rules[0].filters[0].type",
        ],
    ),
    (
        "unknown type on a backend",
        "{backendRefs: [{name: web, port: 80, filters: [{type: RateLimit}]}]}",
        &[
            "Accepted=False/UnsupportedValue",
            "WA204 spec.rules[0].backendRefs[0].filters[0].type",
        ],
    ),
    (
        "ExternalAuth, known and not built (section 14)",
        "{filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: web, port: 80}}}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA204 spec.rules[0].filters[0].type",
        ],
    ),
    (
        "a bad filter on a backend drops its rule (section 14)",
        "{backendRefs: [{name: web, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [te]}}]}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA218 spec.rules[0].backendRefs[0].filters[0].requestHeaderModifier.remove[0]",
        ],
    ),
    (
        "\"must be specified for\" its type (HTTPRouteFilter)",
        "{filters: [{type: CORS}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA205 spec.rules[0].filters[0]",
        ],
    ),
    (
        "\"must be nil if the filter.type is not\" (HTTPRouteFilter)",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {}, urlRewrite: {}}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA205 spec.rules[0].filters[0]",
        ],
    ),
    (
        "an ExtensionRef without reference is invalid, not unresolved",
        "{filters: [{type: ExtensionRef}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA205 spec.rules[0].filters[0]",
        ],
    ),
];

#[test]
fn filters_that_cannot_be_honoured_are_never_skipped() {
    check(NOT_HONOURED);
}

#[test]
fn filters_that_may_not_stand_together() {
    const RULE: [&str; 2] = ["PartiallyInvalid", "/ | Fail 500: invalid_rule"];
    check(&[
        (
            "rewrite and redirect (HTTPRouteRule.filters)",
            "{filters: [{type: URLRewrite, urlRewrite: {}}, {type: RequestRedirect, requestRedirect: {}}]}",
            &[RULE[0], RULE[1], "WA206 spec.rules[0].filters[1]"],
        ),
        (
            "redirect and rewrite",
            "{filters: [{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {}}]}",
            &[RULE[0], RULE[1], "WA206 spec.rules[0].filters[1]"],
        ),
        (
            "on a backend",
            "{backendRefs: [{name: web, port: 80, filters: [{type: URLRewrite, urlRewrite: {}}, {type: RequestRedirect, requestRedirect: {}}]}]}",
            &[
                RULE[0],
                RULE[1],
                "WA206 spec.rules[0].backendRefs[0].filters[1]",
            ],
        ),
        (
            "a repeated filter (HTTPRouteRule.filters)",
            "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {}}, {type: ResponseHeaderModifier, responseHeaderModifier: {}}, {type: RequestHeaderModifier, requestHeaderModifier: {}}]}",
            &[RULE[0], RULE[1], "WA206 spec.rules[0].filters[2]"],
        ),
        (
            "a rewrite of the rule and a redirect of its backend are two lists",
            "{filters: [{type: URLRewrite, urlRewrite: {hostname: a}}], backendRefs: [{name: web, port: 80, filters: [{type: RequestRedirect, requestRedirect: {port: 81}}]}]}",
            &["/ | URLRewrite host a -> shop/web:80 Http1 [RequestRedirect 302 port 81]"],
        ),
    ]);
}

#[test]
fn grpc_filters() {
    check_grpc(&[
        (
            "header modifiers and mirrors (GRPCRouteFilterType)",
            "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [a]}}, {type: ResponseHeaderModifier, responseHeaderModifier: {remove: [b]}}, {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}}}]}",
            &[
                "*/* | RequestHeaderModifier remove a | ResponseHeaderModifier remove b | RequestMirror 100% to shop/web:80",
            ],
        ),
        (
            "what HTTPRoute alone has is unknown here (GRPCRouteFilterType)",
            "{filters: [{type: URLRewrite, urlRewrite: {}}, {type: CORS, cors: {}}]}",
            &[
                "Accepted=False/UnsupportedValue",
                "WA204 spec.rules[0].filters[0].type",
                "WA204 spec.rules[0].filters[1].type",
            ],
        ),
        (
            "ExtensionRef (GRPCRouteFilter.type)",
            "{filters: [{type: ExtensionRef, extensionRef: {group: example.com, kind: Wasm, name: a}}]}",
            &[
                "ResolvedRefs=False/InvalidKind",
                "*/* | Fail 500: unresolved_filter",
                "WA104 spec.rules[0].filters[0].extensionRef",
            ],
        ),
    ]);
}
