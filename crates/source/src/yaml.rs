//! YAML as `kubectl` reads it: documents cut at their separators, scalars resolved by the rules of
//! YAML 1.1 as go-yaml has them, values as JSON. Budgets bound what a document can cost.
//!
//! Usual forms are read by a small reader of our own, everything else through the event parser of
//! serde-saphyr. Its deserializer is not used, because a load of ten thousand objects is three times
//! faster that way and because the resolution of scalars must be the one that decides what reaches
//! an API server: `on` is a truth value there.

mod build;
mod cure;
mod locate;
mod scalar;
#[cfg(test)]
mod tests;
mod usual;

use serde_saphyr::granit_parser::{self, Parser, StrInput};

pub(crate) use build::parse;
pub(crate) use locate::{Part, Span, locate};

/// Most nested collections, aliases followed.
const DEPTH_MAX: usize = 128;
/// Most values of a document, aliases followed: ten times what the largest object of 1.5 MiB has.
const VALUES_MAX: usize = 1_000_000;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// One document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Document<'a> {
    /// The text between two separators.
    pub(crate) text: &'a str,
    /// Bytes of the file before the text.
    pub(crate) offset: usize,
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
/// 1.2.2, 9.1.2), and leaves out documents without content. Directives stand before the separator
/// and belong to the document behind it.
pub(crate) fn split(text: &str) -> Vec<Document<'_>> {
    let mut at = if text.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len_utf8()
    } else {
        0
    };
    let mut documents = Vec::new();
    let mut start = Border { at, line: 0 };
    // What precedes a document, as long as nothing else was seen, and whether it has directives.
    let mut prefix = Some((start, false));
    for (line, line_text) in (0..).zip(text[at..].split_inclusive('\n')) {
        let here = Border { at, line };
        at += line_text.len();
        if is_marker(line_text, "---") {
            let end = match prefix.take() {
                Some((begin, true)) => begin,
                _ => here,
            };
            push(&mut documents, &text[..end.at], start);
            start = end;
        } else if is_marker(line_text, "...") {
            let behind = Border { at, line: line + 1 };
            prefix = Some((behind, false));
        } else if let Some((_, has_directives)) = &mut prefix {
            if line_text.starts_with('%') {
                *has_directives = true;
            } else if has_content(line_text) {
                prefix = None;
            }
        }
    }
    push(&mut documents, text, start);
    documents
}

/// A place between two lines: bytes and lines of the file before it.
#[derive(Clone, Copy)]
struct Border {
    at: usize,
    line: u32,
}

/// Adds the document from `start` to the end of a text, if it has content.
fn push<'a>(documents: &mut Vec<Document<'a>>, text: &'a str, start: Border) {
    let text = &text[start.at..];
    if text.lines().any(has_content) {
        documents.push(Document {
            text,
            offset: start.at,
            number: u32::try_from(documents.len() + 1).unwrap_or(u32::MAX),
            lines_before: start.line,
        });
    }
}

fn has_content(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#') && line.trim_end() != "---"
}

/// Whether a line begins with a marker of YAML: that of a document's start or that of its end.
fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
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
