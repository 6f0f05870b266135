//! What tests/cluster is built into. A cache outside the checkout keeps it, by content, so that a
//! machine that has built it once needs seconds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::workspace_root;
use crate::tool;

#[cfg(test)]
mod tests;

/// Where programs and images lie that were asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::tasks) struct Builds {
    binaries: BTreeMap<String, PathBuf>,
    images: BTreeMap<String, PathBuf>,
}

impl Builds {
    /// The program of a component. Of several programs of one component it is the last.
    pub(in crate::tasks) fn binary(&self, name: &str) -> Result<&Path> {
        let found = self.binaries.get(name).map(PathBuf::as_path);
        found.with_context(|| format!("tests/cluster/build did not say where {name} is"))
    }

    /// The archives of all components that become images.
    pub(in crate::tasks) fn images(&self) -> impl Iterator<Item = &PathBuf> {
        self.images.values()
    }

    /// Reads the builder's lines `NAME binary|image PATH`, separated by tabs.
    fn parse(output: &str) -> Result<Self> {
        let mut builds = Self::default();
        for line in output.lines() {
            let mut fields = line.split('\t');
            let (name, kind, path) = (fields.next(), fields.next(), fields.next());
            let (Some(name), Some(path)) = (name, path) else {
                bail!("tests/cluster/build printed `{line}`");
            };
            let map = match kind {
                Some("binary") => &mut builds.binaries,
                Some("image") => &mut builds.images,
                _ => bail!("tests/cluster/build printed `{line}`"),
            };
            map.insert(name.to_owned(), path.into());
        }
        Ok(builds)
    }
}

/// Builds what is not in the cache yet; what takes long is told on standard error.
///
/// # Errors
/// When Go is missing, cannot reach its modules the first time, or does not compile them.
pub(in crate::tasks) fn ensure(names: &[&str]) -> Result<Builds> {
    let output = go("./build")
        .arg("-cache")
        .arg(cache()?)
        .args(names)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start `go`; install Go 1.26 or later from https://go.dev/dl")?;
    if !output.status.success() {
        bail!("tests/cluster could not be built; the reason stands above");
    }
    Builds::parse(&String::from_utf8_lossy(&output.stdout))
}

/// `go run` of a command of tests/cluster that needs nothing but the standard library.
pub(in crate::tasks) fn go(package: &str) -> Command {
    let mut command = Command::new("go");
    command
        .args(["run", package])
        .current_dir(workspace_root().join("tests/cluster"))
        .env("PATH", tool::path())
        .env("GOWORK", "off")
        .stdin(Stdio::null());
    command
}

fn cache() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let base = variable("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let base = base.context("neither XDG_CACHE_HOME nor HOME says where a cache may be")?;
    Ok(base.join("weft-bed"))
}
