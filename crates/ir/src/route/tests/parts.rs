//! Sets taken apart, and matches that are not understood.

use std::sync::Arc;

use super::{set, winner};
use crate::{Filter, Filters, Matches, RouteId, RouteSet, Rule, fixture::route};

fn names(routes: &[Arc<RouteId>]) -> Vec<String> {
    routes.iter().map(|route| route.name.to_string()).collect()
}

#[test]
fn only_routes_whose_rules_are_not_shared_count_as_changed() {
    let lines = ["http a/a | /", "http a/b x.com | /", "http b/a | /a | /b"];
    let entries: Vec<_> = lines.iter().map(|line| route(line)).collect();
    let old = RouteSet::new(entries.clone());
    let without = |at: usize| {
        let mut entries = entries.clone();
        entries.remove(at);
        entries
    };
    let with = |line: &str| {
        let mut entries = entries.clone();
        entries.push(route(line));
        entries
    };
    let edited = |at: usize, line: &str| {
        let mut entries = entries.clone();
        entries[at] = route(line);
        entries
    };
    let mut rehosted = entries.clone();
    rehosted[0].hostnames = rehosted[1].hostnames.clone();
    let rows = [
        ("nothing", entries.clone(), vec![]),
        ("the first is gone", without(0), vec!["a/a"]),
        ("the last is gone", without(2), vec!["b/a"]),
        (
            "one in the middle is new",
            with("http a/c | /"),
            vec!["a/c"],
        ),
        ("one at the end is new", with("http c/c | /"), vec!["c/c"]),
        (
            "rules are equal but not shared",
            edited(1, lines[1]),
            vec!["a/b"],
        ),
        ("another host", rehosted, vec!["a/a"]),
        (
            "one goes, one comes",
            edited(1, "http a/x | /"),
            vec!["a/b", "a/x"],
        ),
        ("all are gone", Vec::new(), vec!["a/a", "a/b", "b/a"]),
    ];
    for (row, entries, expected) in rows {
        let new = RouteSet::new(entries);
        assert_eq!(names(&new.changed_since(&old)), expected, "{row}");
        assert_eq!(
            names(&old.changed_since(&new)),
            expected,
            "{row}, backwards"
        );
    }
}

#[test]
fn the_entries_of_a_route_are_found_by_name() {
    let set = set(&[
        "http a/a | /",
        "http a/b x.com | /",
        "http a/b y.com | /b",
        "grpc a/b | -",
    ]);
    let count = |line: &str| {
        let sample = route(line);
        let id = sample.route().expect("a route with rules");
        set.entries_of(id).len()
    };
    assert_eq!(count("http a/a | /"), 1);
    assert_eq!(count("http a/b | /"), 2, "a set may hold a route twice");
    assert_eq!(count("grpc a/b | -"), 1);
    assert_eq!(count("http a/c | /"), 0);
}

/// What is not understood takes only what nothing else takes.
#[test]
fn matches_of_a_newer_version_come_last() {
    let set = set(&[
        "http a/new @1 a.com | ! ; /new",
        "http a/old @2 a.com | /old",
        "http a/any @3 *.com | /any",
        "grpc a/call @4 | !",
    ]);
    let rows = [
        ("GET a.com/old", "HTTPRoute a/old 0.0"),
        ("GET a.com/any", "HTTPRoute a/any 0.0"),
        ("GET a.com/new", "HTTPRoute a/new 0.1"),
        ("GET a.com/else", "HTTPRoute a/new 0.0"),
        ("GRPC a.com/s/m", "GRPCRoute a/call 0.0"),
        ("GRPC a.com/old/m", "HTTPRoute a/old 0.0"),
    ];
    for (asked, expected) in rows {
        assert_eq!(winner(&set, asked).as_deref(), Some(expected), "{asked}");
    }
    assert_eq!(
        winner(&set, "GET b.com/x"),
        None,
        "no call, and not its host"
    );
}

#[test]
fn a_refusing_rule_answers_500_before_anything_else_acts() {
    let sample = route("http a/a | /");
    let id = sample.route().expect("a route with rules").clone();
    let rule = Rule::refusing(id, 0, None, Matches::Http(Vec::new()));
    assert!(rule.filters.is_terminal());
    let redirect = serde_json::json!({"type": "Redirect", "status": 301});
    let newer = serde_json::json!({"type": "Teleport", "to": "mars"});
    let read: Filters = serde_json::from_value(serde_json::json!([redirect, newer])).unwrap();
    let kept: Vec<&Filter> = read.iter().collect();
    assert_eq!(
        kept,
        [&Filter::Unsupported],
        "the redirect would answer first"
    );
}
