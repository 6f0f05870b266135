//! What Cargo says about the packages: manifests, lock file, resolved trees.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

use super::source::root;

/// The answer of `cargo metadata`.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A package of the workspace or of the lock file.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// SPDX expression.
    pub(super) license: Option<String>,
    /// Registry it comes from; none for packages of this workspace.
    source: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
    manifest_path: String,
}

/// An entry of a manifest's dependency tables.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// `None` for normal ones, else `dev` or `build`.
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) features: Vec<String>,
    /// Set when it points into this workspace.
    pub(super) path: Option<String>,
}

impl Package {
    /// Folder from the repository root: `crates/ir`, `proxy`.
    pub(super) fn room(&self) -> String {
        let prefix = format!("{}/", root().display());
        let path = self
            .manifest_path
            .strip_prefix(&prefix)
            .unwrap_or(&self.manifest_path);
        path.trim_end_matches("/Cargo.toml").to_owned()
    }

    /// The same manifest under another name, to show that a check can fail.
    pub(super) fn renamed(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self.clone()
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        self.source.is_none()
    }

    /// Dependencies that end up in what is built from it; `dev` ones do not.
    pub(super) fn shipped(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies
            .iter()
            .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
    }
}

/// Every package of the lock file, those of the workspace included.
pub(super) fn packages() -> &'static [Package] {
    static PACKAGES: OnceLock<Vec<Package>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let json = cargo(&["metadata", "--locked", "--format-version", "1"]);
        let metadata: Metadata =
            serde_json::from_str(&json).expect("cargo metadata prints the format it promises");
        assert!(
            metadata.packages.len() > 50,
            "cargo metadata lists only a handful of packages"
        );
        metadata.packages
    })
}

/// The packages of this workspace.
pub(super) fn rooms() -> impl Iterator<Item = &'static Package> {
    packages().iter().filter(|package| package.is_ours())
}

/// Names of all packages that building `package` for Linux links or runs, itself included.
///
/// Unlike `cargo metadata` this resolves features for that package alone.
pub(super) fn tree_of(package: &str) -> BTreeSet<String> {
    tree(&["--package", package, "--edges", "normal,build"])
}

/// Names of all packages that any build, test or target of the workspace uses.
pub(super) fn whole_tree() -> BTreeSet<String> {
    tree(&["--workspace", "--target", "all"])
}

fn tree(selection: &[&str]) -> BTreeSet<String> {
    let mut args = vec!["tree", "--locked", "--prefix", "none", "--format", "{p}"];
    args.extend_from_slice(selection);
    let names = cargo(&args);
    names
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

fn cargo(args: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(args)
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "cargo {} failed:\n{}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}
