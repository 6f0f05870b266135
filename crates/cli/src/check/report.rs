//! What the checks found, as text, JSON and JUnit XML, and the exit code it means.

use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer};
use weft_source::Severity;

use super::codes::{CODES, Code};
use crate::{
    exit::{Exit, Failure},
    findings::{counted, xml_escape},
    output::{self, Format, Paint, table},
};

/// Verdict of one check about one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// As it should be.
    Good,
    /// Nobody knows, because it could not be looked at.
    Skipped,
    /// Works, but not as it should.
    Warning,
    /// Does not work.
    Error,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One check of one object.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) code: &'static str,
    pub(super) verdict: Verdict,
    /// What is checked.
    pub(super) subject: &'static str,
    /// What was seen.
    pub(super) saw: String,
    /// What to do; empty when all is good.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) cure: &'static str,
    since: &'static str,
}

/// All checks; the JSON form only grows.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
    /// Whether there was no API server to ask.
    pub(super) is_unreachable: bool,
    /// Whether something is there in part and the rest may come by itself.
    pub(super) is_underway: bool,
}

/// The JSON form.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    checks: &'a [Check],
}

impl Report {
    fn add(&mut self, code: &'static Code, verdict: Verdict, saw: impl fmt::Display) {
        self.checks.push(Check {
            code: code.id,
            verdict,
            subject: code.subject,
            saw: saw.to_string(),
            cure: match verdict {
                Verdict::Good | Verdict::Skipped => "",
                Verdict::Warning | Verdict::Error => code.cure,
            },
            since: code.since,
        });
    }

    /// As it should be.
    pub(super) fn good(&mut self, code: &'static Code, saw: impl fmt::Display) {
        self.add(code, Verdict::Good, saw);
    }

    /// As bad as the code says.
    pub(super) fn bad(&mut self, code: &'static Code, saw: impl fmt::Display) {
        let verdict = match code.severity {
            Severity::Info => Verdict::Good,
            Severity::Warning => Verdict::Warning,
            Severity::Error => Verdict::Error,
        };
        self.add(code, verdict, saw);
    }

    /// Not as bad as the code says: a part is there, and the rest may come by itself.
    pub(super) fn partial(&mut self, code: &'static Code, saw: impl fmt::Display) {
        self.is_underway = true;
        self.add(code, Verdict::Warning, saw);
    }

    /// Worse than the code says.
    pub(super) fn fail(&mut self, code: &'static Code, saw: impl fmt::Display) {
        self.add(code, Verdict::Error, saw);
    }

    /// It could not be looked at.
    pub(super) fn skip(&mut self, code: &'static Code, why: impl fmt::Display) {
        self.add(code, Verdict::Skipped, why);
    }

    fn count(&self, wanted: Verdict) -> usize {
        let of_it = self.checks.iter().filter(|it| it.verdict == wanted);
        of_it.count()
    }

    /// What the verdicts mean for the exit code.
    pub(super) fn exit(&self) -> Exit {
        if self.is_unreachable {
            return Exit::Unreachable;
        }
        match (self.count(Verdict::Error), self.count(Verdict::Warning)) {
            (0, 0) => Exit::Good,
            (0, _) => Exit::Warnings,
            _ => Exit::Errors,
        }
    }

    /// Prints the report; a quiet one leaves out what is good.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn print(&self, format: Format, colour: bool, quiet: bool) -> Result<(), Failure> {
        match format {
            Format::Json => output::print_json(&Document {
                version: 1,
                checks: &self.checks,
            }),
            Format::Junit => Ok(output::print(&self.junit())?),
            Format::Text | Format::Markdown => Ok(output::print(&self.text(Paint(colour), quiet))?),
        }
    }

    fn text(&self, paint: Paint, quiet: bool) -> String {
        let mut text = String::new();
        for check in &self.checks {
            if quiet && check.verdict <= Verdict::Skipped {
                continue;
            }
            let word = format!("{:<8}", check.verdict);
            let word = match check.verdict {
                Verdict::Good => paint.green(word),
                Verdict::Skipped => paint.dim(word),
                Verdict::Warning => paint.bold(word),
                Verdict::Error => paint.red(word),
            };
            // Writing to a String does not fail.
            let _ = write!(
                text,
                "{word}{} {}: {}",
                check.code, check.subject, check.saw
            );
            if !check.cure.is_empty() {
                let _ = write!(text, " → {}", check.cure);
            }
            text.push('\n');
        }
        let _ = writeln!(text, "{}", self.summary());
        text
    }

    /// `12 checks: 1 error, 1 warning, 1 skipped`
    fn summary(&self) -> String {
        let mut parts = Vec::new();
        for (verdict, noun) in [(Verdict::Error, "error"), (Verdict::Warning, "warning")] {
            match self.count(verdict) {
                0 => {}
                count => parts.push(counted(count, noun)),
            }
        }
        if parts.is_empty() {
            parts.push("nothing is wrong".to_owned());
        }
        match self.count(Verdict::Skipped) {
            0 => {}
            count => parts.push(format!("{count} skipped")),
        }
        format!(
            "{}: {}",
            counted(self.checks.len(), "check"),
            parts.join(", ")
        )
    }

    fn junit(&self) -> String {
        let (tests, failures) = (self.checks.len(), self.count(Verdict::Error));
        let skipped = self.count(Verdict::Skipped);
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"weft check\" \
             tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">\n"
        );
        for check in &self.checks {
            let (saw, cure) = (xml_escape(&check.saw), xml_escape(check.cure));
            let inner = match check.verdict {
                Verdict::Good => format!("<system-out>{saw}</system-out>"),
                Verdict::Skipped => format!("<skipped message=\"{saw}\"/>"),
                Verdict::Warning => format!("<system-out>warning: {saw} → {cure}</system-out>"),
                Verdict::Error => {
                    let code = check.code;
                    format!("<failure type=\"{code}\" message=\"{saw}\">{cure}</failure>")
                }
            };
            let name = format!("{} {}", check.code, xml_escape(check.subject));
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "  <testcase classname=\"weft.check\" name=\"{name}\">{inner}</testcase>"
            );
        }
        text.push_str("</testsuite>\n");
        text
    }
}

/// Prints every code.
///
/// # Errors
/// Standard output cannot be written, or the format is none of text and JSON.
pub(super) fn print_codes(format: Format) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        code: &'static str,
        severity: Severity,
        subject: &'static str,
        cure: &'static str,
        since: &'static str,
    }
    #[derive(Serialize)]
    struct Listing {
        version: u32,
        codes: Vec<Listed>,
    }
    if format.one_of(&[Format::Text, Format::Json])? == Format::Json {
        let listed = |code: &&'static Code| Listed {
            code: code.id,
            severity: code.severity,
            subject: code.subject,
            cure: code.cure,
            since: code.since,
        };
        return output::print_json(&Listing {
            version: 1,
            codes: CODES.iter().map(listed).collect(),
        });
    }
    let rows = CODES
        .iter()
        .map(|code| [code.id, code.severity.as_str(), code.subject, code.cure]);
    let text = table::whole(["CODE", "SEVERITY", "WHAT", "CURE"], rows);
    Ok(output::print(&format!("{text}\n"))?)
}
