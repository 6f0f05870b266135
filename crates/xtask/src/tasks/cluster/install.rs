//! `cargo x cluster install`: Weft on the cluster, from the images that `cargo x image` has written.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use super::{command, load};
use crate::command::workspace_root;
use crate::tasks::kinds::{self, Channel};

/// How long the control plane, and then the proxies of nodes, may take to become ready.
const PATIENCE: &str = "--timeout=120s";

pub(super) fn install(images: &Path) -> Result<ExitCode> {
    let archives: Vec<PathBuf> = ["weft.tar", "weft-proxy.tar"]
        .iter()
        .map(|name| workspace_root().join(images).join(name))
        .collect();
    if let Some(absent) = archives.iter().find(|archive| !archive.exists()) {
        bail!("there is no {}; run `cargo x image`", absent.display());
    }
    load(&archives)?;
    kinds::ensure(Channel::Standard, || {
        let mut kubectl = command()?;
        kubectl.arg("kubectl");
        Ok(kubectl)
    })?;
    let manifests = manifests(images)?;
    let mut apply = command()?
        .args([
            "kubectl",
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start kubectl")?;
    if let Some(mut stdin) = apply.stdin.take() {
        stdin
            .write_all(&manifests)
            .context("kubectl did not read the manifests")?;
    }
    if !apply.wait().context("kubectl was lost")?.success() {
        bail!("the manifests could not be applied; the reason stands above");
    }
    // Images of another build may have the same name, and pods that run do not look again.
    let (controller, nodes) = ("deployment/weft-controller", "daemonset/weft-node");
    for step in [
        vec!["restart", controller],
        vec!["restart", nodes],
        vec!["status", controller, PATIENCE],
        vec!["status", nodes, PATIENCE],
    ] {
        let status = command()?
            .args(["kubectl", "--namespace", "weft-system", "rollout"])
            .args(&step)
            .status()
            .context("cannot start kubectl")?;
        if !status.success() {
            bail!("{} did not become ready; the reason stands above", step[1]);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What `weft install` of the packed program prints.
fn manifests(images: &Path) -> Result<Vec<u8>> {
    let program = workspace_root().join(images).join("weft");
    let output = Command::new(&program)
        .args(["install", "--set", "mesh.enabled=true"])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}; run `cargo x image`", program.display()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    bail!("`weft install` failed; the reason stands above")
}
