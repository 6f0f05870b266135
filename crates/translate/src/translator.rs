//! The translation with a memory.
//!
//! One call goes through fixed steps: what changed since the last call; the Gateways; the routes that
//! changed or that a change concerns; the groups those are in; tables, statuses and findings of what
//! all that touched. A fresh translator takes every object for new, so that a full translation and an
//! incremental one are the same code.

mod observe;
mod others;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_api::{GrpcRoute, HttpRoute, ObjectKey};
use weft_ir::Name;
use weft_store::Store;

use self::observe::Observed;
use crate::{
    Input, Output,
    context::name_of,
    gateway::{GatewayPlan, Plans, table},
    group::{GroupKey, Groups, Settled},
    mesh,
    route::{
        RouteKind,
        book::{Book, Changes, Surroundings, Updated},
        standing,
    },
    scope::Scope,
    status::Status,
    workload::Pods,
};

#[cfg(test)]
mod tests;

/// Translates one state of a store after the other and remembers what it did.
///
/// The output is always that of a fresh [`translate`](crate::translate); only the work and the
/// identity of the parts differ. Stores may be handed in in any order: objects are compared by
/// pointer, nothing is assumed about revisions.
#[derive(Default)]
pub struct Translator {
    scope: Option<Scope>,
    observed: Observed,
    plans: Plans,
    foreign: BTreeSet<Name>,
    http: Book<HttpRoute>,
    grpc: Book<GrpcRoute>,
    groups: Groups,
    pods: Pods,
    output: Output,
}

impl Translator {
    /// Translates the store. Total: whatever the objects say, the answer says what is wrong.
    pub fn translate(&mut self, store: &Store, scope: &Scope) -> Output {
        if self
            .scope
            .as_ref()
            .is_some_and(|old| !old.attaches_like(scope))
        {
            *self = Self::default();
        }
        self.scope = Some(scope.clone());
        let input = Input { store, scope };
        let mut changes = self.observed.update(input);
        self.judge_gateways(input, &mut changes);
        let Self {
            http,
            grpc,
            plans,
            groups,
            ..
        } = self;
        let around = Surroundings {
            input,
            plans,
            changes: &changes,
        };
        let http = http.update(around, store.http_routes(), groups);
        let grpc = grpc.update(around, store.grpc_routes(), groups);
        let settled = groups.settle();
        self.build_gateways();
        self.build_services(input, &settled, &changes);
        state_routes(
            &mut self.output,
            &self.http,
            &self.groups,
            scope,
            (&settled, http),
        );
        state_routes(
            &mut self.output,
            &self.grpc,
            &self.groups,
            scope,
            (&settled, grpc),
        );
        self.state_others(input);
        if scope.has_mesh {
            self.pods.update(input, &mut self.output);
        }
        self.output.clone()
    }

    /// Gateways are few, so they are judged anew each time; routes hear of those that changed.
    fn judge_gateways(&mut self, input: Input<'_>, changes: &mut Changes) {
        let gateways = input.store.gateways().entries();
        let plans: Plans = gateways
            .filter_map(|(key, gateway)| Some((key.clone(), GatewayPlan::new(input, gateway)?)))
            .collect();
        for (key, plan) in &plans {
            if !self
                .plans
                .get(key)
                .is_some_and(|old| old.attaches_like(plan))
            {
                changes.gateways.insert(name_of(key));
            }
        }
        let gone = self.plans.keys().filter(|key| !plans.contains_key(*key));
        changes.gateways.extend(gone.map(name_of));
        // One that is not ours is still no missing one, which is what a route is told.
        let all = input.store.gateways().entries().map(|(key, _)| key);
        let foreign = all
            .filter(|key| !plans.contains_key(*key))
            .map(name_of)
            .collect();
        let come_or_gone = self.foreign.symmetric_difference(&foreign);
        changes.gateways.extend(come_or_gone.cloned());
        self.foreign = foreign;
        self.plans = plans;
    }

    fn build_gateways(&mut self) {
        let old = &self.output.tables.gateways;
        let mut parts = Vec::new();
        for plan in self.plans.values() {
            let before = old.get(&plan.name);
            parts.push((plan.name.clone(), table::build(plan, &self.groups, before)));
        }
        let planned = |name: &Name| {
            let Name { namespace, name } = name.clone();
            self.plans.contains_key(&ObjectKey::new(namespace, name))
        };
        parts.extend(
            old.keys()
                .filter(|name| !planned(name))
                .map(|name| (name.clone(), None)),
        );
        parts.retain(|(name, part)| !same(old.get(name), part.as_ref()));
        if !parts.is_empty() {
            replace(&mut Arc::make_mut(&mut self.output.tables).gateways, parts);
        }
    }

    fn build_services(&mut self, input: Input<'_>, settled: &Settled, changes: &Changes) {
        if !input.scope.has_mesh {
            return;
        }
        let old = &self.output.tables.services;
        let routed = settled.groups.iter().filter_map(|key| match key {
            GroupKey::Frontend { service, .. } => Some(service),
            GroupKey::Listener { .. } => None,
        });
        let touched: BTreeSet<&Name> = changes.services.iter().chain(routed).collect();
        let mut parts = Vec::new();
        for name in touched {
            let before = old.get(name);
            let part = mesh::service(input, name, &self.groups, before);
            if !same(before, part.as_ref()) {
                parts.push((name.clone(), part));
            }
        }
        if !parts.is_empty() {
            replace(&mut Arc::make_mut(&mut self.output.tables).services, parts);
        }
    }
}

/// Statuses and findings of the routes that were looked at again, and of those that stand otherwise
/// because of them.
fn state_routes<R: RouteKind>(
    output: &mut Output,
    book: &Book<R>,
    groups: &Groups,
    scope: &Scope,
    (settled, updated): (&Settled, Updated),
) {
    for object in &updated.gone {
        output.put(object, None, Vec::new());
    }
    let mut keys: BTreeSet<ObjectKey> = updated.refreshed.into_iter().collect();
    let of_kind = settled
        .routes
        .iter()
        .filter(|route| route.kind == R::ROUTE_KIND);
    keys.extend(of_kind.map(|route| {
        let Name { namespace, name } = route.name.clone();
        ObjectKey::new(namespace, name)
    }));
    let left_out = book
        .iter()
        .filter(|memo| standing::is_left_out_of(memo, &settled.groups));
    keys.extend(left_out.map(|memo| memo.reference.key.clone()));
    let tables = Arc::clone(&output.tables);
    for key in keys {
        let Some((route, memo)) = book.get(&key) else {
            continue;
        };
        let (status, notes) = standing::of(route.as_ref(), memo, groups, &tables, scope);
        output.put(&memo.reference, status.map(Status::Route), notes);
    }
}

fn same<T>(old: Option<&Arc<T>>, new: Option<&Arc<T>>) -> bool {
    match (old, new) {
        (None, None) => true,
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        _ => false,
    }
}

fn replace<T>(map: &mut BTreeMap<Name, Arc<T>>, parts: Vec<(Name, Option<Arc<T>>)>) {
    for (name, part) in parts {
        match part {
            Some(part) => map.insert(name, part),
            None => map.remove(&name),
        };
    }
}
