//! Finding the winner without looking at the losers.
//!
//! Hostname, then exact path, regular expressions and prefixes are the first keys of precedence, so
//! the index is laid out in that order: a group per hostname; in a group, a hash of exact paths, a
//! list of regular expressions, and a tree of path elements. What shares a place is a bucket, sorted
//! by the rest of precedence. Walking those places in order, the first match that takes the request
//! is the winner. GRPCRoutes have the same with services and methods instead of paths.
//!
//! Everything is a number; texts are read where the rules hold them.

use super::{
    Source,
    hosts::Hosts,
    table::{Table, hash},
};
use crate::{GrpcMethodMatch, PathMatch, RequestView, matching::call_of};

/// Absent node.
pub(super) const NONE: u32 = u32::MAX;

/// One match of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) rule: u32,
    pub(super) matched: u16,
}

/// Candidates that share a hostname and a path, by position in [`Index::candidates`].
#[derive(Clone, Copy, Default)]
pub(super) struct Bucket {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A bucket that is found by hash, with the group it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Keyed {
    pub(super) group: u32,
    pub(super) bucket: Bucket,
}

/// What serves one hostname.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// All HTTP matches of a group of few. The other places for HTTP are empty then.
    pub(super) few: Bucket,
    /// Root of the tree of prefixes.
    pub(super) root: u32,
    pub(super) path_regexes: Bucket,
    pub(super) call_regexes: Bucket,
    /// gRPC matches without a condition on service and method.
    pub(super) any_call: Bucket,
    /// Matches of both kinds with conditions of a newer version.
    pub(super) unsupported: Bucket,
}

/// A path element below a parent, or the root of a group.
pub(super) struct Node {
    pub(super) parent: u32,
    /// Candidates whose prefix ends here.
    pub(super) bucket: Bucket,
    /// The element's text: a span of the prefix of this candidate.
    pub(super) text: Span,
}

/// Bytes `start..end` of the prefix of a candidate.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) candidate: Candidate,
    pub(super) start: u32,
    pub(super) end: u32,
}

/// The index over the matches of a set; built by `build`.
#[derive(Default)]
pub(super) struct Index {
    pub(super) hosts: Hosts,
    pub(super) groups: Vec<Group>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) keyed: Vec<Keyed>,
    /// Exact paths of a group, as numbers of [`Index::keyed`].
    pub(super) exact_paths: Table,
    /// Exact services and methods of a group, likewise.
    pub(super) calls: Table,
    pub(super) nodes: Vec<Node>,
    /// Path elements by parent, as numbers of [`Index::nodes`].
    pub(super) elements: Table,
    /// Whether some group has matches with conditions of a newer version.
    pub(super) has_unsupported: bool,
    pub(super) has_grpc: bool,
    /// Whether some match looks at the path.
    pub(super) restricts_by_path: bool,
}

impl Index {
    /// The match that serves `request`. Allocates nothing, except for a regular expression over a
    /// repeated header or an escaped query value.
    pub(super) fn find(&self, source: Source<'_>, request: &RequestView<'_>) -> Option<Candidate> {
        let groups = || self.hosts.groups(source.entries, request.host);
        let is_call = self.has_grpc && request.is_grpc();
        if is_call {
            let call = call_of(request.path);
            let found = groups().find_map(|group| self.find_call(source, group, call, request));
            if found.is_some() {
                return found;
            }
        }
        let found = groups().find_map(|group| self.find_path(source, group, request));
        if found.is_some() || !self.has_unsupported {
            return found;
        }
        let unsupported = |grpc: bool| {
            groups().find_map(|group| {
                let bucket = self.groups.get(group as usize)?.unsupported;
                self.first(bucket, |candidate| source.grpc(candidate).is_some() == grpc)
            })
        };
        let call = if is_call { unsupported(true) } else { None };
        call.or_else(|| unsupported(false))
    }

    fn find_path(
        &self,
        source: Source<'_>,
        number: u32,
        request: &RequestView<'_>,
    ) -> Option<Candidate> {
        let group = self.groups.get(number as usize)?;
        let takes = |candidate| {
            source
                .http(candidate)
                .is_some_and(|matched| matched.check(request).is_ok())
        };
        if group.few.start < group.few.end {
            return self.first(group.few, takes);
        }
        let path_known = |bucket: Bucket| {
            self.first(bucket, |candidate| {
                let matched = source.http(candidate);
                matched.is_some_and(|matched| matched.check_beyond_path(request).is_ok())
            })
        };
        let exact = self
            .exact_bucket(source, number, request.path)
            .and_then(path_known);
        if exact.is_some() {
            return exact;
        }
        let regex = self.first(group.path_regexes, takes);
        if regex.is_some() {
            return regex;
        }
        let mut node = self.deepest(source, group.root, request.path);
        while let Some(Node { bucket, parent, .. }) = self.nodes.get(node as usize) {
            let found = path_known(*bucket);
            if found.is_some() {
                return found;
            }
            node = *parent;
        }
        None
    }

