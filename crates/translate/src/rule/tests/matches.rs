//! Matches (routing sections 4 and 5): every type, every check, repeated names, broken matches.

use super::{Row, check, check_grpc};

#[test]
fn paths() {
    check(&[
        (
            "no matches: PathPrefix / (HTTPRouteRule.matches)",
            "{}",
            &["/"],
        ),
        (
            "no path: PathPrefix / (HTTPRouteMatch.path)",
            "{matches: [{method: GET}]}",
            &["/ GET"],
        ),
        (
            "no type: PathPrefix (HTTPPathMatch.type)",
            "{matches: [{path: {value: /a}}]}",
            &["/a"],
        ),
        (
            "no value: / (HTTPPathMatch.value)",
            "{matches: [{path: {type: Exact}}]}",
            &["=/"],
        ),
        (
            "a trailing / of a prefix is ignored (PathMatchPathPrefix)",
            "{matches: [{path: {value: /a/b/}}]}",
            &["/a/b"],
        ),
        (
            "a trailing / of an exact path counts (PathMatchExact)",
            "{matches: [{path: {type: Exact, value: /a/}}]}",
            &["=/a/"],
        ),
        (
            "a regular expression (PathMatchRegularExpression)",
            "{matches: [{path: {type: RegularExpression, value: '/v[12]|/v3/.*'}}]}",
            &["~/v[12]|/v3/.*"],
        ),
        (
            "literal paths are normalised like the paths of requests (section 5)",
            "{matches: [{path: {value: '/%7eme/%c3%a9'}}]}",
            &["/~me/%C3%A9"],
        ),
        (
            "unknown type: \"must result in ... Accepted ... False\" (PathMatchType)",
            "{matches: [{path: {type: Glob, value: /a}}]}",
            &[
                "Accepted=False/UnsupportedValue",
                "WA201 spec.rules[0].matches[0].path.type",
            ],
        ),
    ]);
}

/// A match that cannot be compiled takes nothing; when it is the only one, the rule is in no table.
#[test]
fn literal_paths_that_no_request_can_have() {
    for (name, value) in [
        ("\"Must begin with the `/` character\" (PathMatchType)", "a"),
        ("an empty value does not", ""),
        ("no consecutive / (PathMatchType)", "/a//b"),
        ("no /./ (HTTPPathMatch)", "/a/./b"),
        ("no /../ (HTTPPathMatch)", "/a/../b"),
        ("no /. at the end (HTTPPathMatch)", "/a/."),
        ("no /.. at the end (HTTPPathMatch)", "/a/.."),
        ("no dot segment in disguise (section 5)", "/a/%2e%2e/b"),
        ("no %2f (HTTPPathMatch)", "/a%2fb"),
        ("no %2F (HTTPPathMatch)", "/a%2Fb"),
        ("no %5c, which is refused with 400 (section 5)", "/a%5cb"),
        ("no # (HTTPPathMatch)", "/a#b"),
        ("no other character (HTTPPathMatch)", "/a b"),
        ("no half escape (HTTPPathMatch)", "/a%4"),
    ] {
        for type_ in ["PathPrefix", "Exact"] {
            let rule = format!("{{matches: [{{path: {{type: {type_}, value: '{value}'}}}}]}}");
            check(&[(
                name,
                &rule,
                &[
                    "PartiallyInvalid",
                    "WA203 spec.rules[0].matches[0].path.value",
                ],
            )]);
        }
    }
}

#[test]
fn a_broken_match_takes_nothing_and_the_others_answer_500() {
    check(&[
        (
            "one of two does not compile (section 14)",
            "{matches: [{path: {type: RegularExpression, value: '('}}, {path: {value: /b}}]}",
            &[
                "PartiallyInvalid",
                "/b | Fail 500: invalid_rule",
                "WA207 spec.rules[0].matches[0].path.value",
            ],
        ),
        (
            "a regular expression above the size limit (section 5)",
            "{matches: [{path: {type: RegularExpression, value: '(a{1000}){1000}'}}, {path: {value: /b}}]}",
            &[
                "PartiallyInvalid",
                "/b | Fail 500: invalid_rule",
                "WA701 spec.rules[0].matches[0].path.value",
            ],
        ),
        (
            "every problem of a match is said",
            "{matches: [{path: {value: a}, headers: [{name: 'x y', value: a}, {name: x, type: RegularExpression, value: '['}]}]}",
            &[
                "PartiallyInvalid",
                "WA203 spec.rules[0].matches[0].path.value",
                "WA203 spec.rules[0].matches[0].headers[0].name",
                "WA207 spec.rules[0].matches[0].headers[1].value",
            ],
        ),
    ]);
}

