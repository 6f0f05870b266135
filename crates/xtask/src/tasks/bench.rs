//! `cargo x bench`: measures Weft beside its peers, and keeps the report.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;

use crate::bench::figures::Table;
use crate::bench::lab::{Lab, Plan};
use crate::bench::machine::{self, Machine};
use crate::bench::peers::Peer;
use crate::bench::report::{self, Heading};
use crate::bench::scenarios::{Part, SCENARIOS, Scenario};
use crate::bench::tools::Programs;
use crate::command::{self, workspace_root};

/// Where `--write` keeps the report.
const RESULTS: &str = "tests/bench/RESULTS.md";
/// The parts of the report, in order.
const PARTS: [Part; 2] = [Part::Loopback, Part::Cable];

/// Options of `cargo x bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only these scenarios
    #[arg(long, value_name = "SCENARIO,...", value_delimiter = ',', value_parser = scenario_names())]
    only: Vec<String>,
    /// Peers to measure beside Weft; without a value, none
    #[arg(
        long,
        value_enum,
        num_args = 0..,
        value_name = "PEER,...",
        value_delimiter = ',',
        default_value = "envoy,nginx,haproxy"
    )]
    peers: Vec<Peer>,
    /// A ztunnel that was built with its feature `testing`, to be measured too where pairs relay bytes
    #[arg(long, value_name = "PROGRAM")]
    ztunnel: Option<PathBuf>,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    secs: u64,
    /// Measurements per peer, of which the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    runs: u16,
    /// Seconds of each measurement while routes change
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    churn_secs: u64,
    /// Write the report to tests/bench/RESULTS.md, to be reviewed and committed
    #[arg(long)]
    write: bool,
    /// Share the machine: do not take precedence over its other work
    #[arg(long)]
    no_fifo: bool,
    /// Measure target/dist as it is
    #[arg(long)]
    no_build: bool,
    /// Print the scenarios and what each measures; run nothing
    #[arg(long)]
    list: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let selected: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| args.selects(scenario))
        .collect();
    if args.list {
        selected
            .iter()
            .for_each(|scenario| println!("{:<10} {}", scenario.name, scenario.purpose));
        return Ok(ExitCode::SUCCESS);
    }
    let machine = Machine::inspect()?;
    if !args.no_build {
        build(&selected)?;
    }
    let programs = Programs::ensure(&args.peers, args.ztunnel.as_deref())?;
    if !programs.have_weft() {
        println!("    weft: not built; its peers are measured without it");
    }
    let mut peers = args.peers.clone();
    peers.extend(args.ztunnel.as_ref().map(|_| Peer::Ztunnel));
    peers.extend(programs.have_weft().then_some(Peer::Weft));
    let heading = heading(args, &machine, &programs, &peers)?;
    let lab = Lab::open(args.plan(), peers, programs)?;
    for part in PARTS {
        let of_part = |scenario: &&Scenario| scenario.part == part;
        let selected: Vec<&Scenario> = selected.iter().copied().filter(of_part).collect();
        if selected.is_empty() {
            continue;
        }
        let before = lab.failures().len();
        let tables = measure(&lab, &selected)?;
        let text = report::render(part, &heading, &tables, &lab.failures()[before..]);
        println!("\n{text}");
        if args.write {
            write(part, &text)?;
        }
    }
    let failures = lab.failures();
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("{} runs failed; each is told above", failures.len());
        ExitCode::FAILURE
    })
}

/// Puts a part of the report in its place.
fn write(part: Part, text: &str) -> Result<()> {
    let path = workspace_root().join(RESULTS);
    let directory = path.parent().unwrap_or(workspace_root());
    std::fs::create_dir_all(directory)?;
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(&path, report::replace(&old, part, text))
        .with_context(|| format!("cannot write {RESULTS}"))?;
    println!("{RESULTS} is written; review it and commit it");
    Ok(())
}

impl Args {
    fn selects(&self, scenario: &Scenario) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == scenario.name)
    }

    fn plan(&self) -> Plan {
        Plan {
            secs: self.secs,
            runs: usize::from(self.runs),
            churn_secs: self.churn_secs,
        }
    }
}

fn scenario_names() -> PossibleValuesParser {
    PossibleValuesParser::new(SCENARIOS.iter().map(|scenario| scenario.name))
}

/// Builds what is measured, and this package itself: its back-end must not be the slow side.
fn build(selected: &[&Scenario]) -> Result<()> {
    let is_selected = |part: Part| selected.iter().any(|scenario| scenario.part == part);
    let mut dist = vec!["build", "--locked", "--profile", "dist"];
    dist.extend(["--package", "weft-xtask"]);
    if is_selected(Part::Loopback) {
        dist.extend(["--package", "weft-cli"]);
    }
    if is_selected(Part::Cable) {
        dist.extend(["--package", "weft-proxy"]);
        println!("    building the control plane of pairs");
        // With the features of all rooms, with which the tests are built too.
        let control = ["build", "--locked", "--workspace"];
        built(
            "bench-control",
            &[&control[..], &["--example", "mesh-control"]].concat(),
        )?;
    }
    println!("    building what is measured as it is shipped (profile dist)");
    built("bench-build", &dist)
}

fn built(name: &str, args: &[&str]) -> Result<()> {
    let outcome = command::cargo(name, args, &[])?;
    if !outcome.succeeded {
        outcome
            .excerpt
            .iter()
            .for_each(|line| println!("    | {line}"));
        bail!(
            "the build failed; whole output in {}",
            outcome.log.display()
        );
    }
    Ok(())
}

/// Prepares the machine, and says under which conditions the figures are taken.
fn heading(args: &Args, machine: &Machine, programs: &Programs, peers: &[Peer]) -> Result<Heading> {
    let load = machine::load_average();
    let open_files = machine::raise_open_files()?;
    machine::stay_on_load_core()?;
    let has_precedence = !args.no_fifo && machine::take_precedence();
    let scheduling = if has_precedence {
        "under SCHED_FIFO, so other work on the machine waited"
    } else {
        println!("    without SCHED_FIFO: other work on the machine shows in the figures");
        "without SCHED_FIFO, so other work on the machine shows"
    };
    let built = if args.no_build {
        "target/dist as it was found, which need not be this commit"
    } else {
        "built from this commit"
    };
    let Args {
        secs,
        runs,
        churn_secs,
        ..
    } = args;
    let words: Vec<String> = std::env::args().skip(1).collect();
    Ok(Heading {
        date: machine::today()?,
        machine: machine.to_string(),
        commit: machine::commit(),
        command: format!("cargo x {}", words.join(" ")),
        conditions: format!(
            "{built}; median of {runs} × {secs} s, {churn_secs} s under changes; {scheduling}; \
             load average before: {load}; {open_files} open files allowed"
        ),
        versions: peers
            .iter()
            .map(|&peer| (peer, programs.version(peer)))
            .collect(),
    })
}

fn measure(lab: &Lab, selected: &[&Scenario]) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for (position, scenario) in selected.iter().enumerate() {
        let (number, of) = (position + 1, selected.len());
        println!("[{number}/{of}] {}: {}", scenario.name, scenario.purpose);
        let measured = (scenario.run)(lab)?;
        for table in &measured {
            println!("\n{}", report::render_table(table, "##"));
        }
        tables.extend(measured);
    }
    Ok(tables)
}
