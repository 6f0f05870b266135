//! `cargo x image`: OCI archives of the programs that are deployed, without a Docker daemon.

mod authorities;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use super::cluster::builds;
use crate::command::{self, workspace_root};

/// Static, so that an image needs no library beside the program.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Apart from what contributors build, because these flags would rebuild all of it.
const TARGET_DIR: &str = "target/image";
const FLAGS: &str = "-C target-feature=+crt-static";
/// Relocations as a bit map: what remains of them is a thirtieth, and a process that has read it at its start
/// keeps that in memory.
const PACKED: &str = "-C link-arg=-Wl,-z,pack-relative-relocs";
/// The first glibc whose start-up code reads such a map.
const PACKED_SINCE: (u32, u32) = (2, 36);
/// The user `nonroot` of the usual images without a shell.
const USER: &str = "65532:65532";
const SOURCE: &str = "https://github.com/weft-mesh/weft";

/// A program: the name of the binary, and the package that makes it.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    package: &'static str,
}

/// An image: the program it starts, and what else it holds.
struct Image {
    /// Of the archive, of the reference and of the binary.
    name: &'static str,
    package: &'static str,
    /// Programs beside that one.
    others: &'static [Program],
    title: &'static str,
    /// Whether it has the certification authorities that `wellKnownCACertificates: System` of a
    /// BackendTLSPolicy means.
    authorities: bool,
}

const IMAGES: &[Image] = &[
    Image {
        name: "weft",
        package: "weft-cli",
        others: &[],
        title: "Weft: control plane and command line",
        authorities: false,
    },
    Image {
        name: "weft-proxy",
        package: "weft-proxy",
        // On every node it lies beside the supervisor that answers it.
        others: &[Program {
            name: "weft-cni",
            package: "weft-cni",
        }],
        title: "Weft: proxy of a Gateway or of a node, and the CNI plugin",
        authorities: true,
    },
];

