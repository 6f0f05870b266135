//! Findings as JUnit XML: errors are failures, everything else is system output.

use std::fmt::Write as _;

use weft_source::{Finding, Severity};

/// One test case per finding; a directory without findings is one test case that passes.
pub(super) fn xml(findings: &[Finding]) -> String {
    let failures = findings.iter().filter(|it| it.severity == Severity::Error);
    let (tests, failures) = (findings.len().max(1), failures.count());
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "<testsuite name=\"weft analyze\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">"
    );
    if findings.is_empty() {
        text.push_str("  <testcase classname=\"weft\" name=\"no findings\"/>\n");
    }
    for finding in findings {
        case(&mut text, finding);
    }
    text.push_str("</testsuite>\n");
    text
}

fn case(text: &mut String, finding: &Finding) {
    let object = finding.object.as_ref().map(ToString::to_string);
    let name = format!(
        "{} {} {}",
        finding.code,
        object.unwrap_or_default(),
        finding.field
    );
    let file = finding.place.as_ref().map(|place| {
        let file = escape(&place.file.display().to_string());
        format!(" file=\"{file}\" line=\"{}\"", place.line)
    });
    let message = escape(&finding.message);
    let body = escape(&finding.render(false));
    let inner = match finding.severity {
        Severity::Error => {
            format!(
                "<failure type=\"{}\" message=\"{message}\">{body}</failure>",
                finding.code
            )
        }
        Severity::Warning | Severity::Info => format!("<system-out>{body}</system-out>"),
    };
    let _ = writeln!(
        text,
        "  <testcase classname=\"weft.{}\" name=\"{}\"{}>{inner}</testcase>",
        finding.severity,
        escape(name.trim()),
        file.unwrap_or_default()
    );
}

/// Text for XML 1.0, attributes included: markup escaped, characters that XML cannot hold replaced.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            character if character.is_control() => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}
