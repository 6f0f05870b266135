//! The stages leave no test out and come in an order that makes sense.

use super::{Kind, STAGES};

/// The filter of a stage that runs a part of the integration binaries, without what it leaves to
/// another.
fn filter(args: &str) -> Option<&str> {
    let (_, after) = args.split_once("--test * -- ")?;
    let filter = after.split(" --skip ").next()?;
    (!filter.starts_with("--skip")).then_some(filter)
}

/// What a stage leaves to others.
fn skipped(args: &str) -> Vec<&str> {
    args.split("--skip").skip(1).map(str::trim).collect()
}

#[test]
fn every_integration_test_has_a_stage() {
    let run: Vec<&str> = STAGES
        .iter()
        .filter_map(|stage| filter(stage.args))
        .collect();
    assert!(run.len() > 1, "the filters were not found: {run:?}");
    let rest = STAGES
        .iter()
        .find(|stage| stage.args.contains("-- --skip"))
        .expect("one has the rest");
    let is_part = |inner: &&&str| {
        let mut others = run.iter().filter(|outer| outer != inner);
        others.any(|outer| inner.starts_with(outer))
    };
    let whole: Vec<&str> = run.iter().filter(|it| !is_part(it)).copied().collect();
    assert_eq!(
        skipped(rest.args),
        whole,
        "what `{}` skips, others run",
        rest.name
    );
    let skipped_by_parts = STAGES.iter().filter(|stage| filter(stage.args).is_some());
    let skipped_by_parts: Vec<&str> = skipped_by_parts
        .flat_map(|stage| skipped(stage.args))
        .collect();
    let parts: Vec<&str> = run.iter().filter(|it| is_part(it)).copied().collect();
    assert_eq!(
        skipped_by_parts, parts,
        "a part of a stage's tests is run once"
    );
}

#[test]
fn a_filter_that_matches_nothing_is_a_failure() {
    for stage in STAGES.iter().filter(|stage| filter(stage.args).is_some()) {
        assert!(
            stage.kind == Kind::Tests,
            "`{}` would pass without a test",
            stage.name
        );
    }
}

#[test]
fn stages_come_after_those_they_need() {
    for (at, stage) in STAGES.iter().enumerate() {
        for needed in stage.after {
            let is_before = STAGES[..at].iter().any(|before| before.name == *needed);
            assert!(
                is_before,
                "`{}` needs `{needed}`, which does not run before it",
                stage.name
            );
        }
    }
}

#[test]
fn every_stage_says_what_it_is_for_and_what_to_do() {
    for stage in STAGES {
        assert!(
            !stage.purpose.is_empty() && !stage.cure.is_empty(),
            "`{}` is mute",
            stage.name
        );
    }
}

/// The scenarios that a stage measures.
fn measured(args: &str) -> impl Iterator<Item = &str> {
    let told = args.strip_prefix("x cluster measure ").unwrap_or_default();
    let scenarios = told.split(" -- ").next().unwrap_or_default();
    scenarios.split_whitespace()
}

#[test]
fn what_a_stage_measures_is_a_scenario() {
    let list = include_str!("../../../../tests/cluster/measure/scenario/run.go");
    let all: Vec<(&str, &str)> = STAGES
        .iter()
        .flat_map(|stage| measured(stage.args).map(move |it| (stage.name, it)))
        .collect();
    assert!(all.len() > 1, "no stage measures anything: {all:?}");
    for (stage, scenario) in all {
        let is_there = list.contains(&format!("\t{{\"{scenario}\", "));
        assert!(is_there, "`{stage}` measures `{scenario}`, which is none");
    }
}
