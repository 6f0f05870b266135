//! Laws of sets: order, storage, equality, what they say about themselves.

use super::{set, winner};
use crate::{RouteKind, RouteSet, fixture::route};

#[test]
fn rules_have_one_order() {
    let lines = [
        "grpc a/a | =s/m",
        "http b/a | /a | /b",
        "http a/z | /",
        "http a/b | /",
    ];
    let ordered = |set: &RouteSet| -> Vec<String> {
        set.rules()
            .iter()
            .map(|rule| format!("{} {}", rule.route, rule.index))
            .collect()
    };
    let mut reversed = lines;
    reversed.reverse();
    let expected = [
        "HTTPRoute a/b 0",
        "HTTPRoute a/z 0",
        "HTTPRoute b/a 0",
        "HTTPRoute b/a 1",
        "GRPCRoute a/a 0",
    ];
    assert_eq!(ordered(&set(&lines)), expected);
    assert_eq!(ordered(&set(&reversed)), expected);
    assert_eq!(
        set(&lines),
        set(&reversed),
        "the order of entries does not matter"
    );
    let json = |lines| serde_json::to_string(&set(lines)).unwrap();
    assert_eq!(json(&lines), json(&reversed), "stored alike, byte for byte");
}

#[test]
fn stored_sets_decide_alike() {
    let stored =
        serde_json::to_string(&set(&["http a/a @3 *.a.com | /x ; ~/y | =/z GET h:1 ?q=1"]));
    let read: RouteSet = serde_json::from_str(&stored.unwrap()).unwrap();
    assert_eq!(
        winner(&read, "GET b.a.com/z?q=1 h:1").as_deref(),
        Some("HTTPRoute a/a 1.0")
    );
    assert_eq!(
        winner(&read, "GET b.a.com/y").as_deref(),
        Some("HTTPRoute a/a 0.1")
    );
    assert_eq!(winner(&read, "GET a.com/y"), None);
}

#[test]
fn equality_looks_at_everything() {
    let one = set(&["http a/a @3 a.com | /x"]);
    for other in [
        "http a/a @4 a.com | /x",
        "http a/a @3 b.com | /x",
        "http a/a @3 a.com | /y",
    ] {
        assert_ne!(one, set(&[other]), "{other}");
    }
    assert_eq!(one, set(&["http a/a @3 a.com | /x"]));
    assert_eq!(RouteSet::default(), set(&[]));
}

#[test]
fn restriction_by_path() {
    let rows = [
        ("nothing", vec![], false),
        ("the default match", vec!["http a/a | "], false),
        (
            "the prefix / with other conditions",
            vec!["http a/a | / GET h:1 ?q=1"],
            false,
        ),
        ("a prefix", vec!["http a/a | / | /a"], true),
        ("an exact path", vec!["http a/a | =/"], true),
        ("an expression", vec!["http a/a | ~.*"], true),
        ("every call", vec!["grpc a/a | h:1"], false),
        ("a method", vec!["grpc a/a | =/m"], true),
        (
            "one route of two",
            vec!["http a/a | /", "http a/b | /b"],
            true,
        ),
    ];
    for (name, routes, expected) in rows {
        assert_eq!(set(&routes).restricts_by_path(), expected, "{name}");
    }
}

#[test]
fn kinds_of_a_set() {
    let mixed = set(&["http a/a | /", "grpc a/a | "]);
    assert!(mixed.has(RouteKind::Http) && mixed.has(RouteKind::Grpc) && !mixed.is_empty());
    let http = set(&["http a/a | /"]);
    assert!(http.has(RouteKind::Http) && !http.has(RouteKind::Grpc));
    assert!(set(&[]).is_empty());
    assert!(
        RouteSet::new(vec![route("http a/a a.com")]).is_empty(),
        "a route without rules"
    );
}

/// Two parentRefs may attach one route twice.
#[test]
fn a_route_that_is_attached_twice() {
    let entries = ["http a/a *.com | /x", "http a/a | /x", "http b/b b.com | /"];
    let twice = set(&entries);
    assert_eq!(twice.rules().len(), 2, "its rules are there once");
    assert_eq!(
        winner(&twice, "GET a.com/x").as_deref(),
        Some("HTTPRoute a/a 0.0")
    );
    assert_eq!(
        winner(&twice, "GET a.org/x").as_deref(),
        Some("HTTPRoute a/a 0.0")
    );
    assert_eq!(
        winner(&twice, "GET b.com/x").as_deref(),
        Some("HTTPRoute b/b 0.0")
    );
}

/// Text that only looks alike to an index by elements.
#[test]
fn neighbours_in_the_index() {
    let routes = ["http a/a | /a/b | /a/bc | /ab | =/a/b/ | /b/a | =/a | /a/b/c/d"];
    let rows = [
        ("/a/b", Some("0")),
        ("/a/b/", Some("3")),
        ("/a/b/c", Some("0")),
        ("/a/b/c/d/e", Some("6")),
        ("/a/bc/d", Some("1")),
        ("/ab", Some("2")),
        ("/abc", None),
        ("/a", Some("5")),
        ("/a/", None),
        ("/b", None),
        ("/b/a/b", Some("4")),
        ("/", None),
    ];
    for (path, rule) in rows {
        let expected = rule.map(|rule| format!("HTTPRoute a/a {rule}.0"));
        assert_eq!(
            winner(&set(&routes), &format!("GET a.com{path}")),
            expected,
            "{path}"
        );
    }
}

#[test]
fn a_ranked_table_begins_with_what_wins() {
    let set = set(&[
        "http a/a *.a.com | / | /long",
        "http a/b b.a.com c.a.com | / GET ; /",
        "http a/c | =/exact",
        "grpc a/d | =s/m ; =s/",
    ]);
    let ranked: Vec<String> = set
        .ranked()
        .into_iter()
        .map(|(hostname, winner)| {
            let rule = &set.rules()[winner.rule as usize];
            let host = hostname.map_or("*".to_owned(), ToString::to_string);
            format!(
                "{host} {} {}.{}",
                rule.route.name, rule.index, winner.matched
            )
        })
        .collect();
    let expected = [
        "* a/d 0.0",
        "* a/d 0.1",
        "b.a.com a/b 0.0",
        "b.a.com a/b 0.1",
        "c.a.com a/b 0.0",
        "c.a.com a/b 0.1",
        "*.a.com a/a 1.0",
        "*.a.com a/a 0.0",
        "* a/c 0.0",
    ];
    assert_eq!(ranked, expected);
}
