//! `cargo x docs`: tables that are generated from code, rewritten in place.
//!
//! The tests of `tests/it/generated.rs` compare each table with the slice it comes from; with
//! `UPDATE=1` they write it. There is no second generator that could disagree.

use std::process::ExitCode;

use anyhow::Result;

use super::golden::run_filter;

pub(super) fn run() -> Result<ExitCode> {
    run_filter("generated", "generated::", &[("UPDATE", "1")])
}
