//! One rule of one route, compiled.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Backend, Filters, GrpcMatch, HttpMatch, Retry, RouteId, Timeouts};

/// A compiled rule. It is shared by every listener and frontend its route is attached to, and by
/// successive tables as long as the route does not change: pointer equality means "unchanged".
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The route this rule belongs to.
    pub route: Arc<RouteId>,
    /// Position in `spec.rules`.
    pub index: u16,
    /// `spec.rules[].name`, if set.
    pub name: Option<Arc<str>>,
    /// Which requests the rule takes. Never empty: a rule without matches takes every request, which
    /// is one match with defaults.
    pub matches: Matches,
    /// Filters of the rule, in list order.
    #[serde(default)]
    pub filters: Filters,
    /// Where accepted requests go, by weight. Empty means that no backend was given: the request
    /// answers 500 unless a filter answered it.
    #[serde(default)]
    pub backends: Vec<Backend>,
    /// Limits on the time of a request.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Retry stanza, if the rule has one.
    #[serde(default)]
    pub retry: Option<Retry>,
}

/// The matches of a rule; the request has to satisfy one of them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Matches {
    /// `HTTPRouteMatch` entries.
    Http(Vec<HttpMatch>),
    /// `GRPCRouteMatch` entries.
    Grpc(Vec<GrpcMatch>),
}

impl Matches {
    /// How many matches there are. The API allows 64 per rule.
    pub fn len(&self) -> u16 {
        let count = match self {
            Self::Http(list) => list.len(),
            Self::Grpc(list) => list.len(),
        };
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// Whether there is none, so that the rule takes no request.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
