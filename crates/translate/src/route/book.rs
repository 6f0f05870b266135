//! The routes of one kind with everything that was found out about them, kept between translations.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_api::{ObjectKey, ObjectRef};
use weft_ir::{Name, RouteId};
use weft_store::Objects;

use super::{CompiledRoute, RouteKind};
use crate::{
    Input,
    attach::{self, Attaching, Hosts, Parent},
    context::{CompileContext, ParentMode, Uses, name_of, object_ref},
    gateway::Plans,
    group::{GroupKey, Groups, Member},
    notes::{Findings, Note},
    snapshot::Snapshot,
};

/// What changed outside of the routes since the last translation.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Gateways that appeared, went, or take routes in another way.
    pub(crate) gateways: BTreeSet<Name>,
    /// Services, policies on them included.
    pub(crate) services: BTreeSet<Name>,
    /// Namespaces with other ReferenceGrants.
    pub(crate) grants: BTreeSet<Arc<str>>,
    /// Namespaces with other labels.
    pub(crate) namespaces: BTreeSet<Arc<str>>,
    /// Whether any ListenerSet changed.
    pub(crate) listener_sets: bool,
}

/// The routes of one kind.
pub(crate) struct Book<R> {
    snapshot: Snapshot<R>,
    memos: BTreeMap<ObjectKey, Box<Memo>>,
}

/// What was found out about one route.
#[derive(Debug)]
pub(crate) struct Memo {
    /// The route as rules name it.
    pub(crate) id: Arc<RouteId>,
    /// The route as statuses and findings name it.
    pub(crate) reference: ObjectRef,
    /// One entry per `parentRef`.
    pub(crate) parents: Vec<Parent>,
    /// Findings of attachment.
    pub(crate) notes: Vec<Note>,
    gateway: Option<Arc<Compiled>>,
    mesh: Option<Arc<Compiled>>,
    /// Sorted.
    groups: Box<[GroupKey]>,
}

/// The rules of a route for one sort of parent, and what they were compiled from.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The result.
    pub(crate) route: CompiledRoute,
    /// Findings of the compilation.
    pub(crate) notes: Vec<Note>,
    uses: Uses,
}

/// What routes are judged by.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// The store and the scope.
    pub(crate) input: Input<'a>,
    /// The Gateways.
    pub(crate) plans: &'a Plans,
    /// What of both is not as at the last update.
    pub(crate) changes: &'a Changes,
}

/// What [`Book::update`] looked at again.
#[derive(Debug, Default)]
pub(crate) struct Updated {
    /// Routes whose status has to be made anew.
    pub(crate) refreshed: Vec<ObjectKey>,
    /// Routes that are gone.
    pub(crate) gone: Vec<ObjectRef>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.gateways.is_empty()
            && self.services.is_empty()
            && self.grants.is_empty()
            && self.namespaces.is_empty()
            && !self.listener_sets
    }

    fn touch_parents(&self, memo: &Memo) -> bool {
        let parent = |parent: &Parent| match parent {
            Parent::Gateway(name, _) => self.gateways.contains(name),
            Parent::Service(name, _) => self.services.contains(name),
            // What it hangs below, and whose that is, cannot be seen here.
            Parent::Foreign | Parent::NotBuilt(_) => {
                self.listener_sets || !self.gateways.is_empty()
            }
        };
        self.namespaces.contains(&memo.id.name.namespace) || memo.parents.iter().any(parent)
    }

    fn touch_rules(&self, compiled: &Compiled) -> bool {
        let Uses { services, grants } = &compiled.uses;
        services.iter().any(|it| self.services.contains(it))
            || grants.iter().any(|it| self.grants.contains(it))
    }

    fn touch(&self, memo: &Memo) -> bool {
        let compiled = [&memo.gateway, &memo.mesh].into_iter().flatten();
        self.touch_parents(memo) || compiled.into_iter().any(|it| self.touch_rules(it))
    }
}

impl<R> Default for Book<R> {
    fn default() -> Self {
        Self {
            snapshot: Snapshot::default(),
            memos: BTreeMap::new(),
        }
    }
}

