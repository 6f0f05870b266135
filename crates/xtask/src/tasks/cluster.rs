//! `cargo x cluster`: a real Kubernetes on this machine, from the programs of tests/cluster.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};

use crate::tool::{Package, Tool};

pub(super) mod builds;
mod code;
mod install;
mod kinds;
mod measure;
mod tour;

/// What one has to have been told to use the cluster with other programs.
pub(super) const KUBECONFIG: &str = "/var/lib/weft-bed/kubeconfig/admin";

/// Options of `cargo x cluster`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make the cluster, after removing what an earlier one has left
    Up {
        /// Number of nodes
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=9))]
        nodes: u8,
        /// How kube-proxy does Services
        #[arg(long, value_enum, default_value_t = ProxyMode::Nftables)]
        proxy: ProxyMode,
    },
    /// Show that the cluster does what Weft's tests rely on: pods on both nodes, names, every kind of
    /// Service, both IP versions
    Prove,
    /// Show on it what Weft promises about edits, load, crashes and absences
    Measure(measure::Args),
    /// Show on it that every kind of workload behaves in the mesh, real databases among them
    Kinds(kinds::Args),
    /// Vet and test the programs that make and judge the cluster; needs none
    Test,
    /// Remove the cluster and every trace of it
    Down,
    /// Say what runs and how much memory it takes; fail when the cluster is not up
    Status,
    /// Import archives of images on every node
    Load {
        #[arg(required = true, value_name = "IMAGE.tar")]
        archives: Vec<PathBuf>,
    },
    /// Install Weft on the cluster, from images that `cargo x image` has written
    Install {
        #[arg(long, value_name = "DIR", default_value = "target/image")]
        images: PathBuf,
    },
    /// Follow README.md's tour of a cluster, command by command, and compare what it prints
    Tour(tour::Args),
    /// Run kubectl as the cluster's administrator
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Print the path for KUBECONFIG
    Kubeconfig,
    /// Fail if the machine has a trace of a cluster, and name it
    CheckClean,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProxyMode {
    Nftables,
    Iptables,
}

/// What makes containers, networks and rules; Kubernetes itself is built.
const TOOLS: &[Tool] = &[
    debian(&["containerd", "--version"], "containerd"),
    debian(&["runc", "--version"], "runc"),
    debian(
        &["test", "-x", "/usr/lib/cni/ptp"],
        "containernetworking-plugins",
    ),
    debian(&["nft", "--version"], "nftables"),
    debian(&["iptables", "--version"], "iptables"),
    debian(&["ip", "-Version"], "iproute2"),
    debian(&["nsenter", "--version"], "util-linux"),
];

const fn debian(probe: &'static [&'static str], package: &'static str) -> Tool {
    Tool {
        probe,
        package: Package::Debian(package),
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    match &args.action {
        Action::Up { nodes, proxy } => up(*nodes, *proxy),
        Action::Prove => {
            let images = builds::ensure(&["echo-basic", "echo-advanced"])?;
            load(&Vec::from_iter(images.images().cloned()))?;
            bed(&["prove".into()])
        }
        Action::Measure(args) => measure::run(args),
        Action::Kinds(args) => kinds::run(args),
        Action::Test => code::test(),
        Action::Down => bed(&["down".into()]),
        Action::Status => bed(&["status".into()]),
        Action::Load { archives } => {
            let archives = archives.iter().map(OsString::from);
            bed(&[vec!["load".into()], archives.collect()].concat())
        }
        Action::Install { images } => install::install(images),
        Action::Tour(args) => tour::run(args),
        Action::Kubectl { args } => bed(&[vec!["kubectl".into()], args.clone()].concat()),
        Action::Kubeconfig => {
            println!("{KUBECONFIG}");
            Ok(ExitCode::SUCCESS)
        }
        Action::CheckClean => bed(&["check-clean".into()]),
    }
}

fn up(nodes: u8, proxy: ProxyMode) -> Result<ExitCode> {
    for tool in TOOLS {
        if let Err(reason) = tool.ensure() {
            bail!("the cluster needs what is missing here: {reason}");
        }
    }
    let builds = builds::ensure(&["bed", "kube", "pause", "coredns"])?;
    let mode = match proxy {
        ProxyMode::Nftables => "nftables",
        ProxyMode::Iptables => "iptables",
    };
    let mut args: Vec<OsString> = vec![
        "-kube".into(),
        builds.binary("kube")?.into(),
        "-nodes".into(),
        nodes.to_string().into(),
        "-proxy".into(),
        mode.into(),
    ];
    for image in builds.images() {
        args.extend(["-image".into(), image.into()]);
    }
    args.push("up".into());
    bed(&args)
}

/// Whether the cluster is up, without a word.
pub(super) fn is_up() -> Result<bool> {
    let output = command()?
        .arg("status")
        .output()
        .context("cannot start the bed")?;
    Ok(output.status.success())
}

/// Imports archives of images on every node of the cluster.
pub(super) fn load(archives: &[PathBuf]) -> Result<()> {
    let status = command()?.arg("load").args(archives).status();
    if status.context("cannot start the bed")?.success() {
        return Ok(());
    }
    bail!("the images could not be imported; the reason stands above")
}

/// The bed's own command, built when it has changed.
pub(super) fn command() -> Result<Command> {
    Ok(Command::new(builds::ensure(&["bed"])?.binary("bed")?))
}

/// Runs the bed with its output for people, and passes its verdict on.
fn bed(args: &[OsString]) -> Result<ExitCode> {
    let status = command()?
        .args(args)
        .status()
        .context("cannot start the bed")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
