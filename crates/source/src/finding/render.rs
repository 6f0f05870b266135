//! A finding as text: one line, the place, and the line of the file with a caret.

use std::fmt::Write;

use super::{Finding, Severity};
use crate::place::{Place, Snippet};

const BOLD: &str = "\x1b[1m";
const BLUE: &str = "\x1b[34m";
const RESET: &str = "\x1b[0m";

fn severity_colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "\x1b[36m",
        Severity::Warning => "\x1b[33m",
        Severity::Error => "\x1b[31m",
    }
}

/// Colours, or nothing where they are not wanted.
struct Paint(bool);

impl Paint {
    fn on(&self, code: &'static str) -> &'static str {
        if self.0 { code } else { "" }
    }
}

/// The text of a finding; every line ends with a newline.
pub(super) fn text(finding: &Finding, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = String::new();
    let line = finding.to_string();
    let head = finding.severity.as_str();
    let rest = line.strip_prefix(head).unwrap_or(&line);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{}{}{head}{}{rest}",
        paint.on(BOLD),
        paint.on(severity_colour(finding.severity)),
        paint.on(RESET)
    );
    if let Some(place) = &finding.place {
        write_place(&mut out, place, &paint);
    }
    out
}

fn write_place(out: &mut String, place: &Place, paint: &Paint) {
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let (blue, reset) = (paint.on(BLUE), paint.on(RESET));
    let _ = writeln!(out, "{margin}{blue}-->{reset} {place}");
    if let Some(snippet) = &place.snippet {
        let caret = caret(snippet);
        let _ = writeln!(out, "{margin} {blue}|{reset}");
        let _ = writeln!(out, "{blue}{number} |{reset} {}", snippet.text);
        let _ = writeln!(out, "{margin} {blue}|{reset} {caret}");
    }
}

/// Carets below the marked part; tabs are kept so that both lines are indented alike.
fn caret(snippet: &Snippet) -> String {
    let before = snippet.text.chars().take(snippet.start as usize);
    let mut line: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    line.extend(std::iter::repeat_n('^', snippet.length.max(1) as usize));
    line
}