impl Memo {
    /// The rules for one sort of parent, if there is a parent of that sort.
    pub(crate) fn compiled(&self, mode: ParentMode) -> Option<&Arc<Compiled>> {
        match mode {
            ParentMode::Gateway => self.gateway.as_ref(),
            ParentMode::Mesh => self.mesh.as_ref(),
        }
    }

    /// The Services that rules for one sort of parent look at, to send to them.
    pub(crate) fn services(&self, mode: ParentMode) -> &[Name] {
        let compiled = self.compiled(mode);
        compiled.map_or(&[], |compiled| &compiled.uses.services)
    }

    /// The Gateways that take the route.
    pub(crate) fn gateways(&self) -> impl Iterator<Item = &Name> {
        self.parents.iter().filter_map(|parent| match parent {
            Parent::Gateway(name, Ok(_)) => Some(name),
            _ => None,
        })
    }

    /// Whether the route acts for clients of some Service.
    pub(crate) fn acts_in_mesh(&self) -> bool {
        let attached = |parent: &Parent| matches!(parent, Parent::Service(_, Ok(_)));
        self.parents.iter().any(attached)
    }
}

impl<R: RouteKind> Book<R> {
    /// The routes with what is known about them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Memo> {
        self.memos.values().map(Box::as_ref)
    }

    /// A route and what is known about it.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<(&Arc<R>, &Memo)> {
        Some((self.snapshot.get(key)?, self.memos.get(key)?))
    }

    /// Takes over the routes of the store and brings the groups in line. Looks again only at routes
    /// that changed or that something in `changes` concerns.
    pub(crate) fn update(
        &mut self,
        around: Surroundings<'_>,
        objects: &Objects<R>,
        groups: &mut Groups,
    ) -> Updated {
        let mut updated = Updated::default();
        let mut edited = BTreeSet::new();
        for change in self.snapshot.update(objects.entries()) {
            if change.new.is_some() {
                edited.insert(change.key);
            } else if let Some(memo) = self.memos.remove(&change.key) {
                for key in &*memo.groups {
                    groups.set(key, &memo.id, None);
                }
                updated.gone.push(memo.reference);
            }
        }
        let mut stale = edited.clone();
        if !around.changes.is_empty() {
            let concerned = self
                .memos
                .iter()
                .filter(|(_, memo)| around.changes.touch(memo));
            stale.extend(concerned.map(|(key, _)| key.clone()));
        }
        for key in stale {
            let Some(route) = self.snapshot.get(&key) else {
                continue;
            };
            let old = self.memos.remove(&key);
            let edited = edited.contains(&key);
            let memo = Refresh { around, edited }.memo(route.as_ref(), &key, old, groups);
            self.memos.insert(key.clone(), Box::new(memo));
            updated.refreshed.push(key);
        }
        updated
    }
}

/// One more look at one route.
struct Refresh<'a> {
    around: Surroundings<'a>,
    edited: bool,
}

