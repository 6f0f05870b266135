//! Size and shape: lengths of files, functions and golden outputs, the public face of `ir`, and
//! what may lie at the top level.

use std::path::Path;

use super::lexer::Token;
use super::report::{Finding, assert_clean, assert_found};
use super::source::{SourceFile, closing, files_below, root, workspace};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 60;
const GOLDEN_MEDIAN_LINES: usize = 60;
const GOLDEN_LINES: usize = 200;

/// Public items of `ir`, which eight rooms depend on. Raising it needs a sentence in the commit.
const IR_PUBLIC_ITEMS: usize = 157;

/// Rooms and files of the top level.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "README.md",
    "certs",
    "charts",
    "cni",
    "crates",
    "proxy",
    "tests",
];

/// Files that tools and communities expect beside them.
const ASIDE: &[&str] = &[
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "GOVERNANCE.md",
    "LICENSE",
    "MAINTAINERS.md",
    "NOTICE",
    "SECURITY.md",
    "target",
];

fn long_file_findings(files: &[SourceFile]) -> Vec<Finding> {
    let long = files
        .iter()
        .filter(|file| file.production_lines() > FILE_LINES);
    long.map(|file| {
        let what = format!("{} lines, {FILE_LINES} allowed", file.production_lines());
        Finding::new(
            &file.path,
            0,
            what,
            "move a noun of its own into a file of its own",
        )
    })
    .collect()
}

/// Long functions outside tests; a long table of a test is clippy's to discuss.
fn long_function_findings(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let code = file.production();
        for at in 0..code.len().saturating_sub(1) {
            let Some(lines) = function_lines(&code, at).filter(|&lines| lines > FUNCTION_LINES)
            else {
                continue;
            };
            let what = format!(
                "`{}` has {lines} lines, {FUNCTION_LINES} allowed",
                code[at + 1].text
            );
            let cure = "split deciding from acting, or a table from its use";
            findings.push(Finding::new(&file.path, code[at].line, what, cure));
        }
    }
    findings
}

/// Lines of the function whose `fn` stands at `at`, from there to its last brace, with everything between:
/// what a reader has to scroll through.
fn function_lines(code: &[Token<'_>], at: usize) -> Option<usize> {
    if !code[at].is("fn") || !code[at + 1].is_word() {
        return None;
    }
    let mut open = at + 2;
    while !code.get(open)?.is("{") {
        if code[open].is(";") {
            return None;
        }
        let is_group = code[open].is("(") || code[open].is("[");
        open = if is_group {
            closing(code, open) + 1
        } else {
            open + 1
        };
    }
    let end = code.get(closing(code, open))?;
    Some(end.last_line() - code[at].line + 1)
}

fn public_items(files: &[SourceFile]) -> usize {
    const ITEMS: [&str; 8] = [
        "async", "const", "enum", "fn", "static", "struct", "trait", "type",
    ];
    let count = |file: &SourceFile| {
        let code = file.production();
        let is_item = |window: &&[Token<'_>]| {
            window[0].is("pub") && ITEMS.iter().any(|item| window[1].is(item))
        };
        code.windows(2).filter(is_item).count()
    };
    files
        .iter()
        .filter(|file| file.room() == "crates/ir")
        .map(count)
        .sum()
}

/// Findings about golden outputs, given the length of each in lines.
fn golden_findings(mut lengths: Vec<(String, usize)>) -> Vec<Finding> {
    lengths.sort_by_key(|(_, lines)| *lines);
    let Some((_, median)) = lengths.get(lengths.len() / 2) else {
        let cure = "golden pairs are the proof of `translate`; where have they gone?";
        return vec![Finding::new("tests/golden", 0, "no `.out` file", cure)];
    };
    let mut findings = Vec::new();
    if *median > GOLDEN_MEDIAN_LINES {
        let what = format!("median of {median} lines, {GOLDEN_MEDIAN_LINES} allowed");
        findings.push(Finding::new(
            "tests/golden",
            0,
            what,
            "test one thing per pair",
        ));
    }
    findings.extend(
        lengths
            .iter()
            .filter(|(_, lines)| *lines > GOLDEN_LINES)
            .map(|(path, lines)| {
                let what = format!("{lines} lines, {GOLDEN_LINES} allowed");
                Finding::new(
                    path,
                    0,
                    what,
                    "split the pair; nobody reviews a page they cannot read",
                )
            }),
    );
    findings
}

fn top_level_findings(names: &[String]) -> Vec<Finding> {
    let allowed =
        |name: &str| name.starts_with('.') || TOP_LEVEL.contains(&name) || ASIDE.contains(&name);
    let strangers = names.iter().filter(|name| !allowed(name));
    strangers
        .map(|name| {
            Finding::new(
                name,
                0,
                "does not belong at the top level",
                "give it to the room it serves",
            )
        })
        .collect()
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("the repository can be listed");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry
            .expect("a listed directory can be read on")
            .file_name()
            .to_string_lossy()
            .into_owned()
    };
    entries.map(name).collect()
}

