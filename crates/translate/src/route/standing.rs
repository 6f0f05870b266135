//! How a route stands with its parents: status entries and the findings that need the other routes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_api::{
    Condition, ConditionStatus, ConditionType, Reason,
    reference::ParentReference,
    route::{ParentStatus, RouteStatus},
};
use weft_ir::{Group, Name, Tables};

use super::{
    Rejection, RouteKind,
    book::{Compiled, Memo, group_keys},
};
use crate::{
    attach::{Attachment, Parent},
    context::ParentMode,
    group::{self, GroupKey, Groups},
    notes::{self, Findings, Note},
    scope::Scope,
    status::{merge_parents, verdict, with_rejection},
};

/// The status of a route, if it has or had an entry of ours, and all findings about it. `tables` are
/// those that its groups are in.
pub(crate) fn of<R: RouteKind>(
    route: &R,
    memo: &Memo,
    groups: &Groups,
    tables: &Tables,
    scope: &Scope,
) -> (Option<RouteStatus>, Vec<Note>) {
    let mut standing = Standing {
        memo,
        groups,
        tables,
        scope,
        generation: route.generation(),
        findings: Findings::new(memo.reference.clone()),
    };
    let mut entries: Vec<ParentStatus> = Vec::new();
    for (index, reference) in route.spec().parent_refs.iter().enumerate() {
        let Some(parent) = memo.parents.get(index) else {
            continue;
        };
        let repeated = entries.iter().any(|entry| entry.parent_ref == *reference);
        if let Some(entry) = standing.entry(index, reference, parent)
            && !repeated
        {
            entries.push(entry);
        }
    }
    let controllers = [
        scope.gateway_controller.as_str(),
        scope.mesh_controller.as_str(),
    ];
    let old = route.status();
    let had = |entry: &ParentStatus| controllers.contains(&entry.controller_name.as_str());
    let ours = !entries.is_empty() || old.parents.iter().any(had);
    let status = ours.then(|| merge_parents(entries, old, controllers));
    let mut all = standing.findings.into_vec();
    all.extend(memo.notes.iter().cloned());
    for mode in [ParentMode::Gateway, ParentMode::Mesh] {
        all.extend(
            memo.compiled(mode)
                .into_iter()
                .flat_map(|it| it.notes.iter().cloned()),
        );
    }
    // Both modes find the same in the same rules.
    all.sort();
    all.dedup();
    (status, all)
}

/// Whether the route is not accepted by a Service port of which one of these groups is: what becomes
/// of its clients depends on the routes that are.
pub(crate) fn is_left_out_of(memo: &Memo, groups: &BTreeSet<GroupKey>) -> bool {
    let compiled = memo.compiled(ParentMode::Mesh);
    if compiled.is_none_or(|compiled| compiled.route.accepted.is_ok()) {
        return false;
    }
    let has = |service: &Name, number: u16| {
        let first = GroupKey::Frontend {
            service: service.clone(),
            port: number,
            namespace: Arc::from(""),
        };
        groups.range(first..).next().is_some_and(|key| {
            matches!(key, GroupKey::Frontend { service: other, port, .. }
                if other == service && *port == number)
        })
    };
    memo.parents.iter().any(|parent| match parent {
        Parent::Service(service, Ok(ports)) => ports.iter().any(|port| has(service, *port)),
        _ => false,
    })
}

/// Whether a route acts at a parent, in words, or why not.
type Verdict = Result<String, Rejection>;

struct Standing<'a> {
    memo: &'a Memo,
    groups: &'a Groups,
    tables: &'a Tables,
    scope: &'a Scope,
    generation: Option<i64>,
    findings: Findings,
}

