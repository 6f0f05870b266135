//! What of a status has to be written, given what is there. Pure.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};
use weft_api::meta::Time;
use weft_api::workload::{CAPTURED, CAPTURED_ADDRESSES, CAPTURED_REASON};
use weft_api::{ConditionType, GATEWAY_GROUP, Kind};

use crate::status::transition_times;

/// Fields of lists that several controllers share, an entry each.
const SHARED_LISTS: &[&str] = &["parents", "ancestors"];
const CONDITIONS: &str = "conditions";
/// Annotations of Pods that are ours to write and to remove.
const ANNOTATIONS: &[&str] = &[CAPTURED, CAPTURED_REASON, CAPTURED_ADDRESSES];

/// Fields of a kind's status that are ours to write and to remove.
fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::GatewayClass | Kind::XMesh => &[CONDITIONS, "supportedFeatures"],
        Kind::Gateway => &["addresses", CONDITIONS, "listeners", "attachedListenerSets"],
        Kind::ListenerSet => &[CONDITIONS, "listeners"],
        Kind::HttpRoute | Kind::GrpcRoute | Kind::TlsRoute | Kind::TcpRoute | Kind::UdpRoute => {
            &["parents"]
        }
        Kind::XBackend => &["parents"],
        Kind::BackendTlsPolicy | Kind::XBackendTrafficPolicy => &["ancestors"],
        Kind::Namespace
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::Pod
        | Kind::ServiceAccount
        | Kind::Secret
        | Kind::ConfigMap
        | Kind::ReferenceGrant => &[],
    }
}

/// Whether entries of other controllers stand in a status.
pub(super) fn has_foreign_entries(status: &Value, own: &[String]) -> bool {
    let lists = SHARED_LISTS.iter().filter_map(|list| status.get(list));
    lists.flat_map(entries).any(|entry| !is_own(entry, own))
}

/// The fields of the status that differ, as a merge patch: null removes one. Empty when all is
/// well.
///
/// Entries of other controllers, and conditions of types we do not know, are taken from what is
/// there. Transition times move with the status of their condition only.
pub(super) fn changes(
    kind: Kind,
    (before, wanted): (&Value, &Value),
    own: &[String],
    now: &Time,
) -> Map<String, Value> {
    let mut changed = Map::new();
    for field in fields(kind) {
        let old = before.get(field).unwrap_or(&Value::Null);
        let new = wanted.get(field).unwrap_or(&Value::Null);
        let new = if SHARED_LISTS.contains(field) {
            merge_entries(old, new, own, now)
        } else {
            merge_field(field, old, new, now)
        };
        if !is_same(old, &new) {
            changed.insert((*field).to_owned(), new);
        }
    }
    changed
}

/// Annotations of ours that differ, as a merge patch: null removes one. Empty when all is well.
pub(super) fn annotations(before: &Value, wanted: &Value) -> Map<String, Value> {
    let differs = |key: &&&str| before.get(key) != wanted.get(key);
    let changed = ANNOTATIONS.iter().filter(differs);
    let wanted = |key: &&str| wanted.get(key).cloned().unwrap_or_default();
    changed
        .map(|key| ((*key).to_owned(), wanted(key)))
        .collect()
}

/// Absent and empty mean the same.
fn is_same(old: &Value, new: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    old == new || (is_empty(old) && is_empty(new))
}

/// A list of entries: ours in the place of those that were ours, new ones behind.
fn merge_entries(old: &Value, new: &Value, own: &[String], now: &Time) -> Value {
    let mut ours: Vec<&Value> = entries(new).filter(|entry| is_own(entry, own)).collect();
    let mut merged = Vec::new();
    for before in entries(old) {
        if !is_own(before, own) {
            merged.push(before.clone());
            continue;
        }
        let same = ours.iter().position(|entry| is_same_entry(entry, before));
        if let Some(at) = same {
            let mut entry = merge_conditions_of(ours.remove(at), before, now);
            // Defaults the server put into the reference stay, or each write would undo them.
            for reference in ["parentRef", "ancestorRef"] {
                if let Some(before) = before.get(reference) {
                    entry[reference] = before.clone();
                }
            }
            merged.push(entry);
        }
    }
    let new = ours
        .into_iter()
        .map(|entry| merge_conditions_of(entry, &Value::Null, now));
    merged.extend(new);
    Value::Array(merged)
}

fn merge_field(field: &str, old: &Value, new: &Value, now: &Time) -> Value {
    match field {
        CONDITIONS => merge_conditions(old, new, now),
        "listeners" => {
            let merged = entries(new).map(|listener| {
                let same = |before: &&Value| before.get("name") == listener.get("name");
                let before = entries(old).find(same).unwrap_or(&Value::Null);
                merge_conditions_of(listener, before, now)
            });
            Value::Array(merged.collect())
        }
        _ => new.clone(),
    }
}

fn merge_conditions_of(entry: &Value, before: &Value, now: &Time) -> Value {
    let mut merged = entry.clone();
    if let Value::Object(fields) = &mut merged {
        let new = fields.remove(CONDITIONS).unwrap_or_default();
        let old = before.get(CONDITIONS).unwrap_or(&Value::Null);
        fields.insert(CONDITIONS.to_owned(), merge_conditions(old, &new, now));
    }
    merged
}

/// Our conditions as wanted, those of others as they are, in the order they had.
fn merge_conditions(old: &Value, new: &Value, now: &Time) -> Value {
    let ours = entries(new).filter(|condition| is_known(condition));
    let mut wanted = json!({ CONDITIONS: ours.collect::<Vec<_>>() });
    transition_times(&mut wanted, &json!({ CONDITIONS: old }), now);
    let mut merged: Vec<Value> = match wanted[CONDITIONS].take() {
        Value::Array(merged) => merged,
        _ => Vec::new(),
    };
    for condition in &mut merged {
        if let Value::Object(fields) = condition {
            // The schema demands both, be they empty.
            for field in ["reason", "message"] {
                fields.entry(field).or_insert_with(|| "".into());
            }
        }
    }
    let others = entries(old).filter(|condition| !is_known(condition));
    merged.extend(others.cloned());
    let place = |condition: &Value| {
        let same = |before: &Value| before.get("type") == condition.get("type");
        entries(old).position(same).unwrap_or(usize::MAX)
    };
    merged.sort_by_key(place);
    Value::Array(merged)
}

fn entries(list: &Value) -> std::slice::Iter<'_, Value> {
    list.as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
}

fn is_known(condition: &Value) -> bool {
    let type_ = condition.get("type").and_then(Value::as_str);
    ConditionType::ALL
        .iter()
        .any(|known| type_ == Some(known.as_str()))
}

fn is_own(entry: &Value, own: &[String]) -> bool {
    let controller = entry.get("controllerName").and_then(Value::as_str);
    controller.is_some_and(|name| own.iter().any(|own| own == name))
}

/// Whether two entries are about the same parent or ancestor by the same controller.
fn is_same_entry(one: &Value, other: &Value) -> bool {
    one.get("controllerName") == other.get("controllerName")
        && ["parentRef", "ancestorRef"]
            .iter()
            .all(|field| reference(one.get(field)) == reference(other.get(field)))
}

/// A reference with the defaults an API server puts in.
fn reference(value: Option<&Value>) -> Option<Value> {
    let mut reference = value?.clone();
    if let Value::Object(fields) = &mut reference {
        fields
            .entry("group")
            .or_insert_with(|| GATEWAY_GROUP.into());
        fields
            .entry("kind")
            .or_insert_with(|| Kind::Gateway.as_str().into());
    }
    Some(reference)
}
