//! Reading statuses: whose conditions they hold and what is wrong.

use weft_api::{Condition, ConditionStatus, ConditionType, Reason};
use weft_translate::Status;

/// Every condition of a status with what it is about: a parent, a listener, an ancestor, or the
/// object itself (empty).
pub(crate) fn conditions(status: &Status) -> Vec<(String, &Condition)> {
    match status {
        Status::GatewayClass(status) | Status::Mesh(status) => of_object(&status.conditions),
        Status::Gateway(status) => {
            let mut all = of_object(&status.conditions);
            all.extend(of_listeners(&status.listeners));
            all
        }
        Status::ListenerSet(status) => {
            let mut all = of_object(&status.conditions);
            all.extend(of_listeners(&status.listeners));
            all
        }
        Status::Route(status) => {
            let parents = status.parents.iter();
            let each = parents.flat_map(|parent| {
                let about = reference(&parent.parent_ref);
                parent.conditions.iter().map(move |it| (about.clone(), it))
            });
            each.collect()
        }
        Status::Policy(status) => {
            let ancestors = status.ancestors.iter();
            let each = ancestors.flat_map(|ancestor| {
                let about = reference(&ancestor.ancestor_ref);
                ancestor
                    .conditions
                    .iter()
                    .map(move |it| (about.clone(), it))
            });
            each.collect()
        }
    }
}

fn of_object(conditions: &[Condition]) -> Vec<(String, &Condition)> {
    let about = |condition| (String::new(), condition);
    conditions.iter().map(about).collect()
}

fn of_listeners(
    listeners: &[weft_api::gateway::ListenerStatus],
) -> impl Iterator<Item = (String, &Condition)> {
    listeners.iter().flat_map(|listener| {
        let about = format!("listener {}", listener.name);
        listener
            .conditions
            .iter()
            .map(move |it| (about.clone(), it))
    })
}

fn reference(reference: &weft_api::reference::ParentReference) -> String {
    let kind = reference.kind.as_deref().unwrap_or("Gateway");
    let section = reference.section_name.as_ref().map(|it| format!("/{it}"));
    let port = reference.port.map(|it| format!(":{it}"));
    let namespace = reference.namespace.as_ref().map(|it| format!("{it}/"));
    format!(
        "{kind} {}{}{}{}",
        namespace.unwrap_or_default(),
        reference.name,
        section.unwrap_or_default(),
        port.unwrap_or_default()
    )
}

/// Whether `False` means that something is wrong.
pub(crate) fn is_verdict(condition: &Condition) -> bool {
    [
        ConditionType::Accepted,
        ConditionType::ResolvedRefs,
        ConditionType::Programmed,
    ]
    .iter()
    .any(|type_| condition.is(*type_))
}

/// Whether a condition says that something is wrong.
pub(crate) fn is_complaint(condition: &Condition) -> bool {
    let negative = [ConditionType::Conflicted, ConditionType::PartiallyInvalid];
    match condition.status {
        ConditionStatus::False => is_verdict(condition),
        ConditionStatus::True => negative.iter().any(|type_| condition.is(*type_)),
        ConditionStatus::Unknown => true,
    }
}

/// The reason, if it is a word of the API: others never become labels.
pub(crate) fn reason(condition: &Condition) -> Option<&'static str> {
    let known = Reason::ALL.iter().map(|reason| reason.as_str());
    known.into_iter().find(|it| *it == condition.reason)
}
