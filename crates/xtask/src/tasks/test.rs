//! `cargo x test`: runs the stages of [`STAGES`] and sums up.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::clock;
use crate::command::{self, Outcome};
use crate::stages::{Kind, STAGES, Speed, Stage};
use crate::summary::{Counts, human};

#[cfg(test)]
mod tests;

/// Options of `cargo x test` and `cargo x ci`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only this stage; may be given several times
    #[arg(long, value_name = "STAGE", value_parser = stage_names())]
    only: Vec<String>,
    /// Leave out the stages that are slow: end-to-end tests and documentation
    #[arg(long, conflicts_with = "only")]
    fast: bool,
    /// Print the stages and what each is for; run nothing
    #[arg(long)]
    list: bool,
}

/// What a stage that cannot run on this machine means for the result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Skips {
    Allow,
    Fail,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    run_stages(args, if is_ci { Skips::Fail } else { Skips::Allow })
}

pub(super) fn run_stages(args: &Args, skips: Skips) -> Result<ExitCode> {
    let selected: Vec<&Stage> = STAGES.iter().filter(|stage| args.selects(stage)).collect();
    if args.list {
        selected
            .iter()
            .for_each(|stage| println!("{:<12} {}", stage.name, stage.purpose));
        return Ok(ExitCode::SUCCESS);
    }
    let started = clock::now();
    let mut total = Counts::default();
    let mut failed = BTreeSet::new();
    for (position, stage) in selected.iter().enumerate() {
        println!(
            "[{}/{}] {}: {}",
            position + 1,
            selected.len(),
            stage.name,
            stage.purpose
        );
        let stage_started = clock::now();
        let counts = run_stage(stage, &failed, skips)?;
        if counts.failed > 0 {
            failed.insert(stage.name);
        }
        let took = human(clock::now().duration_since(stage_started));
        println!("    {}: {counts} in {took}", stage.name);
        total += counts;
    }
    if !failed.is_empty() {
        println!("failed: {}", Vec::from_iter(failed).join(", "));
    }
    println!(
        "all stages took {}",
        human(clock::now().duration_since(started))
    );
    println!("{total}");
    let broken = total.failed > 0 || (skips == Skips::Fail && total.skipped > 0);
    if broken && total.failed == 0 {
        println!("CI=true allows no skips: make the machine able to run what was skipped above");
    }
    Ok(if broken {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl Args {
    fn selects(&self, stage: &Stage) -> bool {
        if self.only.is_empty() {
            !self.fast || stage.speed == Speed::Fast
        } else {
            self.only.iter().any(|name| name == stage.name)
        }
    }
}

fn stage_names() -> PossibleValuesParser {
    PossibleValuesParser::new(STAGES.iter().map(|stage| stage.name))
}

fn run_stage(stage: &Stage, failed: &BTreeSet<&str>, skips: Skips) -> Result<Counts> {
    if let Some(cause) = stage.after.iter().find(|name| failed.contains(*name)) {
        println!("    skipped: it would only repeat the failure of `{cause}`");
        return Ok(Counts::SKIPPED);
    }
    for tool in stage.tools {
        if let Err(reason) = tool.ensure() {
            println!("    skipped: {reason}");
            return Ok(Counts::SKIPPED);
        }
    }
    let mut env = stage.env.to_vec();
    if skips == Skips::Fail {
        env.push(("CI", "true"));
    }
    let args: Vec<&str> = stage.args.split_whitespace().collect();
    let outcome = command::cargo(stage.name, &args, &env)?;
    let (counts, problem) = judge(stage.kind, &outcome);
    if let Some(problem) = problem {
        outcome
            .excerpt
            .iter()
            .for_each(|line| println!("    | {line}"));
        println!("    {problem}: cargo {}", stage.args);
        println!("    cure: {}", stage.cure);
        println!("    whole output: {}", outcome.log.display());
    }
    Ok(counts)
}

/// The figures of a finished stage, and what is wrong with it if anything is.
fn judge(kind: Kind, outcome: &Outcome) -> (Counts, Option<&'static str>) {
    let mut counts = outcome.counts;
    match (kind, outcome.succeeded) {
        (Kind::Command, true) => (Counts::PASSED, None),
        (Kind::Command, false) => (Counts::FAILED, Some("failed")),
        (Kind::Tests, true) if counts.total() == 0 => (
            Counts::FAILED,
            Some("ran no test, so its filter matches nothing"),
        ),
        (Kind::Tests | Kind::TestsIfAny, true) => (counts, None),
        // A crash or a compile error fails the stage without failing a test.
        (Kind::Tests | Kind::TestsIfAny, false) => {
            counts.failed = counts.failed.max(1);
            (counts, Some("failed"))
        }
    }
}
