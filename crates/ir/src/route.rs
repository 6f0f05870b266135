//! Sets of routes that share a table, and the choice among them.

mod build;
mod hosts;
mod index;
mod parts;
mod precedence;
mod ranked;
mod table;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::precedence::Step;
use self::{
    index::{Candidate, Index, Span},
    precedence::Precedence,
};
use crate::{
    GrpcMatch, Hostname, HttpMatch, Matches, Outcome, PathMatch, Recorder, RequestView, RouteKind,
    Rule, Tried, explain::Miss, matching::call_of,
};

/// A route as one listener or frontend sees it. All of its rules are of one route.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteEntry {
    /// Hostnames of the route, already intersected with the listener's. Empty takes every host,
    /// which is always so in a mesh.
    #[serde(default)]
    pub hostnames: Vec<Hostname>,
    /// `metadata.creationTimestamp` in seconds since the epoch; `None` for manifests that never saw
    /// an API server.
    #[serde(default)]
    pub created: Option<i64>,
    /// The rules of the route, in list order.
    pub rules: Vec<Arc<Rule>>,
}

/// The routes of one listener, or of one group of a frontend, merged. Immutable; made once and
/// shared.
///
/// Finding costs the same with one route as with ten thousand: it depends on the labels of the host,
/// the elements of the path, and on how many matches tell requests apart by other means than host
/// and path. Regular expressions on paths are tried one after the other.
#[derive(Default)]
pub struct RouteSet {
    entries: Vec<RouteEntry>,
    rules: Vec<Arc<Rule>>,
    index: Index,
    has_grpc: bool,
    restricts_by_path: bool,
}

/// The match that serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Winner {
    /// Index into [`RouteSet::rules`].
    pub rule: u32,
    /// Position of the match in the rule.
    pub matched: u16,
}

impl RouteSet {
    /// The set of these entries. The order of entries does not matter: an equal set results.
    pub fn new(mut entries: Vec<RouteEntry>) -> Self {
        entries.retain(|entry| !entry.rules.is_empty());
        for entry in &mut entries {
            entry.hostnames.sort();
            entry.hostnames.dedup();
            entry.rules.sort_by(|a, b| identity(a).cmp(&identity(b)));
        }
        entries.sort_by(|a, b| {
            let rules = a
                .rules
                .iter()
                .map(identity)
                .cmp(b.rules.iter().map(identity));
            rules.then_with(|| (&a.hostnames, a.created).cmp(&(&b.hostnames, b.created)))
        });
        entries.shrink_to_fit();

        // In order already, unless two entries hold rules of one route.
        let mut all: Vec<(&Arc<Rule>, usize)> = (entries.iter().enumerate())
            .flat_map(|(at, entry)| entry.rules.iter().map(move |rule| (rule, at)))
            .collect();
        all.sort_by(|(a, _), (b, _)| identity(a).cmp(&identity(b)));
        let mut rules: Vec<Arc<Rule>> = Vec::with_capacity(all.len());
        let mut attached = Vec::with_capacity(all.len());
        for (rule, entry) in all {
            if rules
                .last()
                .is_none_or(|last| identity(last) != identity(rule))
            {
                rules.push(Arc::clone(rule));
            }
            attached.push((index::number(rules.len() - 1), index::number(entry)));
        }
        let has_grpc = rules.iter().any(|rule| rule.route.kind == RouteKind::Grpc);
        let index = build::index(
            Source {
                entries: &entries,
                rules: &rules,
                has_grpc,
            },
            &attached,
        );
        let restricts_by_path = rules.iter().any(|rule| restricts_by_path(&rule.matches));
        Self {
            entries,
            rules,
            index,
            has_grpc,
            restricts_by_path,
        }
    }

    /// The entries, in the order of their routes.
    pub fn entries(&self) -> &[RouteEntry] {
        &self.entries
    }

    /// Every rule once, ordered by kind, namespace and name of the route and index of the rule. The
    /// order says nothing about precedence.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Whether the set has no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule comes from a route of this kind.
    pub fn has(&self, kind: RouteKind) -> bool {
        match kind {
            RouteKind::Grpc => self.has_grpc,
            RouteKind::Http => self.rules.iter().any(|rule| rule.route.kind == kind),
        }
    }

    /// Whether some match looks at the path: any path match but `PathPrefix` of `/`, any gRPC
    /// method match. If so, a path with encoded separators must be refused
    /// ([`Normalised::encoded_separator`](crate::Normalised::encoded_separator)).
    pub fn restricts_by_path(&self) -> bool {
        self.restricts_by_path
    }

    /// The match that serves `request`, or `None` if no rule takes it (404, gRPC UNIMPLEMENTED).
    ///
    /// Precedence is that of the `HTTPRouteRule` and `GRPCRouteRule` comments, hostname first. A
    /// gRPC call tries GRPCRoutes, then HTTPRoutes; other requests only HTTPRoutes. Does not
    /// allocate unless the recorder asks for every match.
    pub fn find<R: Recorder>(&self, request: &RequestView<'_>, recorder: &mut R) -> Option<Winner> {
        let found = self.index.find(self.source(), request);
        if R::EXHAUSTIVE {
            self.explain(request, found, recorder);
        } else if let Some(Candidate { rule, matched }) = found {
            recorder.tried(Tried {
                rule,
                matched,
                outcome: Outcome::Won,
            });
        }
        found.map(|Candidate { rule, matched }| Winner { rule, matched })
    }

