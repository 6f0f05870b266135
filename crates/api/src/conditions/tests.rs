//! Merging, texts, and the table of permitted reasons.

use super::{Condition, ConditionStatus, ConditionType, Reason, Surface, find, merge, permitted};
use crate::meta::Time;

const STATUSES: [ConditionStatus; 3] = [
    ConditionStatus::True,
    ConditionStatus::False,
    ConditionStatus::Unknown,
];

fn at(seconds: i64) -> Time {
    serde_json::from_value(format!("2026-01-01T00:00:{seconds:02}Z").into()).expect("a time")
}

fn accepted(status: ConditionStatus, reason: Reason) -> Condition {
    Condition::new(ConditionType::Accepted, status, reason)
}

fn resolved() -> Condition {
    Condition::new(
        ConditionType::ResolvedRefs,
        ConditionStatus::True,
        Reason::ResolvedRefs,
    )
}

/// Merges `wanted` at second 2 into what second 1 left, and compares the time of `Accepted`.
#[track_caller]
fn check(name: &str, first: Condition, then: Condition, transition_second: i64) {
    let old = merge(&[], vec![first], &at(1));
    let merged = merge(&old, vec![then], &at(2));
    let time = find(&merged, ConditionType::Accepted)
        .and_then(|condition| condition.last_transition_time.clone());
    assert_eq!(time, Some(at(transition_second)), "{name}: transition time");
}

#[test]
fn transition_time_moves_only_with_the_status() {
    let yes = || accepted(ConditionStatus::True, Reason::Accepted);
    let no = || accepted(ConditionStatus::False, Reason::NoMatchingParent);
    check("nothing changes", yes(), yes(), 1);
    check("message changes", yes(), yes().message("new"), 1);
    check("generation changes", yes(), yes().generation(Some(7)), 1);
    check(
        "reason changes",
        no(),
        accepted(ConditionStatus::False, Reason::Conflicted),
        1,
    );
    check("status changes", yes(), no(), 2);
}

#[test]
fn merging_what_is_there_changes_nothing_whatever_the_order() {
    let yes = accepted(ConditionStatus::True, Reason::Accepted);
    let old = merge(&[], vec![yes.clone(), resolved()], &at(1));
    let again = merge(&old, vec![resolved(), yes], &at(2));
    assert_eq!(
        again, old,
        "an unchanged status must compare equal, so that it is not written"
    );
}

#[test]
fn merged_conditions_are_the_wanted_ones_once_each() {
    let yes = accepted(ConditionStatus::True, Reason::Accepted);
    let no = accepted(ConditionStatus::False, Reason::Conflicted);
    let old = merge(&[], vec![resolved(), yes.clone()], &at(1));
    let merged = merge(&old, vec![yes, no], &at(2));
    let texts: Vec<_> = merged
        .iter()
        .map(|c| (c.type_.as_str(), c.reason.as_str()))
        .collect();
    assert_eq!(
        texts,
        [("Accepted", "Conflicted")],
        "last of a type wins, unwanted types go"
    );
}

#[test]
fn every_reason_and_type_is_permitted_somewhere() {
    use Surface as S;
    let surfaces = [
        S::Route,
        S::Gateway,
        S::Listener,
        S::ListenerSet,
        S::ListenerEntry,
        S::Policy,
        S::GatewayClass,
        S::Mesh,
    ];
    let mut reasons = Vec::new();
    for type_ in ConditionType::ALL {
        let before = reasons.len();
        for surface in surfaces {
            for status in STATUSES {
                reasons.extend_from_slice(permitted(surface, *type_, status));
            }
        }
        assert!(
            reasons.len() > before,
            "condition type {type_} belongs nowhere"
        );
    }
    for reason in Reason::ALL {
        assert!(
            reasons.contains(reason),
            "reason {reason} is permitted nowhere"
        );
    }
}

#[test]
fn a_status_outside_the_api_reads_as_unknown() {
    let condition: Condition =
        serde_json::from_str(r#"{"type":"Accepted","status":"Maybe"}"#).expect("a condition");
    assert_eq!(condition.status, ConditionStatus::Unknown);
}
