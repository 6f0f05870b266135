//! `weft analyze`: what is wrong with YAML, before it runs.

use std::io;

use weft_translate::ClassPolicy;

use crate::{
    args::{Analyze, FailOn, Global},
    exit::Outcome,
    findings::Report,
    load,
    output::Format,
};

/// Runs the command.
pub(crate) fn run(args: &Analyze, global: Global) -> Outcome {
    judge(
        &args.paths,
        classes(args.strict_class),
        args.fail_on,
        global,
    )
}

/// Loads, reports, and says what that means; `weft run --check` does the same.
pub(crate) fn judge(
    paths: &[std::path::PathBuf],
    classes: ClassPolicy,
    fail_on: FailOn,
    global: Global,
) -> Outcome {
    let format = global
        .output
        .one_of(&[Format::Text, Format::Json, Format::Junit])?;
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
