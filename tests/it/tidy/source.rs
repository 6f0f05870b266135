//! The Rust files of the repository, and which of their tokens belong to production code.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::lexer::{Kind, Token, lex};

/// A Rust file of the repository.
#[derive(Clone, Debug)]
pub(super) struct SourceFile {
    /// Path from the repository root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// Whether nothing in it is linked into a shipped binary: tests, benches, build scripts.
    pub(super) is_aside: bool,
}

impl SourceFile {
    /// A production file made of `text`, to show that a check can fail.
    pub(super) fn sample(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            is_aside: false,
        }
    }

    /// All tokens but comments, tests included.
    pub(super) fn code(&self) -> Vec<Token<'_>> {
        lex(&self.text)
            .into_iter()
            .filter(|token| token.kind != Kind::Comment)
            .collect()
    }

    /// The tokens of production code: no comments, no `#[cfg(test)]` items.
    pub(super) fn production(&self) -> Vec<Token<'_>> {
        if self.is_aside {
            Vec::new()
        } else {
            split_tests(&self.code()).0
        }
    }

    /// Lines outside `#[cfg(test)]` items, comments and blank lines included.
    pub(super) fn production_lines(&self) -> usize {
        if self.is_aside {
            return 0;
        }
        let code = self.code();
        let in_tests: usize = split_tests(&code)
            .1
            .iter()
            .map(|lines| lines.end() - lines.start() + 1)
            .sum();
        self.text.lines().count() - in_tests
    }

    /// The folder of its package: `crates/ir`, `proxy`, `certs`, `tests`.
    pub(super) fn room(&self) -> &str {
        let depth = if self.path.starts_with("crates/") {
            2
        } else {
            1
        };
        match self.path.match_indices('/').nth(depth - 1) {
            Some((end, _)) => &self.path[..end],
            None => &self.path,
        }
    }
}

/// The directory of the workspace manifest.
pub(super) fn root() -> &'static Path {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir
        .parent()
        .expect("the tests package lies one level below the workspace")
}

/// Every Rust file of the repository, sorted by path.
pub(super) fn workspace() -> &'static [SourceFile] {
    static FILES: OnceLock<Vec<SourceFile>> = OnceLock::new();
    FILES.get_or_init(|| {
        let paths = files_below(root(), "rs");
        assert!(
            paths.len() > 20,
            "the walk over the repository found only {paths:?}"
        );
        let files: Vec<SourceFile> = paths.iter().map(|path| read(path)).collect();
        mark_asides(files)
    })
}

