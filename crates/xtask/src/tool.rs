//! Programs a stage needs beside Rust and a C compiler, and how they get onto the machine.
//!
//! What Go and PyPI bring is installed below `target/tools` and found there by the stages; nothing
//! else of the machine changes for it.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::command::workspace_root;

/// A program and the package that brings it.
pub(crate) struct Tool {
    /// Command that succeeds when the program is there.
    pub(crate) probe: &'static [&'static str],
    /// Where it comes from.
    pub(crate) package: Package,
}

/// Where a missing program comes from.
pub(crate) enum Package {
    /// A Debian package; installing it needs root.
    Debian(&'static str),
    /// A component of the Rust toolchain.
    Rustup(&'static str),
    /// A command of a Go module, with its version: `MODULE/COMMAND@VERSION`.
    Go(&'static str),
    /// A package of PyPI, with its version: `PACKAGE==VERSION`.
    PyPi(&'static str),
    /// Something no package brings; what to do about it.
    Machine(&'static str),
}

/// What builds commands of Go modules.
const GO: Tool = Tool {
    probe: &["go", "version"],
    package: Package::Debian("golang-go"),
};
/// What makes a directory of its own for Python packages.
const VENV: Tool = Tool {
    probe: &["python3", "-c", "import ensurepip, venv"],
    package: Package::Debian("python3-venv"),
};

/// Where Go installs when it was unpacked by hand, as its own instructions say; often not on `PATH`.
const GO_BY_HAND: &str = "/usr/local/go/bin";

impl Tool {
    /// Installs the program when it is missing and the machine allows it.
    ///
    /// # Errors
    /// Why it stays missing, with the command that would bring it.
    pub(crate) fn ensure(&self) -> Result<(), String> {
        if succeeds(self.probe) {
            return Ok(());
        }
        let wanted = self.probe.join(" ");
        if let Package::Machine(cure) = self.package {
            return Err(cure.to_owned());
        }
        if let Some(needed) = self.package.needs() {
            needed
                .ensure()
                .map_err(|reason| format!("`{wanted}` does not run: {reason}"))?;
        }
        let commands = self.package.commands();
        let shown: Vec<String> = commands.iter().map(|command| command.join(" ")).collect();
        let shown = shown.join(" && ");
        if matches!(self.package, Package::Debian(_)) && !is_root() {
            return Err(format!("`{wanted}` does not run; as root: {shown}"));
        }
        println!("    installing what is missing: {shown}");
        let install = || commands.iter().all(|command| succeeds(command));
        let is_debian = matches!(self.package, Package::Debian(_));
        let refreshed = || is_debian && succeeds(&["apt-get", "update"]) && install();
        if (install() || refreshed()) && succeeds(self.probe) {
            Ok(())
        } else {
            Err(format!(
                "`{wanted}` does not run and this did not help: {shown}"
            ))
        }
    }
}

impl Package {
    /// The tool without which it cannot be installed.
    fn needs(&self) -> Option<&'static Tool> {
        match self {
            Self::Debian(_) | Self::Rustup(_) | Self::Machine(_) => None,
            Self::Go(_) => Some(&GO),
            Self::PyPi(_) => Some(&VENV),
        }
    }

    /// The commands that install it, one after the other.
    fn commands(&self) -> Vec<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (bin, python) = (programs(), python());
        let (bin, python) = (bin.display(), python.display());
        match self {
            Self::Debian(name) => vec![words(&["apt-get", "install", "--yes", name])],
            Self::Rustup(name) => vec![words(&["rustup", "component", "add", name])],
            Self::Go(name) => {
                let bin = format!("GOBIN={bin}");
                vec![words(&["env", &bin, "go", "install", name])]
            }
            Self::PyPi(name) => {
                let (venv, pip) = (python.to_string(), format!("{python}/bin/pip"));
                vec![
                    words(&["python3", "-m", "venv", &venv]),
                    words(&[&pip, "install", "--quiet", name]),
                ]
            }
            Self::Machine(_) => Vec::new(),
        }
    }
}

/// The search path of probes and stages: what was installed here, then what the machine has.
pub(crate) fn path() -> OsString {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let own = [python().join("bin"), programs()];
    let all = own
        .into_iter()
        .chain(std::env::split_paths(&inherited))
        .chain([PathBuf::from(GO_BY_HAND)]);
    // Only a colon in the path of the checkout can be in the way; without our own directories the
    // probes say what is missing.
    std::env::join_paths(all).unwrap_or(inherited)
}

/// Where programs are installed.
fn programs() -> PathBuf {
    workspace_root().join("target/tools/bin")
}

/// The Python of its own that has the packages of PyPI.
fn python() -> PathBuf {
    workspace_root().join("target/tools/python")
}

fn succeeds(command: &[impl AsRef<str>]) -> bool {
    let Some((program, args)) = command.split_first() else {
        return false;
    };
    Command::new(program.as_ref())
        .args(args.iter().map(AsRef::as_ref))
        .env("PATH", path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether this process runs as root: the owner of its own `/proc` entry.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{GO_BY_HAND, Package, path, python};

    #[test]
    fn what_is_installed_here_is_found_first() {
        let path = path();
        let all: Vec<_> = std::env::split_paths(&path).collect();
        assert_eq!(all.first(), Some(&python().join("bin")), "of {all:?}");
        assert_eq!(all.last().map(AsRef::as_ref), Some(Path::new(GO_BY_HAND)));
        let go = Package::Go("example.org/tool@v1").commands();
        let into = go.iter().flatten().find_map(|it| it.strip_prefix("GOBIN="));
        let into = into.expect("Go is told where to install");
        assert!(all.iter().any(|it| it == Path::new(into)), "{into}");
    }
}
