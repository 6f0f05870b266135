//! Laws of translation, checked on every fixture.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

use weft_api::{
    Condition, ConditionStatus, ConditionType, ObjectRef, Reason,
    conditions::{Surface, permitted},
    route::ParentStatus,
};
use weft_ir::{Rule, Tables};
use weft_store::Store;
use weft_translate::{Output, Status, Translator, translate};

use super::fixtures;

/// Invariant 3: the order in which objects arrive cannot be seen.
#[test]
fn invariant_3_the_order_of_objects_does_not_matter() {
    for (name, fixture) in fixtures() {
        let output = translate(&fixture.store(), &fixture.scope);
        let reversed = translate(&fixture.store_reversed(), &fixture.scope);
        assert!(
            output == reversed,
            "{name}: last first\n{}",
            disagreement(&reversed, &output)
        );
    }
}

/// Invariant 4: acceptance is decided once. What a status accepts is in the tables, and nothing
/// else is.
#[test]
fn invariant_4_accepted_routes_are_in_the_tables_and_no_others() {
    for (name, fixture) in fixtures() {
        let output = translate(&fixture.store(), &fixture.scope);
        let (accepted, served) = accepted_and_served(&output);
        assert_eq!(
            accepted, served,
            "{name}: accepted routes against routes of the tables"
        );
    }
}

/// The routes that a status accepts, and those that are in the tables.
pub(crate) fn accepted_and_served(output: &Output) -> (BTreeSet<String>, BTreeSet<String>) {
    let accepted: BTreeSet<String> = output
        .statuses
        .iter()
        .filter(|(_, status)| match &***status {
            Status::Route(route) => route.parents.iter().any(is_accepted_here),
            _ => false,
        })
        .map(|(object, _)| object.to_string())
        .collect();
    let served = rules(&output.tables).map(|rule| rule.route.to_string());
    (accepted, served.collect())
}

fn is_accepted_here(parent: &ParentStatus) -> bool {
    let accepted = |condition: &Condition| {
        condition.is(ConditionType::Accepted) && condition.status == ConditionStatus::True
    };
    parent.controller_name.starts_with("weft.dev/") && parent.conditions.iter().any(accepted)
}

fn rules(tables: &Tables) -> impl Iterator<Item = &Arc<Rule>> {
    let ports = tables.gateways.values().flat_map(|gateway| &gateway.ports);
    let listeners = ports
        .flat_map(|port| &port.listeners)
        .map(|listener| &listener.routes);
    let frontends = tables.services.values().flat_map(|service| &service.ports);
    let groups = frontends.flat_map(|port| port.producer.iter().chain(port.consumers.values()));
    listeners.chain(groups).flat_map(|routes| routes.rules())
}

/// Conditions give no reason that the specification does not know there.
#[test]
fn statuses_give_permitted_reasons_only() {
    for (name, fixture) in fixtures() {
        let output = translate(&fixture.store(), &fixture.scope);
        assert_eq!(forbidden_reason(&output), None, "{name}");
    }
}

/// A condition whose reason the specification does not know there.
pub(crate) fn forbidden_reason(output: &Output) -> Option<String> {
    for (object, status) in output.statuses.iter() {
        for (surface, condition) in conditions(status) {
            // Types of other controllers pass through.
            let known = |type_: &&ConditionType| condition.is(**type_);
            let Some(&type_) = ConditionType::ALL.iter().find(known) else {
                continue;
            };
            let reasons = permitted(surface, type_, condition.status);
            let Condition { status, reason, .. } = condition;
            if !reasons.iter().any(|permitted| permitted.as_str() == reason) {
                return Some(format!(
                    "{object}: {type_} is {status:?} for {reason}, permitted {reasons:?}"
                ));
            }
        }
    }
    None
}

