//! What Weft wants to reach, as data, and how far it is.

#[cfg(test)]
mod tests;

use super::figures::{Table, column, shown};
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
    /// So many times Weft's own figure in that table.
    TimesOwn(f64, &'static str),
}

use Limit::{AtMost, Times, TimesOwn};

const fn goal(
    id: &'static str,
    what: &'static str,
    (table, column): (&'static str, &'static str),
    first: Limit,
    beyond: Limit,
) -> Goal {
    Goal {
        id,
        what,
        table,
        column,
        first,
        beyond,
    }
}

/// Every goal that a scenario has figures for.
pub(crate) const GOALS: &[Goal] = &[
    goal(
        "P1",
        "HTTP/1.1 hop",
        ("h1", column::CPU),
        Times(0.45, Peer::Envoy),
        Times(0.27, Peer::Envoy),
    ),
    goal(
        "P2",
        "median latency at 12,000/s",
        ("h1", column::P50),
        Times(0.65, Peer::Envoy),
        Times(1.0, Peer::Nginx),
    ),
    goal(
        "P2",
        "99th percentile at 12,000/s",
        ("h1", column::P99),
        Times(0.5, Peer::Envoy),
        Times(1.0, Peer::Nginx),
    ),
    goal(
        "P3",
        "HTTP/2 hop",
        ("h2", column::CPU),
        Times(0.5, Peer::Envoy),
        Times(0.27, Peer::Envoy),
    ),
    goal(
        "P3",
        "gRPC-like hop",
        ("h2", column::GRPC_CPU),
        Times(0.5, Peer::Envoy),
        Times(0.27, Peer::Envoy),
    ),
    goal(
        "P4",
        "TLS, new connection",
        ("tls", column::CONNECTION_CPU),
        Times(0.9, Peer::Envoy),
        Times(0.77, Peer::Envoy),
    ),
    goal(
        "P4",
        "TLS, kept connection",
        ("tls", column::CPU),
        Times(0.45, Peer::Envoy),
        Times(0.34, Peer::Envoy),
    ),
    goal(
        "P4",
        "TLS, bulk",
        ("tls", column::BULK_CPU),
        Times(1.15, Peer::Envoy),
        Times(0.9, Peer::Envoy),
    ),
    goal(
        "P9",
        "memory with 10 routes",
        ("idle", column::BASE_RSS),
        AtMost(20.0),
        AtMost(8.0),
    ),
    goal(
        "P10",
        "memory of an idle connection",
        ("idle", column::IDLE_KIB),
        AtMost(12.0),
        AtMost(4.0),
    ),
    goal(
        "P11",
        "one change among 1,000 routes",
        ("scale-1000", column::CHANGE),
        AtMost(30.0),
        AtMost(5.0),
    ),
    goal(
        "P11",
        "one change among 10,000 routes",
        ("scale-10000", column::CHANGE),
        AtMost(50.0),
        AtMost(5.0),
    ),
    goal(
        "P12",
        "memory with 10,000 routes",
        ("scale-10000", column::RSS),
        AtMost(90.0),
        AtMost(60.0),
    ),
    goal(
        "P12",
        "start with 10,000 routes",
        ("scale-10000", column::START),
        AtMost(1.0),
        AtMost(0.3),
    ),
    goal(
        "P13",
        "request among 10,000 routes",
        ("scale-10000", column::CPU),
        TimesOwn(1.05, "scale-1"),
        TimesOwn(1.02, "scale-1"),
    ),
    goal(
        "P14",
        "memory of endpoints",
        ("endpoints", column::ENDPOINT_MIB),
        AtMost(1.5),
        AtMost(0.5),
    ),
    goal(
        "P15",
        "weight edits at 5,000 requests/s",
        ("churn-weights", column::FAILED),
        AtMost(0.0),
        AtMost(0.0),
    ),
    goal(
        "P15",
        "20 edits a second under wrk",
        ("churn-h1", column::FAILED),
        AtMost(0.0),
        AtMost(0.0),
    ),
    goal(
        "P15",
        "20 edits a second under h2load",
        ("churn-h2", column::FAILED),
        AtMost(0.0),
        AtMost(0.0),
    ),
    goal(
        "P15",
        "errors Weft counted under wrk",
        ("churn-h1", column::COUNTED_ERRORS),
        AtMost(0.0),
        AtMost(0.0),
    ),
    goal(
        "P15",
        "errors Weft counted under h2load",
        ("churn-h2", column::COUNTED_ERRORS),
        AtMost(0.0),
        AtMost(0.0),
    ),
    goal(
        "P6",
        "pair, routed request",
        ("mesh-http", column::CPU),
        Times(0.5, Peer::Envoy),
        Times(0.25, Peer::Envoy),
    ),
    goal(
        "P7",
        "pair, median latency at 5,000/s",
        ("mesh-http", column::P50),
        Times(0.55, Peer::Envoy),
        AtMost(250.0),
    ),
    goal(
        "P7",
        "pair, 99th percentile at 5,000/s",
        ("mesh-http", column::P99),
        Times(0.6, Peer::Envoy),
        AtMost(500.0),
    ),
    goal(
        "P8",
        "pair of relays, small request",
        ("mesh-tcp", column::CPU),
        Times(0.8, Peer::Envoy),
        Times(0.7, Peer::Envoy),
    ),
    goal(
        "P8",
        "pair of relays, new connection",
        ("mesh-tcp", column::CONNECTION_CPU),
        Times(0.4, Peer::Envoy),
        Times(0.3, Peer::Envoy),
    ),
    goal(
        "P8",
        "pair of relays, bulk",
        ("mesh-tcp", column::BULK_CPU),
        Times(1.1, Peer::Envoy),
        Times(0.95, Peer::Envoy),
    ),
    goal(
        "P9",
        "worker of pods with 10 routes",
        ("mesh-idle-http", column::BASE_RSS),
        AtMost(20.0),
        AtMost(8.0),
    ),
    goal(
        "P9",
        "worker and supervisor",
        ("mesh-idle-http", column::NODE_RSS),
        AtMost(30.0),
        AtMost(30.0),
    ),
    goal(
        "P10",
        "idle routed connection",
        ("mesh-idle-http", column::IDLE_KIB),
        AtMost(12.0),
        AtMost(4.0),
    ),
    goal(
        "P10",
        "idle relayed connection, client's node",
        ("mesh-idle-tcp", column::IDLE_KIB),
        AtMost(6.0),
        AtMost(3.0),
    ),
    goal(
        "P10",
        "idle relayed connection, server's node",
        ("mesh-idle-tcp", column::SERVER_IDLE_KIB),
        AtMost(6.0),
        AtMost(3.0),
    ),
];

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
            Times(times, _) | TimesOwn(times, _) => Some(times * self.reference(goal, tables)?),
        }
    }

    /// What the figure is compared with.
    pub(crate) fn reference(self, goal: &Goal, tables: &[Table]) -> Option<f64> {
        match self {
            AtMost(_) => None,
            Times(_, peer) => figure(tables, goal.table, peer, goal.column),
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
