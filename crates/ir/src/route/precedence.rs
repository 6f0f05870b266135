//! Precedence between the matches of one request, as the order of a summary value.
//!
//! The fields of [`Precedence`] stand in the order of the specification's lists (`HTTPRouteRule`,
//! `GRPCRouteRule`, `spec.hostnames`), and the greatest value wins.

use std::{
    cmp::{Ordering, Reverse},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::{
    GrpcMatch, GrpcMethodMatch, HttpMatch, Matches, Name, PathMatch, Regex, RouteKind, Rule,
};

/// What decides between two matches that both take a request. The greatest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence<'a> {
    /// A match with conditions of a newer version takes nothing from matches that are understood.
    supported: bool,
    /// gRPC calls try GRPCRoutes first; other requests meet no GRPCRoute at all.
    kind: RouteKind,
    /// [`Hostname::specificity`](crate::Hostname::specificity) of the matching hostname.
    hostname: (usize, usize),
    shape: Shape,
    age: Reverse<Created>,
    route: Reverse<Alphabetical<'a>>,
    rule: Reverse<u16>,
    matched: Reverse<u16>,
}

/// What the conditions of a match contribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Http(HttpShape),
    Grpc(GrpcShape),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct HttpShape {
    path: PathRank,
    has_method: bool,
    headers: usize,
    query: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct GrpcShape {
    call: CallRank,
    service: usize,
    method: usize,
    headers: usize,
}

/// `Exact` before `RegularExpression` before `PathPrefix`; then characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Prefix(usize),
    Regex(usize),
    Exact,
}

impl Default for PathRank {
    fn default() -> Self {
        Self::Prefix(0)
    }
}

/// `Exact` before `RegularExpression` before no condition on service and method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum CallRank {
    #[default]
    Any,
    Regex,
    Exact,
}

/// Creation time, oldest first. Routes without one (manifests that never saw an API server) equal
/// each other and come after those that have one, which keeps the order total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Created(Option<i64>);

impl Ord for Created {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Some(mine), Some(theirs)) => mine.cmp(&theirs),
            (mine, theirs) => mine.is_none().cmp(&theirs.is_none()),
        }
    }
}

impl PartialOrd for Created {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Alphabetical order of `{namespace}/{name}`, taken as one text as the specification writes it: the
/// hyphen comes before the slash, so `a-b/x` comes before `a/x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alphabetical<'a>(&'a Name);

impl Ord for Alphabetical<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        fn text(name: &Name) -> impl Iterator<Item = u8> {
            name.namespace
                .bytes()
                .chain([b'/'])
                .chain(name.name.bytes())
        }
        text(self.0).cmp(text(other.0))
    }
}

impl PartialOrd for Alphabetical<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The step of the precedence list that decided between two matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Step {
    /// Matches that are understood before those with conditions of a newer version.
    Unsupported,
    /// A gRPC call tries GRPCRoutes before HTTPRoutes.
    Kind,
    /// Characters of the matching hostname, non-wildcard ones first.
    Hostname,
    /// Exact before RegularExpression before PathPrefix, then characters.
    Path,
    /// A match with a method condition before one without.
    Method,
    /// Exact before RegularExpression before no condition on service and method.
    CallType,
    /// Characters of the gRPC service.
    Service,
    /// Characters of the gRPC method.
    CallMethod,
    /// Number of header conditions.
    Headers,
    /// Number of query parameter conditions.
    Query,
    /// Creation time of the route.
    Age,
    /// `namespace/name` of the route.
    Name,
    /// Position of the rule in its route.
    Rule,
    /// Position of the match in its rule.
    Match,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "it has conditions of a newer version and comes after all others",
            Self::Kind => "a gRPC call goes to GRPCRoutes first",
            Self::Hostname => "the winner's hostname is more specific",
            Self::Path => "the winner's path match is more specific",
            Self::Method => "the winner matches the method too",
            Self::CallType => "the winner's method match is of a more specific type",
            Self::Service => "the winner's service is longer",
            Self::CallMethod => "the winner's method is longer",
            Self::Headers => "the winner matches more headers",
            Self::Query => "the winner matches more query parameters",
            Self::Age => "the winner's route is older",
            Self::Name => "the winner's route comes first by namespace/name",
            Self::Rule => "the winner's rule comes first in the route",
            Self::Match => "the winner's match comes first in the rule",
        })
    }
}

