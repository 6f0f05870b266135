//! The image of what the workloads run: a shell and databases, as Debian ships them.
//!
//! Packages are unpacked and nothing is installed, so no service of theirs starts on this machine. Libraries
//! are taken from the packages where these have them, and otherwise from the machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::builds;
use crate::command::{succeed, workspace_root};

const REFERENCE: &str = "ghcr.io/weft-mesh/kinds:1";
/// The user of `passwd`: PostgreSQL wants to know its name.
const USER: &str = "65532:65532";
/// Besides those of PostgreSQL, whose names have a version.
const PACKAGES: &[&str] = &[
    "busybox-static",
    "redis-server",
    "redis-tools",
    "liblzf1",
    "libpq5",
];
/// Where the libraries of packages are unpacked to; they have a directory for each architecture.
const LIBRARIES: &[&str] = &["usr/lib", "lib"];
/// Files of the checkout, and where they are in the image.
const OWN: &[(&str, &str)] = &[("passwd", "/etc/passwd"), ("stranger.sh", "/stranger.sh")];

/// The files of an image, by their paths there.
type Files = BTreeMap<PathBuf, PathBuf>;

/// Writes the image, with files of `own`; its archive.
pub(super) fn image(own: &Path) -> Result<PathBuf> {
    let place = workspace_root().join("target/kinds");
    let root = place.join("root");
    let version = version_of_postgres()?;
    let packages = PACKAGES.iter().map(ToString::to_string);
    let of_postgres = ["", "-client"].map(|which| format!("postgresql{which}-{version}"));
    unpack(&packages.chain(of_postgres).collect::<Vec<_>>(), &place)?;
    let mut files = Files::new();
    for (name, path) in OWN {
        files.insert(path.into(), own.join(name));
    }
    // It is every program that it is called by, and knows those it is not called by.
    let busybox = root.join("bin/busybox");
    files.insert("/bin/sh".into(), busybox.clone());
    let programs = format!("usr/lib/postgresql/{version}/bin");
    let programs = ["postgres", "initdb", "psql"].map(|name| format!("{programs}/{name}"));
    let mut linked = Vec::from(programs);
    linked.extend(["redis-server", "redis-cli"].map(|name| format!("usr/bin/{name}")));
    for program in linked.iter().map(|program| root.join(program)) {
        let name = program.file_name().context("a program has a name")?;
        libraries(&program, &root, &mut files)?;
        files.insert(Path::new("/usr/bin").join(name), program);
    }
    for library in ["plpgsql.so", "dict_snowball.so"] {
        let own = format!("usr/lib/postgresql/{version}/lib/{library}");
        // Beside the programs, as far as these go by where they are themselves.
        files.insert(Path::new("/usr/lib").join(library), root.join(own));
    }
    below(
        &root,
        &format!("usr/share/postgresql/{version}"),
        &mut files,
    )?;
    pack(&files, &busybox, &place)
}

/// The version of the server that this release of Debian has.
fn version_of_postgres() -> Result<String> {
    let depends = succeed(Command::new("apt-cache").args(["depends", "postgresql"]))?;
    let mut words = depends.split_whitespace();
    let version = words.find_map(|word| word.strip_prefix("postgresql-")?.parse::<u32>().ok());
    let version = version.context("apt knows no PostgreSQL; `apt-get update` as root")?;
    Ok(version.to_string())
}

/// Downloads packages that are not there yet, and unpacks all of them into `root` of `place`.
fn unpack(packages: &[String], place: &Path) -> Result<()> {
    let archives = place.join("packages");
    std::fs::create_dir_all(&archives)
        .with_context(|| format!("cannot create {}", archives.display()))?;
    succeed(
        Command::new("apt-get")
            .arg("download")
            .args(packages)
            .current_dir(&archives),
    )
    .context("the lists of packages may be old; `apt-get update` as root")?;
    for archive in std::fs::read_dir(&archives)? {
        let archive = archive?.path();
        succeed(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(&archive)
                .arg(place.join("root")),
        )?;
    }
    Ok(())
}

/// Adds what a program is linked with, where its loader finds that.
fn libraries(program: &Path, root: &Path, files: &mut Files) -> Result<()> {
    let mut own = Vec::new();
    for directory in LIBRARIES
        .iter()
        .map(|it| root.join(it))
        .filter(|it| it.is_dir())
    {
        for entry in std::fs::read_dir(directory)? {
            own.push(entry?.path().display().to_string());
        }
    }
    let linked = succeed(
        Command::new("ldd")
            .arg(program)
            .env("LD_LIBRARY_PATH", own.join(":")),
    )?;
    for line in linked.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [name, "=>", "not", "found"] => {
                bail!(
                    "{}: there is no {name}; install its package",
                    program.display()
                )
            }
            [name, "=>", path, _] => files.insert(Path::new("/lib").join(name), path.into()),
            [loader, _] if loader.starts_with('/') => files.insert(loader.into(), loader.into()),
            // Of the kernel.
            _ => None,
        };
    }
    Ok(())
}

/// Adds every file below a directory of the packages.
fn below(root: &Path, directory: &str, files: &mut Files) -> Result<()> {
    let listed = succeed(
        Command::new("find")
            .arg(directory)
            .args(["-type", "f"])
            .current_dir(root),
    )?;
    let found = listed.lines().filter(|path| !path.contains("/man/"));
    files.extend(found.map(|path| (Path::new("/").join(path), root.join(path))));
    ensure!(!files.is_empty(), "{directory} is empty");
    Ok(())
}

fn pack(files: &Files, busybox: &Path, place: &Path) -> Result<PathBuf> {
    let archive = place.join("kinds.tar");
    let mut pack = builds::go("./pack");
    pack.arg("-out")
        .arg(&archive)
        .args(["-tmp", "-user", USER, "-ref", REFERENCE]);
    for (path, file) in files {
        pack.arg("-file")
            .arg(format!("{}={}", path.display(), file.display()));
    }
    succeed(pack.arg(busybox))?;
    Ok(archive)
}
