//! The stages leave no test out and come in an order that makes sense.

use super::{Kind, STAGES};

/// The filter of a stage that runs a part of the integration binaries.
fn filter(args: &str) -> Option<&str> {
    let (_, after) = args.split_once("--test * -- ")?;
    (!after.starts_with("--skip")).then_some(after)
}

#[test]
fn every_integration_test_has_a_stage() {
    let rest = STAGES
        .iter()
        .find(|stage| stage.args.contains("--skip"))
        .expect("one has the rest");
    let skipped: Vec<&str> = rest.args.split("--skip").skip(1).map(str::trim).collect();
    let run: Vec<&str> = STAGES
        .iter()
        .filter_map(|stage| filter(stage.args))
        .collect();
    assert_eq!(skipped, run, "what `{}` skips, other stages run", rest.name);
    assert!(run.len() > 1, "the filters were not found: {run:?}");
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
