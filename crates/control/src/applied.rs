//! The condition `weft.dev/Applied` of routes: whether the proxies of a Gateway have a generation of
//! the route. Written once they all have, or after two seconds with those named that do not; a
//! generation that has been applied stays so, unless a proxy says that it cannot serve it as it says.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use weft_api::{
    AnyObject, Condition, ConditionStatus, ConditionType, ObjectRef, Reason,
    route::{ParentStatus, RouteStatus},
};
use weft_ir::Name;

use crate::hub::whose;

/// So long proxies have to take a route before their lag is worth a write.
const PATIENCE: Duration = Duration::from_secs(2);
/// Laggards that are named; the others are counted.
const NAMED: usize = 5;
/// The kind of a parent that says none.
const GATEWAY: &str = "Gateway";
const SERVICE: &str = "Service";

/// How many proxies of a Gateway have a generation of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Those that have it.
    pub(crate) applied: usize,
    /// Those that have it and cannot serve it as it says, with the reason.
    pub(crate) refused: Vec<String>,
    /// The others, by name.
    pub(crate) laggards: Vec<String>,
}

impl Spread {
    /// How many proxies there are.
    pub(crate) fn proxies(&self) -> usize {
        self.applied + self.refused.len() + self.laggards.len()
    }

    fn is_whole(&self) -> bool {
        self.applied == self.proxies()
    }
}

/// What is known of all routes.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    routes: BTreeMap<ObjectRef, Route>,
    /// Routes of which not everything that is to be said has been said.
    pending: BTreeSet<ObjectRef>,
}

#[derive(Debug, Default)]
struct Route {
    generation: i64,
    /// Since when it is that generation.
    since: Duration,
    /// Whether a proxy refuses it, whatever it said before.
    is_doubted: bool,
    /// The Gateways that accept it, and what was found there.
    gateways: BTreeMap<Name, Option<Found>>,
}

/// What is said of one Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    generation: i64,
    spread: Spread,
}

impl Found {
    fn is_whole(&self, generation: i64) -> bool {
        self.generation == generation && self.spread.is_whole()
    }

    fn condition(&self) -> Condition {
        let Spread {
            applied,
            refused,
            laggards,
        } = &self.spread;
        let all = self.spread.proxies();
        let (status, reason) = match self.spread.is_whole() {
            true => (ConditionStatus::True, Reason::Applied),
            false => (ConditionStatus::False, Reason::PartiallyApplied),
        };
        let mut message = format!("applied on {applied} of {all} proxies");
        if let Some(first) = refused.first() {
            message = format!("{message}; refused by {first}");
            if refused.len() > 1 {
                message = format!("{message}; and by {} more", refused.len() - 1);
            }
        }
        if !laggards.is_empty() {
            let named: Vec<_> = laggards.iter().take(NAMED).map(String::as_str).collect();
            message = format!("{message}; waiting for {}", named.join(", "));
            if laggards.len() > NAMED {
                message = format!("{message} and {} more", laggards.len() - NAMED);
            }
        }
        Condition::new(ConditionType::Applied, status, reason)
            .generation(Some(self.generation))
            .message(message)
    }
}

impl Applied {
    /// A route with the status that translation gives it; which one, when it is of another generation
    /// than before.
    pub(crate) fn see(&mut self, wanted: &AnyObject, now: Duration) -> Option<(ObjectRef, i64)> {
        let status = status_of(wanted)?;
        let reference = wanted.reference();
        let generation = wanted.metadata().generation.unwrap_or_default();
        let own = reference.key.namespace();
        let accepting = status.parents.iter().filter(|parent| accepts(parent));
        let gateways: BTreeSet<Name> = accepting.filter_map(|it| gateway_of(it, own)).collect();
        let route = self.routes.entry(reference.clone()).or_default();
        let is_other = route.generation != generation;
        if is_other {
            route.generation = generation;
            route.since = now;
        }
        route
            .gateways
            .retain(|gateway, _| gateways.contains(gateway));
        for gateway in gateways {
            route.gateways.entry(gateway).or_default();
        }
        if !route.is_told() {
            self.pending.insert(reference.clone());
        }
        is_other.then_some((reference, generation))
    }

    /// An object is gone.
    pub(crate) fn forget(&mut self, object: &ObjectRef) {
        self.routes.remove(object);
        self.pending.remove(object);
    }

    /// Some proxy refuses these routes: whatever was said of them is to be asked again.
    pub(crate) fn doubt(&mut self, refused: &BTreeSet<ObjectRef>) {
        for reference in refused {
            if let Some(route) = self.routes.get_mut(reference) {
                route.is_doubted = true;
                self.pending.insert(reference.clone());
            }
        }
    }

