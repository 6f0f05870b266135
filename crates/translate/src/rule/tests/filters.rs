//! Filters (routing section 6), one by one: every type, every check.

use super::{Row, check};

const DROPPED: &str = "/ | Fail 500: invalid_rule";
const HEADER_MODIFIERS: &[Row<'_>] = &[
    (
        "set, add and remove (HTTPHeaderFilter)",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: A, value: '1'}], add: [{name: b, value: 'x,y'}], remove: [C]}}]}",
        &["/ | RequestHeaderModifier set a: 1, add b: x,y, remove c"],
    ),
    (
        "of responses",
        "{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [server]}}]}",
        &["/ | ResponseHeaderModifier remove server"],
    ),
    (
        "of equal names in one list the first counts (HTTPHeader.name)",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: '1'}, {name: A, value: '2'}]}}]}",
        &[
            "/ | RequestHeaderModifier set a: 1",
            "WA221 spec.rules[0].filters[0].requestHeaderModifier.set[1].name",
        ],
    ),
    (
        "\"Only one action for a given header name is permitted\" (HTTPHeaderFilter)",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: '1'}], remove: [A]}}]}",
        &[
            "PartiallyInvalid",
            DROPPED,
            "WA205 spec.rules[0].filters[0].requestHeaderModifier.remove[0]",
        ],
    ),
    (
        "framing headers are not a filter's (section 6)",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Content-Length, value: '1'}, {name: Connection, value: a}], add: [{name: TE, value: a}, {name: upgrade, value: a}], remove: [transfer-encoding]}}]}",
        &[
            "PartiallyInvalid",
            DROPPED,
            "WA218 spec.rules[0].filters[0].requestHeaderModifier.set[0].name",
            "WA218 spec.rules[0].filters[0].requestHeaderModifier.set[1].name",
            "WA218 spec.rules[0].filters[0].requestHeaderModifier.add[0].name",
            "WA218 spec.rules[0].filters[0].requestHeaderModifier.add[1].name",
            "WA218 spec.rules[0].filters[0].requestHeaderModifier.remove[0]",
        ],
    ),
    (
        "nor are Weft's own (section 10)",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Weft-Identity, value: me}], add: [{name: x-weft-, value: a}], remove: [x-weft-trace]}}]}",
        &[
            "PartiallyInvalid",
            DROPPED,
            "WA218 spec.rules[0].filters[0].requestHeaderModifier.set[0].name",
            "WA218 spec.rules[0].filters[0].requestHeaderModifier.add[0].name",
            "WA218 spec.rules[0].filters[0].requestHeaderModifier.remove[0]",
        ],
    ),
    (
        "of responses too",
        "{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-weft-a, value: b}]}}]}",
        &[
            "PartiallyInvalid",
            DROPPED,
            "WA218 spec.rules[0].filters[0].responseHeaderModifier.set[0].name",
        ],
    ),
    (
        "a name that only begins alike is anybody's",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-weftish, value: a}]}}]}",
        &["/ | RequestHeaderModifier set x-weftish: a"],
    ),
    (
        "the host can be set (section 6)",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Host, value: a.example}]}}]}",
        &["/ | RequestHeaderModifier set host: a.example"],
    ),
    (
        "the host cannot be removed (section 6)",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [Host]}}]}",
        &[
            "PartiallyInvalid",
            DROPPED,
            "WA218 spec.rules[0].filters[0].requestHeaderModifier.remove[0]",
        ],
    ),
    (
        "a name that is none",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: ':path', value: /}]}}]}",
        &[
            "PartiallyInvalid",
            DROPPED,
            "WA205 spec.rules[0].filters[0].requestHeaderModifier.set[0].name",
        ],
    ),
    (
        "a value that is none",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: \"b\\r\\nc: d\"}]}}]}",
        &[
            "PartiallyInvalid",
            DROPPED,
            "WA205 spec.rules[0].filters[0].requestHeaderModifier.set[0].value",
        ],
    ),
];

#[test]
fn header_modifiers() {
    check(HEADER_MODIFIERS);
}

