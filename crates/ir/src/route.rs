//! Sets of routes that share a table, and the choice among them.

mod build;
mod hosts;
mod index;
mod parts;
mod precedence;
mod ranked;
mod splice;
mod table;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::precedence::Step;
use self::{
    index::{Candidate, Index, Span},
    precedence::Precedence,
    splice::Splice,
};
use crate::{
    GrpcMatch, Hostname, HttpMatch, Matches, Outcome, PathMatch, Recorder, RequestView, RouteId,
    RouteKind, Rule, Tried, explain::Miss, matching::call_of,
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
///
/// The index that finding needs is made when it is first needed: whoever only keeps or sends a set
/// pays neither its time nor its memory.
#[derive(Default)]
pub struct RouteSet {
    entries: Vec<Arc<RouteEntry>>,
    rules: Vec<Arc<Rule>>,
    index: OnceLock<Arc<Index>>,
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
    pub fn new(entries: Vec<RouteEntry>) -> Self {
        let entries = ordered(entries);
        let rules = rules_of(&entries);
        Self {
            entries,
            rules,
            index: OnceLock::new(),
        }
    }

    /// The set with other entries for some routes; a route without entries is taken out. Costs a copy
    /// of two lists of pointers. If the new entries match the requests that the old ones matched, as
    /// after a change of weights, backends or filters, the index is shared too.
    #[must_use]
    pub fn replace(&self, changed: BTreeMap<Arc<RouteId>, Vec<RouteEntry>>) -> Self {
        let mut entries = Splice::new(&self.entries, changed.len());
        let mut rules = Splice::new(&self.rules, changed.len());
        let mut finds_alike = true;
        for (route, new) in changed {
            let new = ordered(new);
            let old = self.entries_of(&route);
            finds_alike &= old.len() == new.len()
                && old.iter().zip(&new).all(|(old, new)| old.matches_like(new));
            rules.put(rules_of(&new), |rule| rule.route.as_ref().cmp(&route));
            entries.put(new, |entry| entry.compare_to(&route));
        }
        Self {
            entries: entries.finish(),
            rules: rules.finish(),
            index: if finds_alike {
                self.index.clone()
            } else {
                OnceLock::new()
            },
        }
    }

    /// Makes the index, if there is none yet, so that no request has to wait for it.
    pub fn prepare(&self) {
        self.index();
    }

    fn index(&self) -> &Index {
        self.index
            .get_or_init(|| Arc::new(build::index(&self.entries, &self.rules)))
    }

    /// The entries, in the order of their routes.
    pub fn entries(&self) -> &[Arc<RouteEntry>] {
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
        // In the order of their kinds.
        let ends = match kind {
            RouteKind::Http => self.rules.first(),
            RouteKind::Grpc => self.rules.last(),
        };
        ends.is_some_and(|rule| rule.route.kind == kind)
    }

    /// Whether some match looks at the path: any path match but `PathPrefix` of `/`, any gRPC
    /// method match. If so, a path with encoded separators must be refused
    /// ([`Normalised::encoded_separator`](crate::Normalised::encoded_separator)).
    pub fn restricts_by_path(&self) -> bool {
        self.index().restricts_by_path
    }

    /// The match that serves `request`, or `None` if no rule takes it (404, gRPC UNIMPLEMENTED).
    ///
    /// Precedence is that of the `HTTPRouteRule` and `GRPCRouteRule` comments, hostname first. A
    /// gRPC call tries GRPCRoutes, then HTTPRoutes; other requests only HTTPRoutes. Does not
    /// allocate unless the recorder asks for every match.
    pub fn find<R: Recorder>(&self, request: &RequestView<'_>, recorder: &mut R) -> Option<Winner> {
        let found = self.index().find(self.source(), request);
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
fn identity(rule: &Arc<Rule>) -> (&RouteId, u16) {
    (&rule.route, rule.index)
}

/// Entries as a set holds them: in order, and without those that have no rule.
fn ordered(mut entries: Vec<RouteEntry>) -> Vec<Arc<RouteEntry>> {
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
    entries.into_iter().map(Arc::new).collect()
}

/// The rules of entries in order, each once.
fn rules_of(entries: &[Arc<RouteEntry>]) -> Vec<Arc<Rule>> {
    let rules = entries.iter().flat_map(|entry| &entry.rules);
    let mut rules: Vec<Arc<Rule>> = rules.cloned().collect();
    // In order already, unless two entries hold rules of one route.
    rules.sort_by(|a, b| identity(a).cmp(&identity(b)));
    rules.dedup_by(|b, a| identity(a) == identity(b));
    rules.shrink_to_fit();
    rules
}

/// Where the numbers of the index lead.
#[derive(Clone, Copy)]
struct Source<'a> {
    entries: &'a [Arc<RouteEntry>],
    rules: &'a [Arc<Rule>],
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
        std::ptr::eq(self, other)
            || self.entries.len() == other.entries.len()
                && (self.entries.iter().zip(&other.entries))
                    .all(|(a, b)| Arc::ptr_eq(a, b) || a == b)
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
            entries: &'a [Arc<RouteEntry>],
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
