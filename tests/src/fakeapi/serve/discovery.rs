//! What a scripted API server says it serves (aggregated discovery, KEP-3352).

use std::collections::BTreeMap;

use http::header::{ACCEPT, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::super::state::State;
use super::json_answer;
use crate::body::{Body, full};

/// The catalogue, or «not modified».
pub(super) fn discovery(headers: &HeaderMap, state: &State) -> Response<Body> {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    if !accepts.is_some_and(|accepts| accepts.contains("as=APIGroupDiscoveryList")) {
        return json_answer(&json!({ "kind": "APIGroupList", "groups": [] }));
    }
    let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<Value>>> = BTreeMap::new();
    for resource in state
        .served
        .iter()
        .filter(|resource| state.serves(resource))
    {
        let group = groups.entry(&resource.group).or_default();
        group.entry(&resource.version).or_default().push(json!({
            "resource": resource.plural,
            "responseKind": { "group": resource.group, "version": resource.version, "kind": resource.kind },
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
        }));
    }
    let items = groups
        .into_iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| {
            let versions = versions.into_iter().map(|(version, resources)| {
            json!({ "version": version, "resources": resources, "freshness": "Current" })
        });
            json!({ "metadata": { "name": group }, "versions": versions.collect::<Vec<_>>() })
        });
    let document = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "items": items.collect::<Vec<_>>(),
    });
    let tag = format!("\"{}\"", document.to_string().len());
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes())
    {
        let mut answer = Response::new(full(""));
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return answer;
    }
    let mut answer = json_answer(&document);
    if let Ok(tag) = tag.parse() {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}