/// Every reason that this version can give is shown by a fixture.
#[test]
fn every_reason_of_a_route_is_shown() {
    let mut shown = BTreeSet::new();
    for (_, fixture) in fixtures() {
        let output = translate(&fixture.store(), &fixture.scope);
        for (surface, condition) in output
            .statuses
            .values()
            .flat_map(|status| conditions(status))
        {
            if surface == Surface::Route {
                let Condition {
                    type_,
                    status,
                    reason,
                    ..
                } = condition;
                shown.insert(format!("{type_} {status:?} {reason}"));
            }
        }
    }
    for type_ in [
        ConditionType::Accepted,
        ConditionType::ResolvedRefs,
        ConditionType::PartiallyInvalid,
    ] {
        for status in [ConditionStatus::True, ConditionStatus::False] {
            for &reason in permitted(Surface::Route, type_, status) {
                // The API's comment on PartiallyInvalid names no other reason than
                // UnsupportedValue.
                let said = format!("{type_} {status:?} {reason}");
                let never = (type_, reason)
                    == (ConditionType::PartiallyInvalid, Reason::IncompatibleFilters);
                assert!(never || shown.contains(&said), "no fixture shows {said}");
            }
        }
    }
}

fn conditions(status: &Status) -> Vec<(Surface, &Condition)> {
    match status {
        Status::GatewayClass(class) => of(Surface::GatewayClass, &class.conditions),
        Status::Mesh(mesh) => of(Surface::Mesh, &mesh.conditions),
        Status::Gateway(gateway) => {
            let listeners = gateway.listeners.iter();
            let mut all = of(Surface::Gateway, &gateway.conditions);
            all.extend(listeners.flat_map(|one| of(Surface::Listener, &one.conditions)));
            all
        }
        Status::ListenerSet(set) => {
            let entries = set.listeners.iter();
            let mut all = of(Surface::ListenerSet, &set.conditions);
            all.extend(entries.flat_map(|one| of(Surface::ListenerEntry, &one.conditions)));
            all
        }
        Status::Route(route) => {
            let parents = route.parents.iter();
            parents
                .flat_map(|parent| of(Surface::Route, &parent.conditions))
                .collect()
        }
        Status::Policy(policy) => {
            let ancestors = policy.ancestors.iter();
            ancestors
                .flat_map(|ancestor| of(Surface::Policy, &ancestor.conditions))
                .collect()
        }
    }
}

fn of(surface: Surface, conditions: &[Condition]) -> Vec<(Surface, &Condition)> {
    conditions
        .iter()
        .map(|condition| (surface, condition))
        .collect()
}

/// A translator that saw the objects come one by one, change and go, says what a new one says.
#[test]
fn a_translator_that_lives_agrees_with_a_new_one() {
    for (name, fixture) in fixtures() {
        let wanted = translate(&fixture.store(), &fixture.scope);
        let (mut translator, mut store) = (Translator::default(), Store::default());
        for object in &fixture.objects {
            store.apply(object.clone());
            translator.translate(&store, &fixture.scope);
        }
        let grown = translator.translate(&store, &fixture.scope);
        assert!(
            grown == wanted,
            "{name}: one by one\n{}",
            disagreement(&grown, &wanted)
        );
        for object in &fixture.objects {
            let gone = object.reference();
            store.delete(&gone);
            let less = translator.translate(&store, &fixture.scope);
            let fresh = translate(&store, &fixture.scope);
            assert!(
                less == fresh,
                "{name}: without {gone}\n{}",
                disagreement(&less, &fresh)
            );
            store.apply(object.clone());
        }
        let back = translator.translate(&store, &fixture.scope);
        assert!(
            back == wanted,
            "{name}: with all back\n{}",
            disagreement(&back, &wanted)
        );
    }
}

/// Where two outputs differ, object by object.
fn disagreement(found: &Output, wanted: &Output) -> String {
    let mut lines = Vec::new();
    for (part, found, wanted) in [
        ("status", debug(&found.statuses), debug(&wanted.statuses)),
        ("findings", debug(&found.notes), debug(&wanted.notes)),
    ] {
        for object in found.keys().chain(wanted.keys()).collect::<BTreeSet<_>>() {
            let (found, wanted) = (found.get(object), wanted.get(object));
            if found != wanted {
                lines.push(format!(
                    "{part} of {object}\n  found {found:?}\n  wanted {wanted:?}"
                ));
            }
        }
    }
    if found.tables != wanted.tables {
        lines.push(format!(
            "tables\n  found {:?}\n  wanted {:?}",
            found.tables, wanted.tables
        ));
    }
    lines.join("\n")
}

fn debug<T: Debug>(parts: &BTreeMap<ObjectRef, T>) -> BTreeMap<String, String> {
    parts
        .iter()
        .map(|(object, part)| (object.to_string(), format!("{part:?}")))
        .collect()
}
