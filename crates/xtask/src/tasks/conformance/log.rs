//! The log of the suite, read: what became of every test.
//!
//! The suite's own report counts tests that call `t.Parallel` as passed before they have run, so
//! results are taken from the lines `--- PASS`, `--- FAIL` and `--- SKIP` alone.

use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// The Go test whose subtests are the tests of the suite.
const ROOT: &str = "TestConformance";

/// What became of one test of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// With the first error it told, or else the parts of it that failed.
    Failed(Option<String>),
    /// It has begun and there is no result: a panic or the time limit ended the run.
    Unfinished,
    /// It needs this feature, which the GatewayClass does not claim.
    NotClaimed(String),
    /// Another test was to run, or this one was to be left out.
    LeftOut,
    /// It gave up by itself, for a reason of its own.
    Skipped,
}

/// What a log says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// By the suite's short names.
    pub(super) tests: BTreeMap<String, Verdict>,
    /// Why the suite itself failed, where that is not one of its tests.
    pub(super) trouble: Option<String>,
}

impl Log {
    pub(super) fn parse(text: &str) -> Self {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line);
        }
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    /// The name of the Go test that the lines belong to.
    speaker: String,
    results: BTreeMap<String, Outcome>,
    /// Tests that have begun; each of their parts begins them again.
    started: BTreeSet<String>,
    /// First error of each test, and of the suite itself under [`ROOT`].
    errors: BTreeMap<String, String>,
    /// Subtests that failed, by the test they are part of.
    parts: BTreeMap<String, Vec<String>>,
    /// Whether the line continues an error.
    in_error: bool,
    skips: BTreeMap<String, Verdict>,
    panic: Option<String>,
}

#[derive(Clone, Copy)]
enum Outcome {
    Pass,
    Fail,
    Skip,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let text = line.trim();
        if let Some(rest) = text.strip_prefix("=== ") {
            self.turn(rest);
        } else if let Some(rest) = text.strip_prefix("--- ") {
            self.result(rest);
        } else if text.starts_with("panic: ") {
            self.panic.get_or_insert_with(|| text.to_owned());
        } else if let Some((_, rest)) = text.split_once("Skipping ") {
            self.skip(rest);
        } else {
            self.error(text);
        }
    }

    /// `RUN   NAME`, `CONT  NAME` and `NAME  NAME` say whose lines follow.
    fn turn(&mut self, text: &str) {
        let Some((verb, name)) = text.split_once(char::is_whitespace) else {
            return;
        };
        self.in_error = false;
        name.trim().clone_into(&mut self.speaker);
        if verb == "RUN" {
            self.started.extend(test_of(name.trim()));
        }
    }

    /// `PASS: NAME (1.20s)`.
    fn result(&mut self, text: &str) {
        self.in_error = false;
        let Some((word, rest)) = text.split_once(": ") else {
            return;
        };
        let name = rest.rsplit_once(" (").map_or(rest, |(name, _)| name);
        let outcome = match word {
            "PASS" => Outcome::Pass,
            "FAIL" => Outcome::Fail,
            "SKIP" => Outcome::Skip,
            _ => return,
        };
        let short = name
            .strip_prefix(ROOT)
            .map(|rest| rest.trim_start_matches('/'));
        match short {
            Some("") => {
                self.results.insert(ROOT.to_owned(), outcome);
            }
            Some(short) if !short.contains('/') => {
                self.results.insert(short.to_owned(), outcome);
            }
            // Its parts decide about a test through the result of the whole; they only explain it.
            Some(short) if matches!(outcome, Outcome::Fail) => {
                if let Some((test, part)) = short.split_once('/') {
                    let parts = self.parts.entry(test.to_owned()).or_default();
                    parts.push(part.to_owned());
                }
            }
            _ => {}
        }
    }

    /// `NAME: suite does not support FEATURE`, `NAME: test explicitly skipped`.
    fn skip(&mut self, text: &str) {
        let Some((name, why)) = text.split_once(": ") else {
            return;
        };
        let verdict = match why.strip_prefix("suite does not support ") {
            Some(feature) => Verdict::NotClaimed(feature.to_owned()),
            None if why == "test explicitly skipped" => Verdict::LeftOut,
            None => return,
        };
        self.skips.insert(name.to_owned(), verdict);
    }

    /// Keeps the first `Error:` of a test with the lines that continue it, up to `Test:`.
    fn error(&mut self, text: &str) {
        let owner = test_of(&self.speaker).unwrap_or_else(|| ROOT.to_owned());
        if let Some(message) = text.strip_prefix("Error:") {
            self.in_error = !self.errors.contains_key(&owner);
            if self.in_error {
                self.errors.insert(owner, message.trim().to_owned());
            }
        } else if text.starts_with("Test:") {
            self.in_error = false;
        } else if self.in_error && !text.is_empty() {
            let text = text.strip_prefix("Messages:").unwrap_or(text).trim();
            if let Some(error) = self.errors.get_mut(&owner) {
                error.push_str(if error.ends_with(':') { " " } else { "; " });
                error.push_str(text);
            }
        }
    }

    /// Why a test failed.
    fn reason(&mut self, test: &str) -> Option<String> {
        let parts = self.parts.remove(test).map(|parts| parts.join(", "));
        self.errors.remove(test).or(parts)
    }

    fn finish(mut self) -> Log {
        let root = self.results.remove(ROOT);
        let mut tests = BTreeMap::new();
        for name in std::mem::take(&mut self.started) {
            let verdict = match self.results.get(&name) {
                Some(Outcome::Pass) => Verdict::Passed,
                Some(Outcome::Fail) => Verdict::Failed(self.reason(&name)),
                Some(Outcome::Skip) => self.skips.remove(&name).unwrap_or(Verdict::Skipped),
                None => Verdict::Unfinished,
            };
            tests.insert(name, verdict);
        }
        let is_explained = tests
            .values()
            .any(|verdict| matches!(verdict, Verdict::Failed(_)));
        let trouble = match root {
            _ if self.panic.is_some() => self.panic,
            None => Some("the run ended without a result".to_owned()),
            Some(Outcome::Fail) if !is_explained => Some(
                self.errors
                    .remove(ROOT)
                    .unwrap_or_else(|| "the suite failed outside of its tests".to_owned()),
            ),
            Some(_) => None,
        };
        Log { tests, trouble }
    }
}

/// The short name of the test of the suite that a Go test is or is part of.
fn test_of(name: &str) -> Option<String> {
    let below = name.strip_prefix(ROOT)?.strip_prefix('/')?;
    below.split('/').next().map(str::to_owned)
}
