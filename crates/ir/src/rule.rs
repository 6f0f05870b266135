//! One rule of one route, compiled.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Backend, BackendTls, Filter, Filters, GrpcMatch, HttpMatch, Retry, RouteId, ServicePort,
    Target, Timeouts,
};

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
    /// Whether every request of the rule may be made twice, whatever its method: its owner says so.
    #[serde(default, skip_serializing_if = "crate::matching::is_false")]
    pub idempotent: bool,
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

impl Rule {
    /// A rule that answers 500 to whatever reaches it: in place of one that a newer version wrote and
    /// this one cannot honour.
    pub fn refusing(
        route: Arc<RouteId>,
        index: u16,
        name: Option<Arc<str>>,
        matches: Matches,
    ) -> Self {
        Self {
            route,
            index,
            name,
            matches,
            filters: Filters::from(vec![Filter::Unsupported]),
            backends: Vec::new(),
            timeouts: Timeouts::default(),
            retry: None,
            idempotent: false,
        }
    }

    /// The Service ports the rule may send to, backends and mirrors. Repeats are possible.
    pub fn service_ports(&self) -> impl Iterator<Item = &ServicePort> {
        self.targets().filter_map(|target| match target {
            Target::Service { port, .. } => Some(port),
            Target::Fault { .. } => None,
        })
    }

    /// The TLS settings the rule may send with, to backends and mirrors. Repeats are possible.
    pub fn backend_tls(&self) -> impl Iterator<Item = &Arc<BackendTls>> {
        self.targets().filter_map(|target| match target {
            Target::Service { tls, .. } => tls.as_ref(),
            Target::Fault { .. } => None,
        })
    }

    fn targets(&self) -> impl Iterator<Item = &Target> {
        let backends = self.backends.iter().map(|backend| &backend.target);
        let filters = self.backends.iter().flat_map(|backend| &backend.filters);
        let mirrors = (self.filters.iter().chain(filters)).filter_map(|filter| match filter {
            Filter::Mirror(mirror) => Some(&mirror.target),
            _ => None,
        });
        backends.chain(mirrors)
    }
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

    /// Whether match number `at` has conditions that this version does not know.
    pub(crate) fn is_unsupported(&self, at: u16) -> bool {
        let at = usize::from(at);
        match self {
            Self::Http(list) => list.get(at).is_some_and(|matched| matched.unsupported),
            Self::Grpc(list) => list.get(at).is_some_and(|matched| matched.unsupported),
        }
    }

    /// Whether there is none, so that the rule takes no request.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
