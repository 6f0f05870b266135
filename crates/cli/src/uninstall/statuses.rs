//! What we have said in the statuses of users' objects, and taking it back: nobody stands behind it any
//! more. What other controllers say stays.

use std::fmt;

use serde_json::{Value, json};
use weft_source::kube::{Cluster, Resource, Selection};
use weft_translate::Scope;

use super::inventory::{GATEWAYS, resource};
use crate::{
    cluster::{self, name, text},
    exit::Failure,
};

const GROUP: &str = "gateway.networking.k8s.io/v1";

/// Kinds whose statuses say by whom each of their entries is, and the field that holds these.
const SHARED: &[(&str, Resource, &str)] = &[
    ("HTTPRoute", resource(GROUP, "httproutes"), "parents"),
    ("GRPCRoute", resource(GROUP, "grpcroutes"), "parents"),
    ("TLSRoute", resource(GROUP, "tlsroutes"), "parents"),
    ("TCPRoute", resource(GROUP, "tcproutes"), "parents"),
    ("UDPRoute", resource(GROUP, "udproutes"), "parents"),
    (
        "BackendTLSPolicy",
        resource(GROUP, "backendtlspolicies"),
        "ancestors",
    ),
];

/// Something we have said about an object.
#[derive(Debug)]
pub(super) struct Statement {
    kind: &'static str,
    resource: Resource,
    object: Value,
    /// What the status is without it, as a merge patch.
    without: Value,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status of {} {}", self.kind, name(&self.object))
    }
}

impl Statement {
    /// Takes it back, unless the object has changed since.
    ///
    /// # Errors
    /// The API server does not take it.
    pub(super) async fn take_back(&self, cluster: &Cluster) -> Result<bool, Failure> {
        let namespace = text(&self.object, "/metadata/namespace");
        let place = self
            .resource
            .place(namespace, text(&self.object, "/metadata/name"));
        let seen = text(&self.object, "/metadata/resourceVersion");
        let merged = cluster.merge_status(&place, seen, &self.without).await;
        merged.map_err(cluster::failure)
    }
}

/// Everything we have said; `gateways` are the Gateways that are ours.
///
/// # Errors
/// The API server does not say.
pub(super) async fn find(
    cluster: &Cluster,
    gateways: &[String],
) -> Result<Vec<Statement>, Failure> {
    let all = Selection::default();
    let scope = Scope::standalone();
    let ours = [scope.gateway_controller, scope.mesh_controller];
    let mut found = Vec::new();
    for (kind, resource, field) in SHARED {
        let objects = cluster.find(*resource, all).await;
        for object in objects.map_err(cluster::failure)? {
            if let Some(without) = without_entries(&object, field, &ours) {
                found.push(Statement {
                    kind,
                    resource: *resource,
                    object,
                    without,
                });
            }
        }
    }
    let objects = cluster
        .find(GATEWAYS, all)
        .await
        .map_err(cluster::failure)?;
    for object in objects {
        let without = without_verdicts(&object).filter(|_| gateways.contains(&name(&object)));
        found.extend(without.map(|without| Statement {
            kind: "Gateway",
            resource: GATEWAYS,
            object,
            without,
        }));
    }
    Ok(found)
}

/// The entries of others; `None` when there are no others.
fn without_entries(object: &Value, field: &str, ours: &[String]) -> Option<Value> {
    let entries = object.pointer(&format!("/status/{field}"))?.as_array()?;
    let is_ours = |entry: &&Value| ours.iter().any(|it| it == text(entry, "/controllerName"));
    let others: Vec<&Value> = entries.iter().filter(|entry| !is_ours(entry)).collect();
    (others.len() < entries.len()).then(|| json!({ field: others }))
}

/// The status of a Gateway as its CRD has it before any controller has seen it; `None` when it is that
/// already.
fn without_verdicts(gateway: &Value) -> Option<Value> {
    let conditions = gateway.pointer("/status/conditions")?.as_array()?;
    let is_untouched = |it: &Value| text(it, "/status") == "Unknown";
    if conditions.iter().all(is_untouched) {
        return None;
    }
    let waiting = ["Accepted", "Programmed"].map(|type_| {
        json!({
            "type": type_, "status": "Unknown", "reason": "Pending",
            "message": "Waiting for controller", "lastTransitionTime": "1970-01-01T00:00:00Z",
        })
    });
    // Conditions of others have a domain in front.
    let is_foreign = |it: &&Value| {
        let type_ = text(it, "/type");
        type_.contains('/') && !type_.starts_with("weft.dev/")
    };
    let mut kept: Vec<Value> = conditions.iter().filter(is_foreign).cloned().collect();
    kept.extend(waiting);
    Some(json!({
        "conditions": kept, "addresses": null, "listeners": null, "attachedListenerSets": null,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_others_stay() {
        let ours = ["weft.dev/gateway-controller".to_owned()];
        let entry = |controller: &str| json!({ "controllerName": controller });
        let (own, other) = (entry(&ours[0]), entry("example.com/other"));
        let object = |parents: &[&Value]| json!({ "status": { "parents": parents } });
        let rows = [
            (object(&[&own, &other]), Some(json!({ "parents": [other] }))),
            (object(&[&own]), Some(json!({ "parents": [] }))),
            (object(&[&other]), None),
            (json!({}), None),
        ];
        for (object, expected) in rows {
            assert_eq!(
                without_entries(&object, "parents", &ours),
                expected,
                "{object}"
            );
        }
    }

    #[test]
    fn a_gateway_waits_for_a_controller_again() {
        let condition = |type_: &str| json!({ "type": type_, "status": "True" });
        let foreign = condition("example.com/Known");
        let conditions = [
            condition("Accepted"),
            condition("weft.dev/Applied"),
            foreign.clone(),
        ];
        let gateway = json!({ "status": { "conditions": conditions } });
        let without = without_verdicts(&gateway).expect("something was said");
        assert_eq!(without["conditions"][0], foreign);
        assert_eq!(without["conditions"].as_array().map(Vec::len), Some(3));
        let before = json!({ "status": { "conditions": [{ "status": "Unknown" }] } });
        assert_eq!(without_verdicts(&before), None);
    }
}
