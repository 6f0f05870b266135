//! What a check says: findings with place and cure, and ratchet comparison.

use std::collections::BTreeMap;
use std::fmt;

/// One violation of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Path from the repository root.
    pub(super) path: String,
    /// First line is 1; 0 when the finding is about the whole file.
    pub(super) line: usize,
    /// What is there.
    pub(super) what: String,
    /// What to do instead.
    pub(super) cure: String,
}

impl Finding {
    pub(super) fn new(
        path: impl Into<String>,
        line: usize,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            line,
            what: what.into(),
            cure: cure.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            what,
            cure,
        } = self;
        if *line == 0 {
            write!(f, "{path}: {what} -> {cure}")
        } else {
            write!(f, "{path}:{line}: {what} -> {cure}")
        }
    }
}

/// Fails with every finding, so that one run shows all there is to mend.
#[track_caller]
pub(super) fn assert_clean(rule: &str, findings: &[Finding]) {
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| format!("  {finding}"))
        .collect();
    assert!(
        findings.is_empty(),
        "{rule}: {} violation(s)\n{}",
        findings.len(),
        lines.join("\n")
    );
}

/// Fails unless exactly `count` findings came out of a sample made to break a rule.
#[track_caller]
pub(super) fn assert_found(sample: &str, findings: &[Finding], count: usize) {
    assert_eq!(
        findings.len(),
        count,
        "in the sample\n{sample}\nthe check found {findings:#?}"
    );
}

/// Compares counts with the debts on record: more is a new debt, fewer means the record is stale.
pub(super) fn ratchet(
    actual: &BTreeMap<String, usize>,
    recorded: &[(&str, usize)],
    unit: &str,
    cure: &str,
) -> Vec<Finding> {
    let recorded: BTreeMap<&str, usize> = recorded.iter().copied().collect();
    let more = actual.iter().filter_map(|(key, &count)| {
        let allowed = recorded.get(key.as_str()).copied().unwrap_or(0);
        (count > allowed)
            .then(|| Finding::new(key, 0, format!("{count} {unit}, {allowed} on record"), cure))
    });
    let fewer = recorded.iter().filter_map(|(key, &allowed)| {
        let count = actual.get(*key).copied().unwrap_or(0);
        (count < allowed).then(|| {
            let what = format!("{count} {unit}, but {allowed} on record");
            Finding::new(*key, 0, what, format!("lower the record to {count}"))
        })
    });
    more.chain(fewer).collect()
}

#[test]
fn a_ratchet_reports_growth_and_stale_records() {
    let actual = BTreeMap::from([("grown".to_owned(), 3), ("same".to_owned(), 1)]);
    let findings = ratchet(
        &actual,
        &[("grown", 2), ("same", 1), ("gone", 1)],
        "debts",
        "pay",
    );
    let keys: Vec<&str> = findings
        .iter()
        .map(|finding| finding.path.as_str())
        .collect();
    assert_eq!(
        keys,
        ["grown", "gone"],
        "growth and stale records are the two ways to fail"
    );
}