impl Standing<'_> {
    fn entry(
        &mut self,
        index: usize,
        reference: &ParentReference,
        parent: &Parent,
    ) -> Option<ParentStatus> {
        let mode = parent.mode()?;
        let compiled = self.memo.compiled(mode)?;
        let accepted = self.accepted(index, parent, compiled);
        let controller = match mode {
            ParentMode::Gateway => &self.scope.gateway_controller,
            ParentMode::Mesh => &self.scope.mesh_controller,
        };
        Some(ParentStatus {
            parent_ref: reference.clone(),
            controller_name: controller.clone(),
            conditions: self.conditions(&accepted, compiled),
        })
    }

    fn conditions(&self, accepted: &Verdict, compiled: &Compiled) -> Vec<Condition> {
        let generation = self.generation;
        let resolved = compiled.route.resolved_refs.as_ref();
        let resolved = resolved.map(|()| "every reference can be used");
        let mut conditions = vec![
            verdict(
                ConditionType::Accepted,
                Reason::Accepted,
                accepted.as_deref(),
                generation,
            ),
            verdict(
                ConditionType::ResolvedRefs,
                Reason::ResolvedRefs,
                resolved,
                generation,
            ),
        ];
        if let (Ok(_), Some(dropped)) = (accepted, &compiled.route.partially_invalid) {
            let type_ = ConditionType::PartiallyInvalid;
            conditions.push(with_rejection(
                type_,
                ConditionStatus::True,
                dropped,
                generation,
            ));
        }
        conditions
    }

    /// Attachment decides first, then the content of the route, then the other kinds on the port.
    fn accepted(&mut self, index: usize, parent: &Parent, compiled: &Compiled) -> Verdict {
        let attached = match parent {
            Parent::Foreign => return Ok(String::new()),
            Parent::NotBuilt(rejection)
            | Parent::Gateway(_, Err(rejection))
            | Parent::Service(_, Err(rejection)) => return Err(rejection.clone()),
            Parent::Gateway(name, Ok(attachments)) => on_gateway(name, attachments),
            Parent::Service(service, Ok(ports)) => {
                if let Err(refused) = &compiled.route.accepted {
                    self.note_unrouted(index, service, ports);
                    return Err(refused.clone());
                }
                self.on_service(index, service, ports)?
            }
        };
        compiled.route.accepted.clone()?;
        Ok(attached + &self.losses(parent))
    }

    fn frontend(&self, service: &Name, port: u16) -> GroupKey {
        let namespace = self.memo.id.name.namespace.clone();
        GroupKey::Frontend {
            service: service.clone(),
            port,
            namespace,
        }
    }

    /// One kind of route acts on a port. A route acts as long as one port is left to it.
    fn on_service(&mut self, index: usize, service: &Name, ports: &[u16]) -> Verdict {
        let kind = self.memo.id.kind;
        let wins = |port: &u16| {
            let group = self.groups.get(&self.frontend(service, *port));
            group.is_some_and(|group| group.winner() == Some(kind))
        };
        let (won, lost): (Vec<u16>, Vec<u16>) = ports.iter().copied().partition(wins);
        if !lost.is_empty() {
            let message = format!(
                "a GRPCRoute takes precedence over the {kind} on {} of Service {service}",
                list(&lost)
            );
            let at = format!("spec.parentRefs[{index}]");
            self.findings
                .add(&notes::KIND_CONFLICT, at, message.as_str());
            if won.is_empty() {
                return Err(Rejection::new(Reason::Conflicted.as_str(), message));
            }
        }
        let own = self.memo.id.name.namespace.clone();
        let clients = if own == service.namespace {
            "clients of every namespace".to_owned()
        } else {
            self.note_replaced(index, service, &won);
            format!("clients of namespace {own}")
        };
        let mut message = format!("acts on {} of Service {service} for {clients}", list(&won));
        if !lost.is_empty() {
            message.push_str(&format!("; {} taken by a GRPCRoute", list(&lost)));
        }
        Ok(message)
    }

    /// A route that is not accepted is ignored in a mesh; if no other acts, its clients reach the
    /// Service as if nothing had been asked for. That is the specification's choice, not the user's.
    fn note_unrouted(&mut self, index: usize, service: &Name, ports: &[u16]) {
        let own = &self.memo.id.name.namespace;
        let table = self.tables.services.get(service);
        let passes = |port: &&u16| {
            let frontend = table.and_then(|table| table.port(**port));
            frontend.is_some_and(|frontend| {
                matches!(frontend.group(own), Group::PassThrough) && frontend.fault.is_none()
            })
        };
        let unrouted: Vec<u16> = ports.iter().filter(passes).copied().collect();
        if unrouted.is_empty() {
            return;
        }
        let clients = if *own == service.namespace {
            "every namespace without routes of its own".to_owned()
        } else {
            format!("namespace {own}")
        };
        let message = format!(
            "the route is not accepted and no other acts on {} of Service {service}: the traffic of \
             clients of {clients} passes to the Service unrouted",
            list(&unrouted),
        );
        let at = format!("spec.parentRefs[{index}]");
        self.findings.add(&notes::UNROUTED, at, message);
    }

    /// Consumer routes replace the producer's for their namespace, which may come as a surprise.
    fn note_replaced(&mut self, index: usize, service: &Name, ports: &[u16]) {
        let producer = |port: &&u16| {
            let (service, namespace) = (service.clone(), service.namespace.clone());
            self.groups
                .get(&GroupKey::Frontend {
                    service,
                    port: **port,
                    namespace,
                })
                .is_some()
        };
        let replaced: Vec<u16> = ports.iter().filter(producer).copied().collect();
        if !replaced.is_empty() {
            let message = format!(
                "clients of namespace {} use this route on {} of Service {service} and not the \
                 routes of namespace {}",
                self.memo.id.name.namespace,
                list(&replaced),
                service.namespace,
            );
            let at = format!("spec.parentRefs[{index}]");
            self.findings.add(&notes::CONSUMER_OVERRIDES, at, message);
        }
    }

    /// Rules that lose to equal matches at this parent, as an addition to the message. A rule that
    /// wins nowhere is named there; one that loses in part is only a finding.
    fn losses(&mut self, parent: &Parent) -> String {
        let kind = self.memo.id.kind;
        let acting = |group: &&group::Group| group.winner().is_none_or(|winner| winner == kind);
        let keys = group_keys(parent, &self.memo.id);
        let groups: Vec<&group::Group> = keys
            .iter()
            .filter_map(|(key, _)| self.groups.get(key))
            .filter(acting)
            .collect();
        let mut rules: BTreeMap<u16, (usize, String)> = BTreeMap::new();
        for group in &groups {
            for loss in group.losses(&self.memo.id) {
                let (route, rule) = &loss.winner;
                let advantage = loss.advantage.as_str();
                let winner = format!("{route} rule {rule} has equal matches and {advantage}");
                let (totals, _) = rules.entry(loss.rule).or_insert_with(|| (0, winner));
                *totals += usize::from(loss.total);
            }
        }
        let mut message = String::new();
        for (rule, (totals, winner)) in rules {
            let at = format!("spec.rules[{rule}]");
            if totals == groups.len() {
                let text = format!("rule {rule} never wins: {winner}");
                message.push_str(&format!("; {text}"));
                self.findings.add(&notes::SHADOWED, at, text);
            } else {
                let text = format!("rule {rule} loses some requests: {winner}");
                self.findings.add(&notes::TIE_BY_AGE, at, text);
            }
        }
        message
    }
}

/// The listeners that hold the route, those that cannot serve yet apart.
fn on_gateway(name: &Name, attachments: &[Attachment]) -> String {
    let names = |serves: bool| {
        let attached = attachments.iter().filter(|it| it.serves == serves);
        let names: Vec<_> = attached.map(|it| format!("{:?}", it.listener)).collect();
        names.join(", ")
    };
    match (names(true), names(false)) {
        (ready, bare) if bare.is_empty() => format!("served by listener {ready} of Gateway {name}"),
        (ready, bare) if ready.is_empty() => format!(
            "attached to listener {bare} of Gateway {name}, which has no usable certificate"
        ),
        (ready, bare) => format!(
            "served by listener {ready} of Gateway {name}; listener {bare} has no usable certificate"
        ),
    }
}

fn list(ports: &[u16]) -> String {
    let numbers: Vec<_> = ports.iter().map(u16::to_string).collect();
    let word = if numbers.len() == 1 { "port" } else { "ports" };
    format!("{word} {}", numbers.join(", "))
}
