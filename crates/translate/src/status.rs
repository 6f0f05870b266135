//! Statuses as they should stand in the API, merged with what other controllers wrote.
//!
//! No time is set here: the writer compares with what is stored and sets `lastTransitionTime` where
//! a condition changed its status.

use weft_api::{
    Condition, ConditionStatus, ConditionType, Reason,
    gateway::{ClassStatus, GatewayStatus, ListenerSetStatus},
    policy::{AncestorStatus, PolicyStatus},
    reference::ParentReference,
    route::{ParentStatus, RouteStatus},
};

use crate::route::Rejection;

#[cfg(test)]
mod tests;

/// The status of one object, complete.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// Of a GatewayClass.
    GatewayClass(ClassStatus),
    /// Of an XMesh.
    Mesh(ClassStatus),
    /// Of a Gateway.
    Gateway(GatewayStatus),
    /// Of a ListenerSet.
    ListenerSet(ListenerSetStatus),
    /// Of a route of any kind.
    Route(RouteStatus),
    /// Of a policy of any kind.
    Policy(PolicyStatus),
}

/// A positive condition: true with its one reason, or false with the reason of the rejection.
pub(crate) fn verdict(
    type_: ConditionType,
    positive: Reason,
    result: Result<&str, &Rejection>,
    generation: Option<i64>,
) -> Condition {
    match result {
        Ok(message) => Condition::new(type_, ConditionStatus::True, positive)
            .message(message)
            .generation(generation),
        Err(rejection) => negative(type_, rejection, generation),
    }
}

/// A false condition.
pub(crate) fn negative(
    type_: ConditionType,
    rejection: &Rejection,
    generation: Option<i64>,
) -> Condition {
    with_rejection(type_, ConditionStatus::False, rejection, generation)
}

/// A condition whose status, reason and message are given.
pub(crate) fn with_rejection(
    type_: ConditionType,
    status: ConditionStatus,
    rejection: &Rejection,
    generation: Option<i64>,
) -> Condition {
    Condition {
        type_: type_.as_str().to_owned(),
        status,
        reason: rejection.reason.to_owned(),
        message: rejection.message.clone(),
        observed_generation: generation,
        ..Condition::default()
    }
}

/// Our conditions, then those of types we do not know, which somebody else owns and which must
/// survive (notes for implementors of every status in the API).
pub(crate) fn keep_foreign(ours: Vec<Condition>, old: &[Condition]) -> Vec<Condition> {
    let mut merged = ours;
    let known = |condition: &Condition| ConditionType::ALL.iter().any(|type_| condition.is(*type_));
    merged.extend(old.iter().filter(|condition| !known(condition)).cloned());
    merged
}

/// The entries of a route's status: those of other controllers as they are, then ours. Entries that
/// were ours and have no parentRef any more are left out.
pub(crate) fn merge_parents(
    ours: Vec<ParentStatus>,
    old: &RouteStatus,
    controllers: [&str; 2],
) -> RouteStatus {
    let own = |entry: &&ParentStatus| controllers.contains(&entry.controller_name.as_str());
    let mut parents: Vec<_> = old
        .parents
        .iter()
        .filter(|entry| !own(entry))
        .cloned()
        .collect();
    parents.reserve_exact(ours.len());
    for mut entry in ours {
        let before = old.parents.iter().filter(own).find(|before| {
            before.controller_name == entry.controller_name && before.parent_ref == entry.parent_ref
        });
        if let Some(before) = before {
            entry.conditions = keep_foreign(entry.conditions, &before.conditions);
        }
        parents.push(entry);
    }
    RouteStatus { parents }
}

/// Most entries that the status of a policy holds (PolicyStatus.ancestors).
const MAX_ANCESTORS: usize = 16;

/// What is said of a policy under one ancestor.
pub(crate) struct Ancestor<'c> {
    /// The ancestor.
    pub(crate) reference: ParentReference,
    /// Which of our controllers says it.
    pub(crate) controller: &'c str,
    /// The verdict.
    pub(crate) conditions: Vec<Condition>,
}

/// The status of a policy: entries of other controllers as they are, then ours, as many as there is
/// room for. `None` when there is nothing to say and nothing of ours to take back.
pub(crate) fn ancestors(
    old: &PolicyStatus,
    ours: Vec<Ancestor<'_>>,
    controllers: &[&str],
) -> Option<PolicyStatus> {
    let own = |entry: &&AncestorStatus| controllers.contains(&entry.controller_name.as_str());
    if ours.is_empty() && !old.ancestors.iter().any(|entry| own(&entry)) {
        return None;
    }
    let foreign = old.ancestors.iter().filter(|entry| !own(entry));
    let mut ancestors: Vec<_> = foreign.cloned().collect();
    let room = MAX_ANCESTORS.saturating_sub(ancestors.len());
    for ancestor in ours.into_iter().take(room) {
        let before = old.ancestors.iter().find(|before| {
            before.controller_name == ancestor.controller
                && before.ancestor_ref == ancestor.reference
        });
        let before = before.map(|before| before.conditions.as_slice());
        ancestors.push(AncestorStatus {
            ancestor_ref: ancestor.reference,
            controller_name: ancestor.controller.to_owned(),
            conditions: keep_foreign(ancestor.conditions, before.unwrap_or_default()),
        });
    }
    Some(PolicyStatus { ancestors })
}
