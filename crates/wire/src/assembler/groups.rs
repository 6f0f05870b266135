//! The sets of routes of all listeners and frontends, present or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_ir::{Frontend, Gateway, Listener, Port, RouteEntry, RouteId, RouteSet, Rule, Service};

use crate::body::{Attached, Parent};

/// Sets by what they belong to. A set does not need its listener to exist: routes and their parents
/// arrive in any order, and a parent that comes back finds its routes.
#[derive(Debug, Default)]
pub(super) struct Groups {
    sets: BTreeMap<Parent, Arc<RouteSet>>,
    /// The sets each route is in; what it is there is in the set.
    routes: BTreeMap<Arc<RouteId>, Box<[Parent]>>,
    /// Entries to come, by set and route; none takes the route out.
    dirty: BTreeMap<Parent, BTreeMap<Arc<RouteId>, Vec<RouteEntry>>>,
}

impl Groups {
    /// The one allocation of a route's name.
    pub(super) fn id(&self, id: RouteId) -> Arc<RouteId> {
        match self.routes.get_key_value(&id) {
            Some((known, _)) => known.clone(),
            None => Arc::new(id),
        }
    }

    /// Takes over a route as its parents have it; no parent removes it. Takes effect with
    /// [`Groups::settle`].
    pub(super) fn put(&mut self, id: &Arc<RouteId>, attached: Vec<Attached>) {
        let before = self.routes.remove(id).unwrap_or_default();
        let known = before.iter().filter_map(|parent| self.sets.get(parent));
        let known = known.flat_map(|set| set.entries_of(id));
        let known: Vec<&Arc<Rule>> = known.flat_map(|entry| &entry.rules).collect();
        let mut parents = BTreeSet::new();
        let mut entries: BTreeMap<Parent, Vec<RouteEntry>> = BTreeMap::new();
        for Attached { parent, mut entry } in attached {
            share_rules(&known, &mut entry.rules);
            // Names of parents are shared by the routes below them.
            let parent = match self.sets.get_key_value(&parent) {
                Some((known, _)) => known.clone(),
                None => parent,
            };
            parents.insert(parent.clone());
            entries.entry(parent).or_default().push(entry);
        }
        for parent in before.iter().chain(&parents) {
            let entries = entries.remove(parent).unwrap_or_default();
            let routes = self.dirty.entry(parent.clone()).or_default();
            // A parent of both comes twice, with its entries first.
            if !entries.is_empty() || !parents.contains(parent) {
                routes.insert(id.clone(), entries);
            }
        }
        if !parents.is_empty() {
            let parents = parents.into_iter().collect();
            self.routes.insert(id.clone(), parents);
        }
    }

    /// Rebuilds the sets of the routes that were put; one that comes out equal stays. Returns the
    /// parents of the others.
    pub(super) fn settle(&mut self) -> Vec<Parent> {
        let mut changed = Vec::new();
        for (parent, mut routes) in std::mem::take(&mut self.dirty) {
            let old = self.sets.get(&parent).cloned().unwrap_or_default();
            routes.retain(|id, entries| !is_same(old.entries_of(id), entries));
            if routes.is_empty() {
                continue;
            }
            let new = old.replace(routes);
            if new.is_empty() {
                self.sets.remove(&parent);
            } else {
                self.sets.insert(parent.clone(), Arc::new(new));
            }
            changed.push(parent);
        }
        changed
    }

    /// A Gateway with the routes of its listeners. What is as in `old` is shared with it.
    pub(super) fn fill_gateway(
        &self,
        mut gateway: Gateway,
        old: Option<&Arc<Gateway>>,
    ) -> Arc<Gateway> {
        let old_ports = old.map(|old| old.ports.as_slice()).unwrap_or_default();
        for port in &mut gateway.ports {
            let before = old_ports.iter().find(|old| old.port == port.port);
            let old_listeners = before
                .map(|old| old.listeners.as_slice())
                .unwrap_or_default();
            let mut filled = Port::clone(port);
            for listener in &mut filled.listeners {
                let parent = Parent::Listener {
                    gateway: gateway.name.clone(),
                    listener: listener.name.clone(),
                };
                let before = old_listeners.iter().find(|old| old.name == listener.name);
                let new = Listener {
                    routes: self.set(&parent, before.map(|old| &old.routes)),
                    ..Listener::clone(listener)
                };
                *listener = shared(before, new, |a, b| Arc::ptr_eq(&a.routes, &b.routes));
            }
            *port = shared(before, filled, |a, b| same(&a.listeners, &b.listeners));
        }
        shared(old, gateway, |a, b| same(&a.ports, &b.ports))
    }

    /// A Service with the routes of its groups, likewise.
    pub(super) fn fill_service(
        &self,
        mut service: Service,
        old: Option<&Arc<Service>>,
    ) -> Arc<Service> {
        for port in &mut service.ports {
            let before = old.and_then(|old| old.port(port.port));
            let parent = |consumer: Option<&Arc<str>>| Parent::Frontend {
                service: service.name.clone(),
                port: port.port,
                consumer: consumer.cloned(),
            };
            let mut filled = Frontend::clone(port);
            if let Some(set) = &mut filled.producer {
                let before = before.and_then(|old| old.producer.as_ref());
                *set = self.set(&parent(None), before);
            }
            for (namespace, set) in &mut filled.consumers {
                let before = before.and_then(|old| old.consumers.get(namespace));
                *set = self.set(&parent(Some(namespace)), before);
            }
            *port = shared(before, filled, |_, _| true);
        }
        shared(old, service, |a, b| same(&a.ports, &b.ports))
    }

    /// The set of a parent; an empty one stays the empty one it was.
    fn set(&self, parent: &Parent, before: Option<&Arc<RouteSet>>) -> Arc<RouteSet> {
        match (self.sets.get(parent), before) {
            (Some(set), _) => set.clone(),
            (None, Some(before)) if before.is_empty() => before.clone(),
            (None, _) => Arc::default(),
        }
    }
}

/// The old value if the new one is equal. `alike` looks at the pointers of their parts first: a part
/// that changed is a new one, and comparing two sets of 5,000 routes would find out late.
fn shared<T: PartialEq>(
    old: Option<&Arc<T>>,
    new: T,
    alike: impl FnOnce(&T, &T) -> bool,
) -> Arc<T> {
    match old {
        Some(old) if alike(old, &new) && **old == new => old.clone(),
        _ => Arc::new(new),
    }
}

fn is_same(old: &[Arc<RouteEntry>], new: &[RouteEntry]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| **old == *new)
}

fn same<T>(old: &[Arc<T>], new: &[Arc<T>]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| Arc::ptr_eq(old, new))
}

/// Replaces rules by known ones that are equal: pointer equality means "unchanged" to everything that
/// is built from rules.
fn share_rules(known: &[&Arc<Rule>], rules: &mut [Arc<Rule>]) {
    for rule in rules {
        let same = known
            .iter()
            .find(|old| old.index == rule.index && ***old == *rule);
        if let Some(same) = same {
            *rule = Arc::clone(same);
        }
    }
}
