//! Where something is written: file, document, line and column, with the line itself.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Most characters of a line that are kept for a snippet.
const SNIPPET_MAX_CHARS: usize = 160;
/// Characters kept before the marked part of a line that is too long.
const SNIPPET_LEAD_CHARS: usize = 40;

/// A place in a file. Lines, columns and documents count from 1; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as it was found below the path that was named; `-` for standard input.
    #[serde(serialize_with = "path_as_text")]
    pub file: Arc<Path>,
    /// Which document of the file.
    pub document: u32,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
    /// The line; absent when it may hold confidential values.
    pub snippet: Option<Snippet>,
}

/// A line of a file, at most 160 characters of it, and which part of it is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snippet {
    /// The text, without line break and without control characters other than tabs.
    pub text: Box<str>,
    /// Characters before the marked part.
    pub start: u32,
    /// Characters of the marked part; 0 marks a position.
    pub length: u32,
}

fn path_as_text<S: Serializer>(path: &Arc<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// `routes/web.yaml:12:7`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

impl Snippet {
    /// Cuts a line so that the marked part, `length` characters after `start`, can be seen.
    pub(crate) fn new(line: &str, start: usize, length: usize) -> Self {
        let printable = |c: char| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        };
        let total = line.chars().count();
        let start = start.min(total);
        let skipped = if total <= SNIPPET_MAX_CHARS {
            0
        } else {
            start.saturating_sub(SNIPPET_LEAD_CHARS)
        };
        let shown = line.chars().skip(skipped).take(SNIPPET_MAX_CHARS);
        let text: Box<str> = shown.map(printable).collect();
        let start = start - skipped;
        let room = text.chars().count().saturating_sub(start);
        Self {
            text,
            start: u32::try_from(start).unwrap_or(u32::MAX),
            length: u32::try_from(length.min(room)).unwrap_or(u32::MAX),
        }
    }
}
