//! `cargo x golden`: translation seen as pairs of files, YAML in and statuses and tables out.

use std::process::ExitCode;

use anyhow::Result;

use crate::command;

/// Options of `cargo x golden`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rewrite the outputs with what the translator says now; review the diff like code
    #[arg(long)]
    update: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let env: &[(&str, &str)] = if args.update { &[("UPDATE", "1")] } else { &[] };
    run_filter("golden", "golden::", env)
}

/// Runs the integration tests whose path contains `filter` and says how they went.
///
/// A filter that matches nothing is a failure: the tests it stood for have moved.
pub(super) fn run_filter(name: &str, filter: &str, env: &[(&str, &str)]) -> Result<ExitCode> {
    let args = [
        "test",
        "--locked",
        "--package",
        "weft-tests",
        "--test",
        "it",
        "--",
        filter,
    ];
    let outcome = command::cargo(name, &args, env)?;
    if outcome.succeeded && outcome.counts.total() > 0 {
        println!("{name}: {}", outcome.counts);
        return Ok(ExitCode::SUCCESS);
    }
    outcome.excerpt.iter().for_each(|line| println!("{line}"));
    if outcome.succeeded {
        println!("{name}: no test matches `{filter}`; has its module in tests/it been renamed?");
    }
    println!("{name}: failed; whole output in {}", outcome.log.display());
    Ok(ExitCode::FAILURE)
}
