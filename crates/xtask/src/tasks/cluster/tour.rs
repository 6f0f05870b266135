//! `cargo x cluster tour`: the tour of a cluster in README.md, pasted command by command, so that it
//! cannot rot.
//!
//! It begins where a user does, without Weft; where Weft was installed it is again at the end. What
//! only another cluster has (kind, a way to upstream's releases) is replaced by what the bed has, and
//! said.

mod readme;
mod shell;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use self::readme::Block;
use self::shell::Shell;
use super::{KUBECONFIG, builds, command, install};
use crate::command::{succeed, workspace_root};
use crate::tool;

/// What comes with upstream's kinds and is no kind.
const GUARD: [&str; 2] = [
    "validatingadmissionpolicybinding/safe-upgrades.gateway.networking.k8s.io",
    "validatingadmissionpolicy/safe-upgrades.gateway.networking.k8s.io",
];
/// The module that has upstream's kinds, and whose version is chosen by the suite.
const UPSTREAM: &str = "sigs.k8s.io/gateway-api";

/// Options of `cargo x cluster tour`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where `cargo x image` has left what it packed
    #[arg(long, value_name = "DIR", default_value = "target/image")]
    images: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if !super::is_up()? {
        bail!("no cluster: run `cargo x cluster up`");
    }
    let text = std::fs::read_to_string(workspace_root().join("README.md"))?;
    let blocks = readme::blocks(&text)?;
    let place = Place::new(&workspace_root().join(&args.images))?;
    let was_installed = place.has("namespace/weft-system")?;
    if was_installed {
        println!("    removing Weft, because the tour begins without it");
        succeed(place.program("weft").args(["uninstall", "--yes"]))?;
    }
    let guarded = place.has(GUARD[0])?;
    let before = place.namespaces()?;
    let followed = follow(&place, &blocks);
    if followed.is_err() {
        place.clean();
    }
    let after = place.namespaces()?;
    if !guarded {
        // It would keep the experimental kinds out.
        let mut delete = place.kubectl();
        delete.args(["delete", "--ignore-not-found"]).args(GUARD);
        succeed(&mut delete)?;
    }
    if was_installed {
        println!("    installing Weft again");
        install::install(&args.images)?;
    }
    followed?;
    ensure!(
        before == after,
        "the tour left namespaces {:?} behind, or took {:?} away",
        Vec::from_iter(after.difference(&before)),
        Vec::from_iter(before.difference(&after)),
    );
    Ok(ExitCode::SUCCESS)
}

