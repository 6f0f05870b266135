//! From the host of a request to the groups of candidates that serve it.

use std::sync::Arc;

use super::{
    RouteEntry,
    index::number,
    table::{Table, hash},
};
use crate::Hostname;

/// The distinct hostnames of a set, each with the number of its group.
///
/// Cost of a look-up: one probe for the host, one for each of its suffixes that is no longer than
/// the longest wildcard. It does not depend on how many hostnames there are.
#[derive(Default)]
pub(super) struct Hosts {
    exact: Table,
    wildcard: Table,
    /// The group of entries without hostnames.
    any: Option<u32>,
    /// Where the hostname of each group stands.
    places: Vec<Place>,
    longest_suffix: usize,
}

/// A hostname of an entry, by position.
#[derive(Clone, Copy)]
struct Place {
    entry: u32,
    hostname: u32,
}

impl Hosts {
    /// Room for every hostname of `entries`.
    pub(super) fn for_entries(entries: &[Arc<RouteEntry>]) -> Self {
        let hostnames = || entries.iter().flat_map(|entry| &entry.hostnames);
        let exact = hostnames()
            .filter(|name| matches!(name, Hostname::Exact(_)))
            .count();
        Self {
            exact: Table::for_entries(exact),
            wildcard: Table::for_entries(hostnames().count() - exact),
            places: Vec::with_capacity(hostnames().count() + 1),
            ..Self::default()
        }
    }

    /// Appends the group numbers of entry number `entry` to `groups`, making groups as needed.
    pub(super) fn add(&mut self, entries: &[Arc<RouteEntry>], entry: usize, groups: &mut Vec<u32>) {
        let Some(RouteEntry { hostnames, .. }) = entries.get(entry).map(Arc::as_ref) else {
            return;
        };
        for (at, hostname) in hostnames.iter().enumerate() {
            let place = Place {
                entry: number(entry),
                hostname: number(at),
            };
            groups.push(self.group_of(entries, hostname, place));
        }
        if hostnames.is_empty() {
            let next = self.len();
            let any = *self.any.get_or_insert(next);
            if any == next {
                self.places.push(Place {
                    entry: number(entry),
                    hostname: u32::MAX,
                });
            }
            groups.push(any);
        }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> u32 {
        number(self.places.len())
    }

    /// The groups that serve `host`, most specific hostname first.
    pub(super) fn groups<'a>(
        &'a self,
        entries: &'a [Arc<RouteEntry>],
        host: &'a str,
    ) -> impl Iterator<Item = u32> + 'a {
        let look_up = move |table: &Table, text: &str| {
            table.get(hash(0, text.as_bytes()), |group| {
                self.text(entries, group) == Some(text)
            })
        };
        let exact = look_up(&self.exact, host);
        // The first byte cannot be the dot of a suffix: a wildcard stands for one label or more.
        let from = host.len().saturating_sub(self.longest_suffix).max(1);
        let suffixes = host
            .bytes()
            .enumerate()
            .skip(from)
            .filter(|(_, byte)| *byte == b'.');
        let wildcards =
            suffixes.filter_map(move |(at, _)| look_up(&self.wildcard, host.get(at..)?));
        exact.into_iter().chain(wildcards).chain(self.any)
    }

    fn group_of(&mut self, entries: &[Arc<RouteEntry>], hostname: &Hostname, place: Place) -> u32 {
        let (table, text) = match hostname {
            Hostname::Exact(host) => (&self.exact, host),
            Hostname::Wildcard(suffix) => (&self.wildcard, suffix),
        };
        let key = hash(0, text.as_bytes());
        if let Some(group) = table.get(key, |group| self.text(entries, group) == Some(text)) {
            return group;
        }
        let group = self.len();
        self.places.push(place);
        match hostname {
            Hostname::Exact(_) => self.exact.insert(key, group),
            Hostname::Wildcard(suffix) => {
                self.longest_suffix = self.longest_suffix.max(suffix.len());
                self.wildcard.insert(key, group);
            }
        }
        group
    }

    /// Host or suffix of a group.
    fn text<'a>(&self, entries: &'a [Arc<RouteEntry>], group: u32) -> Option<&'a str> {
        let place = self.places.get(group as usize)?;
        match entries
            .get(place.entry as usize)?
            .hostnames
            .get(place.hostname as usize)?
        {
            Hostname::Exact(text) | Hostname::Wildcard(text) => Some(text),
        }
    }
}
