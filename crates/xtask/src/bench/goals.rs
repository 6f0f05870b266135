//! What Weft wants to reach, as data, and how far it is.

mod list;
#[cfg(test)]
mod tests;

pub(crate) use list::GOALS;

use super::figures::{Table, shown};
use super::peers::Peer;

/// A figure of Weft and what it is to be.
pub(crate) struct Goal {
    /// Number in the list of goals.
    pub(crate) id: &'static str,
    pub(crate) what: &'static str,
    /// Name of the table the figure stands in.
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    /// For the first release.
    pub(crate) first: Limit,
    /// After it.
    pub(crate) beyond: Limit,
}

/// The most a figure may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// So many times the figure of that peer in the same run.
    Times(f64, Peer),
    /// So much, in the unit of the column.
    AtMost(f64),
    /// So many times the figure of that peer in that table of the same run.
    TimesOf(f64, Peer, &'static str),
    /// So many times Weft's own figure in that table.
    TimesOwn(f64, &'static str),
}

use Limit::{AtMost, Times, TimesOf, TimesOwn};

/// How far a goal is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Beyond,
    Met,
    Missed,
    /// A figure it needs was not taken.
    Unknown,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Beyond => "met, and beyond",
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::Unknown => "not measured",
        }
    }
}

impl Limit {
    /// The most the figure may be, given what else was measured.
    fn value(self, goal: &Goal, tables: &[Table]) -> Option<f64> {
        match self {
            AtMost(value) => Some(value),
            Times(times, _) | TimesOf(times, _, _) | TimesOwn(times, _) => {
                Some(times * self.reference(goal, tables)?)
            }
        }
    }

    /// What the figure is compared with.
    pub(crate) fn reference(self, goal: &Goal, tables: &[Table]) -> Option<f64> {
        match self {
            AtMost(_) => None,
            Times(_, peer) => figure(tables, goal.table, peer, goal.column),
            TimesOf(_, peer, table) => figure(tables, table, peer, goal.column),
            TimesOwn(_, table) => figure(tables, table, Peer::Weft, goal.column),
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AtMost(value) if *value == 0.0 => write!(f, "0"),
            AtMost(value) => write!(f, "≤ {value}"),
            Times(times, peer) => write!(f, "≤ {times} × {}", peer.name()),
            TimesOf(times, peer, table) => write!(f, "≤ {times} × {} in {table}", peer.name()),
            TimesOwn(times, table) => write!(f, "≤ {times} × {table}"),
        }
    }
}

impl Goal {
    /// Weft's figure.
    pub(crate) fn figure(&self, tables: &[Table]) -> Option<f64> {
        figure(tables, self.table, Peer::Weft, self.column)
    }

    /// How far it is reached.
    pub(crate) fn verdict(&self, tables: &[Table]) -> Verdict {
        let holds = |limit: Limit| Some(self.figure(tables)? <= limit.value(self, tables)?);
        match (holds(self.first), holds(self.beyond)) {
            (None, _) => Verdict::Unknown,
            (Some(false), _) => Verdict::Missed,
            (Some(true), Some(true)) => Verdict::Beyond,
            (Some(true), _) => Verdict::Met,
        }
    }

    /// The figure as a multiple of what the first limit compares it with: `0.41`.
    pub(crate) fn ratio(&self, tables: &[Table]) -> Option<String> {
        let reference = self.first.reference(self, tables)?;
        Some(shown(self.figure(tables)? / reference))
    }
}

fn figure(tables: &[Table], table: &str, peer: Peer, column: &str) -> Option<f64> {
    let table = tables.iter().find(|candidate| candidate.name == table)?;
    table.value(peer.name(), column)
}
