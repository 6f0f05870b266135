//! Conditions of whole routes (routing section 8): which reason wins, and what messages name.

use std::mem::size_of;

use weft_api::GrpcRoute;
use weft_ir::{Backend, HttpMatch, Matches, RouteId, Rule};

use super::{
    CompiledRoute, HttpRoute, Outcome, ParentMode, compile, conditions, findings, read, show_rule,
};

fn route(spec: &str) -> Outcome {
    let route = HttpRoute {
        spec: read(spec),
        ..HttpRoute::default()
    };
    compile(route, ParentMode::Gateway)
}

const SOUND: &str = "{matches: [{path: {value: /sound}}], backendRefs: [{name: web, port: 80}]}";
const REDIRECT_AND_REWRITE: &str =
    "{filters: [{type: URLRewrite, urlRewrite: {}}, {type: RequestRedirect, requestRedirect: {}}]}";
const SESSION: &str = "{sessionPersistence: {}}";

#[test]
fn accepted() {
    for (name, rules, expected) in [
        ("every rule is valid", vec![SOUND], vec![]),
        (
            "some are (PartiallyInvalid)",
            vec![SOUND, SESSION],
            vec!["PartiallyInvalid"],
        ),
        (
            "none is (section 14)",
            vec![SESSION, SESSION],
            vec!["Accepted=False/UnsupportedValue"],
        ),
        (
            "none is, because of filters alone (section 6)",
            vec![REDIRECT_AND_REWRITE],
            vec!["Accepted=False/IncompatibleFilters"],
        ),
        (
            "none is, for several reasons",
            vec![REDIRECT_AND_REWRITE, SESSION],
            vec!["Accepted=False/UnsupportedValue"],
        ),
        (
            "an unknown value refuses the route, sound rules and all (HTTPRouteFilter.type)",
            vec![SOUND, "{filters: [{type: Later}]}", SESSION],
            vec!["Accepted=False/UnsupportedValue"],
        ),
    ] {
        let outcome = route(&format!("{{rules: [{}]}}", rules.join(", ")));
        assert_eq!(conditions(&outcome.compiled), expected, "{name}");
        let accepted = outcome.compiled.accepted.is_ok();
        let in_tables = if accepted { rules.len() } else { 0 };
        assert_eq!(
            outcome.compiled.rules.len(),
            in_tables,
            "{name}: accepted rules are in tables"
        );
    }
}

#[test]
fn default_gateways() {
    for (scope, expected) in [
        ("None", vec![]),
        ("All", vec!["Accepted=False/UnsupportedValue"]),
    ] {
        let outcome = route(&format!(
            "{{useDefaultGateways: {scope}, rules: [{SOUND}]}}"
        ));
        assert_eq!(
            conditions(&outcome.compiled),
            expected,
            "scope {scope} (GEP-3793)"
        );
        let fields: Vec<_> = outcome
            .notes
            .iter()
            .map(|note| note.field.as_str())
            .collect();
        assert_eq!(
            fields.contains(&"spec.useDefaultGateways"),
            !expected.is_empty()
        );
    }
}

#[test]
fn routes_without_rules() {
    let outcome = route("{}");
    let rules: Vec<_> = outcome
        .compiled
        .rules
        .iter()
        .map(|rule| show_rule(rule))
        .collect();
    assert_eq!(
        rules,
        ["/"],
        "an HTTPRoute gets the rule that takes everything (HTTPRouteSpec.rules)"
    );
    assert_eq!(
        findings(&outcome.notes).collect::<Vec<_>>(),
        ["WA602 spec.rules[0].backendRefs"]
    );
    let outcome = compile(GrpcRoute::default(), ParentMode::Gateway);
    assert_eq!(
        outcome.compiled.accepted,
        Ok(()),
        "a GRPCRoute without rules is one without rules"
    );
    assert!(
        outcome.compiled.rules.is_empty(),
        "and takes no call (GRPCRouteSpec.rules)"
    );
}

#[test]
fn resolved_refs_shows_the_worst_reason_and_all_problems() {
    let outcome = route(
        "{rules: [{backendRefs: [{name: web, port: 83}, {name: none, port: 80},
         {kind: Pod, name: web, port: 80}, {name: vault, namespace: bank, port: 80}]}]}",
    );
    assert_eq!(
        conditions(&outcome.compiled),
        ["ResolvedRefs=False/RefNotPermitted"]
    );
    let message = outcome
        .compiled
        .resolved_refs
        .expect_err("unresolved")
        .message;
    // A cure may hold a semicolon of its own; a problem begins with its place.
    let message = message.replace("; spec.", "\nspec.");
    let parts: Vec<_> = message.lines().collect();
    for (part, [at, culprit]) in parts.iter().zip([
        [
            "spec.rules[0].backendRefs[3].namespace",
            "Service bank/vault",
        ],
        ["spec.rules[0].backendRefs[2].kind", "\"Pod\""],
        [
            "spec.rules[0].backendRefs[1].name",
            "Service shop/none does not exist",
        ],
        ["spec.rules[0].backendRefs[0].port", "appProtocol \"mysql\""],
    ]) {
        assert!(
            part.starts_with(at) && part.contains(culprit),
            "{at} {culprit}: {part}"
        );
        assert!(part.ends_with(')'), "the cure stands at the end: {part}");
    }
    assert_eq!(parts.len(), 4, "{message}");
}