/// Files with this extension, without build output and dot-entries, sorted.
pub(super) fn files_below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = std::fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("cannot list {}: {error}", directory.display()));
        for entry in entries {
            let path = entry.expect("a listed directory can be read on").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `path` as it is written in findings: from the repository root.
pub(super) fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

fn read(path: &Path) -> SourceFile {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    SourceFile {
        path: shown(path),
        text,
        is_aside: false,
    }
}

/// Marks the test package, benches, build scripts, and modules declared under `#[cfg(test)]`.
fn mark_asides(mut files: Vec<SourceFile>) -> Vec<SourceFile> {
    let test_modules: BTreeSet<String> = files.iter().flat_map(test_module_stems).collect();
    for file in &mut files {
        let inner = file
            .path
            .strip_prefix(file.room())
            .unwrap_or(&file.path)
            .to_owned();
        let by_place = file.room() == "tests"
            || inner == "/build.rs"
            || ["/tests/", "/benches/", "/examples/"]
                .iter()
                .any(|dir| inner.starts_with(dir));
        let by_declaration = test_modules.iter().any(|stem| {
            let rest = file.path.strip_prefix(stem.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
        file.is_aside = by_place || by_declaration;
    }
    files
}

/// Paths, without `.rs`, of the modules that `file` declares for tests only.
fn test_module_stems(file: &SourceFile) -> Vec<String> {
    let (directory, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let stem = name.trim_end_matches(".rs");
    let children = match stem {
        "lib" | "main" => directory.to_owned(),
        _ => format!("{directory}/{stem}"),
    };
    let code = file.code();
    let declares =
        |window: &&[Token<'_>]| window[0].is("mod") && window[1].is_word() && window[2].is(";");
    test_items(&code)
        .into_iter()
        .flat_map(|item| code[item].windows(3).filter(declares).collect::<Vec<_>>())
        .map(|window| format!("{children}/{}", window[1].text))
        .collect()
}

/// Production tokens, and the line ranges of the test items that were cut out.
fn split_tests<'a>(code: &[Token<'a>]) -> (Vec<Token<'a>>, Vec<RangeInclusive<usize>>) {
    let mut production = Vec::new();
    let mut lines = Vec::new();
    let mut at = 0;
    for item in test_items(code) {
        production.extend_from_slice(&code[at..*item.start()]);
        lines.push(code[*item.start()].line..=code[*item.end()].last_line());
        at = item.end() + 1;
    }
    production.extend_from_slice(&code[at..]);
    (production, lines)
}

/// Index ranges of the items under `#[cfg(test)]` or `#[cfg(all(test, ...))]`, in order.
fn test_items(code: &[Token<'_>]) -> Vec<RangeInclusive<usize>> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < code.len() {
        if starts_with(&code[at..], &["#", "!", "[", "cfg", "(", "test"]) {
            // The whole file is one test item.
            return std::iter::once(0..=code.len() - 1).collect();
        }
        let is_test = [
            &["#", "[", "cfg", "(", "test"][..],
            &["#", "[", "cfg", "(", "all", "(", "test"],
        ]
        .iter()
        .any(|attribute| starts_with(&code[at..], attribute));
        if is_test {
            let end = item_end(code, at);
            items.push(at..=end);
            at = end + 1;
        } else {
            at += 1;
        }
    }
    items
}

fn starts_with(code: &[Token<'_>], texts: &[&str]) -> bool {
    code.len() >= texts.len() && code.iter().zip(texts).all(|(token, text)| token.is(text))
}

/// Index of the last token of the item that starts, attributes first, at `start`.
fn item_end(code: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    while code.get(at).is_some_and(|token| token.is("#")) {
        at = closing(code, at + 1) + 1;
    }
    while at < code.len() {
        if code[at].is(";") {
            return at;
        }
        if code[at].is("(") || code[at].is("[") {
            at = closing(code, at);
        } else if code[at].is("{") {
            let end = closing(code, at);
            let has_semicolon = code.get(end + 1).is_some_and(|token| token.is(";"));
            return if has_semicolon { end + 1 } else { end };
        }
        at += 1;
    }
    code.len() - 1
}

/// Index of the bracket that closes the one at `open`; the last token when nothing does.
pub(super) fn closing(code: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in code.iter().enumerate().skip(open) {
        if ["(", "[", "{"].iter().any(|bracket| token.is(bracket)) {
            depth += 1;
        } else if [")", "]", "}"].iter().any(|bracket| token.is(bracket)) {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at;
            }
        }
    }
    code.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::{SourceFile, mark_asides};

    fn check_production(text: &str, expected: &str) {
        let file = SourceFile::sample("crates/ir/src/lib.rs", text);
        let words: Vec<&str> = file.production().iter().map(|token| token.text).collect();
        assert_eq!(words.join(" "), expected, "production code of {text}");
    }

    #[test]
    fn test_items_of_every_shape_are_cut() {
        check_production(
            "a; #[cfg(test)] mod tests { fn b() { c(); } } d;",
            "a ; d ;",
        );
        check_production("#[cfg(test)] mod tests; d;", "d ;");
        check_production("#[cfg(test)] #[path = \"x\"] use b::{c, e}; d;", "d ;");
        check_production("#[cfg(all(test, unix))] fn f(x: [u8; 2]) {} d;", "d ;");
        check_production("#![cfg(test)] d;", "");
    }

    #[test]
    fn production_items_stay() {
        check_production(
            "#[cfg(unix)] fn test() {}",
            "# [ cfg ( unix ) ] fn test ( ) { }",
        );
    }

    #[test]
    fn lines_of_test_items_are_not_production_lines() {
        let text = "//! x\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        let file = SourceFile::sample("crates/ir/src/lib.rs", text);
        assert_eq!(
            file.production_lines(),
            3,
            "four of the seven lines are tests"
        );
    }

    #[test]
    fn test_modules_in_their_own_file_are_found_through_their_declaration() {
        let file = |path: &str, text: &str| SourceFile::sample(path, text);
        let files = mark_asides(vec![
            file(
                "crates/ir/src/route.rs",
                "#[cfg(test)]\nmod tests;\nmod find;",
            ),
            file("crates/ir/src/route/find.rs", ""),
            file("crates/ir/src/route/tests.rs", ""),
            file("crates/ir/src/route/tests/rows.rs", ""),
            file("crates/ir/build.rs", ""),
            file("proxy/benches/hop.rs", ""),
            file("tests/src/lib.rs", ""),
        ]);
        let production: Vec<&str> = files
            .iter()
            .filter(|file| !file.is_aside)
            .map(|file| file.path.as_str())
            .collect();
        assert_eq!(
            production,
            ["crates/ir/src/route.rs", "crates/ir/src/route/find.rs"]
        );
    }

    #[test]
    fn a_room_is_the_folder_of_a_package() {
        for (path, room) in [
            ("crates/ir/src/route/find.rs", "crates/ir"),
            ("proxy/src/lib.rs", "proxy"),
            ("tests/it/main.rs", "tests"),
        ] {
            assert_eq!(SourceFile::sample(path, "").room(), room);
        }
    }
}
