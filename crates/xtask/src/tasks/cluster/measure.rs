//! `cargo x cluster measure`: what Weft promises about edits, load, crashes and absences, shown on
//! a real cluster by the programs of tests/cluster/measure.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use super::builds;
use crate::command::workspace_root;

/// Where results are kept.
const REPORTS: &str = "tests/cluster/reports";
/// Where those with a goal stand too.
const RESULTS: &str = "tests/bench/RESULTS.md";
/// Where `cargo x image` leaves the program that it has packed.
const WEFT: &str = "target/image/weft";
/// The kinds that first-light begins with.
const KINDS: &str = "crates/api/crds/standard";

/// Options of `cargo x cluster measure`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Say what can be measured
    #[arg(long)]
    list: bool,
    /// Keep the results in tests/cluster/reports/measure.md
    #[arg(long)]
    write: bool,
    /// Also put what has a goal into tests/bench/RESULTS.md
    #[arg(long, requires = "write")]
    results: bool,
    /// Command line of the build under test, whose manifests are installed where Weft is not
    #[arg(long, value_name = "PATH", default_value = WEFT)]
    weft: PathBuf,
    /// Flags of the program, such as `-away=10m`; `-- -help` names them
    #[arg(last = true, value_name = "FLAG")]
    flags: Vec<OsString>,
}

/// Measures on the cluster of KUBECONFIG where that is set, otherwise on the bed.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let mut measure = Command::new(builds::ensure(&["measure"])?.binary("measure")?);
    if args.list {
        measure.arg("-list");
        return verdict(&mut measure);
    }
    let users =
        std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty() && path != super::KUBECONFIG);
    match users {
        Some(path) => println!("    on the cluster of KUBECONFIG={}", path.display()),
        None => {
            if !super::is_up()? {
                bail!("no cluster: run `cargo x cluster up`, or set KUBECONFIG to one you have");
            }
            let backend = builds::ensure(&["measure-backend"])?;
            super::load(&Vec::from_iter(backend.images().cloned()))?;
            measure.env("KUBECONFIG", super::KUBECONFIG);
        }
    }
    let root = workspace_root();
    measure.arg("-weft").arg(root.join(&args.weft));
    measure.arg("-kinds").arg(root.join(KINDS));
    if args.write {
        measure.arg("-write").arg(root.join(REPORTS));
    }
    if args.results {
        measure.arg("-results").arg(root.join(RESULTS));
    }
    measure.args(&args.flags).args(&args.scenarios);
    verdict(&mut measure)
}

fn verdict(measure: &mut Command) -> Result<ExitCode> {
    let status = measure.status().context("cannot start the measurement")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
