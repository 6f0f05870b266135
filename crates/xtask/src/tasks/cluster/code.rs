//! `cargo x cluster test`: the checks of the Go programs of tests/cluster themselves.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command::workspace_root;
use crate::tool;

/// The modules with code of ours; the others only name what is built.
const MODULES: &[&str] = &["tests/cluster", "tests/cluster/measure"];
/// Go remembers what passed, and does not notice that a file outside of a module has changed since.
const CHECKS: &[&[&str]] = &[&["vet", "./..."], &["test", "-count=1", "./..."]];

pub(super) fn test() -> Result<ExitCode> {
    for module in MODULES {
        for check in CHECKS {
            let status = std::process::Command::new("go")
                .args(*check)
                .current_dir(workspace_root().join(module))
                .env("PATH", tool::path())
                .env("GOWORK", "off")
                .status()
                .context("cannot start `go`; install Go 1.26 or later from https://go.dev/dl")?;
            if !status.success() {
                println!("failed: go {} in {module}", check.join(" "));
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
