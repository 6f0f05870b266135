//! Verdicts follow from figures; goals name figures that exist.

use super::list::goal;
use super::{GOALS, Goal, Limit, Verdict};
use crate::bench::figures::{Table, column};
use crate::bench::peers::Peer;

fn table(name: &str, rows: &[(&str, f64)]) -> Table {
    let runs = rows
        .iter()
        .map(|&(peer, value)| (peer.to_owned(), vec![vec![(column::CPU, value)]]));
    Table::new(name, runs.collect())
}

fn check(goal: &Goal, tables: &[Table], expected: Verdict, ratio: Option<&str>) {
    assert_eq!(
        goal.verdict(tables),
        expected,
        "{} of {tables:?}",
        goal.first
    );
    assert_eq!(
        goal.ratio(tables).as_deref(),
        ratio,
        "{} of {tables:?}",
        goal.first
    );
}

#[test]
fn a_goal_beside_a_peer_is_a_ratio() {
    let (first, beyond) = (
        Limit::Times(0.5, Peer::Envoy),
        Limit::Times(1.0, Peer::Nginx),
    );
    let goal = goal("P0", "hop", ("h1", column::CPU), first, beyond);
    let tables = |rows: &[(&str, f64)]| [table("h1", rows)];
    let peers = [("Envoy", 30.0), ("nginx", 9.0)];
    for (weft, verdict, ratio) in [
        (16.0, Verdict::Missed, "0.533"),
        (15.0, Verdict::Met, "0.500"),
        (9.0, Verdict::Beyond, "0.300"),
    ] {
        let rows = [("Weft", weft), peers[0], peers[1]];
        check(&goal, &tables(&rows), verdict, Some(ratio));
    }
    check(&goal, &tables(&peers), Verdict::Unknown, None);
    check(&goal, &tables(&[("Weft", 9.0)]), Verdict::Unknown, None);
    check(
        &goal,
        &tables(&[("Weft", 9.0), peers[0]]),
        Verdict::Met,
        Some("0.300"),
    );
}

#[test]
fn a_goal_of_its_own_needs_no_peer() {
    let goal = goal(
        "P0",
        "memory",
        ("idle", column::CPU),
        Limit::AtMost(20.0),
        Limit::AtMost(8.0),
    );
    check(
        &goal,
        &[table("idle", &[("Weft", 20.0)])],
        Verdict::Met,
        None,
    );
    check(
        &goal,
        &[table("idle", &[("Weft", 20.1)])],
        Verdict::Missed,
        None,
    );
    check(
        &goal,
        &[table("other", &[("Weft", 1.0)])],
        Verdict::Unknown,
        None,
    );
}

#[test]
fn a_goal_may_compare_with_another_table() {
    let (first, beyond) = (Limit::TimesOwn(1.05, "one"), Limit::TimesOwn(1.02, "one"));
    let goal = goal("P0", "cost", ("many", column::CPU), first, beyond);
    let tables = |many| {
        [
            table("one", &[("Weft", 10.0)]),
            table("many", &[("Weft", many)]),
        ]
    };
    check(&goal, &tables(10.1), Verdict::Beyond, Some("1.01"));
    check(&goal, &tables(10.6), Verdict::Missed, Some("1.06"));
}

#[test]
fn a_goal_may_compare_with_a_peer_in_another_table() {
    let limit = Limit::TimesOf(0.8, Peer::Ztunnel, "bytes");
    let goal = goal("P0", "routed", ("requests", column::CPU), limit, limit);
    let tables = |weft| {
        [
            table("requests", &[("Weft", weft), ("ztunnel", 1.0)]),
            table("bytes", &[("Weft", 2.0), ("ztunnel", 100.0)]),
        ]
    };
    check(&goal, &tables(79.0), Verdict::Beyond, Some("0.790"));
    check(&goal, &tables(81.0), Verdict::Missed, Some("0.810"));
    let without = [table("requests", &[("Weft", 79.0)])];
    check(&goal, &without, Verdict::Unknown, None);
    assert_eq!(limit.to_string(), "≤ 0.8 × ztunnel in bytes");
}

#[test]
fn the_first_limit_is_never_harder_than_the_one_beyond() {
    for goal in GOALS {
        let is_ordered = match (goal.first, goal.beyond) {
            (Limit::Times(first, a), Limit::Times(beyond, b)) => a != b || first >= beyond,
            (Limit::AtMost(first), Limit::AtMost(beyond)) => first >= beyond,
            (Limit::TimesOf(first, ..), Limit::TimesOf(beyond, ..)) => first >= beyond,
            (Limit::TimesOwn(first, a), Limit::TimesOwn(beyond, b)) => a == b && first >= beyond,
            // Which of the two is harder depends on the machine.
            (Limit::Times(..), Limit::AtMost(_)) => true,
            _ => false,
        };
        assert!(
            is_ordered,
            "{} {}: {} then {}",
            goal.id, goal.what, goal.first, goal.beyond
        );
    }
}