#[test]
fn partially_invalid_names_rule_field_and_cure() {
    let outcome = route(&format!("{{rules: [{SOUND}, {{retry: {{attempts: 0}}}}]}}"));
    let rejection = outcome
        .compiled
        .partially_invalid
        .expect("one rule is dropped");
    assert_eq!(
        rejection.message,
        "Dropped Rule: spec.rules[1].retry.attempts: 0 is not 1 or more (use a value inside the \
         range)"
    );
}

#[test]
fn messages_stay_bounded() {
    let bad = vec!["{timeouts: {request: x}}"; 200].join(", ");
    let outcome = route(&format!("{{rules: [{SOUND}, {bad}]}}"));
    let message = outcome
        .compiled
        .partially_invalid
        .expect("rules are dropped")
        .message;
    assert!(
        message.len() < 4096,
        "a condition holds 32 KiB, a reader less: {}",
        message.len()
    );
    assert!(message.ends_with("and 194 more"), "{message}");
}

#[test]
fn names() {
    let outcome = route(
        "{rules: [{name: a, backendRefs: [{name: web, port: 80}]},
         {name: a, backendRefs: [{name: web, port: 80}]}]}",
    );
    let names: Vec<_> = outcome
        .compiled
        .rules
        .iter()
        .map(|rule| rule.name.as_deref())
        .collect();
    assert_eq!(
        names,
        [Some("a"), Some("a")],
        "a repeated name costs no request"
    );
    assert_eq!(
        findings(&outcome.notes).collect::<Vec<_>>(),
        ["WA221 spec.rules[1].name"]
    );
}

#[test]
fn the_context_knows_what_was_used() {
    let outcome = route(
        "{rules: [{backendRefs: [{name: web, port: 80}, {name: none, port: 80},
         {name: vault, namespace: bank, port: 80}, {name: ledger, namespace: bank, port: 80}]}]}",
    );
    let services: Vec<_> = outcome
        .uses
        .services
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        services,
        ["bank/ledger", "shop/none", "shop/web"],
        "missing ones may yet appear"
    );
    let grants: Vec<_> = outcome
        .uses
        .grants
        .iter()
        .map(|namespace| &**namespace)
        .collect();
    assert_eq!(
        grants,
        ["bank"],
        "only other namespaces are asked for permission"
    );
}

/// Heap of a rule with one match and one backend whose route has no other, in bytes. Ten thousand of
/// them may take 600 bytes each.
#[test]
fn a_small_rule_stays_small() {
    const COUNTS: usize = 2 * size_of::<usize>();
    const STRING: usize = 24;
    let CompiledRoute { rules, .. } = route(&format!("{{rules: [{SOUND}]}}")).compiled;
    let Matches::Http(matches) = &rules[0].matches else {
        panic!("an HTTPRoute")
    };
    let parts = [
        ("rule", COUNTS + size_of::<Rule>()),
        ("route", COUNTS + size_of::<RouteId>() + COUNTS + STRING),
        (
            "matches",
            matches.capacity() * size_of::<HttpMatch>() + STRING,
        ),
        (
            "backends",
            rules[0].backends.capacity() * size_of::<Backend>() + COUNTS + STRING,
        ),
    ];
    let total: usize = parts.iter().map(|(_, bytes)| bytes).sum();
    assert!(total <= 600, "{total} bytes: {parts:?}");
}

/// WA219 says what requests get, and that depends on the rest of the route.
#[test]
fn dropped_rules_say_what_becomes_of_their_requests() {
    const NO_MATCH: &str = "{matches: [{path: {type: RegularExpression, value: '('}}]}";
    const ANSWERS: &str = "the rule answers 500 until it is corrected";
    const NO_REQUEST: &str =
        "the rule has no match left, so that no request reaches it until it is corrected";
    const IGNORED: &str =
        "the route is not accepted, so that no rule of it acts until it is corrected";
    for (name, rules, expected) in [
        ("beside a sound rule", vec![SOUND, SESSION], ANSWERS),
        (
            "its only match is broken",
            vec![SOUND, NO_MATCH],
            NO_REQUEST,
        ),
        ("no rule is sound", vec![SESSION], IGNORED),
        (
            "another rule refuses the route",
            vec![SOUND, SESSION, "{filters: [{type: Later}]}"],
            IGNORED,
        ),
    ] {
        let outcome = route(&format!("{{rules: [{}]}}", rules.join(", ")));
        let notes = outcome.notes.iter();
        let dropped: Vec<_> = notes.filter(|note| note.code.id == "WA219").collect();
        assert_eq!(dropped.len(), 1, "{name}");
        assert_eq!(dropped[0].message, expected, "{name}");
    }
}
