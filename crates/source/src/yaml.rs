//! YAML as `kubectl` reads it: documents cut at their separators, scalars resolved by the rules of
//! YAML 1.1 as go-yaml has them, values as JSON. Budgets bound what a document can cost.
//!
//! It is built on the event parser of serde-saphyr instead of its deserializer, because a load of
//! ten thousand objects is three times faster that way and because the resolution of scalars must
//! be the one that decides what reaches an API server: `on` is a truth value there.

mod build;
mod cure;
mod locate;
mod scalar;
#[cfg(test)]
mod tests;

use serde_saphyr::granit_parser::{self, Parser, StrInput};

pub(crate) use build::parse;
pub(crate) use locate::{Part, Span, locate};

/// Most nested collections, aliases followed.
const DEPTH_MAX: usize = 128;
/// Most values of a document, aliases followed: ten times what the largest object of 1.5 MiB has.
const VALUES_MAX: usize = 1_000_000;

/// One document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Document<'a> {
    /// The text between two separators.
    pub(crate) text: &'a str,
    /// Which document of the file, from 1.
    pub(crate) number: u32,
    /// Lines of the file before the text.
    pub(crate) lines_before: u32,
}

/// Why a document is not YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// What is wrong.
    pub(crate) message: String,
    /// Line within the document, from 1.
    pub(crate) line: u32,
    /// Column in characters, from 1.
    pub(crate) column: u32,
    /// What to do, when more can be said than that it must be corrected.
    pub(crate) cure: Option<&'static str>,
    /// Whether it may well be YAML, only too much of it.
    pub(crate) over_budget: bool,
}

/// Cuts a file at lines that begin with `---`, which separate documents wherever they stand (YAML
/// 1.2.2, 9.1.2), and leaves out documents without content.
pub(crate) fn split(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let (mut start, mut at, mut line, mut start_line) = (0, 0, 0, 0);
    let mut number = 1;
    for line_text in text.split_inclusive('\n') {
        if is_separator(line_text) {
            push(&mut documents, &mut number, &text[start..at], start_line);
            (start, start_line) = (at, line);
        }
        at += line_text.len();
        line += 1;
    }
    push(&mut documents, &mut number, &text[start..], start_line);
    documents
}

fn push<'a>(documents: &mut Vec<Document<'a>>, number: &mut u32, text: &'a str, before: u32) {
    let has_content = |line: &str| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#') && line.trim_end() != "---"
    };
    if text.lines().any(has_content) {
        documents.push(Document {
            text,
            number: *number,
            lines_before: before,
        });
        *number += 1;
    }
}

fn is_separator(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn parser(text: &str) -> Parser<'_, StrInput<'_>> {
    let mut options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    options.set_emit_comments(false);
    Parser::new_from_str_with_options(text, options)
}