/// Runs the blocks in one shell and compares what they print.
fn follow(place: &Place, blocks: &[Block<'_>]) -> Result<()> {
    let mut shell = Shell::start(place.scripts.path(), &place.env())?;
    for block in blocks {
        if let Some(tool) = block.tools.iter().find(|tool| !place.finds(tool)) {
            let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            ensure!(!is_ci, "README line {}: there is no {tool}", block.line);
            println!("    line {}: not run, there is no {tool}", block.line);
            continue;
        }
        let mut printed = String::new();
        for written in readme::commands(block.script) {
            let replaced = place.instead_of(&written);
            let done = replaced.as_deref().unwrap_or(&written);
            let first = done.lines().next().unwrap_or_default();
            let mark = if replaced.is_some() { "instead: " } else { "" };
            println!("    line {}: {mark}{first}", block.line);
            let (output, code) = shell.run(done)?;
            output.lines().for_each(|line| println!("    | {line}"));
            ensure!(
                code == 0,
                "README line {}: exit code {code} of {first}",
                block.line
            );
            printed += &output;
        }
        if let Some(shown) = block.shown {
            let line = block.line;
            ensure!(
                printed == shown,
                "README line {line} prints\n{printed}\ninstead of\n{shown}"
            );
        }
    }
    Ok(())
}

/// What a user's shell has: the cluster, `kubectl`, and the images beside their programs.
struct Place {
    images: PathBuf,
    /// The bed's command, which loads images as kind does.
    bed: OsString,
    path: OsString,
    /// Directory of upstream's kinds.
    kinds: PathBuf,
    /// Programs made for the tour, and what Helm writes.
    scripts: tempfile::TempDir,
}

impl Place {
    fn new(images: &Path) -> Result<Self> {
        ensure!(
            images.join("weft").exists(),
            "there is no {}; run `cargo x image`",
            images.join("weft").display()
        );
        let scripts = tempfile::tempdir()?;
        let kubectl = scripts.path().join("kubectl");
        let kube = builds::ensure(&["kube"])?;
        let kube = kube.binary("kube")?.display();
        std::fs::write(
            &kubectl,
            format!("#!/bin/sh\nexec '{kube}' kubectl \"$@\"\n"),
        )?;
        std::fs::set_permissions(&kubectl, PermissionsExt::from_mode(0o755))?;
        let inherited = tool::path();
        let all = [scripts.path().to_owned()].into_iter();
        let path = std::env::join_paths(all.chain(std::env::split_paths(&inherited)))?;
        Ok(Self {
            images: images.to_owned(),
            bed: command()?.get_program().to_owned(),
            path,
            kinds: kinds()?,
            scripts,
        })
    }

    /// The environment of everything that is run.
    fn env(&self) -> Vec<(&'static str, OsString)> {
        let home = |name: &str| self.scripts.path().join(name).into_os_string();
        vec![
            ("KUBECONFIG", KUBECONFIG.into()),
            ("PATH", self.path.clone()),
            ("IMAGES", self.images.clone().into()),
            ("BED", self.bed.clone()),
            ("KINDS", self.kinds.clone().into()),
            ("HELM_CACHE_HOME", home("helm-cache")),
            ("HELM_CONFIG_HOME", home("helm-config")),
            ("HELM_DATA_HOME", home("helm-data")),
        ]
    }

    /// A program of the images or of the path, with that environment.
    fn program(&self, name: &str) -> Command {
        let packed = self.images.join(name);
        let name = if packed.exists() { packed } else { name.into() };
        let mut program = Command::new(name);
        program.envs(self.env());
        program
    }

    fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(self.scripts.path().join("kubectl"));
        kubectl.envs(self.env());
        kubectl
    }

    fn has(&self, object: &str) -> Result<bool> {
        let mut get = self.kubectl();
        get.args(["get", object, "--ignore-not-found", "-o", "name"]);
        Ok(!succeed(&mut get)?.trim().is_empty())
    }

    fn namespaces(&self) -> Result<BTreeSet<String>> {
        let listed = succeed(self.kubectl().args(["get", "namespaces", "-o", "name"]))?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    fn finds(&self, tool: &str) -> bool {
        std::env::split_paths(&self.path).any(|directory| directory.join(tool).exists())
    }

    /// What is done where the bed is not what README.md is written for.
    fn instead_of(&self, written: &str) -> Option<String> {
        readme::instead_of(written, |url| {
            let mut curl = self.program("curl");
            curl.args([
                "--silent",
                "--fail",
                "--location",
                "--head",
                "--max-time",
                "10",
            ]);
            curl.args(["--output", "/dev/null", url]);
            curl.status().is_ok_and(|status| status.success())
        })
    }

    /// Takes away what a tour that failed has left. What cannot be taken away is told.
    fn clean(&self) {
        let mut delete = self.kubectl();
        delete.args(["delete", "namespace", "tour", "--ignore-not-found"]);
        let mut steps = vec![delete];
        if self.finds("helm") {
            let mut helm = self.program("helm");
            helm.args(["uninstall", "weft", "--namespace", "weft-system"]);
            steps.push(helm);
        }
        let mut uninstall = self.program("weft");
        uninstall.args(["uninstall", "--yes", "--stop-gateways"]);
        steps.push(uninstall);
        for mut step in steps {
            if let Err(reason) = succeed(&mut step).context("after the tour failed") {
                println!("    {reason:#}");
            }
        }
    }
}

/// Where Go keeps upstream's kinds, of the version that the suite is of.
fn kinds() -> Result<PathBuf> {
    let go = |args: &[&str]| {
        let mut go = Command::new("go");
        go.args(args).arg(UPSTREAM);
        go.current_dir(workspace_root().join("tests/cluster/conformance"));
        succeed(go.env("PATH", tool::path()).env("GOWORK", "off"))
    };
    go(&["mod", "download"])?;
    let module = go(&["list", "-m", "-f", "{{.Dir}}"])?;
    Ok(Path::new(module.trim()).join("config/crd/standard"))
}