impl Refresh<'_> {
    fn memo<R: RouteKind>(
        &self,
        route: &R,
        key: &ObjectKey,
        old: Option<Box<Memo>>,
        groups: &mut Groups,
    ) -> Memo {
        let id = old.as_ref().map(|old| old.id.clone()).unwrap_or_else(|| {
            let name = name_of(key);
            Arc::new(RouteId {
                kind: R::ROUTE_KIND,
                name,
            })
        });
        let reference = object_ref(&id);
        let mut findings = Findings::new(reference.clone());
        let parents = self.parents(route, &mut findings);
        let wanted = |mode| {
            parents
                .iter()
                .any(|parent: &Parent| parent.mode() == Some(mode))
        };
        let compiled = |mode| {
            let before = old.as_ref().and_then(|old| old.compiled(mode));
            wanted(mode).then(|| self.compiled(route, &id, mode, before))
        };
        let (gateway, mesh) = (compiled(ParentMode::Gateway), compiled(ParentMode::Mesh));
        let before = old.map(|old| old.groups).unwrap_or_default();
        let notes = findings.into_vec();
        let mut memo = Memo {
            id,
            reference,
            parents,
            notes,
            gateway,
            mesh,
            groups: Box::default(),
        };
        let created = route.created().map(|time| time.0.as_second());
        let members = members(&memo, created);
        memo.groups = members.keys().cloned().collect();
        for (key, member) in members {
            groups.set(&key, &memo.id, Some(member));
        }
        for key in &before {
            if memo.groups.binary_search(key).is_err() {
                groups.set(key, &memo.id, None);
            }
        }
        memo
    }

    fn parents<R: RouteKind>(&self, route: &R, findings: &mut Findings) -> Vec<Parent> {
        let Surroundings { input, plans, .. } = self.around;
        let spec = route.spec();
        let hosts = Hosts::new(&spec.hostnames, findings);
        let attaching = Attaching {
            kind: R::ROUTE_KIND,
            namespace: route.namespace(),
            hosts: &hosts,
        };
        let parents = spec.parent_refs.iter().enumerate();
        parents
            .map(|parent| attach::parent(input, plans, attaching, parent, findings))
            .collect()
    }

    /// The rules for one sort of parent: as they were, if nothing they depend on changed; compiled
    /// anew otherwise, sharing the rules that came out equal.
    fn compiled<R: RouteKind>(
        &self,
        route: &R,
        id: &Arc<RouteId>,
        mode: ParentMode,
        before: Option<&Arc<Compiled>>,
    ) -> Arc<Compiled> {
        if let Some(before) = before
            && !self.edited
            && !self.around.changes.touch_rules(before)
        {
            return before.clone();
        }
        let mut compiled = compile(self.around.input, route, id, mode);
        let known = before
            .map(|before| before.route.rules.as_slice())
            .unwrap_or_default();
        for rule in &mut compiled.route.rules {
            let old = known.binary_search_by_key(&rule.index, |old| old.index);
            if let Some(old) = old.ok().and_then(|at| known.get(at))
                && *old == *rule
            {
                *rule = old.clone();
            }
        }
        Arc::new(compiled)
    }
}

fn compile<R: RouteKind>(
    input: Input<'_>,
    route: &R,
    id: &Arc<RouteId>,
    mode: ParentMode,
) -> Compiled {
    let mut context = CompileContext::new(input, mode, id.clone());
    let route = route.compile(&mut context);
    let (notes, uses) = context.finish();
    Compiled { route, notes, uses }
}

/// The groups a route belongs to. A route whose own content is not accepted belongs to none: it is
/// ignored, and if it was the only one there is no route (routing of meshes, "Route not accepted").
fn members(memo: &Memo, created: Option<i64>) -> BTreeMap<GroupKey, Member> {
    let mut members = BTreeMap::new();
    for parent in &memo.parents {
        let Some(compiled) = parent.mode().and_then(|mode| memo.compiled(mode)) else {
            continue;
        };
        if compiled.route.accepted.is_err() {
            continue;
        }
        let member = |hostnames| Member {
            hostnames,
            created,
            rules: compiled.route.rules.clone(),
        };
        for (key, hostnames) in group_keys(parent, &memo.id) {
            members.insert(key, member(hostnames));
        }
    }
    members
}

/// The groups a parent leads to, with the hostnames the route has there.
pub(crate) fn group_keys(parent: &Parent, id: &RouteId) -> Vec<(GroupKey, Vec<weft_ir::Hostname>)> {
    match parent {
        Parent::Gateway(gateway, Ok(attachments)) => attachments
            .iter()
            .map(|attachment| {
                let (gateway, listener) = (gateway.clone(), attachment.listener.clone());
                (
                    GroupKey::Listener { gateway, listener },
                    attachment.hostnames.clone(),
                )
            })
            .collect(),
        Parent::Service(service, Ok(ports)) => ports
            .iter()
            .map(|&port| {
                let (service, namespace) = (service.clone(), id.name.namespace.clone());
                (
                    GroupKey::Frontend {
                        service,
                        port,
                        namespace,
                    },
                    Vec::new(),
                )
            })
            .collect(),
        _ => Vec::new(),
    }
}
