//! Where each route stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_ir::{Gateway, RouteEntry, RouteId, RouteSet, Service};

use crate::body::Parent;

/// The sets of routes that belong to something, by what they belong to.
pub(super) type Sets = BTreeMap<Parent, Arc<RouteSet>>;

/// All sets of a scope, and which of them each route is in.
#[derive(Debug, Default)]
pub(super) struct Places {
    sets: Sets,
    of_route: BTreeMap<Arc<RouteId>, BTreeSet<Parent>>,
}

impl Places {
    /// Takes over the sets of one Gateway or Service. Adds the routes that stand otherwise to
    /// `routes`.
    pub(super) fn replace(
        &mut self,
        before: Sets,
        after: Sets,
        routes: &mut BTreeSet<Arc<RouteId>>,
    ) {
        let none = RouteSet::default();
        for (parent, old) in &before {
            if !after.contains_key(parent) {
                self.sets.remove(parent);
                self.moved(parent, none.changed_since(old), &none, routes);
            }
        }
        for (parent, new) in after {
            let old = self.sets.insert(parent.clone(), new.clone());
            if old.as_ref().is_some_and(|old| Arc::ptr_eq(old, &new)) {
                continue;
            }
            let changed = new.changed_since(old.as_deref().unwrap_or(&none));
            self.moved(&parent, changed, &new, routes);
        }
    }

    /// The parents of a route, in order, each with what it has of the route.
    pub(super) fn of(&self, route: &RouteId) -> Vec<(&Parent, &RouteEntry)> {
        let parents = self.of_route.get(route).into_iter().flatten();
        let entries = parents.flat_map(|parent| {
            let set = self.sets.get(parent);
            let entries = set.map(|set| set.entries_of(route)).unwrap_or_default();
            entries.iter().map(move |entry| (parent, entry.as_ref()))
        });
        entries.collect()
    }

    fn moved(
        &mut self,
        parent: &Parent,
        changed: Vec<Arc<RouteId>>,
        set: &RouteSet,
        routes: &mut BTreeSet<Arc<RouteId>>,
    ) {
        for route in changed {
            let parents = self.of_route.entry(route.clone()).or_default();
            if set.entries_of(&route).is_empty() {
                parents.remove(parent);
                if parents.is_empty() {
                    self.of_route.remove(&route);
                }
            } else {
                parents.insert(parent.clone());
            }
            routes.insert(route);
        }
    }
}

/// The sets of the listeners of a Gateway.
pub(super) fn sets_of_gateway(gateway: &Gateway) -> Sets {
    let listeners = gateway.ports.iter().flat_map(|port| &port.listeners);
    let set = |listener: &Arc<weft_ir::Listener>| {
        let parent = Parent::Listener {
            gateway: gateway.name.clone(),
            listener: listener.name.clone(),
        };
        (parent, listener.routes.clone())
    };
    listeners.map(set).collect()
}

/// The sets of the groups of a Service.
pub(super) fn sets_of_service(service: &Service) -> Sets {
    let mut sets = Sets::new();
    for port in &service.ports {
        let parent = |consumer: Option<&Arc<str>>| Parent::Frontend {
            service: service.name.clone(),
            port: port.port,
            consumer: consumer.cloned(),
        };
        sets.extend(port.producer.iter().map(|set| (parent(None), set.clone())));
        let consumers = port.consumers.iter();
        sets.extend(consumers.map(|(namespace, set)| (parent(Some(namespace)), set.clone())));
    }
    sets
}
