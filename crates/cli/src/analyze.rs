//! `weft analyze`: what is wrong with YAML, before it runs; or with what runs in a cluster.

mod diff;

use std::{io, path::PathBuf};

use clap::Args;
use weft_translate::ClassPolicy;

use crate::{
    args::{FailOn, Global},
    exit::Outcome,
    findings::Report,
    load,
    output::Format,
};

/// Options of `weft analyze`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft analyze yaml/
  helm template chart | weft analyze -
  weft analyze yaml/ --fail-on warning -o junit > findings.xml
  weft analyze --cluster                 what is wrong with what is applied
  weft analyze yaml/ --cluster           as if yaml/ were applied to it
  weft analyze yaml/ --cluster --diff    only what yaml/ would change about that")]
pub(crate) struct Options {
    /// Directories and files; `-` for standard input
    #[arg(value_name = "DIR|FILE|-", required_unless_present = "is_live")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    over: load::Over,
    /// Only findings that the files introduce into the cluster, and those that they end
    #[arg(long, requires = "is_live", requires = "paths")]
    diff: bool,
    /// The least finding that makes the command fail with 2
    #[arg(long, default_value = "error", value_name = "SEVERITY")]
    fail_on: FailOn,
    /// Judge Gateways of other classes as a cluster would: not at all
    #[arg(long)]
    strict_class: bool,
}

const FORMATS: &[Format] = &[Format::Text, Format::Json, Format::Junit];

/// Runs the command.
pub(crate) fn run(options: &Options, global: Global) -> Outcome {
    if !options.over.is_live {
        let classes = classes(options.strict_class);
        return judge(&options.paths, classes, options.fail_on, global);
    }
    let format = global.output.one_of(FORMATS)?;
    let live = load::Cluster::read(&options.over.options)?;
    let after = Report::new(&load::over(&live, &options.paths, global)?);
    let colour = global.color.on(&io::stdout());
    if !options.diff {
        after.print(format, colour)?;
        return Ok(after.exit(options.fail_on));
    }
    let before = Report::new(&load::over(&live, &[], global)?);
    let difference = diff::Difference::new(before, after);
    difference.print(format.one_of(&[Format::Text, Format::Json])?, colour)?;
    Ok(difference.exit(options.fail_on))
}

/// Loads, reports, and says what that means; `weft run --check` does the same.
pub(crate) fn judge(
    paths: &[PathBuf],
    classes: ClassPolicy,
    fail_on: FailOn,
    global: Global,
) -> Outcome {
    let format = global.output.one_of(FORMATS)?;
    let report = Report::new(&load::once(paths, classes, global)?);
    report.print(format, global.color.on(&io::stdout()))?;
    Ok(report.exit(fail_on))
}

/// Which Gateways count.
pub(crate) fn classes(strict: bool) -> ClassPolicy {
    if strict {
        ClassPolicy::Ours
    } else {
        ClassPolicy::Every
    }
}
