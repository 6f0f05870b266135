//! The certification authorities of an image: those of Mozilla, as Debian packages them.
//!
//! They are put together from the files of the package and not copied from `/etc/ssl/certs`, so that
//! an image trusts nobody whom only the machine trusts that built it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::tool::{Package, Tool};

/// Where programs look for the authorities of a system.
pub(super) const IN_IMAGE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// One file per authority.
const PACKAGED: &str = "/usr/share/ca-certificates/mozilla";
const CA_CERTIFICATES: Tool = Tool {
    probe: &["test", "-d", PACKAGED],
    package: Package::Debian("ca-certificates"),
};
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// The text of the bundle.
pub(super) fn bundle() -> Result<String> {
    if let Err(reason) = CA_CERTIFICATES.ensure() {
        bail!("the image of the proxy holds the authorities of Debian's ca-certificates: {reason}");
    }
    together(Path::new(PACKAGED))
}

/// Writes the bundle beside the archives.
pub(super) fn write(pem: &str, out: &Path) -> Result<PathBuf> {
    let file = out.join("ca-certificates.crt");
    fs::write(&file, pem).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// The certificates of a directory in the order of their names, so that equal packages give equal
/// images.
fn together(directory: &Path) -> Result<String> {
    let shown = directory.display();
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(directory)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    let mut files = read().with_context(|| format!("cannot read {shown}"))?;
    files.retain(|file| file.extension().is_some_and(|it| it == "crt"));
    files.sort();
    let mut bundle = String::new();
    for file in &files {
        let shown = file.display();
        let pem = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
        if !pem.trim_start().starts_with(BEGIN) {
            bail!("{shown} holds no certificate in PEM; install the package again");
        }
        bundle.push_str(pem.trim());
        bundle.push('\n');
    }
    if bundle.is_empty() {
        bail!("{shown} holds no certificate; install the package ca-certificates again");
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::together;

    /// A directory of the test's own with these files.
    fn directory(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let name = format!("weft-authorities-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("a directory");
        for (name, content) in files {
            fs::write(directory.join(name), content).expect("a file");
        }
        directory
    }

    fn check(name: &str, files: &[(&str, &str)], expected: Result<&str, &str>) {
        let directory = directory(name, files);
        let found = together(&directory).map_err(|error| error.to_string());
        fs::remove_dir_all(&directory).expect("the directory is removed");
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
            (Err(found), Err(words)) => assert!(found.contains(words), "{name}: {found}"),
            (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_bundle_has_every_certificate_in_the_order_of_their_files() {
        let a = "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----";
        let b = "-----BEGIN CERTIFICATE-----\nB\n-----END CERTIFICATE-----";
        check(
            "in order",
            &[
                ("b.crt", b),
                ("a.crt", &format!("{a}\n\n")),
                ("README", "no"),
            ],
            Ok(&format!("{a}\n{b}\n")),
        );
        check(
            "not PEM",
            &[("a.crt", a), ("b.crt", "0\u{1}")],
            Err("b.crt"),
        );
        check("empty", &[], Err("no certificate"));
    }
}