const REDIRECTS: &[Row<'_>] = &[
    (
        "302 by default (HTTPRequestRedirectFilter.statusCode)",
        "{filters: [{type: RequestRedirect, requestRedirect: {hostname: a.example}}]}",
        &["/ | RequestRedirect 302 host a.example"],
    ),
    (
        "every field",
        "{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: a.example, port: 8443, statusCode: 308, path: {type: ReplaceFullPath, replaceFullPath: /x}}}]}",
        &["/ | RequestRedirect 308 scheme https host a.example port 8443 path /x"],
    ),
    (
        "ReplacePrefixMatch of the rule's prefix (HTTPPathModifier)",
        "{matches: [{path: {value: /a/}}], filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}",
        &["/a | RequestRedirect 302 prefix /a -> \"/b\""],
    ),
    (
        "unknown scheme: \"must result in ... Accepted ... False\"",
        "{filters: [{type: RequestRedirect, requestRedirect: {scheme: ftp}}]}",
        &[
            "Accepted=False/UnsupportedValue",
            "WA201 spec.rules[0].filters[0].requestRedirect.scheme",
        ],
    ),
    (
        "unknown status: \"must result in ... Accepted ... False\"",
        "{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 300}}]}",
        &[
            "Accepted=False/UnsupportedValue",
            "WA201 spec.rules[0].filters[0].requestRedirect.statusCode",
        ],
    ),
    (
        "a port outside 1 to 65535",
        "{filters: [{type: RequestRedirect, requestRedirect: {port: 65536}}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA222 spec.rules[0].filters[0].requestRedirect.port",
        ],
    ),
    (
        "a host name with wildcard (PreciseHostname)",
        "{filters: [{type: RequestRedirect, requestRedirect: {hostname: '*.example'}}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA205 spec.rules[0].filters[0].requestRedirect.hostname",
        ],
    ),
    (
        "beside backendRefs (HTTPRouteRule)",
        "{filters: [{type: RequestRedirect, requestRedirect: {}}], backendRefs: [{name: web, port: 80}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA206 spec.rules[0].filters[0]",
        ],
    ),
];

#[test]
fn redirects() {
    check(REDIRECTS);
}

const NEEDS_PREFIX: &[&str] = &[
    "PartiallyInvalid",
    "WA205 spec.rules[0].filters[0].urlRewrite.path",
];
const REWRITES: &[Row<'_>] = &[
    (
        "host and path (HTTPURLRewriteFilter)",
        "{filters: [{type: URLRewrite, urlRewrite: {hostname: a.example, path: {type: ReplaceFullPath, replaceFullPath: /x}}}]}",
        &["/ | URLRewrite host a.example path /x"],
    ),
    (
        "ReplacePrefixMatch without matches replaces / (HTTPRouteRule)",
        "{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}]}",
        &["/ | URLRewrite prefix / -> \"/x\""],
    ),
    (
        "ReplacePrefixMatch with nothing",
        "{matches: [{path: {value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: ''}}}]}",
        &["/a | URLRewrite prefix /a -> \"\""],
    ),
    (
        "ReplacePrefixMatch with an Exact match (HTTPPathModifier)",
        "{matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}]}",
        &[
            "PartiallyInvalid",
            "=/a | Fail 500: invalid_rule",
            NEEDS_PREFIX[1],
        ],
    ),
    (
        "ReplacePrefixMatch with two matches (HTTPRouteRule)",
        "{matches: [{path: {value: /a}}, {path: {value: /b}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}]}",
        &[
            "PartiallyInvalid",
            "/a, /b | Fail 500: invalid_rule",
            NEEDS_PREFIX[1],
        ],
    ),
    (
        "a broken match is one problem, not two",
        "{matches: [{path: {value: a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}]}",
        &[
            "PartiallyInvalid",
            "WA203 spec.rules[0].matches[0].path.value",
        ],
    ),
    (
        "a modifier without its value (HTTPPathModifier)",
        "{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath}}}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            NEEDS_PREFIX[1],
        ],
    ),
    (
        "a modifier with both values (HTTPPathModifier)",
        "{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /a, replacePrefixMatch: /b}}}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            NEEDS_PREFIX[1],
        ],
    ),
    (
        "unknown modifier: \"must result in ... Accepted ... False\" (HTTPPathModifier.type)",
        "{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceRegex}}}]}",
        &[
            "Accepted=False/UnsupportedValue",
            "WA201 spec.rules[0].filters[0].urlRewrite.path.type",
        ],
    ),
    (
        "in the filters of a backend (HTTPRouteRule)",
        "{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 80, filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}]}]}",
        &["/a -> shop/web:80 Http1 [URLRewrite prefix /a -> \"/x\"]"],
    ),
];

#[test]
fn rewrites() {
    check(REWRITES);
}

