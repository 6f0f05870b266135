//! Which test counts in which profile, as the suite itself says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// How much a profile asks for a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Every implementation of the profile passes it.
    Core,
    /// Those that claim its features do.
    Extended,
}

/// The tests of every profile, in the order of the suite.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Catalogue {
    tests: BTreeMap<(String, Level), Vec<String>>,
    /// Every feature that a test of a mesh relies on.
    mesh: BTreeSet<String>,
}

/// The feature that makes a test one of a mesh.
const MESH: &str = "Mesh";

impl Catalogue {
    /// Asks the test binary of the suite. It needs no cluster for that.
    pub(super) fn ask(suite: &Path) -> Result<Self> {
        let output = Command::new(suite)
            .args(["-test.run", "^TestCatalogue$"])
            .output()
            .context("cannot start the suite")?;
        let catalogue = Self::parse(&String::from_utf8_lossy(&output.stdout));
        ensure!(
            output.status.success() && !catalogue.tests.is_empty(),
            "the suite does not say which tests it has"
        );
        Ok(catalogue)
    }

    /// Reads lines `catalogue PROFILE core|extended TEST FEATURES`, separated by tabs.
    pub(super) fn parse(text: &str) -> Self {
        let mut catalogue = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let ["catalogue", profile, level, test, ref features @ ..] = fields[..] else {
                continue; // the verdict of the Go test that prints it
            };
            let features: Vec<&str> = features.iter().flat_map(|it| it.split(',')).collect();
            if features.contains(&MESH) {
                let named = features.iter().map(ToString::to_string);
                catalogue.mesh.extend(named);
            }
            let level = if level == "core" {
                Level::Core
            } else {
                Level::Extended
            };
            let key = (profile.to_owned(), level);
            catalogue
                .tests
                .entry(key)
                .or_default()
                .push(test.to_owned());
        }
        catalogue
    }

    /// Fails when no profile has a test of that name.
    pub(super) fn expect(&self, test: &str) -> Result<()> {
        let mut all = self.tests.values().flatten();
        ensure!(
            all.any(|known| known == test),
            "the suite has no test `{test}`; they are named as in tests/cluster/ratchet and reports"
        );
        Ok(())
    }

    /// All features that tests of a mesh rely on, as a list for the suite: claiming them runs every one
    /// of these tests and no test of gateways.
    pub(super) fn mesh_features(&self) -> String {
        let all: Vec<&str> = self.mesh.iter().map(String::as_str).collect();
        all.join(",")
    }

    /// The tests that count in `profile` at `level`.
    pub(super) fn tests(&self, profile: &str, level: Level) -> &[String] {
        self.tests
            .get(&(profile.to_owned(), level))
            .map_or(&[], Vec::as_slice)
    }
}
