//! The lock file: floors of versions, duplicates, packages we refuse, licences.
//!
//! Written down here because an advisory database is not always reachable.

use std::collections::{BTreeMap, BTreeSet};

use super::metadata::{packages, rooms, whole_tree};
use super::report::{Finding, assert_clean, assert_found, ratchet};

/// Lowest version of a package that is known to be sound, and what is wrong below it.
const FLOORS: &[(&str, &str, &str)] = &[
    ("aws-lc-sys", "0.39.0", "RUSTSEC-2026-0044 to -0048"),
    ("bytes", "1.11.1", "RUSTSEC-2026-0007"),
    ("crossbeam-channel", "0.5.15", "RUSTSEC-2025-0024"),
    (
        "h2",
        "0.4.20",
        "RUSTSEC-2026-0258 and duplicate content-length",
    ),
    (
        "hyper",
        "1.11.0",
        "hyper#4123: Content-Length kept before Transfer-Encoding",
    ),
    ("prometheus-client", "0.25.2", "label injection"),
    ("rustls", "0.23.18", "RUSTSEC-2024-0336, -0399"),
    (
        "rustls-webpki",
        "0.103.13",
        "RUSTSEC-2026-0049, -0098, -0099, -0104",
    ),
    ("slab", "0.4.11", "RUSTSEC-2025-0047"),
    ("time", "0.3.47", "RUSTSEC-2026-0009"),
    ("tokio", "1.44.2", "RUSTSEC-2025-0023"),
    ("tonic", "0.12.3", "RUSTSEC-2024-0376"),
    (
        "tracing-subscriber",
        "0.3.20",
        "RUSTSEC-2025-0055: log injection",
    ),
];

/// Packages nothing may use, whatever the reason.
const REFUSED: &[(&str, &str)] = &[
    ("boring", "one TLS provider: aws-lc-rs"),
    ("dashmap", "its guards deadlock; use a snapshot or papaya"),
    (
        "lru",
        "RUSTSEC-2026-0002, -0253; moka evicts where eviction matters",
    ),
    ("native-tls", "one TLS provider: aws-lc-rs"),
    ("openssl-sys", "one TLS provider: aws-lc-rs"),
    ("ring", "one TLS provider: aws-lc-rs"),
    (
        "rustls-pemfile",
        "RUSTSEC-2025-0134; rustls-pki-types reads PEM",
    ),
    ("serde_norway", "unmaintained; serde-saphyr reads YAML"),
    ("serde_yaml", "unmaintained; serde-saphyr reads YAML"),
    ("serde_yaml_ng", "unmaintained; serde-saphyr reads YAML"),
    ("serde_yml", "RUSTSEC-2025-0068; serde-saphyr reads YAML"),
];

/// Versions beyond the first of packages that come in several. May only shrink.
const DUPLICATES: &[(&str, usize)] = &[
    ("base64", 1),
    ("bit-vec", 1),
    ("getrandom", 1),
    ("hashbrown", 1),
    ("syn", 1),
    ("synstructure", 1),
    ("thiserror", 1),
    ("thiserror-impl", 1),
    ("unicode-width", 1),
    ("untrusted", 1),
    ("windows-sys", 1),
];

/// Licences a dependency may come under.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Major, minor and patch; a pre-release counts as the version it precedes.
fn version(text: &str) -> [u64; 3] {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = core.split('.').map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

fn floor_findings(locked: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, floor, problem) in FLOORS {
        let low = locked.iter().filter(|(locked_name, locked_version)| {
            locked_name == name && version(locked_version) < version(floor)
        });
        findings.extend(low.map(|(_, locked_version)| {
            let what = format!("{name} {locked_version} is below {floor}: {problem}");
            Finding::new("Cargo.lock", 0, what, format!("cargo update -p {name}"))
        }));
    }
    findings
}

fn refused_findings(tree: &BTreeSet<String>) -> Vec<Finding> {
    let used = REFUSED.iter().filter(|(name, _)| tree.contains(*name));
    used.map(|(name, reason)| {
        let cure = format!("{reason}; `cargo tree --workspace -i {name}` shows who brings it");
        Finding::new("Cargo.lock", 0, format!("`{name}` is used"), cure)
    })
    .collect()
}

fn duplicates(locked: &[(&str, &str)]) -> BTreeMap<String, usize> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, version) in locked {
        versions.entry(name).or_default().insert(version);
    }
    let several = versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1);
    several
        .map(|(name, versions)| (name.to_owned(), versions.len() - 1))
        .collect()
}

