//! `weft run`: serves a directory of YAML as gateway and mesh.
//!
//! Three threads beside those of the data path: this one waits for signals and serves the admin
//! endpoint, one follows the files ([`control`]), one writes the state directory ([`writer`]).

mod addresses;
mod admin;
mod assemble;
mod authorities;
mod authority;
mod certificates;
mod control;
mod engine;
mod interfaces;
mod limits;
mod ports;
mod report;
mod shutdown;
mod sockets;
mod state;
mod state_dir;
mod writer;

use std::{fs, io, io::Write as _, path::PathBuf, time::Duration};

use weft_proxy::admin::Admin;
use weft_telemetry::{access_log, logging};

pub(crate) use self::{
    authorities::Authorities,
    certificates::Certificates,
    control::View,
    engine::{Engine, Settings},
    state::{FILE as STATE_FILE, ServiceEntry, State},
    state_dir::replace,
};
use crate::{
    analyze,
    args::{FailOn, Global, Run},
    exit::{Exit, Failure, Outcome},
    output::{self, Format},
    progress,
};

/// Runs the command.
pub(crate) fn run(args: &Run, global: Global) -> Outcome {
    let classes = analyze::classes(args.strict_class);
    if args.check {
        return analyze::judge(&args.files, classes, FailOn::Error, global);
    }
    let format = global.output.one_of(&[Format::Text, Format::Json])?;
    let filter = args.log_level.as_deref().unwrap_or(log_filter(global));
    logging::init(logging::Format::Text, filter).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut progress = progress::Bar::new(global);
    let admin = match args.admin {
        Some(address) => Some(runtime.block_on(Admin::bind(address))?),
        None => None,
    };
    let engine = Engine::start(settings(args, global)?, &mut |step| progress.show(step))?;
    progress.end();
    report::started(&engine, format, global)?;
    if let Some(admin) = admin {
        let address = admin.address()?;
        if !global.quiet {
            output::tell(format_args!("admin endpoint at http://{address}"));
        }
        runtime.spawn(admin.serve(engine.admin_state()));
    }
    if let Some(descriptor) = args.ready_fd {
        announce(descriptor)?;
    }
    if args.until_idle {
        let exit = engine.findings_exit();
        runtime.block_on(engine.stop(Duration::ZERO));
        return Ok(exit);
    }
    let exit = runtime.block_on(shutdown::serve_until_signal(engine, args.drain_timeout))?;
    // The second signal may leave work behind that nobody waits for.
    runtime.shutdown_background();
    Ok(exit)
}

fn settings(args: &Run, global: Global) -> Result<Settings, Failure> {
    let sink = args.access_log_file.clone();
    let sink = sink.map_or_else(access_log::Sink::default, access_log::Sink::File);
    Ok(Settings {
        files: args.files.clone(),
        state_dir: args.state_dir.clone(),
        open_addresses: interfaces::expand(&args.bind).map_err(|error| {
            Failure::usage(format!(
                "--bind cannot list the addresses of this machine: {error}; name them one by one"
            ))
        })?,
        port_map: args
            .port_map
            .iter()
            .map(|pair| (pair.from, pair.to))
            .collect(),
        client_namespace: args.client_namespace.as_str().into(),
        classes: analyze::classes(args.strict_class),
        workers: args.workers,
        access_log: access_log::Config {
            mode: args.access_log,
            sink,
            ..access_log::Config::default()
        },
        tells: !global.quiet,
    })
}

fn log_filter(global: Global) -> &'static str {
    match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    }
}

/// Tells whoever waits at the other end of a file descriptor that everything serves.
fn announce(descriptor: u32) -> Result<(), Failure> {
    let path = PathBuf::from(format!("/dev/fd/{descriptor}"));
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(&path)?;
        file.write_all(b"ready\n")
    };
    write().map_err(|error| {
        Failure::usage(format!(
            "--ready-fd {descriptor}: {error}; pass an open pipe or file"
        ))
    })
}

impl Engine {
    /// What the findings of the directory mean for an exit code.
    fn findings_exit(&self) -> Exit {
        let (errors, warnings) = self.finding_counts();
        match (errors, warnings) {
            (0, 0) => Exit::Good,
            (0, _) => Exit::Warnings,
            _ => Exit::Errors,
        }
    }
}