/// Options of `cargo x image`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these images
    #[arg(value_name = "IMAGE", value_parser = clap::builder::PossibleValuesParser::new(IMAGES.iter().map(|image| image.name)))]
    only: Vec<String>,
    /// Directory the archives are written to
    #[arg(long, value_name = "DIR", default_value = "target/image")]
    out: PathBuf,
    /// Registry and project in front of the name
    #[arg(long, value_name = "PREFIX", default_value = "ghcr.io/weft-mesh")]
    repository: String,
    /// Tag; several give the image several names
    #[arg(long = "tag", value_name = "TAG", default_value = env!("CARGO_PKG_VERSION"))]
    tags: Vec<String>,
    /// Cargo profile of the programs: `dist` is what is shipped, `release` is built in less time
    #[arg(long, value_name = "PROFILE", default_value = "dist", value_parser = ["dist", "release"])]
    profile: String,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let chosen: Vec<&Image> = IMAGES
        .iter()
        .filter(|image| args.only.is_empty() || args.only.iter().any(|name| name == image.name))
        .collect();
    // What is missing is known before the programs are built.
    let authorities = match chosen.iter().any(|image| image.authorities) {
        true => Some(authorities::bundle()?),
        false => None,
    };
    compile(&chosen, &args.profile)?;
    let out = workspace_root().join(&args.out);
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    for image in chosen {
        let archive = out.join(format!("{}.tar", image.name));
        let authorities = authorities.as_ref().filter(|_| image.authorities);
        let bundle = match authorities {
            Some(pem) => Some(authorities::write(pem, &out)?),
            None => None,
        };
        image.pack(args, &archive, bundle.as_deref())?;
        // Beside the archive for those who install what they have just packed.
        let program = binary(image.name, &args.profile);
        std::fs::copy(&program, out.join(image.name))
            .with_context(|| format!("cannot copy {}", program.display()))?;
        let size_mib = |path: &Path| -> Result<f64> {
            let bytes = std::fs::metadata(path)?.len();
            Ok(f64::from(u32::try_from(bytes >> 10)?) / 1024.0)
        };
        println!(
            "{}: {:.1} MiB, as {}",
            archive.display(),
            size_mib(&archive)?,
            args.references(image).join(", ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn references(&self, image: &Image) -> Vec<String> {
        let reference = |tag| format!("{}/{}:{tag}", self.repository, image.name);
        self.tags.iter().map(reference).collect()
    }
}

fn compile(images: &[&Image], profile: &str) -> Result<()> {
    let mut args = vec![
        "build",
        "--locked",
        "--profile",
        profile,
        "--target",
        TARGET,
        "--target-dir",
        TARGET_DIR,
    ];
    for program in images.iter().flat_map(|image| image.programs()) {
        args.extend(["--package", program.package, "--bin", program.name]);
    }
    // The names of functions stay, for backtraces; what only a debugger reads is more than half.
    let strip = format!("CARGO_PROFILE_{}_STRIP", profile.to_uppercase());
    let libc = command::succeed(Command::new("getconf").arg("GNU_LIBC_VERSION"));
    let flags = match libc.is_ok_and(|version| reads_packed(&version)) {
        true => format!("{FLAGS} {PACKED}"),
        false => FLAGS.to_owned(),
    };
    let env = [("RUSTFLAGS", flags.as_str()), (&strip, "debuginfo")];
    let outcome = command::cargo("image-build", &args, &env)?;
    if outcome.succeeded {
        return Ok(());
    }
    outcome
        .excerpt
        .iter()
        .for_each(|line| println!("    | {line}"));
    bail!(
        "the programs could not be built; whole output in {}",
        outcome.log.display()
    )
}

/// Whether the glibc that `getconf` names is new enough.
fn reads_packed(version: &str) -> bool {
    let numbers = version.trim().strip_prefix("glibc ");
    let (major, minor) = numbers.and_then(|it| it.split_once('.')).unzip();
    let number = |text: Option<&str>| text.and_then(|it| it.parse().ok()).unwrap_or(0);
    (number(major), number(minor)) >= PACKED_SINCE
}

/// Where a program is once it is built.
fn binary(name: &str, profile: &str) -> PathBuf {
    let directory = workspace_root().join(TARGET_DIR).join(TARGET);
    directory.join(profile).join(name)
}

impl Image {
    /// All of its programs, the one it starts first.
    fn programs(&self) -> impl Iterator<Item = Program> + use<> {
        let first = Program {
            name: self.name,
            package: self.package,
        };
        [first].into_iter().chain(self.others.iter().copied())
    }

    fn pack(&self, args: &Args, archive: &Path, bundle: Option<&Path>) -> Result<()> {
        let mut pack = builds::go("./pack");
        pack.arg("-out").arg(archive).args(["-user", USER]);
        for reference in args.references(self) {
            pack.args(["-ref", &reference]);
        }
        for (key, value) in [
            ("title", self.title),
            ("version", env!("CARGO_PKG_VERSION")),
            ("source", SOURCE),
            ("licenses", "Apache-2.0"),
        ] {
            let label = format!("org.opencontainers.image.{key}={value}");
            pack.args(["-label", &label]);
        }
        if let Some(bundle) = bundle {
            let file = format!("{}={}", authorities::IN_IMAGE, bundle.display());
            pack.args(["-file", &file]);
        }
        for program in self.others {
            let built = binary(program.name, &args.profile);
            let file = format!("/usr/local/bin/{}={}", program.name, built.display());
            pack.args(["-file", &file]);
        }
        let status = pack.arg(binary(self.name, &args.profile)).status();
        let status =
            status.context("cannot start `go`; install Go 1.26 or later from https://go.dev/dl")?;
        if status.success() {
            return Ok(());
        }
        bail!("{} could not be packed; the reason stands above", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::reads_packed;

    #[test]
    fn relocations_are_packed_for_who_can_read_them() {
        for (version, expected) in [
            ("glibc 2.36\n", true),
            ("glibc 2.41", true),
            ("glibc 3.0", true),
            ("glibc 2.35", false),
            ("glibc 2.9", false),
            ("musl 1.2.5", false),
            ("", false),
        ] {
            assert_eq!(reads_packed(version), expected, "{version}");
        }
    }
}
