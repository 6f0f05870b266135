//! Building the index of a set.

use std::sync::Arc;

use super::{
    RouteEntry, Source,
    hosts::Hosts,
    identity,
    index::{
        Bucket, Candidate, Group, Index, Keyed, NONE, Node, Span, call_hash, element_hash, number,
        path_hash,
    },
    precedence::Precedence,
    table::Table,
};
use crate::{GrpcMatch, GrpcMethodMatch, HttpMatch, Matches, PathMatch, RouteKind, Rule};

/// A candidate on its way to its place.
struct Draft<'a> {
    group: u32,
    place: Place<'a>,
    precedence: Precedence<'a>,
    candidate: Candidate,
}

/// Where in its group a match is looked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    ExactPath(&'a str),
    PathRegex,
    Prefix(&'a str),
    ExactCall(Option<&'a str>, Option<&'a str>),
    CallRegex,
    AnyCall,
    /// In a group of few HTTP matches.
    Few,
    Unsupported,
}

/// Up to this many HTTP matches a group has no tables.
const FEW: usize = 4;

/// The index over entries in order and their rules.
pub(super) fn index(entries: &[Arc<RouteEntry>], rules: &[Arc<Rule>]) -> Index {
    let source = Source { entries, rules };
    let mut hosts = Hosts::for_entries(entries);
    let mut drafts = drafts(source, &attached(source), &mut hosts);
    gather_few(&mut drafts, hosts.len());
    drafts.sort_unstable_by(|a, b| {
        let place = (a.group, a.place).cmp(&(b.group, b.place));
        place.then_with(|| b.precedence.cmp(&a.precedence))
    });
    // A rule that two entries attach to one host.
    drafts.dedup_by(|b, a| a.group == b.group && a.candidate == b.candidate);

    let count = |is: fn(&Place<'_>) -> bool| drafts.iter().filter(|d| is(&d.place)).count();
    let elements = |draft: &Draft<'_>| match draft.place {
        Place::Prefix(prefix) => prefix.matches('/').count(),
        _ => 0,
    };
    let mut index = Index {
        groups: vec![Group::default(); hosts.len() as usize],
        hosts,
        candidates: drafts.iter().map(|draft| draft.candidate).collect(),
        exact_paths: Table::for_entries(count(|place| matches!(place, Place::ExactPath(_)))),
        calls: Table::for_entries(count(|place| matches!(place, Place::ExactCall(..)))),
        elements: Table::for_entries(drafts.iter().map(elements).sum()),
        has_grpc: rules.iter().any(|rule| rule.route.kind == RouteKind::Grpc),
        restricts_by_path: rules.iter().any(|rule| restricts_by_path(&rule.matches)),
        ..Index::default()
    };
    let mut start = 0;
    for run in drafts.chunk_by(|a, b| (a.group, a.place) == (b.group, b.place)) {
        let bucket = Bucket {
            start: number(start),
            end: number(start + run.len()),
        };
        start += run.len();
        if let Some(head) = run.first() {
            index.put(source, head, bucket);
        }
    }
    index.nodes.shrink_to_fit();
    index.keyed.shrink_to_fit();
    index
}

fn restricts_by_path(matches: &Matches) -> bool {
    match matches {
        Matches::Http(list) => list.iter().any(|matched| matched.path.restricts()),
        Matches::Grpc(list) => list.iter().any(GrpcMatch::restricts_path),
    }
}

/// For each rule in order and each entry that holds it, the numbers of the rule and the entry.
fn attached(source: Source<'_>) -> Vec<(u32, u32)> {
    let mut attached = Vec::with_capacity(source.rules.len());
    let mut next = 0;
    // Entries of one route follow each other; one mostly has the next rules.
    for (entry, RouteEntry { rules, .. }) in (0..).zip(source.entries.iter().map(Arc::as_ref)) {
        for rule in rules {
            let is_next = |known: &&Arc<Rule>| Arc::ptr_eq(known, rule);
            let at = match source.rules.get(next).filter(is_next) {
                Some(_) => next,
                None => {
                    let known = |known: &Arc<Rule>| identity(known).cmp(&identity(rule));
                    let Ok(at) = source.rules.binary_search_by(known) else {
                        continue;
                    };
                    at
                }
            };
            next = at + 1;
            attached.push((number(at), entry));
        }
    }
    attached.sort_unstable();
    attached
}

fn drafts<'a>(source: Source<'a>, attached: &[(u32, u32)], hosts: &mut Hosts) -> Vec<Draft<'a>> {
    let mut drafts = Vec::with_capacity(attached.len());
    let mut groups = Vec::new();
    let mut groups_of = NONE;
    for &(rule_number, entry_number) in attached {
        let entry = source.entries.get(entry_number as usize);
        let (Some(rule), Some(entry)) = (source.rules.get(rule_number as usize), entry) else {
            continue;
        };
        // Rules of one entry mostly follow each other.
        if groups_of != entry_number {
            groups.clear();
            hosts.add(source.entries, entry_number as usize, &mut groups);
            groups_of = entry_number;
        }
        for (matched, place) in (0..).zip(places(&rule.matches)) {
            let candidate = Candidate {
                rule: rule_number,
                matched,
            };
            // The hostname is the same for a whole group.
            let precedence = Precedence::new(rule, matched, entry.created, (0, 0));
            let draft = |&group| Draft {
                group,
                place,
                precedence,
                candidate,
            };
            drafts.extend(groups.iter().map(draft));
        }
    }
    drafts
}

