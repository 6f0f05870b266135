//! The table of refusals (`tests/refusals.yaml`): whom Weft does not let through, what the other side sees of
//! it, and what Weft says of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde::Deserialize;

use crate::{binary::workspace, wait::Expected};

/// One attempt, and what comes of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What is wrong.
    pub row: String,
    /// Whose fault it is.
    pub culprit: String,
    /// The clause that forbids it.
    pub rule: String,
    /// What the other side sees.
    pub peer: String,
    /// What the log says.
    pub reason: String,
    /// Text of the same line of the log.
    #[serde(default)]
    pub words: String,
    /// Value of the label under which a metric counts it; empty where none does.
    #[serde(default)]
    pub counts: String,
}

/// All rows, by the group that is played together.
///
/// # Panics
/// When the table is not well formed.
#[must_use]
pub fn table() -> BTreeMap<String, Vec<Row>> {
    let path = workspace().join("tests/refusals.yaml");
    let text = fs::read_to_string(path).expected("the table of refusals");
    serde_saphyr::from_str(&text).expected("the table of refusals")
}

/// The rows of a group with what is done in each.
///
/// # Panics
/// When there is a row without an attack, or an attack without a row.
#[must_use]
pub fn attacked<T: Clone>(group: &str, attacks: &[(&str, T)]) -> Vec<(Row, T)> {
    let rows = table().remove(group).expect("a group of the table");
    let written: BTreeSet<_> = rows.iter().map(|row| row.row.as_str()).collect();
    let done: BTreeSet<_> = attacks.iter().map(|(name, _)| *name).collect();
    assert_eq!(written, done, "{group}: rows, and what is done");
    assert_eq!(written.len(), rows.len(), "{group}: rows have names");
    let attack = |row: &Row| {
        let mut attacks = attacks.iter();
        let found = attacks.find(|(name, _)| *name == row.row);
        found.expect("each row has one").1.clone()
    };
    rows.iter().map(|row| (row.clone(), attack(row))).collect()
}
