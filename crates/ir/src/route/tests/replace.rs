//! Sets of which some routes are replaced: equal to sets made anew, and cheaper.

use std::{collections::BTreeMap, sync::Arc};

use super::winner;
use crate::{RouteEntry, RouteId, RouteSet, Rule, fixture::route};

const BEFORE: [&str; 5] = [
    "http a/a a.com | /a | /b",
    "http a/b b.com | /",
    "http b/a *.com | /x GET",
    "http b/a c.com | /x GET",
    "grpc a/a | =s/m",
];

fn entries(lines: &[&str]) -> Vec<RouteEntry> {
    lines.iter().map(|line| route(line)).collect()
}

fn id_of(entry: &RouteEntry) -> Arc<RouteId> {
    entry.route().expect("a route with rules").clone()
}

/// Lines by the route they are of.
fn by_route(lines: &[&str]) -> BTreeMap<Arc<RouteId>, Vec<RouteEntry>> {
    let mut routes: BTreeMap<_, Vec<RouteEntry>> = BTreeMap::new();
    for entry in entries(lines) {
        routes.entry(id_of(&entry)).or_default().push(entry);
    }
    routes
}

/// `(what is done, lines that are put, routes that are taken out, the same set made anew)`.
type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], Vec<&'a str>);

#[test]
fn a_replaced_set_is_the_one_made_anew() {
    let [aa, ab, ba, ba2, grpc] = BEFORE;
    let rows: [Row<'_>; 9] = [
        ("nothing", &[], &[], BEFORE.to_vec()),
        (
            "an edit",
            &["http a/b b.com | /z"],
            &[],
            vec![aa, "http a/b b.com | /z", ba, ba2, grpc],
        ),
        ("one goes", &[], &[ab], vec![aa, ba, ba2, grpc]),
        ("the first goes", &[], &[aa], vec![ab, ba, ba2, grpc]),
        ("the last goes", &[], &[grpc], vec![aa, ab, ba, ba2]),
        (
            "one that is attached twice goes",
            &[],
            &[ba],
            vec![aa, ab, grpc],
        ),
        (
            "one comes at each end and between",
            &["http 0/0 | /0", "http a/aa | /1", "grpc z/z | =z/z"],
            &[],
            vec![
                aa,
                ab,
                ba,
                ba2,
                grpc,
                "http 0/0 | /0",
                "http a/aa | /1",
                "grpc z/z | =z/z",
            ],
        ),
        (
            "a rule less, a host more",
            &["http a/a a.com d.com | /a"],
            &[ba],
            vec!["http a/a a.com d.com | /a", ab, grpc],
        ),
        ("all go", &[], &[aa, ab, ba, grpc], vec![]),
    ];
    for row in rows {
        check(row);
    }
}

fn check((row, put, taken, expected): Row<'_>) {
    let old = RouteSet::new(entries(&BEFORE));
    old.prepare();
    let mut changed = by_route(put);
    changed.extend(taken.iter().map(|line| (id_of(&route(line)), Vec::new())));
    let (new, expected) = (old.replace(changed), RouteSet::new(entries(&expected)));
    assert_eq!(new, expected, "{row}: its entries");
    assert_eq!(new.rules(), expected.rules(), "{row}: its rules");
    let asked = [
        "GET a.com/a",
        "GET a.com/b",
        "GET b.com/z",
        "GET x.com/x",
        "GRPC a.com/s/m",
    ];
    for asked in asked {
        let (found, wanted) = (winner(&new, asked), winner(&expected, asked));
        assert_eq!(found, wanted, "{row}: {asked}");
    }
}

/// What is done to a route.
type Edit = fn(&mut RouteEntry);

#[test]
fn only_a_change_of_what_is_matched_costs_an_index() {
    let kept = |line: &str, edit: Edit| {
        let old = RouteSet::new(entries(&BEFORE));
        old.prepare();
        let mut entry = route(line);
        edit(&mut entry);
        let new = old.replace(BTreeMap::from([(id_of(&entry), vec![entry])]));
        match (old.index.get(), new.index.get()) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            _ => false,
        }
    };
    fn other_backends(entry: &mut RouteEntry) {
        let rules = std::mem::take(&mut entry.rules).into_iter();
        let refusing = |rule| {
            let rule: Rule = Arc::into_inner(rule).expect("nobody else has it");
            Arc::new(Rule::refusing(rule.route, rule.index, None, rule.matches))
        };
        entry.rules = rules.map(refusing).collect();
    }
    let rows: [(&str, &str, Edit, bool); 7] = [
        ("backends", "http a/a a.com | /a | /b", other_backends, true),
        ("a path", "http a/a a.com | /a | /c", |_| {}, false),
        ("a method", "http a/a a.com | /a GET | /b", |_| {}, false),
        ("a rule less", "http a/a a.com | /a", |_| {}, false),
        ("a host", "http a/a d.com | /a | /b", |_| {}, false),
        ("an age", "http a/a @7 a.com | /a | /b", |_| {}, false),
        ("a new route", "http z/z a.com | /a | /b", |_| {}, false),
    ];
    for (row, line, edit, expected) in rows {
        assert_eq!(kept(line, edit), expected, "{row}");
    }
}

#[test]
fn a_set_that_is_not_asked_has_no_index() {
    let set = RouteSet::new(entries(&BEFORE));
    let replaced = set.replace(by_route(&["http a/b b.com | /z"]));
    assert!(set.index.get().is_none() && replaced.index.get().is_none());
    set.prepare();
    assert!(set.index.get().is_some());
}