/// Takes the HTTP matches of small groups out of the tables.
fn gather_few(drafts: &mut [Draft<'_>], groups: u32) {
    let is_http = |draft: &Draft<'_>| {
        draft.precedence.kind() == RouteKind::Http && draft.place != Place::Unsupported
    };
    let mut counts = vec![0_usize; groups as usize];
    for draft in drafts.iter().filter(|draft| is_http(draft)) {
        if let Some(count) = counts.get_mut(draft.group as usize) {
            *count += 1;
        }
    }
    for draft in drafts.iter_mut().filter(|draft| is_http(draft)) {
        if counts
            .get(draft.group as usize)
            .is_some_and(|count| *count <= FEW)
        {
            draft.place = Place::Few;
        }
    }
}

fn places(matches: &Matches) -> impl Iterator<Item = Place<'_>> {
    let (http, grpc): (&[HttpMatch], &[GrpcMatch]) = match matches {
        Matches::Http(list) => (list, &[]),
        Matches::Grpc(list) => (&[], list),
    };
    http.iter()
        .map(path_place)
        .chain(grpc.iter().map(call_place))
}

fn path_place(matched: &HttpMatch) -> Place<'_> {
    if matched.unsupported {
        return Place::Unsupported;
    }
    match &matched.path {
        PathMatch::Exact(path) => Place::ExactPath(path),
        PathMatch::Regex(_) => Place::PathRegex,
        PathMatch::Prefix(prefix) => Place::Prefix(prefix),
    }
}

fn call_place(matched: &GrpcMatch) -> Place<'_> {
    if matched.unsupported {
        return Place::Unsupported;
    }
    match &matched.method {
        None => Place::AnyCall,
        // Takes every well-formed call; `is_open` ranks it with the matches that have no condition.
        Some(condition) if condition.is_open() => Place::AnyCall,
        Some(GrpcMethodMatch::Regex { .. }) => Place::CallRegex,
        Some(GrpcMethodMatch::Exact { service, method }) => {
            Place::ExactCall(service.as_deref(), method.as_deref())
        }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self {
            few: Bucket::default(),
            root: NONE,
            path_regexes: Bucket::default(),
            call_regexes: Bucket::default(),
            any_call: Bucket::default(),
            unsupported: Bucket::default(),
        }
    }
}

impl Index {
    /// Puts a bucket where its candidates are looked for.
    fn put(&mut self, source: Source<'_>, head: &Draft<'_>, bucket: Bucket) {
        let group = head.group;
        match head.place {
            Place::ExactPath(path) => {
                self.exact_paths
                    .insert(path_hash(group, path), number(self.keyed.len()));
                self.keyed.push(Keyed { group, bucket });
            }
            Place::ExactCall(service, method) => {
                let key = call_hash(group, service, method);
                self.calls.insert(key, number(self.keyed.len()));
                self.keyed.push(Keyed { group, bucket });
            }
            Place::Prefix(prefix) => self.put_prefix(source, head, prefix, bucket),
            Place::PathRegex => self.with_group(group, |group| group.path_regexes = bucket),
            Place::CallRegex => self.with_group(group, |group| group.call_regexes = bucket),
            Place::Few => self.with_group(group, |group| group.few = bucket),
            Place::AnyCall => self.with_group(group, |group| group.any_call = bucket),
            Place::Unsupported => {
                self.has_unsupported = true;
                self.with_group(group, |group| group.unsupported = bucket);
            }
        }
    }

    fn with_group(&mut self, group: u32, change: impl FnOnce(&mut Group)) {
        if let Some(group) = self.groups.get_mut(group as usize) {
            change(group);
        }
    }

    /// Makes the nodes of a prefix that are missing and hangs the bucket on the last.
    fn put_prefix(&mut self, source: Source<'_>, head: &Draft<'_>, prefix: &str, bucket: Bucket) {
        let mut node = self.root_of(head);
        let mut end = 0;
        for element in prefix.as_bytes().split(|byte| *byte == b'/').skip(1) {
            let start = end + 1;
            end = start + element.len();
            node = self.child(source, node, element).unwrap_or_else(|| {
                let child = number(self.nodes.len());
                self.elements.insert(element_hash(node, element), child);
                let text = Span {
                    candidate: head.candidate,
                    start: number(start),
                    end: number(end),
                };
                self.nodes.push(Node {
                    parent: node,
                    bucket: Bucket::default(),
                    text,
                });
                child
            });
        }
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.bucket = bucket;
        }
    }

    fn root_of(&mut self, head: &Draft<'_>) -> u32 {
        let next = number(self.nodes.len());
        let Some(group) = self.groups.get_mut(head.group as usize) else {
            return NONE;
        };
        if group.root == NONE {
            group.root = next;
            let text = Span {
                candidate: head.candidate,
                start: 0,
                end: 0,
            };
            self.nodes.push(Node {
                parent: NONE,
                bucket: Bucket::default(),
                text,
            });
        }
        group.root
    }
}