const MIRRORS: &[Row<'_>] = &[
    (
        "every request by default, to several targets (HTTPRouteFilter.requestMirror)",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}}}, {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 81}, percent: 25}}]}",
        &["/ | RequestMirror 100% to shop/web:80 | RequestMirror 25% to shop/web:81"],
    ),
    (
        "a fraction of 100 by default (Fraction.denominator)",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, fraction: {numerator: 3}}}, {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, fraction: {numerator: 1, denominator: 3}}}]}",
        &["/ | RequestMirror 3% to shop/web:80 | RequestMirror 1/3 to shop/web:80"],
    ),
    (
        "0 % is a share",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, percent: 0}}]}",
        &["/ | RequestMirror 0% to shop/web:80"],
    ),
    (
        "percent and fraction exclude each other (HTTPRequestMirrorFilter)",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, percent: 1, fraction: {numerator: 1}}}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA222 spec.rules[0].filters[0].requestMirror.fraction",
        ],
    ),
    (
        "more than 100 %",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, percent: 101}}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA222 spec.rules[0].filters[0].requestMirror.percent",
        ],
    ),
    (
        "a fraction above 1",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, fraction: {numerator: 2, denominator: 1}}}]}",
        &[
            "PartiallyInvalid",
            "/ | Fail 500: invalid_rule",
            "WA222 spec.rules[0].filters[0].requestMirror.fraction",
        ],
    ),
    (
        "a missing target is dropped, requests are served (HTTPRequestMirrorFilter.backendRef)",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: none, port: 80}}}]}",
        &[
            "ResolvedRefs=False/BackendNotFound",
            "/",
            "WA116 spec.rules[0].filters[0].requestMirror.backendRef.name",
        ],
    ),
    (
        "a target without grant is dropped (HTTPRequestMirrorFilter.backendRef)",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: vault, namespace: bank, port: 80}}}]}",
        &[
            "ResolvedRefs=False/RefNotPermitted",
            "/",
            "WA116 spec.rules[0].filters[0].requestMirror.backendRef.namespace",
        ],
    ),
    (
        "a target with grant",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: ledger, namespace: bank, port: 80}}}]}",
        &["/ | RequestMirror 100% to bank/ledger:80"],
    ),
    (
        "a target under a BackendTLSPolicy gets TLS",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: secure, port: 443}}}]}",
        &[
            "/ | RequestMirror 100% to shop/secure:443 over TLS as a, authorities of the platform (BackendTLSPolicy shop/secure)",
        ],
    ),
    (
        "or nothing, never plaintext (section 14)",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: sealed, port: 443}}}]}",
        &[
            "ResolvedRefs=False/UnsupportedProtocol",
            "/",
            "WA116 spec.rules[0].filters[0].requestMirror.backendRef.name",
        ],
    ),
];

#[test]
fn mirrors() {
    check(MIRRORS);
}

#[test]
fn cors() {
    check(&[
        (
            "5 seconds by default (HTTPCORSFilter.maxAge)",
            "{filters: [{type: CORS, cors: {allowOrigins: ['https://a.example']}}]}",
            &["/ | CORS origins https://a.example; max-age 5s"],
        ),
        (
            "every field",
            "{filters: [{type: CORS, cors: {allowOrigins: ['https://*.example:8443', 'http://b.example'], allowCredentials: true, allowMethods: [PUT, DELETE], allowHeaders: [X-A], exposeHeaders: ['*'], maxAge: 60}}]}",
            &[
                "/ | CORS origins https://*.example:8443 http://b.example; methods PUT, DELETE; headers X-A; expose *; credentials; max-age 60s",
            ],
        ),
        (
            "an origin that is none (CORSOrigin)",
            "{filters: [{type: CORS, cors: {allowOrigins: ['https://a.example', 'a.example']}}]}",
            &[
                "PartiallyInvalid",
                "/ | Fail 500: invalid_rule",
                "WA205 spec.rules[0].filters[0].cors.allowOrigins[1]",
            ],
        ),
        (
            "\"cannot contain '*' alongside other\" entries (HTTPCORSFilter)",
            "{filters: [{type: CORS, cors: {allowOrigins: ['*', 'http://a'], allowMethods: [GET, '*'], allowHeaders: ['*', a]}}]}",
            &[
                "PartiallyInvalid",
                "/ | Fail 500: invalid_rule",
                "WA205 spec.rules[0].filters[0].cors.allowOrigins",
                "WA205 spec.rules[0].filters[0].cors.allowMethods",
                "WA205 spec.rules[0].filters[0].cors.allowHeaders",
            ],
        ),
        (
            "a name that is no token",
            "{filters: [{type: CORS, cors: {allowOrigins: ['*'], exposeHeaders: ['a b']}}]}",
            &[
                "PartiallyInvalid",
                "/ | Fail 500: invalid_rule",
                "WA205 spec.rules[0].filters[0].cors.exposeHeaders",
            ],
        ),
        (
            "less than a second (HTTPCORSFilter.maxAge)",
            "{filters: [{type: CORS, cors: {allowOrigins: ['*'], maxAge: 0}}]}",
            &[
                "PartiallyInvalid",
                "/ | Fail 500: invalid_rule",
                "WA205 spec.rules[0].filters[0].cors.maxAge",
            ],
        ),
    ]);
}
