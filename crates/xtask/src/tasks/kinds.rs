//! The kinds of the Gateway API in a cluster, from the CRDs that are vendored.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::command::{succeed, workspace_root};

/// A kind that both channels have, and the annotation that says from which one it came.
const KIND: &str = "gatewayclasses.gateway.networking.k8s.io";
const CHANNEL_OF_KIND: &str =
    r"jsonpath={.metadata.annotations.gateway\.networking\.k8s\.io/channel}";

/// Channel of the Gateway API: which kinds and fields there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Channel {
    Standard,
    Experimental,
}

impl Channel {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Experimental => "experimental",
        }
    }

    /// The CRDs as upstream published them.
    fn directory(self) -> PathBuf {
        workspace_root().join("crates/api/crds").join(self.name())
    }
}

/// Installs the kinds of `channel` where there are none; those that are there stay as they are.
pub(super) fn ensure(channel: Channel, kubectl: impl Fn() -> Result<Command>) -> Result<()> {
    if installed(&kubectl)?.is_empty() {
        return apply(channel, kubectl);
    }
    Ok(())
}

/// As [`ensure`], and refuses those of the other channel.
pub(super) fn require(channel: Channel, kubectl: impl Fn() -> Result<Command>) -> Result<()> {
    let present = installed(&kubectl)?;
    if present.is_empty() {
        return apply(channel, kubectl);
    }
    if present == channel.name() {
        return Ok(());
    }
    bail!(
        "the cluster has the Gateway API of the {present} channel; run with --channel {present}, or \
         replace its CRDs yourself"
    )
}

/// Installs the kinds of `channel`, whatever is there, and waits until they can be used.
pub(super) fn apply(channel: Channel, kubectl: impl Fn() -> Result<Command>) -> Result<()> {
    let directory = channel.directory();
    let mut apply = kubectl()?;
    apply.args(["apply", "--server-side", "--force-conflicts", "-f"]);
    succeed(apply.arg(&directory))?;
    let mut wait = kubectl()?;
    wait.args(["wait", "--for=condition=Established", "--timeout=60s", "-f"]);
    succeed(wait.arg(&directory))?;
    Ok(())
}

/// Removes kinds that only the other channel has; the suite refuses a mixture.
pub(super) fn remove_beyond(channel: Channel, kubectl: impl Fn() -> Result<Command>) -> Result<()> {
    let other = match channel {
        Channel::Standard => Channel::Experimental,
        Channel::Experimental => Channel::Standard,
    };
    let mut delete = kubectl()?;
    delete.args(["delete", "--ignore-not-found"]);
    let mut any = false;
    for entry in std::fs::read_dir(other.directory())? {
        let path = entry?.path();
        let is_shared = path
            .file_name()
            .is_some_and(|name| channel.directory().join(name).exists());
        if !is_shared {
            delete.arg("-f").arg(path);
            any = true;
        }
    }
    if any {
        succeed(&mut delete)?;
    }
    Ok(())
}

/// The channel of the kinds in the cluster; empty where there are none.
fn installed(kubectl: impl Fn() -> Result<Command>) -> Result<String> {
    let mut get = kubectl()?;
    get.args([
        "get",
        "crd",
        KIND,
        "--ignore-not-found",
        "-o",
        CHANNEL_OF_KIND,
    ]);
    Ok(succeed(&mut get)?.trim().to_owned())
}
