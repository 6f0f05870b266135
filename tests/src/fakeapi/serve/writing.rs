//! Writes to a scripted API server: creates, and merge patches of objects and statuses.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::super::Shared;
use super::super::fault::Fault;
use super::super::state::State;
use super::{Target, get, json_answer, status};
use crate::body::Body;

/// Whether a patch is a server-side apply, which makes what is not there. What is there is merged
/// with: nobody else owns fields here.
pub(super) fn is_apply(headers: &HeaderMap) -> bool {
    let type_ = headers.get(CONTENT_TYPE);
    type_.is_some_and(|type_| type_ == "application/apply-patch+yaml")
}

/// Stores a new object.
pub(super) fn create(shared: &Shared, target: &Target, object: Value) -> Response<Body> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.unwrap_or_default().to_owned();
    let exists = |state: &State| {
        state
            .get(&target.resource, &target.namespace, &name)
            .is_some()
    };
    if exists(&shared.state()) {
        return status(StatusCode::CONFLICT, "AlreadyExists", "it exists");
    }
    shared.change(|state| state.apply(object));
    let state = shared.state();
    let created = state.get(&target.resource, &target.namespace, &name);
    json_answer(created.unwrap_or(&Value::Null))
}

/// Merges into an object, or into its status alone.
pub(super) fn patch(shared: &Shared, target: &Target, patch: &Value) -> Response<Body> {
    let mut state = shared.state();
    let has_conflict = target.is_status
        && state.take(|fault| match fault {
            Fault::ConflictOnStatus(times) => Some(times),
            _ => None,
        });
    let Some(object) = state.get(&target.resource, &target.namespace, &target.name) else {
        return status(StatusCode::NOT_FOUND, "NotFound", "no such object");
    };
    let asked = patch.pointer("/metadata/resourceVersion");
    let meant = patch.pointer("/metadata/uid");
    if meant.is_some_and(|meant| Some(meant) != object.pointer("/metadata/uid")) {
        let code = StatusCode::UNPROCESSABLE_ENTITY;
        return status(code, "Invalid", "metadata.uid: field is immutable");
    }
    let is_stale =
        asked.is_some_and(|asked| Some(asked) != object.pointer("/metadata/resourceVersion"));
    if has_conflict || is_stale {
        return status(
            StatusCode::CONFLICT,
            "Conflict",
            "the object has been modified",
        );
    }
    let mut patched = object.clone();
    if target.is_status {
        if let Some(status) = patch.get("status") {
            merge(&mut patched["status"], status);
        }
        // What belongs to metadata and is no part of a spec changes with the status.
        let annotations = &patch["metadata"]["annotations"];
        if annotations.is_object() {
            merge(&mut patched["metadata"]["annotations"], annotations);
        }
    } else {
        merge(&mut patched, patch);
    }
    // A real server stores nothing when nothing changes.
    let is_new = patched != *object;
    drop(state);
    if is_new {
        shared.change(|state| {
            state.edit(
                &target.resource,
                &target.namespace,
                &target.name,
                |object| *object = patched,
            );
        });
    }
    get(&shared.state(), target)
}

/// Removes an object, if it is the incarnation that is meant.
pub(super) fn delete(shared: &Shared, target: &Target, options: &Value) -> Response<Body> {
    let state = shared.state();
    let Some(object) = state.get(&target.resource, &target.namespace, &target.name) else {
        return status(StatusCode::NOT_FOUND, "NotFound", "no such object");
    };
    let meant = options.pointer("/preconditions/uid");
    if meant.is_some_and(|meant| Some(meant) != object.pointer("/metadata/uid")) {
        return status(StatusCode::CONFLICT, "Conflict", "another incarnation");
    }
    let name = target.name.clone();
    let object = object.clone();
    let stays = state.has(|fault| matches!(fault, Fault::StaysAfterDelete(it) if *it == name));
    drop(state);
    if !stays {
        shared.change(|state| state.delete(&target.resource, &target.namespace, &name));
    }
    json_answer(&object)
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            if let Value::Object(target) = target {
                target.remove(name);
            }
        } else {
            merge(&mut target[name], value);
        }
    }
}
