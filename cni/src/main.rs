//! `weft-cni`: a chained CNI plugin that lets a pod start when the supervisor of its node has captured
//! it, and that puts itself into the chain (`install`, `remove`).
//!
//! Container runtimes start it for every pod, so it holds no state, links no client of Kubernetes and
//! no runtime, and asks one question over one Unix socket. What it cannot find out it does not guess:
//! the runtime is told to try again.

mod chain;
mod command;
mod config;
mod fault;
mod install;
mod pod;
mod supervisor;

use std::{
    env,
    io::{self, Read, Write},
    process::ExitCode,
};

use crate::{command::Environment, fault::Fault};

/// The longest configuration a runtime may send. Results of other plugins are some KiB.
const INPUT_BYTES: u64 = 4 * 1024 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if !arguments.is_empty() {
        return finish(install::run(&arguments), io::stderr());
    }
    let environment = Environment::of(|name| env::var(name).ok());
    let mut input = String::new();
    let read = io::stdin().take(INPUT_BYTES).read_to_string(&mut input);
    let answer = match read {
        Ok(_) => command::run(&environment, &input),
        Err(error) => Err(Fault::unreadable(&error)),
    };
    // A runtime reads what is wrong where it reads results (CNI specification, section 5).
    let answer = answer.map_err(|fault| fault.to_json(config::version_of(&input)));
    finish(answer, io::stdout())
}

/// What was asked for goes to the standard output, and whatever is wrong to `errors`.
fn finish(answer: Result<String, impl ToString>, mut errors: impl Write) -> ExitCode {
    let (written, code) = match answer {
        Ok(text) => (io::stdout().write_all(text.as_bytes()), ExitCode::SUCCESS),
        Err(text) => {
            let line = format!("{}\n", text.to_string());
            (errors.write_all(line.as_bytes()), ExitCode::FAILURE)
        }
    };
    // A result that nobody has read is no success.
    written.map_or(ExitCode::FAILURE, |()| code)
}
