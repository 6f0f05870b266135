//! `cargo x <task>`: everything a contributor or a CI machine runs in this repository.
//!
//! One verb is one file under `tasks/`. A new task is that file, one variant of [`tasks::Task`]
//! and one arm of its dispatch.
#![expect(
    clippy::print_stdout,
    reason = "a developers' command: what it prints is its result"
)]

mod bench;
mod clock;
mod command;
mod progress;
mod stages;
mod summary;
mod tasks;
mod tool;

use std::process::ExitCode;

use clap::Parser;

/// Commands of the Weft repository.
#[derive(Parser)]
#[command(name = "cargo x", bin_name = "cargo x", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    task: tasks::Task,
}

fn main() -> anyhow::Result<ExitCode> {
    Cli::parse().task.run()
}
