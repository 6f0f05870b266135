//! Golden pairs: manifests and requests in, tables, statuses, findings and answers out.
//!
//! `UPDATE=1 cargo test -p weft-tests golden` rewrites the pages; read them against the
//! specification before they are committed. `GOLDEN=name` runs one pair.

pub(crate) mod laws;

use std::{
    fs,
    path::{Path, PathBuf},
};

use weft_tests::{fixture::Fixture, outline::outline};
use weft_translate::translate;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Names of the fixtures, in order.
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir(directory()).expect("the folder of golden pairs");
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            entry
                .expect("an entry of the folder")
                .file_name()
                .into_string()
                .ok()
        })
        .filter_map(|name| name.strip_suffix(".in.yaml").map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// Every fixture with its name.
pub(crate) fn fixtures() -> impl Iterator<Item = (String, Fixture)> {
    let base = directory().join("base.yaml");
    names().into_iter().map(move |name| {
        let fixture = Fixture::load(&base, &directory().join(format!("{name}.in.yaml")))
            .unwrap_or_else(|error| panic!("{name}: {error:#}"));
        (name, fixture)
    })
}

#[test]
fn pages_are_as_reviewed() {
    let update = std::env::var_os("UPDATE").is_some();
    let only = std::env::var("GOLDEN").ok();
    let mut wrong = Vec::new();
    for (name, fixture) in fixtures() {
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let found = outline(&fixture, &translate(&fixture.store(), &fixture.scope));
        let path = directory().join(format!("{name}.out"));
        let reviewed = fs::read_to_string(&path).unwrap_or_default();
        if found == reviewed {
            continue;
        }
        if update {
            fs::write(&path, found).expect("write a page");
        } else {
            wrong.push(format!("--- {name}\n{}", difference(&reviewed, &found)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} pages differ from what was reviewed; if the new ones are right, run with UPDATE=1\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The lines that only one side has.
fn difference(reviewed: &str, found: &str) -> String {
    let gone = reviewed
        .lines()
        .filter(|line| !found.lines().any(|other| other == *line));
    let new = found
        .lines()
        .filter(|line| !reviewed.lines().any(|other| other == *line));
    let lines = gone
        .map(|line| format!("-{line}"))
        .chain(new.map(|line| format!("+{line}")));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_page_has_a_fixture() {
    let names = names();
    for entry in fs::read_dir(directory()).expect("the folder of golden pairs") {
        let file = entry.expect("an entry of the folder").file_name();
        let file = file.to_string_lossy();
        if let Some(name) = file.strip_suffix(".out") {
            assert!(
                names.iter().any(|known| known == name),
                "{file} has no {name}.in.yaml"
            );
        }
    }
}
