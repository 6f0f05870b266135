//! Laws of rule compilation, over rules put together from good and bad pieces.

use proptest::{prelude::*, sample};
use weft_api::route::HttpRule;
use weft_ir::{Filter, Rule};

use super::{HttpRoute, Outcome, ParentMode, compile, read};
use crate::notes::Severity;

/// Codes of references: they cost a backend or a mirror, not the rule.
const REFERENCES: [&str; 8] = [
    "WA102", "WA103", "WA104", "WA105", "WA110", "WA112", "WA116", "WA401",
];

const MATCHES: [&str; 12] = [
    "{}",
    "{path: {value: /a}}",
    "{path: {value: a}}",
    "{path: {type: Exact, value: /a/}}",
    "{path: {type: RegularExpression, value: '/[a-z]+'}}",
    "{path: {type: RegularExpression, value: '('}}",
    "{path: {type: Later, value: /a}}",
    "{method: GET}",
    "{headers: [{name: a, value: b}, {name: A, type: RegularExpression, value: '['}]}",
    "{headers: [{name: 'a b', value: c}]}",
    "{queryParams: [{name: a, value: b}, {name: a, value: c}]}",
    "{queryParams: [{name: a, type: RegularExpression, value: '*'}]}",
];

const FILTERS: [&str; 16] = [
    "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}]}}",
    "{type: RequestHeaderModifier, requestHeaderModifier: {remove: [te]}}",
    "{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: a, value: b}]}}",
    "{type: ResponseHeaderModifier, requestHeaderModifier: {}}",
    "{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}}}",
    "{type: RequestMirror, requestMirror: {backendRef: {name: none, port: 80}}}",
    "{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, percent: 101}}",
    "{type: RequestRedirect, requestRedirect: {port: 81}}",
    "{type: RequestRedirect, requestRedirect: {statusCode: 299}}",
    "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}",
    "{type: URLRewrite, urlRewrite: {hostname: '*.a'}}",
    "{type: CORS, cors: {allowOrigins: ['*']}}",
    "{type: CORS, cors: {allowOrigins: [a]}}",
    "{type: ExtensionRef, extensionRef: {group: a, kind: B, name: c}}",
    "{type: ExternalAuth, externalAuth: {backendRef: {name: web, port: 80}}}",
    "{type: Later}",
];

const BACKENDS: [&str; 8] = [
    "{name: web, port: 80}",
    "{name: web, port: 81, weight: 0}",
    "{name: web, weight: -1}",
    "{name: web, port: 9}",
    "{name: none, port: 80}",
    "{name: vault, namespace: bank, port: 80}",
    "{name: secure, port: 80}",
    "{kind: Pod, name: web, port: 80}",
];

const REST: [&str; 6] = [
    "name: a",
    "timeouts: {request: 1s, backendRequest: 500ms}",
    "timeouts: {request: 1s, backendRequest: 2s}",
    "retry: {codes: [503], attempts: 2}",
    "retry: {codes: [200]}",
    "sessionPersistence: {}",
];

const NEIGHBOUR: &str =
    "{matches: [{path: {value: /sound}}], backendRefs: [{name: web, port: 80}]}";

/// A rule in YAML.
fn rule() -> impl Strategy<Value = String> {
    let some = |pool: &'static [&'static str], most| {
        prop::collection::vec(sample::select(pool), 0..=most).prop_map(|list| list.join(", "))
    };
    (
        some(&MATCHES, 2),
        some(&FILTERS, 3),
        some(&BACKENDS, 2),
        sample::select(&REST[..]),
    )
        .prop_map(|(matches, filters, backends, rest)| {
            format!(
                "{{matches: [{matches}], filters: [{filters}], backendRefs: [{backends}], {rest}}}"
            )
        })
}

fn compiled(rules: &[&str], parent: ParentMode) -> Outcome {
    let mut route = HttpRoute::default();
    route.spec.rules = rules.iter().map(|rule| read(rule)).collect();
    compile(route, parent)
}

fn fails(rule: &Rule) -> bool {
    rule.backends.is_empty()
        && matches!(
            rule.filters.iter().collect::<Vec<_>>()[..],
            [Filter::Fail(_)]
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    /// A bad rule leaves its neighbour as it is (invariant 17 inside a route).
    #[test]
    fn a_rule_never_changes_its_neighbour(rule in rule()) {
        for parent in [ParentMode::Gateway, ParentMode::Mesh] {
            let outcome = compiled(&[&rule, NEIGHBOUR], parent);
            let alone = compiled(&[NEIGHBOUR], parent);
            if outcome.compiled.accepted.is_ok() {
                let neighbour = outcome.compiled.rules.last().expect("the sound rule");
                prop_assert_eq!(&neighbour.matches, &alone.compiled.rules[0].matches);
                prop_assert_eq!(&neighbour.filters, &alone.compiled.rules[0].filters);
                prop_assert_eq!(&neighbour.backends, &alone.compiled.rules[0].backends);
            }
        }
    }

    /// A rule with a problem is never served; one without has every filter and backend it names.
    #[test]
    fn a_rule_is_served_as_written_or_not_at_all(text in rule()) {
        let outcome = compiled(&[&text, NEIGHBOUR], ParentMode::Gateway);
        let is_problem = |code: &str, severity| {
            severity == Severity::Error && !REFERENCES.contains(&code)
        };
        let problem = outcome.notes.iter().any(|note| is_problem(note.code.id, note.severity()));
        let refused = outcome.compiled.accepted.is_err();
        let dropped = outcome.compiled.partially_invalid.is_some();
        prop_assert_eq!(problem, refused || dropped, "findings and conditions disagree");
        let rule = outcome.compiled.rules.iter().find(|rule| rule.index == 0);
        let written: HttpRule = read(&text);
        match rule {
            None => prop_assert!(problem, "a rule without problem is missing"),
            Some(rule) if problem => prop_assert!(fails(rule), "served in spite of a problem"),
            Some(rule) => {
                let unresolved = written.filters.iter().any(|f| f.extension_ref.is_some());
                let lost = outcome.notes.iter().filter(|note| note.code.id == "WA116").count();
                let filters = rule.filters.iter().count();
                prop_assert!(
                    if unresolved { fails(rule) } else { filters == written.filters.len() - lost },
                    "a filter was skipped"
                );
                let backends = if unresolved { 0 } else { written.backend_refs.len() };
                prop_assert_eq!(rule.backends.len(), backends, "a backend lost its share");
            }
        }
    }
}
