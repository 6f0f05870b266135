//! Rotations: who holds them up, and that nobody is left behind.

use super::{IssuerRef, Lag, NodeReport, Rotation, StepInput, is_rotation_due};

const LIFE_S: i64 = 86_400;

fn issuer(issuer: &str, root: &str) -> IssuerRef {
    IssuerRef {
        issuer: issuer.to_owned(),
        root: root.to_owned(),
    }
}

fn report(node: &str, bundle_version: u64, old_leaves: usize) -> NodeReport {
    NodeReport {
        node: node.to_owned(),
        bundle_version,
        old_leaves,
    }
}

fn at(now_unix_s: i64, reports: &[NodeReport]) -> StepInput<'_> {
    StepInput {
        now_unix_s,
        reports,
        max_leaf_life_s: LIFE_S,
        forced: false,
    }
}

fn begun() -> Rotation {
    Rotation::stable(issuer("i1", "r1")).begin(issuer("i2", "r2"), &at(0, &[]))
}

/// Steps, and checks the phase after it and who was waited for.
#[track_caller]
fn check(rotation: Rotation, input: &StepInput<'_>, phase: u8, laggards: &[&str]) -> Rotation {
    let step = rotation.step(input);
    let names = step.laggards.iter().map(|laggard| laggard.node.as_str());
    assert_eq!(names.collect::<Vec<_>>(), laggards, "who is waited for");
    assert_eq!(step.rotation.phase(), phase, "phase after the step");
    step.rotation
}

#[test]
fn a_rotation_from_end_to_end() {
    let rotation = begun();
    assert_eq!(rotation.phase(), 1, "the new root is distributed first");
    assert_eq!(rotation.signing().issuer, "i1", "the old issuer signs");
    assert_eq!(rotation.roots(), ["r1", "r2"], "both roots");
    let rotation = check(
        rotation,
        &at(1, &[report("a", 2, 3), report("b", 1, 3)]),
        1,
        &["b"],
    );
    let rotation = check(
        rotation,
        &at(2, &[report("a", 2, 3), report("b", 2, 3)]),
        2,
        &[],
    );
    assert_eq!(rotation.signing().issuer, "i2", "the new issuer signs");
    assert_eq!(rotation.roots(), ["r1", "r2"], "still both roots");
    let rotation = check(
        rotation,
        &at(3, &[report("a", 2, 0), report("b", 2, 1)]),
        2,
        &["b"],
    );
    let rotation = check(
        rotation,
        &at(4, &[report("a", 2, 0), report("b", 2, 0)]),
        3,
        &[],
    );
    assert_eq!(rotation.roots(), ["r2"], "the new root alone");
    assert_eq!(rotation.bundle_version(), 3, "a new bundle");
    let rotation = check(
        rotation,
        &at(5, &[report("a", 3, 0), report("b", 2, 0)]),
        3,
        &["b"],
    );
    let rotation = check(
        rotation,
        &at(6, &[report("a", 3, 0), report("b", 3, 0)]),
        0,
        &[],
    );
    assert_eq!(
        rotation.signing(),
        &issuer("i2", "r2"),
        "stable with the new issuer"
    );
}

#[test]
fn a_joining_node_is_waited_for() {
    let both = [report("a", 2, 0)];
    let rotation = check(begun(), &at(1, &both), 2, &[]);
    let with_new = [report("a", 2, 0), report("new", 0, 0)];
    let rotation = check(rotation, &at(2, &with_new), 2, &["new"]);
    check(
        rotation,
        &at(3, &[report("a", 2, 0), report("new", 2, 0)]),
        3,
        &[],
    );
}

#[test]
fn leaves_that_nobody_renews_expire() {
    let late = [report("a", 2, 5)];
    let activated = check(begun(), &at(100, &late), 2, &[]);
    let end = 100 + LIFE_S + 300;
    let activated = check(activated, &at(end, &late), 2, &["a"]);
    check(activated.clone(), &at(end + 1, &late), 3, &[]);
    let deaf = [report("a", 1, 5)];
    let step = activated.step(&at(end + 1, &deaf));
    assert_eq!(
        step.laggards[0].lag,
        Lag::Bundle { acknowledged: 1 },
        "time does not stand in for an acknowledgement"
    );
    assert_eq!(step.rotation.phase(), 2, "and nothing goes on");
}

#[test]
fn an_operator_may_force_one_step() {
    let reports = [report("dead", 0, 1)];
    let mut input = at(1, &reports);
    input.forced = true;
    let rotation = check(begun(), &input, 2, &["dead"]);
    input.forced = false;
    check(rotation, &input, 2, &["dead"]);
}

#[test]
fn the_same_root_needs_no_distribution() {
    let stable = Rotation::stable(issuer("i1", "r1"));
    let rotation = stable.begin(issuer("i2", "r1"), &at(0, &[]));
    assert_eq!(rotation.phase(), 2, "the new issuer signs at once");
    assert_eq!(rotation.roots(), ["r1"], "the bundle does not change");
    assert_eq!(rotation.bundle_version(), 1, "nor does its version");
    let rotation = check(rotation, &at(1, &[report("a", 1, 2)]), 2, &["a"]);
    check(rotation, &at(2, &[report("a", 1, 0)]), 0, &[]);
}

#[test]
fn one_rotation_at_a_time() {
    let third = begun().begin(issuer("i3", "r3"), &at(1, &[]));
    assert_eq!(third, begun(), "the one under way is finished first");
    let stable = Rotation::stable(issuer("i1", "r1"));
    let same = stable.clone().begin(issuer("i1", "r1"), &at(1, &[]));
    assert_eq!(same, stable, "nothing to rotate to");
}

#[test]
fn phases_are_kept_in_a_status() {
    let acknowledged = [report("a", 2, 0)];
    let activate = begun().step(&at(7, &acknowledged)).rotation;
    let retire = activate.clone().step(&at(8, &acknowledged)).rotation;
    for rotation in [
        Rotation::stable(issuer("i1", "r1")),
        begun(),
        activate,
        retire,
    ] {
        let json = serde_json::to_string(&rotation).expect("plain data");
        let again = serde_json::from_str::<Rotation>(&json).expect("our own text");
        assert_eq!(again, rotation, "{json}");
    }
    let known = r#"{"phase":"Distribute","old":{"issuer":"i1","root":"r1"},"new":{"issuer":"i2","root":"r2"},"bundleVersion":2}"#;
    assert_eq!(
        serde_json::from_str::<Rotation>(known).ok(),
        Some(begun()),
        "statuses of earlier versions are read for ever"
    );
}

#[test]
fn half_a_life_is_enough() {
    assert!(!is_rotation_due((0, 100), 50), "half of its life");
    assert!(is_rotation_due((0, 100), 51), "more than half");
    assert!(!is_rotation_due((0, 100), -5), "not yet valid");
}
