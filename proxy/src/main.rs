//! `weft-proxy`: the data path in a cluster. Arguments in, one role out.

mod args;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use weft_proxy::{admin::ask, gateway, init, node, shard, worker};
use weft_telemetry::{logging, metrics::BuildInfo};

use crate::args::{Cli, Role};

/// Frees memory to the system soon and in the background: a change of the configuration holds two of
/// them for a moment.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const BUILD: BuildInfo = BuildInfo {
    version: env!("CARGO_PKG_VERSION"),
    commit: match option_env!("WEFT_COMMIT") {
        Some(commit) => commit,
        None => "",
    },
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            // Logging is what it may be about, but by then it works.
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (format, filter) = match &cli.role {
        Role::Admin(_) => ("text", "warn"),
        Role::Gateway(args) => args.log.terms(),
        Role::Node(args) | Role::Init(args) => args.log.terms(),
        Role::Worker(args) => args.log.terms(),
        Role::Shard(args) => args.log.terms(),
    };
    logging::init(format.parse()?, filter)?;
    match cli.role {
        Role::Admin(args) => {
            let shown = match &args.set {
                Some(value) => ask::set(&args.state_dir, &args.path, value)?,
                None => ask::ask(&args.state_dir, &args.path)?,
            };
            io::stdout().lock().write_all(&shown)?;
        }
        Role::Gateway(args) => gateway::run(args.settings(seed()))?,
        Role::Node(args) => node::run(args.settings(seed()))?,
        Role::Init(args) => {
            // After the name of the program, and the role.
            let arguments = std::env::args_os().skip(2);
            return Ok(init::run(args.init(arguments.collect()))?);
        }
        Role::Worker(args) => worker::run(args.settings(BUILD, seed())?)?,
        Role::Shard(args) => {
            tracing::debug!(shard = args.name, "starting");
            shard::run(&args.settings(BUILD, seed())?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The start of the random numbers that split, balance and spread. The standard library's hash keys
/// are random per process, which is all that is needed here.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
