//! Changelog fragments: one line for users per change, so that a release can put them together.

use std::collections::BTreeSet;

use super::metadata::{Package, rooms};
use super::report::{Finding, assert_clean, assert_found};
use super::source::{files_below, root, shown};

const KINDS: [&str; 4] = ["added: ", "changed: ", "fixed: ", "security: "];

/// `path` ends with `<area>-<slug>.md`; `areas` are the words it may start with.
fn finding(path: &str, text: &str, areas: &BTreeSet<String>) -> Option<Finding> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let area = name.split('-').next().unwrap_or_default();
    if !name.contains('-') || !areas.contains(area) {
        let cure = format!("name it <area>-<slug>.md, area one of {areas:?}");
        return Some(Finding::new(path, 0, format!("area `{area}`"), cure));
    }
    let is_one_line = text.trim_end().lines().count() == 1;
    let has_kind = KINDS.iter().any(|kind| text.starts_with(kind));
    (!is_one_line || !has_kind).then(|| {
        let cure = format!("write one line that starts with one of {KINDS:?}");
        Finding::new(path, 1, "not a fragment", cure)
    })
}

fn areas() -> BTreeSet<String> {
    let rooms = rooms().map(Package::room);
    let names = rooms.map(|room| room.rsplit('/').next().unwrap_or_default().to_owned());
    names
        .chain(["charts", "ci", "docs"].map(str::to_owned))
        .collect()
}

#[test]
fn changelog_fragments_are_one_line_for_users() {
    let areas = areas();
    let fragments = files_below(&root().join(".changes/unreleased"), "md");
    let read = |path| std::fs::read_to_string(path).expect("a fragment is UTF-8 text");
    let findings: Vec<Finding> = fragments
        .iter()
        .filter_map(|path| finding(&shown(path), &read(path), &areas))
        .collect();
    assert_clean("changelog fragments", &findings);
}

#[test]
fn the_changelog_check_sees_bad_names_and_bad_lines() {
    let check = |name: &str, text: &str, count: usize| {
        let findings = Vec::from_iter(finding(name, text, &areas()));
        assert_found(&format!("{name}: {text}"), &findings, count);
    };
    check("ir-hosts.md", "fixed: hosts with a trailing dot match\n", 0);
    check("misc-hosts.md", "fixed: x\n", 1);
    check("ir.md", "fixed: x\n", 1);
    check("ir-hosts.md", "hosts match\n", 1);
    check("ir-hosts.md", "fixed: x\nand y\n", 1);
}
