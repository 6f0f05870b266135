//! Time limits, retries and what is not built yet (routing sections 7 and 14).

use std::time::Duration;

use weft_ir::{Retry, Timeouts};

use super::{HttpRoute, ParentMode, check, check_grpc, compile, findings, read};

const DROPPED: [&str; 2] = ["PartiallyInvalid", "/ | Fail 500: invalid_rule"];

/// Time limits and retries of a rule that is valid.
fn policies(rule: &str) -> (Timeouts, Option<Retry>) {
    let mut route = HttpRoute::default();
    route.spec.rules = vec![read(rule)];
    let outcome = compile(route, ParentMode::Gateway);
    assert_eq!(outcome.compiled.accepted, Ok(()), "{rule} is accepted");
    let rule = outcome.compiled.rules.first().expect("one rule");
    (rule.timeouts, rule.retry.clone())
}

#[test]
fn timeouts() {
    let ms = |ms| Some(Duration::from_millis(ms));
    let rows = [
        ("none by default (section 7)", "{}", None, None),
        (
            "both (GEP-1742)",
            "{request: 2m, backendRequest: 1m30s}",
            ms(120_000),
            ms(90_000),
        ),
        ("each alone", "{request: 500ms}", ms(500), None),
        ("each alone", "{backendRequest: 1h}", None, ms(3_600_000)),
        (
            "equal",
            "{request: 1s, backendRequest: 1000ms}",
            ms(1000),
            ms(1000),
        ),
        (
            "0s is no limit (HTTPRouteTimeouts.request)",
            "{request: 0s, backendRequest: 2s}",
            None,
            ms(2000),
        ),
        (
            "0s is no limit (HTTPRouteTimeouts.backendRequest)",
            "{request: 2s, backendRequest: 0s}",
            ms(2000),
            None,
        ),
    ];
    for (name, timeouts, request, backend_request) in rows {
        let (compiled, _) = policies(&format!("{{timeouts: {timeouts}}}"));
        assert_eq!(
            compiled,
            Timeouts {
                request,
                backend_request
            },
            "{name}: {timeouts}"
        );
    }
}

#[test]
fn timeouts_that_are_none() {
    check(&[
        (
            "backendRequest beyond request (HTTPRouteTimeouts)",
            "{timeouts: {request: 1s, backendRequest: 1001ms}}",
            &[
                DROPPED[0],
                DROPPED[1],
                "WA222 spec.rules[0].timeouts.backendRequest",
            ],
        ),
        (
            "not a GEP-2257 duration",
            "{timeouts: {request: 1.5s, backendRequest: '10'}}",
            &[
                DROPPED[0],
                DROPPED[1],
                "WA208 spec.rules[0].timeouts.request",
                "WA208 spec.rules[0].timeouts.backendRequest",
            ],
        ),
    ]);
}

#[test]
fn requests_that_may_be_made_twice() {
    for (annotations, expected, notes) in [
        ("{}", false, &[][..]),
        ("{weft.dev/idempotent: 'true'}", true, &[]),
        ("{weft.dev/idempotent: 'false'}", false, &[]),
        (
            "{weft.dev/idempotent: 'yes'}",
            false,
            &["WA227 metadata.annotations[weft.dev/idempotent]"],
        ),
        ("{other.dev/idempotent: 'true'}", false, &[]),
    ] {
        let mut route = HttpRoute::default();
        route.metadata.annotations = read(annotations);
        route.spec.rules = vec![
            read("{backendRefs: [{name: web, port: 80}]}"),
            read("{retry: {attempts: 0}, backendRefs: [{name: web, port: 80}]}"),
        ];
        let outcome = compile(route, ParentMode::Gateway);
        let said: Vec<_> = (outcome.compiled.rules.iter())
            .map(|rule| rule.idempotent)
            .collect();
        assert_eq!(said, [expected; 2], "{annotations}: every rule says so");
        let found = findings(&outcome.notes).filter(|note| note.contains("annotations"));
        let found: Vec<_> = found.collect();
        assert_eq!(found, notes, "{annotations}");
    }
}

#[test]
fn retries() {
    let retry = |codes: &[u16], attempts, backoff_ms| {
        Some(Retry {
            codes: codes.to_vec(),
            attempts,
            backoff: Duration::from_millis(backoff_ms),
        })
    };
    for (name, rule, expected) in [
        ("none by default", "{}", None),
        (
            "an empty stanza retries connection errors (HTTPRouteRetry)",
            "{retry: {}}",
            retry(&[], 1, 25),
        ),
        (
            "codes, attempts, backoff (GEP-1731)",
            "{retry: {codes: [504, 500, 503, 500], attempts: 3, backoff: 1s}}",
            retry(&[500, 503, 504], 3, 1000),
        ),
        (
            "any code of 400 to 599 (HTTPRouteRetryStatusCode)",
            "{retry: {codes: [400, 599]}}",
            retry(&[400, 599], 1, 25),
        ),
    ] {
        assert_eq!(policies(rule).1, expected, "{name}");
    }
    check(&[
        (
            "a code outside 400 to 599 (HTTPRouteRetryStatusCode)",
            "{retry: {codes: [500, 200, 600]}}",
            &[
                DROPPED[0],
                DROPPED[1],
                "WA222 spec.rules[0].retry.codes[1]",
                "WA222 spec.rules[0].retry.codes[2]",
            ],
        ),
        (
            "fewer than one attempt (HTTPRouteRetry.attempts)",
            "{retry: {attempts: 0}}",
            &[DROPPED[0], DROPPED[1], "WA222 spec.rules[0].retry.attempts"],
        ),
        (
            "backoff that is no duration",
            "{retry: {backoff: soon}}",
            &[DROPPED[0], DROPPED[1], "WA208 spec.rules[0].retry.backoff"],
        ),
    ]);
}

#[test]
fn what_is_not_built_is_refused() {
    check(&[(
        "session persistence (section 14)",
        "{sessionPersistence: {sessionName: a}}",
        &[
            DROPPED[0],
            DROPPED[1],
            "WA202 spec.rules[0].sessionPersistence",
        ],
    )]);
    check_grpc(&[(
        "session persistence (section 14)",
        "{sessionPersistence: {sessionName: a}}",
        &[
            "PartiallyInvalid",
            "*/* | Fail 500: invalid_rule",
            "WA202 spec.rules[0].sessionPersistence",
        ],
    )]);
}
