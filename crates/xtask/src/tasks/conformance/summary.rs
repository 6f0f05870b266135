//! What a run comes to: figures by profile, and every test that people have to look at.

use std::collections::BTreeSet;
use std::time::Duration;

use super::catalogue::{Catalogue, Level};
use super::log::{Log, Verdict};
use crate::summary::human;

#[cfg(test)]
mod tests;

/// A finished run.
pub(super) struct Run<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) profiles: &'a [String],
    /// The one test that was to run, if not all.
    pub(super) only: Option<&'a str>,
    pub(super) log: &'a Log,
    /// Whether the suite exited with status 0.
    pub(super) succeeded: bool,
    /// Tests that failed in the whole run and passed alone.
    pub(super) flakes: &'a BTreeSet<String>,
    pub(super) took: Duration,
}

/// Tests of one profile and level by what became of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    passed: usize,
    failed: usize,
    skipped: usize,
    not_claimed: usize,
}

impl Run<'_> {
    /// Whether everything that is claimed is true. Flakes are named, not counted as failures.
    pub(super) fn is_good(&self) -> bool {
        let has_run = |name: &str| self.log.tests.get(name) == Some(&Verdict::Passed);
        self.failed().next().is_none()
            && self.log.trouble.is_none()
            && self.only.is_none_or(has_run)
            && (self.succeeded || !self.flakes.is_empty())
    }

    /// The tests that count in any of `profiles`.
    pub(super) fn counted(&self, profiles: &[String]) -> BTreeSet<&str> {
        let of = |profile: &String| {
            let levels = [Level::Core, Level::Extended];
            levels.map(|level| self.catalogue.tests(profile, level))
        };
        let tests = profiles.iter().flat_map(of).flatten();
        tests.map(String::as_str).collect()
    }

    /// Names of the tests that have passed, in order.
    pub(super) fn passed(&self) -> BTreeSet<&str> {
        let tests = self.log.tests.iter();
        tests
            .filter(|(name, verdict)| **verdict == Verdict::Passed || self.flakes.contains(*name))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Tests that failed or never ended, and what they said.
    fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        let tests = self.log.tests.iter();
        tests.filter_map(|(name, verdict)| match verdict {
            _ if self.flakes.contains(name) => None,
            Verdict::Failed(error) => Some((
                name.as_str(),
                error.as_deref().unwrap_or("see the log for why"),
            )),
            Verdict::Unfinished => Some((name.as_str(), "has begun and never ended")),
            _ => None,
        })
    }

    fn figures(&self, profile: &str, level: Level) -> Figures {
        let mut figures = Figures::default();
        for name in self.catalogue.tests(profile, level) {
            let count = match self.log.tests.get(name) {
                _ if self.flakes.contains(name) => &mut figures.passed,
                Some(Verdict::Passed) => &mut figures.passed,
                Some(Verdict::Failed(_) | Verdict::Unfinished) => &mut figures.failed,
                Some(Verdict::NotClaimed(_)) => &mut figures.not_claimed,
                Some(Verdict::LeftOut | Verdict::Skipped) | None => &mut figures.skipped,
            };
            *count += 1;
        }
        figures
    }

    /// The table and the lists below it, for people.
    pub(super) fn render(&self) -> String {
        let mut text = match self.only {
            Some(_) => String::new(),
            None => self.table(),
        };
        if let Some(trouble) = &self.log.trouble {
            push_line(&mut text, &format!("the suite: {trouble}"));
        }
        for (name, error) in self.failed() {
            push_line(&mut text, &format!("failed: {name}: {error}"));
        }
        for name in self.flakes {
            let line = format!("flaky: {name} failed in the run and passed alone");
            push_line(&mut text, &line);
        }
        for (name, verdict) in &self.log.tests {
            if *verdict == Verdict::Skipped {
                push_line(&mut text, &format!("skipped: {name}, though it is claimed"));
            }
        }
        let verdict = if self.is_good() { "passed" } else { "failed" };
        push_line(&mut text, &format!("{verdict} in {}", human(self.took)));
        text
    }

    fn table(&self) -> String {
        let mut text = format!(
            "{:<14} {:<9} {:>6} {:>6} {:>7} {:>11}\n",
            "profile", "level", "passed", "failed", "skipped", "not claimed"
        );
        for profile in self.profiles {
            for (level, name) in [(Level::Core, "core"), (Level::Extended, "extended")] {
                let Figures {
                    passed,
                    failed,
                    skipped,
                    not_claimed,
                } = self.figures(profile, level);
                let line = format!(
                    "{profile:<14} {name:<9} {passed:>6} {failed:>6} {skipped:>7} {not_claimed:>11}\n"
                );
                text.push_str(&line);
            }
        }
        text
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