const CONDITIONS: &[Row<'_>] = &[
    (
        "a method (HTTPRouteMatch.method)",
        "{matches: [{method: PATCH}]}",
        &["/ PATCH"],
    ),
    (
        "unknown method: \"must result in ... Accepted ... False\" (HTTPMethod)",
        "{matches: [{method: get}]}",
        &[
            "Accepted=False/UnsupportedValue",
            "WA201 spec.rules[0].matches[0].method",
        ],
    ),
    (
        "header names have no case; the default is Exact (HTTPHeaderMatch)",
        "{matches: [{headers: [{name: X-Version, value: Two}, {name: host, type: RegularExpression, value: 'a.*'}]}]}",
        &["/ x-version=Two host~a.*"],
    ),
    (
        "of equal header names only the first counts (HTTPHeaderMatch.name)",
        "{matches: [{headers: [{name: v, value: a}, {name: V, value: b}]}]}",
        &["/ v=a", "WA221 spec.rules[0].matches[0].headers[1]"],
    ),
    (
        "an ignored repeat cannot break the match (HTTPHeaderMatch.name)",
        "{matches: [{headers: [{name: v, value: a}, {name: V, type: RegularExpression, value: '('}]}]}",
        &["/ v=a", "WA221 spec.rules[0].matches[0].headers[1]"],
    ),
    (
        "pseudo headers are no headers (HTTPHeaderName)",
        "{matches: [{headers: [{name: ':path', value: a}]}]}",
        &[
            "PartiallyInvalid",
            "WA203 spec.rules[0].matches[0].headers[0].name",
        ],
    ),
    (
        "unknown header match type (HeaderMatchType)",
        "{matches: [{headers: [{name: v, type: Prefix, value: a}]}]}",
        &[
            "Accepted=False/UnsupportedValue",
            "WA201 spec.rules[0].matches[0].headers[0].type",
        ],
    ),
    (
        "names of query parameters have case (HTTPQueryParamMatch.name)",
        "{matches: [{queryParams: [{name: v, value: a}, {name: V, type: RegularExpression, value: 'b+'}]}]}",
        &["/ ?v=a ?V~b+"],
    ),
    (
        "of equal query names only the first counts (HTTPQueryParamMatch.name)",
        "{matches: [{queryParams: [{name: v, value: a}, {name: v, value: b}]}]}",
        &["/ ?v=a", "WA221 spec.rules[0].matches[0].queryParams[1]"],
    ),
    (
        "unknown query match type (QueryParamMatchType)",
        "{matches: [{queryParams: [{name: v, type: Prefix, value: a}]}]}",
        &[
            "Accepted=False/UnsupportedValue",
            "WA201 spec.rules[0].matches[0].queryParams[0].type",
        ],
    ),
];

#[test]
fn methods_headers_and_query_parameters() {
    check(CONDITIONS);
}

const BROKEN: &[&str] = &["PartiallyInvalid", "WA203 spec.rules[0].matches[0].method"];
const GRPC_CALLS: &[Row<'_>] = &[
    (
        "no matches: every call (GRPCRouteRule.matches)",
        "{}",
        &["*/*"],
    ),
    (
        "no method: every call (GRPCRouteMatch.method)",
        "{matches: [{}]}",
        &["*/*"],
    ),
    (
        "service and method, Exact by default (GRPCMethodMatch.type)",
        "{matches: [{method: {service: a.B, method: Get}}]}",
        &["a.B/Get"],
    ),
    (
        "service only",
        "{matches: [{method: {service: a.B}}]}",
        &["a.B/*"],
    ),
    (
        "method only",
        "{matches: [{method: {method: Get}}]}",
        &["*/Get"],
    ),
    (
        "regular expressions (GRPCMethodMatchRegularExpression)",
        "{matches: [{method: {type: RegularExpression, service: 'a\\..*', method: 'Get|Put'}}]}",
        &["~a\\..*/~Get|Put"],
    ),
    (
        "\"At least one ... MUST be a non-empty string\"",
        "{matches: [{method: {}}]}",
        BROKEN,
    ),
    (
        "an empty string is none (GRPCMethodMatch)",
        "{matches: [{method: {service: '', method: ''}}]}",
        BROKEN,
    ),
    (
        "\"Must not contain `/`\" (GRPCMethodMatchType)",
        "{matches: [{method: {service: a/b}}, {method: {service: c}}]}",
        &[
            "PartiallyInvalid",
            "c/* | Fail 500: invalid_rule",
            "WA203 spec.rules[0].matches[0].method.service",
        ],
    ),
    (
        "method names are identifiers (GRPCMethodMatch)",
        "{matches: [{method: {service: a, method: 1st}}]}",
        &[
            "PartiallyInvalid",
            "WA203 spec.rules[0].matches[0].method.method",
        ],
    ),
    (
        "an expression that does not compile (section 14)",
        "{matches: [{method: {type: RegularExpression, method: '*'}}]}",
        &[
            "PartiallyInvalid",
            "WA207 spec.rules[0].matches[0].method.method",
        ],
    ),
    (
        "unknown type",
        "{matches: [{method: {type: Prefix, service: a}}]}",
        &[
            "Accepted=False/UnsupportedValue",
            "WA201 spec.rules[0].matches[0].method.type",
        ],
    ),
    (
        "headers, of equal names the first (GRPCHeaderMatch.name)",
        "{matches: [{headers: [{name: V, value: a}, {name: v, value: b}]}]}",
        &["*/* v=a", "WA221 spec.rules[0].matches[0].headers[1]"],
    ),
    (
        "unknown header match type (GRPCHeaderMatchType)",
        "{matches: [{headers: [{name: v, type: Prefix, value: a}]}]}",
        &[
            "Accepted=False/UnsupportedValue",
            "WA201 spec.rules[0].matches[0].headers[0].type",
        ],
    ),
];

#[test]
fn grpc_calls() {
    check_grpc(GRPC_CALLS);
}
