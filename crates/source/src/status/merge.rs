//! `lastTransitionTime` of conditions: kept while a condition's status stays the same, whatever
//! list of conditions it stands in.

use serde_json::{Map, Value};
use weft_api::Condition;
use weft_api::conditions;
use weft_api::meta::Time;

/// Field that holds conditions.
const CONDITIONS: &str = "conditions";
/// Fields that say which of several entries an entry is: those of parents and ancestors of routes
/// and policies, and of listeners.
const IDENTITY: &[&str] = &["parentRef", "ancestorRef", "controllerName", "name"];

/// Gives every condition below `wanted` its transition time, given what was written before.
pub(crate) fn transition_times(wanted: &mut Value, before: &Value, now: &Time) {
    match wanted {
        Value::Object(fields) => {
            for (name, field) in fields {
                let before = before.get(name).unwrap_or(&Value::Null);
                if name == CONDITIONS {
                    conditions_times(field, before, now);
                } else {
                    transition_times(field, before, now);
                }
            }
        }
        Value::Array(items) => {
            let before = before.as_array().map(Vec::as_slice).unwrap_or_default();
            for item in items {
                let same = |other: &&Value| is_same(item, other);
                let before = before.iter().find(same).unwrap_or(&Value::Null);
                transition_times(item, before, now);
            }
        }
        _ => {}
    }
}

fn conditions_times(wanted: &mut Value, before: &Value, now: &Time) {
    let read =
        |value: &Value| -> Option<Vec<Condition>> { serde_json::from_value(value.clone()).ok() };
    // What cannot be read is no list of conditions and stays as it is.
    let Some(list) = read(wanted) else { return };
    let merged = conditions::merge(&read(before).unwrap_or_default(), list, now);
    if let Ok(merged) = serde_json::to_value(merged) {
        *wanted = merged;
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    let (Value::Object(one), Value::Object(other)) = (one, other) else {
        return false;
    };
    let field = |fields: &Map<String, Value>, name: &str| fields.get(name).cloned();
    IDENTITY
        .iter()
        .all(|name| field(one, name) == field(other, name))
}