    /// Asks how far the routes are of which something is to be said; returns those of which something
    /// else is to be said than before. `spread` knows nothing of Gateways without proxies.
    pub(crate) fn judge(
        &mut self,
        spread: impl Fn(&ObjectRef, &Name, i64) -> Option<Spread>,
        now: Duration,
    ) -> Vec<ObjectRef> {
        let mut changed = Vec::new();
        let mut told = Vec::new();
        for reference in &self.pending {
            let Some(route) = self.routes.get_mut(reference) else {
                continue;
            };
            if route.judge(
                |gateway, generation| spread(reference, gateway, generation),
                now,
            ) {
                changed.push(reference.clone());
            }
            if route.is_told() {
                told.push(reference.clone());
            }
        }
        for reference in told {
            self.pending.remove(&reference);
        }
        changed
    }

    /// When patience with proxies ends next, if it has not ended.
    pub(crate) fn due_at(&self, now: Duration) -> Option<Duration> {
        let pending = self.pending.iter();
        let ends = pending.filter_map(|route| Some(self.routes.get(route)?.since + PATIENCE));
        ends.filter(|end| *end > now).min()
    }

    /// Adds the condition to a status. As long as there is nothing to say, what stands there stays.
    pub(crate) fn add(&self, seen: &AnyObject, wanted: &mut AnyObject) {
        let route = self.routes.get(&seen.reference());
        let own = seen.key().namespace().to_owned();
        let before = status_of(seen);
        let Some(status) = status_of_mut(wanted) else {
            return;
        };
        for parent in status.parents.iter_mut().filter(|parent| accepts(parent)) {
            let Some(gateway) = gateway_of(parent, &own) else {
                continue;
            };
            let found = route.and_then(|route| route.gateways.get(&gateway)?.as_ref());
            let condition = match found {
                Some(found) => Some(found.condition()),
                None => before
                    .and_then(|before| condition_of(before, parent))
                    .cloned(),
            };
            parent.conditions.extend(condition);
        }
    }
}

impl Route {
    /// Whether everything is said.
    fn is_told(&self) -> bool {
        let mut found = self.gateways.values();
        found.all(|found| {
            found
                .as_ref()
                .is_some_and(|it| it.is_whole(self.generation))
        })
    }

    /// Whether there is something else to say.
    fn judge(&mut self, spread: impl Fn(&Name, i64) -> Option<Spread>, now: Duration) -> bool {
        let (generation, is_overdue) = (self.generation, now >= self.since + PATIENCE);
        let is_doubted = std::mem::take(&mut self.is_doubted);
        let mut has_changed = false;
        for (gateway, found) in &mut self.gateways {
            if !is_doubted && found.as_ref().is_some_and(|it| it.is_whole(generation)) {
                continue;
            }
            let Some(spread) = spread(gateway, generation) else {
                continue;
            };
            // A refusal is no lag: waiting does not mend it.
            let is_final = spread.is_whole() || !spread.refused.is_empty();
            let next = Some(Found { generation, spread });
            if (is_final || is_overdue) && *found != next {
                *found = next;
                has_changed = true;
            }
        }
        has_changed
    }
}

fn accepts(parent: &ParentStatus) -> bool {
    let is_accepted = |condition: &Condition| {
        condition.is(ConditionType::Accepted) && condition.status == ConditionStatus::True
    };
    parent.conditions.iter().any(is_accepted)
}

/// The Gateway that a parent is; of a Service, all nodes. `None` of every other kind.
fn gateway_of(parent: &ParentStatus, own_namespace: &str) -> Option<Name> {
    let reference = &parent.parent_ref;
    let kind = reference.kind.as_deref().unwrap_or(GATEWAY);
    let namespace = reference.namespace.as_deref().unwrap_or(own_namespace);
    match kind {
        GATEWAY => Some(Name::new(namespace, reference.name.as_str())),
        SERVICE => Some(whose::mesh()),
        _ => None,
    }
}

/// What a status says of a parent.
fn condition_of<'a>(status: &'a RouteStatus, parent: &ParentStatus) -> Option<&'a Condition> {
    let is_same = |it: &&ParentStatus| {
        it.parent_ref == parent.parent_ref && it.controller_name == parent.controller_name
    };
    let before = status.parents.iter().find(is_same)?;
    let mut conditions = before.conditions.iter();
    conditions.find(|condition| condition.is(ConditionType::Applied))
}

fn status_of(object: &AnyObject) -> Option<&RouteStatus> {
    Some(match object {
        AnyObject::HttpRoute(route) => &route.status,
        AnyObject::GrpcRoute(route) => &route.status,
        AnyObject::TlsRoute(route) => &route.status,
        AnyObject::TcpRoute(route) => &route.status,
        AnyObject::UdpRoute(route) => &route.status,
        _ => return None,
    })
}

fn status_of_mut(object: &mut AnyObject) -> Option<&mut RouteStatus> {
    Some(match object {
        AnyObject::HttpRoute(route) => &mut Arc::make_mut(route).status,
        AnyObject::GrpcRoute(route) => &mut Arc::make_mut(route).status,
        AnyObject::TlsRoute(route) => &mut Arc::make_mut(route).status,
        AnyObject::TcpRoute(route) => &mut Arc::make_mut(route).status,
        AnyObject::UdpRoute(route) => &mut Arc::make_mut(route).status,
        _ => return None,
    })
}
