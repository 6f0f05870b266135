//! Rules that lose to equal matches (routing.md section 8, "Shadowing", and section 4, steps 8 to 11).

use weft_api::ConditionType;

use crate::fixture::{CLASS, lines, notes, output, reference, rows};

const BASE: &str = "Service infra/web {clusterIP: 10.0.0.1, ports: [{port: 80, appProtocol: http}]}
Gateway infra/gw {gatewayClassName: weft, listeners: [{name: a, port: 80, protocol: HTTP, hostname: '*.a.com'},
  {name: b, port: 81, protocol: HTTP}]}";

/// An HTTPRoute `infra/NAME` for `gw` with one rule per list of matches.
fn route(name: &str, extra: &str, rules: &[&str]) -> String {
    let rules = rules
        .iter()
        .map(|matches| format!("{{matches: [{matches}], backendRefs: [{{name: web, port: 80}}]}}"));
    let rules = rules.collect::<Vec<_>>().join(", ");
    format!("HTTPRoute infra/{name} {extra} {{parentRefs: [{{name: gw}}], rules: [{rules}]}}\n")
}

/// Findings of precedence about each route.
fn found(world: &str, route: &str) -> Vec<String> {
    let mut notes = notes(
        &output(&format!("{CLASS}{BASE}\n{world}")),
        &format!("HTTPRoute infra/{route}"),
    );
    notes.retain(|note| note.starts_with("WA3"));
    notes
}

/// `/a` and `/b` as matches.
const A: &str = "{path: {value: /a}}";
const B: &str = "{path: {value: /b}}";

/// Ages and rules of routes `x` and `y`, the route that is looked at, findings about it, and what they
/// say of the winner. Rules are separated by `;`, matches of a rule by `,`.
const EQUALS: &str = "
age: the younger loses        | new A       | old A       | x | WA301 spec.rules[0] | is older
age: the older wins           | new A       | old A       | y |                     |
name, when equally old        | old A       | old A       | y | WA301 spec.rules[0] | comes first by name
name, when without age        | ageless A   | ageless A   | y | WA301 spec.rules[0] | comes first by name
an age comes before none      | ageless A   | new A       | x | WA301 spec.rules[0] | is older
position in the route         | old A;B;A   | old B       | x | WA301 spec.rules[2] | stands before it
a rule does not shadow itself | old A,A     | old B       | x |                     |
some matches only             | old A       | old A,B     | y | WA302 spec.rules[0] | comes first by name
all matches                   | old A;B     | old A,B     | y | WA301 spec.rules[0] | comes first by name
";

