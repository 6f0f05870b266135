//! Tests of `precedence`: the step that explains an order is the order.

use super::{Created, Precedence};
use crate::fixture::route;

/// Every precedence of a collection of matches that differ in every way.
fn check(lines: &[&str]) {
    let entries: Vec<_> = lines.iter().map(|line| route(line)).collect();
    let mut all = Vec::new();
    for entry in &entries {
        for rule in &entry.rules {
            for matched in 0..rule.matches.len() {
                for hostname in [(0, 0), (0, 5), (5, 5)] {
                    all.push(Precedence::new(rule, matched, entry.created, hostname));
                }
            }
        }
    }
    for a in &all {
        for b in &all {
            assert_eq!(
                a.step(b),
                b.step(a),
                "a step has no direction: {a:?} and {b:?}"
            );
            assert_eq!(
                a.step(b).is_none(),
                a == b,
                "only a match and itself tie: {a:?} and {b:?}"
            );
            assert_eq!(a.cmp(b).is_eq(), a == b);
        }
    }
}

#[test]
fn two_matches_always_differ_by_a_step() {
    check(&[
        "http a/a @1 | / ; /x ; =/x ; ~/x ; ~/xx | / GET ; / h:1 ; / ?q=1",
        "http a/b @1 | / ; / | / GET h:1 ?q=1",
        "http b/a | / ; /x",
        "grpc a/a @2 | ; =s/m ; =s/ ; =/m ; ~s/m ; ~/m ; h:1",
        "grpc a/a-b | =s/m | =s/m",
    ]);
}

#[test]
fn older_comes_first() {
    let order = [Some(i64::MIN), Some(-1), Some(0), Some(7), None];
    assert!(order.map(Created).is_sorted_by(|a, b| a < b));
}
