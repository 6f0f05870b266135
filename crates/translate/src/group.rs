//! Groups: the routes that share a table.
//!
//! A listener is one group; a Service port is one group per namespace that routes come from
//! (GEP-1294: the Service's own namespace makes the producer group, every other one a consumer
//! group). Groups are never merged with each other. They live as long as the translator, so that a
//! changed route costs its own groups and no others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_ir::{Hostname, Name, RouteEntry, RouteId, RouteKind, RouteSet, Rule};

use crate::shadow::{Claims, Loss};

#[cfg(test)]
mod tests;

/// Which group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupKey {
    /// A listener of a Gateway.
    Listener {
        /// The Gateway.
        gateway: Name,
        /// Name of the listener.
        listener: Arc<str>,
    },
    /// A port of a Service, for routes of one namespace.
    Frontend {
        /// The Service.
        service: Name,
        /// Its port.
        port: u16,
        /// Namespace of the routes.
        namespace: Arc<str>,
    },
}

/// A route in a group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Hostnames it has there; empty means every host.
    pub(crate) hostnames: Vec<Hostname>,
    /// Creation time, in seconds since the epoch.
    pub(crate) created: Option<i64>,
    /// Its rules, shared with every other group it is in.
    pub(crate) rules: Vec<Arc<Rule>>,
}

/// The routes of one table.
#[derive(Debug, Default)]
pub(crate) struct Group {
    members: BTreeMap<Arc<RouteId>, Member>,
    claims: Claims,
    winner: Option<RouteKind>,
    routes: Arc<RouteSet>,
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<GroupKey, Group>,
    /// The groups that changed, with the routes that make the difference.
    dirty: BTreeMap<GroupKey, BTreeSet<Arc<RouteId>>>,
    affected: BTreeSet<Arc<RouteId>>,
}

/// What [`Groups::settle`] did.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Groups with a new table, or none any more.
    pub(crate) groups: BTreeSet<GroupKey>,
    /// Routes of whose standing among others something may have changed.
    pub(crate) routes: BTreeSet<Arc<RouteId>>,
}

impl Member {
    /// Equality that takes shared rules for equal and all others for different.
    fn same(&self, other: &Self) -> bool {
        self.hostnames == other.hostnames
            && self.created == other.created
            && self.rules.len() == other.rules.len()
            && self
                .rules
                .iter()
                .zip(&other.rules)
                .all(|(left, right)| Arc::ptr_eq(left, right))
    }
}

impl Group {
    /// The merged table.
    pub(crate) fn routes(&self) -> &Arc<RouteSet> {
        &self.routes
    }

    /// The one kind of route that acts on a Service port: GRPCRoute before HTTPRoute (GEP-1294).
    /// `None` at listeners, where kinds coexist.
    pub(crate) fn winner(&self) -> Option<RouteKind> {
        self.winner
    }

    /// Number of routes attached.
    pub(crate) fn attached(&self) -> usize {
        self.members.len()
    }

    /// The rules of a member that lose some or all of their requests to an equal match.
    pub(crate) fn losses(&self, route: &RouteId) -> Vec<Loss> {
        let member = self.members.get(route);
        member
            .map(|member| self.claims.losses(route, member))
            .unwrap_or_default()
    }

    /// Brings the table in line with the members, of which `changed` are others than before. Costs
    /// what they cost, and a copy of the pointers to the rest.
    fn settle(&mut self, mesh: bool, changed: &BTreeSet<Arc<RouteId>>) {
        let before = self.winner;
        self.winner = if mesh {
            self.members.keys().map(|route| route.kind).max()
        } else {
            None
        };
        let acting = |route: &RouteId| self.winner.is_none_or(|winner| winner == route.kind);
        let entry = |member: &Member| RouteEntry {
            hostnames: member.hostnames.clone(),
            created: member.created,
            rules: member.rules.clone(),
        };
        self.routes = if self.winner == before && changed.len() < self.members.len() {
            let entries = |route: &Arc<RouteId>| {
                let member = self.members.get(route).filter(|_| acting(route));
                (Arc::clone(route), member.map(entry).into_iter().collect())
            };
            let changed = changed.iter().map(entries).collect();
            Arc::new(self.routes.replace(changed))
        } else {
            let members = self.members.iter().filter(|(route, _)| acting(route));
            let entries = members.map(|(_, member)| entry(member)).collect();
            Arc::new(RouteSet::new(entries))
        };
    }
}

impl Groups {
    /// Puts a route into a group, or takes it out. Nothing happens when it is there as it was.
    pub(crate) fn set(&mut self, key: &GroupKey, route: &Arc<RouteId>, member: Option<Member>) {
        if member.is_none() && !self.groups.contains_key(key) {
            return;
        }
        let group = self.groups.entry(key.clone()).or_default();
        let old = group.members.get(route);
        match (old, &member) {
            (None, None) => return,
            (Some(old), Some(new)) if old.same(new) => return,
            _ => {}
        }
        if let Some(old) = group.members.remove(route) {
            group.claims.remove(route, &old, &mut self.affected);
        }
        if let Some(member) = member {
            group.claims.add(route, &member, &mut self.affected);
            group.members.insert(route.clone(), member);
        }
        let dirty = self.dirty.entry(key.clone()).or_default();
        dirty.insert(route.clone());
    }

    /// Rebuilds the tables of the groups that changed.
    pub(crate) fn settle(&mut self) -> Settled {
        let dirty = std::mem::take(&mut self.dirty);
        let mut routes = std::mem::take(&mut self.affected);
        for (key, changed) in &dirty {
            let Some(group) = self.groups.get_mut(key) else {
                continue;
            };
            let before = group.winner;
            group.settle(matches!(key, GroupKey::Frontend { .. }), changed);
            if group.winner != before {
                routes.extend(group.members.keys().cloned());
                self.note_consumers(key, &mut routes);
            }
            if self
                .groups
                .get(key)
                .is_some_and(|group| group.members.is_empty())
            {
                self.groups.remove(key);
            }
        }
        let groups = dirty.into_keys().collect();
        Settled { groups, routes }
    }

    /// The group of that key, if it has members.
    pub(crate) fn get(&self, key: &GroupKey) -> Option<&Group> {
        self.groups.get(key)
    }

    /// The groups of a Service port, by the namespace of their routes.
    pub(crate) fn of_frontend(
        &self,
        service: &Name,
        port: u16,
    ) -> impl Iterator<Item = (&Arc<str>, &Group)> {
        let first = GroupKey::Frontend {
            service: service.clone(),
            port,
            namespace: Arc::from(""),
        };
        let service = service.clone();
        self.groups
            .range(first..)
            .map_while(move |(key, group)| match key {
                GroupKey::Frontend {
                    service: other,
                    port: number,
                    namespace,
                } if *other == service && *number == port => Some((namespace, group)),
                _ => None,
            })
    }

    /// Consumers say whether they replace a producer, so they look again when that comes or goes.
    fn note_consumers(&self, key: &GroupKey, routes: &mut BTreeSet<Arc<RouteId>>) {
        if let GroupKey::Frontend {
            service,
            port,
            namespace,
        } = key
            && *namespace == service.namespace
        {
            for (_, group) in self.of_frontend(service, *port) {
                routes.extend(group.members.keys().cloned());
            }
        }
    }
}
