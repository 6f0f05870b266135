//! Habits of writing: file headers, argued lint exceptions, numbered notes of unfinished work,
//! panics with a reason.

use std::collections::BTreeMap;

use super::lexer::{Kind, Token, lex};
use super::report::{Finding, assert_clean, assert_found, ratchet};
use super::source::{SourceFile, closing, workspace};

/// `unwrap(` and `expect(` in production code, by room. May only shrink; pure rooms have none.
const PANICS: &[(&str, usize)] = &[("crates/forward", 2), ("crates/telemetry", 4)];

/// Words an `expect` needs to state an invariant rather than a name.
const WORDS_OF_AN_INVARIANT: usize = 3;

fn header_findings(files: &[SourceFile]) -> Vec<Finding> {
    let headless = files
        .iter()
        .filter(|file| !file.text.trim_start().starts_with("//!"));
    headless
        .map(|file| {
            Finding::new(
                &file.path,
                1,
                "no `//!` header",
                "open with what the file is for",
            )
        })
        .collect()
}

/// Lint exceptions, `#[allow(...)]` and `#[expect(...)]`, that give no `reason`.
fn unargued_findings(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let code = file.code();
        for at in attribute_starts(&code) {
            let attribute = &code[at..=closing(&code, at)];
            let exception = |window: &[Token<'_>]| {
                (window[0].is("allow") || window[0].is("expect")) && window[1].is("(")
            };
            let Some(start) = attribute.windows(2).position(exception) else {
                continue;
            };
            let end = closing(attribute, start + 1);
            if !attribute[start..end].iter().any(|token| token.is("reason")) {
                let what = format!("`{}` without a reason", attribute[start].text);
                let cure = "add `reason = \"...\"` or follow the lint";
                findings.push(Finding::new(&file.path, attribute[start].line, what, cure));
            }
        }
    }
    findings
}

/// Indices of the `[` that open `#[...]` and `#![...]`.
fn attribute_starts(code: &[Token<'_>]) -> Vec<usize> {
    let opens = |at: &usize| {
        let is = |index: usize, text: &str| code.get(index).is_some_and(|token| token.is(text));
        is(*at, "[")
            && *at > 0
            && (is(at - 1, "#") || (*at > 1 && is(at - 1, "!") && is(at - 2, "#")))
    };
    (0..code.len()).filter(opens).collect()
}

fn todo_findings(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for comment in lex(&file.text)
            .iter()
            .filter(|token| token.kind == Kind::Comment)
        {
            for (offset, line) in comment.text.lines().enumerate() {
                if has_unnumbered_todo(line) {
                    let cure = "name the issue, as in TODO(#12), or do it";
                    let line_number = comment.line + offset;
                    findings.push(Finding::new(
                        &file.path,
                        line_number,
                        "TODO without number",
                        cure,
                    ));
                }
            }
        }
        let code = file.production();
        let unfinished = code.windows(2).filter(|window| {
            (window[0].is("todo") || window[0].is("unimplemented")) && window[1].is("!")
        });
        findings.extend(unfinished.map(|window| {
            let what = format!("`{}!`", window[0].text);
            Finding::new(
                &file.path,
                window[0].line,
                what,
                "finish it or answer with an error",
            )
        }));
    }
    findings
}

fn has_unnumbered_todo(line: &str) -> bool {
    ["TODO", "FIXME", "XXX"].into_iter().any(|mark| {
        let after = line.split_once(mark).map(|(_, after)| after);
        after.is_some_and(|after| {
            let number = after.strip_prefix("(#").unwrap_or_default();
            !number.starts_with(|first: char| first.is_ascii_digit())
        })
    })
}

/// Places of `.unwrap()` and `.expect(` in production code, with the message of the latter.
///
/// `expect` with a variable is some type's own method, not a panic with a message.
fn panics(file: &SourceFile) -> Vec<(usize, String, Option<String>)> {
    let code = file.production();
    let is_call = |window: &&[Token<'_>]| {
        let is_variable = window[3].is_word() && window[3].text.starts_with(char::is_lowercase);
        let expects = window[1].is("expect") && !is_variable;
        window[0].is(".") && (window[1].is("unwrap") || expects) && window[2].is("(")
    };
    let calls = code.windows(4).filter(is_call);
    calls
        .map(|window| {
            let message = (window[3].kind == Kind::Text).then(|| window[3].text.to_owned());
            (window[1].line, window[1].text.to_owned(), message)
        })
        .collect()
}

/// `expect`s whose message is not a sentence, and `unwrap`s, which have none.
fn wordless_findings(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for (line, call, message) in panics(file) {
            let words = message.unwrap_or_default().split_whitespace().count();
            if words < WORDS_OF_AN_INVARIANT {
                let cure = "return an error, or `expect` with the invariant in words";
                findings.push(Finding::new(&file.path, line, format!("`.{call}(`"), cure));
            }
        }
    }
    findings
}

fn panics_by_room(files: &[SourceFile]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for file in files {
        let count = panics(file).len();
        if count > 0 {
            *counts.entry(file.room().to_owned()).or_default() += count;
        }
    }
    counts
}

#[test]
fn invariant_13_every_file_opens_with_what_it_is_for() {
    assert_clean("invariant 13, file headers", &header_findings(workspace()));
}

#[test]
fn lint_exceptions_are_argued() {
    assert_clean("argued lint exceptions", &unargued_findings(workspace()));
}

#[test]
fn todos_carry_a_number() {
    assert_clean("numbered TODOs", &todo_findings(workspace()));
}

#[test]
fn panics_state_an_invariant_in_words() {
    assert_clean("panics with a reason", &wordless_findings(workspace()));
}

#[test]
fn panics_only_become_fewer() {
    let cure = "return an error; a new panic is a new entry in tests/it/tidy/written.rs";
    let findings = ratchet(
        &panics_by_room(workspace()),
        PANICS,
        "unwrap/expect calls",
        cure,
    );
    assert_clean("ratchet of panics", &findings);
}

#[test]
fn the_header_check_sees_a_missing_header() {
    let sample = |text| [SourceFile::sample("proxy/src/lib.rs", text)];
    assert_found("use x;", &header_findings(&sample("use x;\n//! late")), 1);
    assert_found("//! x", &header_findings(&sample("//! What for.\n")), 0);
}

#[test]
fn the_reason_check_sees_every_form_of_exception() {
    let text = "#![allow(dead_code)]\n#[expect(a, reason = \"b\")]\n#[cfg_attr(x, allow(c))]\n\
                fn f() { x.expect(\"y\"); }";
    assert_found(
        text,
        &unargued_findings(&[SourceFile::sample("proxy/src/lib.rs", text)]),
        2,
    );
}

#[test]
fn the_todo_check_sees_comments_and_macros() {
    let text = "// TODO later\n/* TODO(#12) */\n/// FIXME\nfn f() { todo!(); g(\"TODO\"); }";
    assert_found(
        text,
        &todo_findings(&[SourceFile::sample("proxy/src/lib.rs", text)]),
        3,
    );
}

#[test]
fn the_panic_checks_count_production_code_only() {
    let text = "fn f() { a.unwrap(); b.expect(\"name\"); c.expect(\"the table is never empty\"); \
                d.expect(protocol); }\n\
                #[cfg(test)] mod tests { fn g() { a.unwrap(); } }";
    let files = [SourceFile::sample("proxy/src/lib.rs", text)];
    assert_found(text, &wordless_findings(&files), 2);
    assert_eq!(
        panics_by_room(&files).get("proxy"),
        Some(&3),
        "calls outside tests"
    );
}
