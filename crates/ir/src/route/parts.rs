//! Sets taken apart into their routes, for whoever sends them in pieces.

use std::{cmp::Ordering, sync::Arc};

use super::{RouteEntry, RouteSet};
use crate::RouteId;

impl RouteEntry {
    /// The route of the rules; `None` if there are none, which no entry of a set is.
    pub fn route(&self) -> Option<&Arc<RouteId>> {
        self.rules.first().map(|rule| &rule.route)
    }

    /// Where the entry stands relative to those of `route`.
    pub(super) fn compare_to(&self, route: &RouteId) -> Ordering {
        // No entry of a set is without a route.
        self.route()
            .map_or(Ordering::Less, |mine| mine.as_ref().cmp(route))
    }

    /// Whether both match the same requests, with the same precedence and by the same positions.
    pub(super) fn matches_like(&self, other: &Self) -> bool {
        self.hostnames == other.hostnames
            && self.created == other.created
            && self.rules.len() == other.rules.len()
            && (self.rules.iter().zip(&other.rules)).all(|(mine, theirs)| {
                mine.index == theirs.index
                    && (Arc::ptr_eq(mine, theirs) || mine.matches == theirs.matches)
            })
    }

    /// Equality that takes shared rules for equal and all others for different.
    fn shares(&self, other: &Self) -> bool {
        self.rules.len() == other.rules.len()
            && (self.rules.iter().zip(&other.rules)).all(|(mine, theirs)| Arc::ptr_eq(mine, theirs))
            && self.created == other.created
            && self.hostnames == other.hostnames
    }
}

impl RouteSet {
    /// The entries of one route: one at most, in sets that `translate` makes. Costs a binary search.
    pub fn entries_of(&self, route: &RouteId) -> &[Arc<RouteEntry>] {
        let start = self
            .entries
            .partition_point(|entry| entry.compare_to(route).is_lt());
        let rest = self.entries.get(start..).unwrap_or_default();
        let count = rest.partition_point(|entry| entry.compare_to(route).is_eq());
        rest.get(..count).unwrap_or_default()
    }

    /// The routes that are not in both sets alike, in order. Rules count as alike if they are shared
    /// (`Arc` pointer equality), so that an unchanged route costs a look at its pointers.
    pub fn changed_since(&self, old: &Self) -> Vec<Arc<RouteId>> {
        let mut changed: Vec<Arc<RouteId>> = Vec::new();
        let (mut mine, mut theirs) = (self.entries.as_slice(), old.entries.as_slice());
        loop {
            let differing = match (mine, theirs) {
                ([a, my_rest @ ..], [b, their_rest @ ..]) if Arc::ptr_eq(a, b) || a.shares(b) => {
                    (mine, theirs) = (my_rest, their_rest);
                    continue;
                }
                ([a, my_rest @ ..], [b, ..]) if a.route() < b.route() => {
                    mine = my_rest;
                    a
                }
                ([a, my_rest @ ..], [b, their_rest @ ..]) if a.route() == b.route() => {
                    (mine, theirs) = (my_rest, their_rest);
                    a
                }
                (_, [b, their_rest @ ..]) => {
                    theirs = their_rest;
                    b
                }
                ([a, my_rest @ ..], []) => {
                    mine = my_rest;
                    a
                }
                ([], []) => break,
            };
            changed.extend(differing.route().cloned());
        }
        changed.dedup();
        changed
    }
}