    fn source(&self) -> Source<'_> {
        Source {
            entries: &self.entries,
            rules: &self.rules,
            has_grpc: self.has_grpc,
        }
    }

    /// Judges every match by the conditions and the precedence that `find` and the index use.
    fn explain<R: Recorder>(
        &self,
        request: &RequestView<'_>,
        winner: Option<Candidate>,
        recorder: &mut R,
    ) {
        let reached = self.reached(request.host);
        let precedence = |candidate: Candidate| {
            let at = candidate.rule as usize;
            let (hostname, created) = reached.get(at).copied().flatten()?;
            Some(Precedence::new(
                self.rules.get(at)?,
                candidate.matched,
                created,
                hostname,
            ))
        };
        let best = winner.and_then(precedence);
        for (number, rule) in (0..).zip(&self.rules) {
            for matched in 0..rule.matches.len() {
                let candidate = Candidate {
                    rule: number,
                    matched,
                };
                let outcome = match (precedence(candidate), &best) {
                    (None, _) => Outcome::Missed(Miss::Host),
                    (Some(_), _) if winner == Some(candidate) => Outcome::Won,
                    (Some(mine), best) => match self.source().miss(candidate, request) {
                        Some(miss) => Outcome::Missed(miss),
                        // `Match` cannot be reached: two matches always differ by a step.
                        None => Outcome::Lost(
                            best.and_then(|best| best.step(&mine))
                                .unwrap_or(Step::Match),
                        ),
                    },
                };
                recorder.tried(Tried {
                    rule: number,
                    matched,
                    outcome,
                });
            }
        }
    }

    /// For each rule, how it takes `host`; `None` if it does not.
    fn reached(&self, host: &str) -> Vec<Option<Reached>> {
        let mut reached = vec![None; self.rules.len()];
        for entry in &self.entries {
            let best = if entry.hostnames.is_empty() {
                Some((0, 0))
            } else {
                let taking = entry
                    .hostnames
                    .iter()
                    .filter(|hostname| hostname.matches(host));
                taking.map(Hostname::specificity).max()
            };
            let Some(best) = best else { continue };
            for rule in &entry.rules {
                let at = self
                    .rules
                    .binary_search_by(|other| identity(other).cmp(&identity(rule)));
                if let Some(slot) = at.ok().and_then(|at| reached.get_mut(at)) {
                    *slot = (*slot).max(Some((best, entry.created)));
                }
            }
        }
        reached
    }
}

/// How a rule takes a host: specificity of the best hostname, and creation time of the route.
type Reached = ((usize, usize), Option<i64>);

/// What identifies a rule across tables.
fn identity(rule: &Arc<Rule>) -> (&crate::RouteId, u16) {
    (&rule.route, rule.index)
}

fn restricts_by_path(matches: &Matches) -> bool {
    match matches {
        Matches::Http(list) => list.iter().any(|matched| matched.path.restricts()),
        Matches::Grpc(list) => list.iter().any(GrpcMatch::restricts_path),
    }
}

/// Where the numbers of the index lead.
#[derive(Clone, Copy)]
struct Source<'a> {
    entries: &'a [RouteEntry],
    rules: &'a [Arc<Rule>],
    has_grpc: bool,
}

impl<'a> Source<'a> {
    fn http(self, candidate: Candidate) -> Option<&'a HttpMatch> {
        match &self.rules.get(candidate.rule as usize)?.matches {
            Matches::Http(list) => list.get(usize::from(candidate.matched)),
            Matches::Grpc(_) => None,
        }
    }

    fn grpc(self, candidate: Candidate) -> Option<&'a GrpcMatch> {
        match &self.rules.get(candidate.rule as usize)?.matches {
            Matches::Grpc(list) => list.get(usize::from(candidate.matched)),
            Matches::Http(_) => None,
        }
    }

    /// The text of a node of the prefix tree.
    fn element(self, span: Span) -> Option<&'a [u8]> {
        match &self.http(span.candidate)?.path {
            PathMatch::Prefix(prefix) => prefix
                .as_bytes()
                .get(span.start as usize..span.end as usize),
            PathMatch::Exact(_) | PathMatch::Regex(_) => None,
        }
    }

    /// The first condition of a match that `request` does not meet, host aside.
    fn miss(self, candidate: Candidate, request: &RequestView<'_>) -> Option<Miss> {
        if let Some(matched) = self.http(candidate) {
            return matched.check(request).err().map(Miss::from);
        }
        if !request.is_grpc() {
            return Some(Miss::Kind);
        }
        let call = call_of(request.path);
        self.grpc(candidate)
            .and_then(|matched| matched.check(call, request).err())
            .map(Miss::from)
    }
}

impl PartialEq for RouteEntry {
    fn eq(&self, other: &Self) -> bool {
        self.hostnames == other.hostnames
            && self.created == other.created
            && self.rules.len() == other.rules.len()
            // Rules that did not change are shared between tables.
            && (self.rules.iter().zip(&other.rules)).all(|(a, b)| Arc::ptr_eq(a, b) || a == b)
    }
}

impl PartialEq for RouteSet {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.entries == other.entries
    }
}

impl fmt::Debug for RouteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteSet")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

/// What of a set is stored and sent: the index is rebuilt.
#[derive(Deserialize)]
struct Entries {
    entries: Vec<RouteEntry>,
}

impl Serialize for RouteSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entries<'a> {
            entries: &'a [RouteEntry],
        }
        Entries {
            entries: &self.entries,
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for RouteSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Entries::deserialize(from).map(|stored| Self::new(stored.entries))
    }
}

#[cfg(test)]
mod tests;
