//! `cargo x conformance`: the official suite of the Gateway API, unmodified, on a real cluster.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;

use self::catalogue::Catalogue;
use self::cluster::Cluster;
use self::log::{Log, Verdict};
use self::ratchet::Ratchet;
use self::summary::Run;
use super::cluster::builds;
use super::kinds::Channel;
use crate::clock;
use crate::command::{self, workspace_root};

mod catalogue;
mod cluster;
mod log;
mod ratchet;
mod summary;

/// What Weft calls its GatewayClass; the reports of other classes are not ours to keep.
const OWN_CLASS: &str = "weft";
/// Where reports are kept.
const REPORTS: &str = "tests/cluster/reports";
/// Where the reports of other implementations go.
const FOREIGN_REPORTS: &str = "target/xtask/reports";

const PROFILES: [&str; 7] = [
    "GATEWAY-HTTP",
    "GATEWAY-GRPC",
    "GATEWAY-TLS",
    "GATEWAY-TCP",
    "GATEWAY-UDP",
    "MESH-HTTP",
    "MESH-GRPC",
];

/// How namespaces of the suite join the mesh.
const ENROLLED: &str = "-namespace-labels=weft.dev/mesh=enabled";

/// Options of `cargo x conformance`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Profiles to run
    #[arg(
        long = "profile",
        value_name = "PROFILE,...",
        value_delimiter = ',',
        default_value = "GATEWAY-HTTP,GATEWAY-GRPC",
        value_parser = PossibleValuesParser::new(PROFILES)
    )]
    profiles: Vec<String>,
    /// Run only this test, whatever features are claimed; no report is written
    #[arg(long = "run", value_name = "TEST")]
    test: Option<String>,
    /// Channel of the Gateway API
    #[arg(long, value_enum, default_value_t = Channel::Standard)]
    channel: Channel,
    /// GatewayClass under test; its status says which features it has
    #[arg(long, value_name = "NAME", default_value = OWN_CLASS)]
    gateway_class: String,
    /// Run each failed test once more, alone, and name those that pass then
    #[arg(long, conflicts_with = "test")]
    retry: bool,
    /// Further flags of the suite, such as `-supported-features=...` for a class without status
    #[arg(last = true, value_name = "FLAG")]
    flags: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let cluster = Cluster::find()?;
    println!("    on {cluster}");
    let suite_build = builds::ensure(&["conformance"])?;
    let suite = suite_build.binary("conformance")?;
    let catalogue = Catalogue::ask(suite)?;
    if let Some(test) = &args.test {
        catalogue.expect(test)?;
    }
    cluster.wait_for_the_last_run()?;
    cluster.prepare(args.channel)?;
    if args.gateway_class == OWN_CLASS {
        cluster.wait_for_class(OWN_CLASS, args.channel)?;
    }

    let claimed = args.claimed(&catalogue)?;
    if !claimed.is_empty() {
        cluster.prepare_mesh()?;
    }
    let suite = Suite {
        binary: suite,
        cluster: &cluster,
        claimed,
    };

    let started = clock::now();
    let report = args.report()?;
    let outcome = args.suite(&suite, args.test.as_deref(), report.as_deref())?;
    let log = read(&outcome.log)?;
    let flakes = args.flakes(&suite, &log)?;
    if !suite.claimed.is_empty() {
        cluster.clear_mesh()?;
    }
    let run = Run {
        catalogue: &catalogue,
        profiles: &args.profiles,
        only: args.test.as_deref(),
        log: &log,
        succeeded: outcome.succeeded,
        flakes: &flakes,
        took: clock::now().duration_since(started),
    };
    let is_good = args.conclude(&run, &outcome.log, report.as_deref())?;
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The suite, and what it runs with.
struct Suite<'a> {
    binary: &'a Path,
    cluster: &'a Cluster,
    /// Flags for a mesh; none for gateways, of which the GatewayClass says what they can.
    claimed: Vec<String>,
}