/// Route `name`, described as in [`EQUALS`].
fn described(name: &str, text: &str) -> String {
    let (age, rules) = text.split_once(' ').unwrap_or((text, ""));
    let age = match age {
        "old" => "@{creationTimestamp: '2024-01-01T00:00:00Z'}",
        "new" => "@{creationTimestamp: '2025-01-01T00:00:00Z'}",
        _ => "",
    };
    let rules: Vec<String> = rules
        .split(';')
        .map(|rule| rule.replace('A', A).replace('B', B))
        .collect();
    route(
        name,
        age,
        &rules.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

#[test]
fn equal_matches_are_decided_by_age_then_name_then_position() {
    for [name, x, y, object, expected, advantage] in rows(EQUALS) {
        let world = described("x", x) + &described("y", y);
        assert_eq!(found(&world, object), lines(expected), "{name}");
        let output = output(&format!("{CLASS}{BASE}\n{world}"));
        let notes = output
            .notes
            .get(&reference(&format!("HTTPRoute infra/{object}")));
        for note in notes.iter().flat_map(|notes| notes.iter()) {
            let said = note
                .message
                .ends_with(&format!("has equal matches and {advantage}"));
            assert!(said, "{name}: {}", note.message);
        }
    }
    let at_one = described("x", "old A").replace("{name: gw}", "{name: gw, sectionName: a}");
    let world = at_one + &described("y", "old A");
    assert_eq!(
        found(&world, "y"),
        ["WA302 spec.rules[0]"],
        "another listener is left"
    );
}

/// The name is one text: the hyphen comes before the slash.
#[test]
fn names_compare_with_their_namespace_as_one_text() {
    let base = BASE.replace(
        "name: b, port: 81",
        "name: b, port: 81, allowedRoutes: {namespaces: {from: All}}",
    );
    let route = |namespace: &str| {
        route("x", "", &[A])
            .replace("infra/x", &format!("{namespace}/x"))
            .replace("{name: gw}", "{name: gw, namespace: infra}")
    };
    let output = output(&format!("{CLASS}{base}\n{}{}", route("a"), route("a-b")));
    let lost = |name: &str| notes(&output, name).contains(&"WA301 spec.rules[0]".to_owned());
    assert!(lost("HTTPRoute a/x"), "a-b/x comes before a/x");
    assert!(!lost("HTTPRoute a-b/x"));
}

#[test]
fn different_conditions_never_shadow() {
    let pairs = [
        ("path", A, B),
        ("path type", "{path: {type: Exact, value: /a}}", A),
        (
            "regular expression",
            "{path: {type: RegularExpression, value: /a}}",
            A,
        ),
        ("method", "{path: {value: /a}, method: GET}", A),
        ("other method", "{method: GET}", "{method: PUT}"),
        (
            "header",
            "{headers: [{name: a, value: b}]}",
            "{headers: [{name: a, value: c}]}",
        ),
        (
            "header type",
            "{headers: [{name: a, value: b}]}",
            "{headers: [{name: a, value: b, type: RegularExpression}]}",
        ),
        (
            "query",
            "{queryParams: [{name: a, value: b}]}",
            "{queryParams: [{name: b, value: b}]}",
        ),
        (
            "header and query",
            "{headers: [{name: a, value: b}]}",
            "{queryParams: [{name: a, value: b}]}",
        ),
    ];
    for (name, left, right) in pairs {
        let world = route("x", "", &[left]) + &route("y", "", &[right]);
        assert_eq!(found(&world, "y"), [""; 0], "{name}");
        assert_eq!(found(&world, "x"), [""; 0], "{name}");
    }
}

#[test]
fn conditions_are_equal_however_they_are_written() {
    let pairs = [
        ("no match is PathPrefix /", "", "{path: {value: /}}"),
        ("trailing slash", A, "{path: {value: /a/}}"),
        (
            "order of headers, case of names",
            "{headers: [{name: A, value: x}, {name: b, value: z}]}",
            "{headers: [{name: B, value: z}, {name: a, value: x}]}",
        ),
        (
            "repeats do not count",
            "{headers: [{name: a, value: x}, {name: A, value: z}]}",
            "{headers: [{name: a, value: x}]}",
        ),
    ];
    for (name, left, right) in pairs {
        let world = route("x", "", &[left]) + &route("y", "", &[right]);
        assert_eq!(found(&world, "y"), ["WA301 spec.rules[0]"], "{name}");
    }
}

#[test]
fn hostnames_keep_claims_apart() {
    let on = |name: &str, hostnames: &str| {
        route(name, "", &[A]).replace(
            "parentRefs",
            &format!("hostnames: [{hostnames}], parentRefs"),
        )
    };
    let rows: [(&str, &str, &str, &[&str]); 4] = [
        ("other hosts", "x.a.com", "y.a.com", &[]),
        ("wildcard and exact", "'*.a.com'", "y.a.com", &[]),
        ("the same", "x.a.com", "x.a.com", &["WA301 spec.rules[0]"]),
        (
            "one of two",
            "x.a.com",
            "'x.a.com', 'y.a.com'",
            &["WA302 spec.rules[0]"],
        ),
    ];
    for (name, left, right, expected) in rows {
        assert_eq!(
            found(&(on("x", left) + &on("y", right)), "y"),
            expected,
            "{name}"
        );
    }
}

#[test]
fn the_status_names_the_winner() {
    let world = format!(
        "{CLASS}{BASE}\n{}{}",
        route("x", "", &[A]),
        route("y", "", &[B, A])
    );
    let output = output(&world);
    let crate::Status::Route(status) = &*output.statuses[&reference("HTTPRoute infra/y")] else {
        panic!("a route has a route status");
    };
    let conditions = &status.parents[0].conditions;
    let accepted = weft_api::conditions::find(conditions, ConditionType::Accepted);
    let message = accepted.map(|it| it.message.as_str()).unwrap_or_default();
    assert!(
        message.contains("rule 1 never wins: HTTPRoute infra/x rule 0"),
        "{message}"
    );
}