impl<'a> Precedence<'a> {
    /// The precedence of match number `matched` of `rule`, reached through a hostname of the given
    /// specificity.
    pub(super) fn new(
        rule: &'a Rule,
        matched: u16,
        created: Option<i64>,
        hostname: (usize, usize),
    ) -> Self {
        Self {
            supported: !rule.matches.is_unsupported(matched),
            kind: rule.route.kind,
            hostname,
            shape: Shape::of(&rule.matches, matched),
            age: Reverse(Created(created)),
            route: Reverse(Alphabetical(&rule.route.name)),
            rule: Reverse(rule.index),
            matched: Reverse(matched),
        }
    }

    /// Kind of the route.
    pub(super) fn kind(&self) -> RouteKind {
        self.kind
    }

    /// What comes before the conditions: whether they are understood, the kind, and the specificity
    /// of the hostname.
    pub(super) fn reach(&self) -> (bool, RouteKind, (usize, usize)) {
        (self.supported, self.kind, self.hostname)
    }

    /// The first step that tells the two apart; `None` for a match and itself.
    pub(super) fn step(&self, other: &Self) -> Option<Step> {
        if self.supported != other.supported {
            return Some(Step::Unsupported);
        }
        if self.kind != other.kind {
            return Some(Step::Kind);
        }
        if self.hostname != other.hostname {
            return Some(Step::Hostname);
        }
        if let Some(step) = self.shape.step(&other.shape) {
            return Some(step);
        }
        let rest = [
            (Step::Age, self.age != other.age),
            (Step::Name, self.route != other.route),
            (Step::Rule, self.rule != other.rule),
            (Step::Match, self.matched != other.matched),
        ];
        rest.into_iter()
            .find(|(_, differs)| *differs)
            .map(|(step, _)| step)
    }
}

impl Shape {
    fn of(matches: &Matches, matched: u16) -> Self {
        let at = usize::from(matched);
        match matches {
            Matches::Http(list) => Self::Http(list.get(at).map(HttpShape::of).unwrap_or_default()),
            Matches::Grpc(list) => Self::Grpc(list.get(at).map(GrpcShape::of).unwrap_or_default()),
        }
    }

    fn step(&self, other: &Self) -> Option<Step> {
        let steps = match (self, other) {
            (Self::Http(mine), Self::Http(theirs)) => [
                (Step::Path, mine.path != theirs.path),
                (Step::Method, mine.has_method != theirs.has_method),
                (Step::Headers, mine.headers != theirs.headers),
                (Step::Query, mine.query != theirs.query),
            ],
            (Self::Grpc(mine), Self::Grpc(theirs)) => [
                (Step::CallType, mine.call != theirs.call),
                (Step::Service, mine.service != theirs.service),
                (Step::CallMethod, mine.method != theirs.method),
                (Step::Headers, mine.headers != theirs.headers),
            ],
            _ => return Some(Step::Kind),
        };
        steps
            .into_iter()
            .find(|(_, differs)| *differs)
            .map(|(step, _)| step)
    }
}

impl HttpShape {
    fn of(matched: &HttpMatch) -> Self {
        let path = match &matched.path {
            PathMatch::Exact(_) => PathRank::Exact,
            PathMatch::Regex(regex) => PathRank::Regex(regex.pattern().chars().count()),
            PathMatch::Prefix(prefix) => PathRank::Prefix(prefix.len()),
        };
        Self {
            path,
            has_method: matched.method.is_some(),
            headers: matched.headers.len(),
            query: matched.query.len(),
        }
    }
}

impl GrpcShape {
    fn of(matched: &GrpcMatch) -> Self {
        let length = |text: Option<&str>| text.map_or(0, |text| text.chars().count());
        let (call, service, method) = match &matched.method {
            Some(condition) if condition.is_open() => Default::default(),
            Some(GrpcMethodMatch::Exact { service, method }) => (
                CallRank::Exact,
                length(service.as_deref()),
                length(method.as_deref()),
            ),
            Some(GrpcMethodMatch::Regex { service, method }) => (
                CallRank::Regex,
                length(service.as_ref().map(Regex::pattern)),
                length(method.as_ref().map(Regex::pattern)),
            ),
            None => Default::default(),
        };
        Self {
            call,
            service,
            method,
            headers: matched.headers.len(),
        }
    }
}

#[cfg(test)]
mod tests;
