//! Invariant 13: the code map names every room and every invariant, and stays short.

use std::collections::BTreeSet;

use super::metadata::rooms;
use super::report::{Finding, assert_clean, assert_found};
use super::source::root;

const MAP: &str = "crates/README.md";
/// The title of the appendix, which grows with the project and has no limit but per decision.
const LOG: &str = "## Decisions";
const MAP_LINES: usize = 330;
const DECISION_LINES: usize = 12;
const INVARIANTS: usize = 20;

/// `rooms` are the folders that must be named, in backquotes.
fn findings(map: &str, rooms: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find =
        |line, what: String, cure: &str| findings.push(Finding::new(MAP, line, what, cure));
    for room in rooms {
        if !map.contains(&format!("`{room}`")) {
            find(
                0,
                format!("`{room}` is not named"),
                "add a paragraph on what it is and is not",
            );
        }
    }
    let from_heading = map.lines().skip_while(|line| *line != "## Invariants");
    let section = from_heading
        .skip(1)
        .take_while(|line| !line.starts_with("## "));
    let numbers: Vec<usize> = section.filter_map(invariant_number).collect();
    if numbers != Vec::from_iter(1..=INVARIANTS) {
        let what = format!("the table of invariants has rows {numbers:?}");
        find(0, what, "keep one row per number, in order");
    }
    let length = map.lines().take_while(|line| *line != LOG).count();
    if length > MAP_LINES {
        find(
            0,
            format!("{length} lines, {MAP_LINES} allowed"),
            "a map shows less than the land",
        );
    }
    for (line, lines) in decision_lengths(map) {
        if lines > DECISION_LINES {
            find(
                line,
                format!("{lines} lines, {DECISION_LINES} allowed"),
                "keep to the decision",
            );
        }
    }
    findings
}

/// The number of a row like `| 7 | ... |`.
fn invariant_number(line: &str) -> Option<usize> {
    line.strip_prefix("| ")?
        .split_once(" |")?
        .0
        .trim()
        .parse()
        .ok()
}

/// First line and length of each section `### D...`, blank lines apart.
fn decision_lengths(map: &str) -> Vec<(usize, usize)> {
    let mut sections: Vec<(usize, usize)> = Vec::new();
    let mut inside = false;
    for (index, line) in map.lines().enumerate() {
        if line.starts_with('#') {
            inside = line.starts_with("### D");
            if inside {
                sections.push((index + 1, 0));
            }
        } else if let Some((_, lines)) = sections.last_mut().filter(|_| inside) {
            *lines += usize::from(!line.trim().is_empty());
        }
    }
    sections
}

#[test]
fn invariant_13_the_code_map_names_every_room() {
    let map = std::fs::read_to_string(root().join(MAP)).expect("the code map is a text file");
    assert!(
        !decision_lengths(&map).is_empty(),
        "{MAP} has no decision records (`### D...`)"
    );
    let mut names: BTreeSet<String> = rooms().map(super::metadata::Package::room).collect();
    let folders = std::fs::read_dir(root()).expect("the repository can be listed");
    let folders = folders
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir());
    let folders = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.extend(folders.filter(|name| !name.starts_with('.') && name != "target"));
    assert_clean("invariant 13, code map", &findings(&map, &names));
}

#[test]
fn invariant_13_the_check_sees_each_gap() {
    let rows: String = (1..=INVARIANTS)
        .map(|number| format!("| {number} | x |\n"))
        .collect();
    let rooms = BTreeSet::from(["crates/ir".to_owned()]);
    let good = format!("`crates/ir`\n| 1 | level |\n## Invariants\n{rows}");
    assert_found("a good map", &findings(&good, &rooms), 0);
    let nameless = good.replace("`crates/ir`", "");
    assert_found("no room", &findings(&nameless, &rooms), 1);
    assert_found(
        "no invariant 7",
        &findings(&good.replace("| 7 |", "| x |"), &rooms),
        1,
    );
    assert_found(
        "a long map",
        &findings(&format!("{good}{}", "x\n".repeat(MAP_LINES)), &rooms),
        1,
    );
    let decisions = format!("{LOG}\n{}", "### D1 x\nx\n".repeat(MAP_LINES));
    assert_found(
        "many decisions",
        &findings(&format!("{good}{decisions}"), &rooms),
        0,
    );
    let long_decision = format!("{good}### D1 x\n{}", "x\n".repeat(13));
    assert_found("a long decision", &findings(&long_decision, &rooms), 1);
}
