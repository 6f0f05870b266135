//! Why a request went where it went: the decision of [`RouteSet::find`](crate::RouteSet::find),
//! recorded while it is made.

use std::fmt;

use http::HeaderName;
use serde::{Serialize, Serializer};

use crate::{matching::Unmet, route::Step};

/// Listens to [`RouteSet::find`](crate::RouteSet::find).
pub trait Recorder {
    /// Whether every match of the table is judged and reported, in the order of
    /// [`RouteSet::rules`](crate::RouteSet::rules). If not, only the winner is reported and the
    /// decision costs nothing beyond what the data path needs.
    const EXHAUSTIVE: bool;

    /// One match was judged.
    fn tried(&mut self, tried: Tried);
}

/// One match and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// Index into [`RouteSet::rules`](crate::RouteSet::rules).
    pub rule: u32,
    /// Position of the match in the rule.
    pub matched: u16,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It serves the request.
    Won,
    /// It takes the request, but the winner comes first by this step.
    Lost(Step),
    /// It does not take the request.
    Missed(Miss),
}

/// The first condition of a match that the request does not meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Miss {
    /// The route is a GRPCRoute and the request is no gRPC call.
    Kind,
    /// None of the route's hostnames takes the host.
    Host,
    /// The path.
    Path,
    /// The HTTP method.
    Method,
    /// The gRPC service or method.
    Call,
    /// The header field of this name: absent, or another value.
    Header(#[serde(serialize_with = "header_name")] HeaderName),
    /// The query parameter of this name: absent, or another value.
    Query(Box<str>),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Won => f.write_str("serves the request"),
            Self::Lost(step) => write!(f, "matches, but {step}"),
            Self::Missed(miss) => miss.fmt(f),
        }
    }
}

fn header_name<S: Serializer>(name: &HeaderName, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(name.as_str())
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => f.write_str("not a gRPC call"),
            Self::Host => f.write_str("host does not match"),
            Self::Path => f.write_str("path does not match"),
            Self::Method => f.write_str("method does not match"),
            Self::Call => f.write_str("gRPC service or method does not match"),
            Self::Header(name) => write!(f, "header {name} does not match"),
            Self::Query(name) => write!(f, "query parameter {name} does not match"),
        }
    }
}

impl From<Unmet<'_>> for Miss {
    fn from(unmet: Unmet<'_>) -> Self {
        match unmet {
            Unmet::Path => Self::Path,
            Unmet::Method => Self::Method,
            Unmet::Call => Self::Call,
            Unmet::Header(name) => Self::Header(name.clone()),
            Unmet::Query(name) => Self::Query(name.into()),
        }
    }
}

/// Records nothing; the data path's choice.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecord;

impl Recorder for NoRecord {
    const EXHAUSTIVE: bool = false;

    #[inline]
    fn tried(&mut self, _: Tried) {}
}

/// Records every match of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    tried: Vec<Tried>,
}

impl Explanation {
    /// Every match of the table, in the order of [`RouteSet::rules`](crate::RouteSet::rules) and,
    /// inside a rule, of its matches.
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// The match that serves the request.
    pub fn winner(&self) -> Option<&Tried> {
        self.tried
            .iter()
            .find(|tried| tried.outcome == Outcome::Won)
    }
}

impl Recorder for Explanation {
    const EXHAUSTIVE: bool = true;

    fn tried(&mut self, tried: Tried) {
        self.tried.push(tried);
    }
}

#[cfg(test)]
mod tests;
