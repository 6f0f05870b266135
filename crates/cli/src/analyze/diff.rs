//! What files would change about the findings of a cluster.

use std::fmt::Write as _;

use serde::Serialize;
use weft_source::Finding;

use crate::{
    args::FailOn,
    exit::{Exit, Failure},
    findings::{Report, counted},
    output::{self, Format},
};

/// Findings before and after, compared; the JSON form only grows.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    version: u32,
    /// Findings that come with the files.
    introduced: Vec<Finding>,
    /// Findings that go with them.
    fixed: Vec<Finding>,
    /// How many stay.
    unchanged: usize,
}

impl Difference {
    /// Compares by code, object, field and words: the place is that of a file and says nothing.
    pub(super) fn new(before: Report, after: Report) -> Self {
        let (before, after) = (before.into_findings(), after.into_findings());
        let is_same = |one: &Finding, other: &Finding| {
            (one.code, &one.object, &one.field, &one.message)
                == (other.code, &other.object, &other.field, &other.message)
        };
        let is_in = |one: &Finding, all: &[Finding]| all.iter().any(|it| is_same(one, it));
        let missing = |from: &[Finding], other: &[Finding]| -> Vec<Finding> {
            let missing = from.iter().filter(|it| !is_in(it, other));
            missing.cloned().collect()
        };
        let (introduced, fixed) = (missing(&after, &before), missing(&before, &after));
        Self {
            version: 1,
            unchanged: after.len() - introduced.len(),
            introduced,
            fixed,
        }
    }

    /// Prints it.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn print(&self, format: Format, colour: bool) -> Result<(), Failure> {
        if format == Format::Json {
            return output::print_json(self);
        }
        let mut text = String::new();
        for (word, findings) in [("introduced", &self.introduced), ("fixed", &self.fixed)] {
            for finding in findings {
                // Writing to a String does not fail.
                let _ = write!(text, "{word}: {}", finding.render(colour));
            }
        }
        let (introduced, fixed) = (self.introduced.len(), self.fixed.len());
        let introduced = counted(introduced, "finding");
        let unchanged = self.unchanged;
        let _ = writeln!(
            text,
            "{introduced} introduced, {fixed} fixed, {unchanged} unchanged"
        );
        Ok(output::print(&text)?)
    }

    /// What the files bring decides.
    pub(super) fn exit(&self, fail_on: FailOn) -> Exit {
        crate::findings::exit(&self.introduced, fail_on)
    }
}

#[cfg(test)]
mod tests {
    use weft_source::Severity;

    use super::*;

    fn finding(message: &str) -> Finding {
        Finding {
            severity: Severity::Warning,
            code: "WA999",
            object: None,
            field: String::new(),
            message: message.to_owned(),
            cure: String::new(),
            place: None,
        }
    }

    #[test]
    fn findings_come_go_or_stay() {
        let report =
            |messages: &[&str]| Report::of(messages.iter().map(|it| finding(it)).collect());
        let difference = Difference::new(report(&["old", "stays"]), report(&["stays", "new"]));
        assert_eq!(difference.introduced, [finding("new")]);
        assert_eq!(difference.fixed, [finding("old")]);
        assert_eq!(difference.unchanged, 1);
        assert_eq!(difference.exit(FailOn::Error), Exit::Warnings);
        assert_eq!(difference.exit(FailOn::Warning), Exit::Errors);
    }
}
