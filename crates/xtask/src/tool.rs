//! Programs a stage needs beside Rust and a C compiler, and how they get onto the machine.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

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
}

impl Tool {
    /// Installs the program when it is missing and the machine allows it.
    ///
    /// # Errors
    /// Why it stays missing, with the command that would bring it.
    pub(crate) fn ensure(&self) -> Result<(), String> {
        if succeeds(self.probe) {
            return Ok(());
        }
        let (install, may_install) = match self.package {
            Package::Debian(name) => (
                ["apt-get", "install", "--yes", name].as_slice().to_vec(),
                is_root(),
            ),
            Package::Rustup(name) => (vec!["rustup", "component", "add", name], true),
        };
        let wanted = self.probe.join(" ");
        let command = install.join(" ");
        if !may_install {
            return Err(format!("`{wanted}` does not run; as root: {command}"));
        }
        println!("    installing what is missing: {command}");
        let refreshed = || succeeds(&["apt-get", "update"]) && succeeds(&install);
        let installed =
            succeeds(&install) || (matches!(self.package, Package::Debian(_)) && refreshed());
        if installed && succeeds(self.probe) {
            Ok(())
        } else {
            Err(format!(
                "`{wanted}` does not run and this did not help: {command}"
            ))
        }
    }
}

fn succeeds(command: &[&str]) -> bool {
    let Some((program, args)) = command.split_first() else {
        return false;
    };
    Command::new(program)
        .args(args)
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
