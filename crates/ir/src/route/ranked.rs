//! A whole table in the order of precedence, for people.

use std::cmp::Reverse;

use super::{RouteSet, Winner, precedence::Precedence};
use crate::Hostname;

impl RouteSet {
    /// Every match, once for each hostname of its route (`None` takes every host), in the order of
    /// precedence: of two that take a request the first one serves it. For listing, not for
    /// routing: it costs a sort of the whole table.
    pub fn ranked(&self) -> Vec<(Option<&Hostname>, Winner)> {
        let mut ranked = Vec::new();
        for entry in &self.entries {
            let every = [None];
            let named: Vec<_> = entry.hostnames.iter().map(Some).collect();
            let hostnames = if named.is_empty() { &every[..] } else { &named };
            for rule in &entry.rules {
                let same = |other: &_| super::identity(other).cmp(&super::identity(rule));
                let Ok(number) = self.rules.binary_search_by(same) else {
                    continue;
                };
                for matched in 0..rule.matches.len() {
                    let winner = Winner {
                        rule: super::index::number(number),
                        matched,
                    };
                    ranked.extend(hostnames.iter().map(|hostname| {
                        let specificity = hostname.map_or((0, 0), Hostname::specificity);
                        let rank = Precedence::new(rule, matched, entry.created, specificity);
                        // Hosts of one specificity stay together.
                        let order = (rank.reach(), Reverse(*hostname), rank);
                        (Reverse(order), *hostname, winner)
                    }));
                }
            }
        }
        ranked.sort_by_key(|(order, ..)| *order);
        let in_order = ranked.into_iter();
        in_order
            .map(|(_, hostname, winner)| (hostname, winner))
            .collect()
    }
}
