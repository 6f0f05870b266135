//! How the end of a command becomes figures.

use std::path::PathBuf;

use super::judge;
use crate::command::Outcome;
use crate::stages::Kind;
use crate::summary::Counts;

fn check(kind: Kind, succeeded: bool, reported: [u64; 3], expected: [u64; 3]) {
    let counts = |[passed, failed, skipped]: [u64; 3]| Counts {
        passed,
        failed,
        skipped,
    };
    let outcome = Outcome {
        succeeded,
        counts: counts(reported),
        excerpt: Vec::new(),
        log: PathBuf::new(),
    };
    let (judged, problem) = judge(kind, &outcome);
    assert_eq!(
        judged,
        counts(expected),
        "runners reported {reported:?}, success: {succeeded}"
    );
    assert_eq!(
        problem.is_some(),
        judged.failed > 0,
        "a failure is explained, a success is not"
    );
}

#[test]
fn a_command_counts_as_one() {
    check(Kind::Command, true, [0, 0, 0], [1, 0, 0]);
    check(Kind::Command, false, [0, 0, 0], [0, 1, 0]);
}

#[test]
fn tests_count_as_they_report() {
    check(Kind::Tests, true, [7, 0, 2], [7, 0, 2]);
    check(Kind::Tests, false, [7, 3, 0], [7, 3, 0]);
}

#[test]
fn a_run_that_broke_without_a_failing_test_is_a_failure() {
    check(Kind::Tests, false, [0, 0, 0], [0, 1, 0]);
    check(Kind::TestsIfAny, false, [5, 0, 0], [5, 1, 0]);
}

#[test]
fn running_no_test_is_a_failure_where_tests_must_exist() {
    check(Kind::Tests, true, [0, 0, 0], [0, 1, 0]);
    check(Kind::TestsIfAny, true, [0, 0, 0], [0, 0, 0]);
}