#[test]
fn files_are_short() {
    assert_clean("length of files", &long_file_findings(workspace()));
}

#[test]
fn functions_are_short() {
    assert_clean("length of functions", &long_function_findings(workspace()));
}

#[test]
fn the_public_face_of_ir_grows_only_on_purpose() {
    let items = public_items(workspace());
    assert!(
        items <= IR_PUBLIC_ITEMS,
        "`ir` has {items} public items, {IR_PUBLIC_ITEMS} on record -> make them `pub(crate)`, or \
         raise the record in tests/it/tidy/shape.rs and say why in the commit"
    );
}

#[test]
fn golden_outputs_can_be_read() {
    let lengths = files_below(&root().join("tests"), "out")
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a golden output is UTF-8 text");
            (super::source::shown(&path), text.lines().count())
        });
    assert_clean(
        "length of golden outputs",
        &golden_findings(lengths.collect()),
    );
}

#[test]
fn the_top_level_holds_rooms_only() {
    let names = names_in(root());
    assert!(
        names.iter().any(|name| name == "Cargo.toml"),
        "this is not the workspace: {names:?}"
    );
    assert_clean("top level", &top_level_findings(&names));
}

#[test]
fn the_length_checks_see_what_is_too_long() {
    let body = "    x();\n\n    // y\n".repeat(20);
    let text = format!("fn short() {{ x(); }}\nfn long(f: fn(u8) -> [u8; 2]) {{\n{body}}}\n");
    let long = SourceFile::sample("proxy/src/lib.rs", &text.repeat(3));
    assert_found(
        "three long functions",
        &long_function_findings(std::slice::from_ref(&long)),
        3,
    );
    let long = SourceFile::sample("proxy/src/lib.rs", &text.repeat(7));
    assert_found("a long file", &long_file_findings(&[long]), 1);
    let short = text.replacen("    // y\n", "", 1);
    let sixty = SourceFile::sample("proxy/src/lib.rs", &short.replacen("    // y\n", "", 1));
    assert_found("60 lines", &long_function_findings(&[sixty]), 0);
    let more = SourceFile::sample("proxy/src/lib.rs", &short);
    assert_found("61 lines", &long_function_findings(&[more]), 1);
}

#[test]
fn the_public_items_of_ir_are_counted_without_tests_and_other_rooms() {
    let text = "pub struct A { pub b: u8 }\npub fn c() {}\npub(crate) fn d() {}\n\
                #[cfg(test)] mod tests { pub fn e() {} }";
    let files = ["crates/ir/src/lib.rs", "crates/api/src/lib.rs"];
    let files = files.map(|path| SourceFile::sample(path, text));
    assert_eq!(public_items(&files), 2, "struct A and fn c");
}

#[test]
fn the_golden_check_sees_long_medians_long_files_and_none_at_all() {
    let lengths = |lines: &[usize]| lines.iter().map(|&l| (format!("{l}.out"), l)).collect();
    assert_found("none", &golden_findings(Vec::new()), 1);
    assert_found("median 61", &golden_findings(lengths(&[1, 61, 62])), 1);
    assert_found("one of 201", &golden_findings(lengths(&[1, 2, 201])), 1);
    assert_found("60 and 200", &golden_findings(lengths(&[1, 60, 200])), 0);
}

#[test]
fn the_top_level_check_sees_a_stranger() {
    let names = ["crates", ".github", "Makefile", "LICENSE"].map(str::to_owned);
    assert_found("Makefile", &top_level_findings(&names), 1);
}
