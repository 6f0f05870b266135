//! `cargo x ci`: the test run of a CI machine, on any machine.

use std::process::ExitCode;

use anyhow::Result;

use super::test::{self, Args, Skips};

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    test::run_stages(args, Skips::Fail)
}
