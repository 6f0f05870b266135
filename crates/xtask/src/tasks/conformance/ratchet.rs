//! The list of tests that pass, which only grows.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Channel;
use super::summary::Run;
use crate::command::workspace_root;

#[cfg(test)]
mod tests;

/// Lines `CHANNEL TEST`, sorted.
const FILE: &str = "tests/cluster/ratchet";

/// The list, as seen by a run of one channel.
pub(super) struct Ratchet {
    channel: Channel,
    lines: BTreeSet<String>,
}

impl Ratchet {
    pub(super) fn read(channel: Channel) -> Result<Self> {
        let path = path();
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("cannot read {FILE}"))?,
        };
        let lines = text.lines().map(str::to_owned).collect();
        Ok(Self { channel, lines })
    }

    /// Whether every listed test of the profiles has passed; adds those that pass and are new.
    pub(super) fn judge(mut self, profiles: &[String], run: &Run<'_>) -> Result<bool> {
        let passed = run.passed();
        let lost = self.lost(&run.counted(profiles), &passed);
        for test in &lost {
            println!("lost: {test} is in {FILE} and does not pass any more");
        }
        let gained = self.gain(&passed);
        if gained > 0 {
            let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
            std::fs::write(path(), text).with_context(|| format!("cannot write {FILE}"))?;
            println!("{FILE} has {gained} more tests; commit it with the report");
        }
        Ok(lost.is_empty())
    }

    /// Listed tests among those `counted` in this run that have not passed.
    fn lost(&self, counted: &BTreeSet<&str>, passed: &BTreeSet<&str>) -> Vec<String> {
        let missing = counted.difference(passed);
        let listed = missing.filter(|test| self.lines.contains(&self.line(test)));
        listed.map(|&test| test.to_owned()).collect()
    }

    /// Adds what is new, and says how many that are.
    fn gain(&mut self, passed: &BTreeSet<&str>) -> usize {
        let before = self.lines.len();
        let lines: Vec<String> = passed.iter().map(|test| self.line(test)).collect();
        self.lines.extend(lines);
        self.lines.len() - before
    }

    fn line(&self, test: &str) -> String {
        format!("{} {test}", self.channel.name())
    }
}

fn path() -> PathBuf {
    workspace_root().join(FILE)
}
