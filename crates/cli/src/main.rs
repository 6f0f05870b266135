//! `weft`: arguments in, exit code out. What commands do is assembly of the other rooms.

mod analyze;
mod args;
mod check;
mod clock;
mod cluster;
mod controller;
mod demo;
mod describe;
mod echo;
mod exit;
mod explain;
mod features;
mod findings;
mod identity;
mod inspect;
mod install;
mod load;
mod namespace;
mod output;
mod progress;
mod proxy;
mod resolve;
mod routes;
mod run;
mod status;
mod uninstall;
mod version;

use std::{io, process::ExitCode};

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::{
    args::{Cli, Command},
    exit::{Exit, Outcome},
};

/// Frees memory to the system soon and in the background, which an idle mesh shows.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody left to tell is no reason to fail otherwise.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Good.into(),
                _ => Exit::Usage.into(),
            };
        }
    };
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::tell(format_args!("weft: {failure}"));
            failure.exit().into()
        }
    }
}

fn run(cli: &Cli) -> Outcome {
    let global = cli.global;
    match &cli.command {
        Command::Run(args) => run::run(args, global),
        Command::Controller(options) => controller::run(options, global),
        Command::Demo(args) => demo::run(args, global),
        Command::Analyze(args) => analyze::run(args, global),
        Command::Explain(args) => explain::run(args, global),
        Command::Routes(args) => routes::run(args, global),
        Command::Describe(options) => inspect::run(options, global),
        Command::Resolve(args) => resolve::run(args, global),
        Command::Echo(args) => echo::run(args, global),
        Command::Features => features::run(global),
        Command::Install(args) => install::run(args, global),
        Command::Namespace(options) => namespace::run(options, global),
        Command::Identity(options) => identity::run(options, global),
        Command::Proxy(options) => proxy::run(options, global),
        Command::Check(options) => check::run(options, global),
        Command::Uninstall(options) => uninstall::run(options, global),
        Command::Completion { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "weft", &mut io::stdout());
            Ok(Exit::Good)
        }
        Command::Version => version::run(global),
    }
}