    fn find_call(
        &self,
        source: Source<'_>,
        number: u32,
        call: Option<(&str, &str)>,
        request: &RequestView<'_>,
    ) -> Option<Candidate> {
        let group = self.groups.get(number as usize)?;
        let takes = |candidate| {
            let matched = source.grpc(candidate);
            matched.is_some_and(|matched| matched.check(call, request).is_ok())
        };
        if let Some((service, method)) = call {
            // In order of precedence: characters of the service, then of the method.
            let shapes = [
                (Some(service), Some(method)),
                (Some(service), None),
                (None, Some(method)),
            ];
            let found = shapes.into_iter().find_map(|(service, method)| {
                let bucket = self.call_bucket(source, number, service, method)?;
                self.first(bucket, takes)
            });
            let found = found.or_else(|| self.first(group.call_regexes, takes));
            if found.is_some() {
                return found;
            }
        }
        self.first(group.any_call, takes)
    }

    /// The first candidate of a bucket that takes the request.
    fn first(&self, bucket: Bucket, takes: impl Fn(Candidate) -> bool) -> Option<Candidate> {
        let candidates = self
            .candidates
            .get(bucket.start as usize..bucket.end as usize)?;
        candidates
            .iter()
            .copied()
            .find(|candidate| takes(*candidate))
    }

    fn exact_bucket(&self, source: Source<'_>, group: u32, path: &str) -> Option<Bucket> {
        let found = self.exact_paths.get(path_hash(group, path), |at| {
            self.keyed.get(at as usize).is_some_and(|keyed| {
                let matched = self.head(keyed.bucket).and_then(|head| source.http(head));
                keyed.group == group
                    && matched.is_some_and(
                        |matched| matches!(&matched.path, PathMatch::Exact(text) if **text == *path),
                    )
            })
        })?;
        self.keyed.get(found as usize).map(|keyed| keyed.bucket)
    }

    fn call_bucket(
        &self,
        source: Source<'_>,
        group: u32,
        service: Option<&str>,
        method: Option<&str>,
    ) -> Option<Bucket> {
        let found = self.calls.get(call_hash(group, service, method), |at| {
            self.keyed.get(at as usize).is_some_and(|keyed| {
                let matched = self.head(keyed.bucket).and_then(|head| source.grpc(head));
                keyed.group == group
                    && matched
                        .and_then(|matched| matched.method.as_ref())
                        .is_some_and(|wanted| {
                            matches!(wanted, GrpcMethodMatch::Exact { service: s, method: m }
                            if s.as_deref() == service && m.as_deref() == method)
                        })
            })
        })?;
        self.keyed.get(found as usize).map(|keyed| keyed.bucket)
    }

    fn head(&self, bucket: Bucket) -> Option<Candidate> {
        self.candidates.get(bucket.start as usize).copied()
    }

    /// The deepest node whose prefix takes `path`. The root takes every path, `*` included.
    fn deepest(&self, source: Source<'_>, root: u32, path: &str) -> u32 {
        let mut node = root;
        let Some(path) = path.as_bytes().strip_prefix(b"/") else {
            return node;
        };
        for element in path.split(|byte| *byte == b'/') {
            match self.child(source, node, element) {
                Some(child) => node = child,
                None => break,
            }
        }
        node
    }

    /// The node of `element` below `parent`.
    pub(super) fn child(&self, source: Source<'_>, parent: u32, element: &[u8]) -> Option<u32> {
        self.elements.get(element_hash(parent, element), |at| {
            self.nodes.get(at as usize).is_some_and(|node| {
                node.parent == parent && source.element(node.text) == Some(element)
            })
        })
    }
}

/// A position as the index stores it. Sets stay far below 2³² of anything: the API allows 128
/// matches per route.
pub(super) fn number(position: usize) -> u32 {
    position as u32
}

pub(super) fn path_hash(group: u32, path: &str) -> u64 {
    hash(u64::from(group), path.as_bytes())
}

pub(super) fn element_hash(parent: u32, element: &[u8]) -> u64 {
    hash(u64::from(parent), element)
}

pub(super) fn call_hash(group: u32, service: Option<&str>, method: Option<&str>) -> u64 {
    let given = u64::from(service.is_some()) << 33 | u64::from(method.is_some()) << 32;
    let service = hash(
        u64::from(group) | given,
        service.unwrap_or_default().as_bytes(),
    );
    hash(service, method.unwrap_or_default().as_bytes())
}