impl Args {
    /// Says how the run went, beside its report too if it wrote one; whether all is as it should be.
    fn conclude(&self, run: &Run<'_>, log: &Path, report: Option<&Path>) -> Result<bool> {
        let text = run.render();
        println!("\n{text}");
        println!("whole output: {}", log.display());
        let Some(report) = report.filter(|report| report.exists()) else {
            return Ok(run.is_good());
        };
        let summary = report.with_extension("txt");
        std::fs::write(&summary, text)
            .with_context(|| format!("cannot write {}", summary.display()))?;
        println!("report: {}, summary beside it", report.display());
        let is_kept = self.gateway_class != OWN_CLASS
            || Ratchet::read(self.channel)?.judge(&self.profiles, run)?;
        Ok(is_kept && run.is_good())
    }

    /// Flags that say what a mesh can. No object of the standard channel says it, and with the features of
    /// the GatewayClass the tests of gateways would run.
    fn claimed(&self, catalogue: &Catalogue) -> Result<Vec<String>> {
        let is_mesh = |profile: &String| profile.starts_with("MESH-");
        let meshes = self.profiles.iter().filter(|it| is_mesh(it)).count();
        match meshes {
            0 => Ok(Vec::new()),
            all if all == self.profiles.len() => {
                let features = catalogue.mesh_features();
                let claim = format!("-supported-features={features}");
                Ok(vec![claim, ENROLLED.to_owned()])
            }
            _ => bail!("run the profiles of gateways and those of meshes one after the other"),
        }
    }

    /// Where the suite writes its report; a single test has none.
    fn report(&self) -> Result<Option<PathBuf>> {
        if self.test.is_some() {
            return Ok(None);
        }
        let is_own = self.gateway_class == OWN_CLASS;
        let directory = workspace_root().join(if is_own { REPORTS } else { FOREIGN_REPORTS });
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let profiles = self.profiles.join("_").to_lowercase();
        let name = format!(
            "{}-{}-{profiles}.yaml",
            self.channel.name(),
            self.gateway_class
        );
        let report = directory.join(name);
        // A suite that does not come to its end writes none, and the old one would pass for it.
        match std::fs::remove_file(&report) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", report.display()))
            }
            _ => Ok(Some(report)),
        }
    }

    /// Runs the suite, or one test of it.
    fn suite(
        &self,
        suite: &Suite<'_>,
        test: Option<&str>,
        report: Option<&Path>,
    ) -> Result<command::Outcome> {
        let mut run = Command::new(suite.binary);
        run.args([
            "-test.v",
            "-test.run=^TestConformance$",
            "-test.timeout=60m",
            &format!("-gateway-class={}", self.gateway_class),
            &format!("-conformance-profiles={}", self.profiles.join(",")),
        ]);
        run.args(suite.cluster.flags()).args(&suite.claimed);
        if let Some(test) = test {
            run.arg(format!("-run-test={test}"));
        }
        if let Some(report) = report {
            run.arg(format!("-report-output={}", report.display()));
            run.args([
                "-organization=weft-mesh",
                "-project=weft",
                "-url=https://github.com/weft-mesh/weft",
                "-contact=https://github.com/weft-mesh/weft/issues",
                concat!("-version=v", env!("CARGO_PKG_VERSION")),
            ]);
        }
        run.args(&self.flags).envs(suite.cluster.env());
        let name = test.map_or("conformance".to_owned(), |test| {
            format!("conformance-{test}")
        });
        command::run(&name, &mut run)
    }

    /// With `--retry` runs each test that failed once more, alone, and gives those that pass then.
    fn flakes(&self, suite: &Suite<'_>, log: &Log) -> Result<BTreeSet<String>> {
        let mut flakes = BTreeSet::new();
        if !self.retry {
            return Ok(flakes);
        }
        for (name, verdict) in &log.tests {
            if !matches!(verdict, Verdict::Failed(_) | Verdict::Unfinished) {
                continue;
            }
            println!("    {name} failed; once more, alone");
            let outcome = self.suite(suite, Some(name), None)?;
            let again = read(&outcome.log)?;
            if outcome.succeeded && again.tests.get(name) == Some(&Verdict::Passed) {
                flakes.insert(name.clone());
            }
        }
        Ok(flakes)
    }
}

fn read(path: &Path) -> Result<Log> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Log::parse(&String::from_utf8_lossy(&text)))
}