/// Whether an SPDX expression can be satisfied with [`LICENCES`] alone.
///
/// Grammar: `or := and (("OR" | "/") and)*`, `and := atom ("AND" atom)*`, `atom := "(" or ")" | id`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let spaced = spaced.replace(" WITH ", "\u{a0}WITH\u{a0}");
    let words: Vec<String> = spaced
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| word.replace('\u{a0}', " "))
        .collect();
    let mut words = words.iter().map(String::as_str).peekable();
    let allowed = any_of(&mut words);
    allowed && words.next().is_none()
}

type Words<I> = std::iter::Peekable<I>;

fn any_of<'a>(words: &mut Words<impl Iterator<Item = &'a str>>) -> bool {
    let mut allowed = all_of(words);
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all_of(words);
    }
    allowed
}

fn all_of<'a>(words: &mut Words<impl Iterator<Item = &'a str>>) -> bool {
    let mut allowed = licence(words);
    while words.next_if_eq(&"AND").is_some() {
        allowed &= licence(words);
    }
    allowed
}

fn licence<'a>(words: &mut Words<impl Iterator<Item = &'a str>>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let allowed = any_of(words);
        return words.next_if_eq(&")").is_some() && allowed;
    }
    words.next().is_some_and(|word| LICENCES.contains(&word))
}

fn locked() -> Vec<(&'static str, &'static str)> {
    packages()
        .iter()
        .map(|package| (package.name.as_str(), package.version.as_str()))
        .collect()
}

#[test]
fn versions_are_above_their_floors() {
    assert_clean("floors of versions", &floor_findings(&locked()));
}

#[test]
fn refused_packages_are_not_used() {
    let tree = whole_tree();
    assert!(tree.contains("weft-ir"), "cargo tree lists the workspace");
    assert_clean("refused packages", &refused_findings(&tree));
}

#[test]
fn duplicate_versions_only_become_fewer() {
    let cure = "pick the version the others use; `cargo tree --workspace -d` shows who brings it";
    let findings = ratchet(&duplicates(&locked()), DUPLICATES, "extra versions", cure);
    assert_clean("ratchet of duplicate versions", &findings);
}

#[test]
fn kubernetes_types_come_in_one_version() {
    let duplicates = duplicates(&locked());
    for name in ["kube", "k8s-openapi"] {
        assert!(
            !duplicates.contains_key(name),
            "two versions of {name}: their types do not mix"
        );
    }
}

#[test]
fn licences_are_permissive() {
    let mut findings = Vec::new();
    for package in packages() {
        let licence = package.license.as_deref().unwrap_or("none");
        if !is_allowed(licence) {
            let what = format!("{} {} is under `{licence}`", package.name, package.version);
            let cure = "choose another package, or argue the licence in a decision record";
            findings.push(Finding::new("Cargo.lock", 0, what, cure));
        }
    }
    assert_clean("licences", &findings);
}

#[test]
fn rooms_inherit_version_and_licence() {
    for package in rooms() {
        assert_eq!(
            package.license.as_deref(),
            Some("Apache-2.0"),
            "licence of {}",
            package.name
        );
    }
}

#[test]
fn the_floor_check_compares_numbers_not_text() {
    assert_found("h2 0.4.9", &floor_findings(&[("h2", "0.4.9")]), 1);
    assert_found(
        "h2 0.4.20",
        &floor_findings(&[("h2", "0.4.20"), ("h2", "0.10.0")]),
        0,
    );
}

#[test]
fn the_other_checks_see_their_faults() {
    assert_found(
        "ring",
        &refused_findings(&BTreeSet::from(["ring".to_owned()])),
        1,
    );
    let locked = [("syn", "2.0.1"), ("syn", "3.0.0"), ("serde", "1.0.0")];
    assert_eq!(duplicates(&locked), BTreeMap::from([("syn".to_owned(), 1)]));
}

#[test]
fn licence_expressions_are_understood() {
    for (expression, allowed) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0", false),
        ("MIT AND GPL-3.0", false),
        ("MIT OR LGPL-2.1-or-later", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("MIT AND (GPL-3.0 OR AGPL-3.0)", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
        ("none", false),
    ] {
        assert_eq!(is_allowed(expression), allowed, "licence {expression}");
    }
}
