//! What Gateways are given.

use std::time::Duration;

use serde_json::json;
use weft_api::Kind;
use weft_control::deploy::Settings;
use weft_tests::wait::{PATIENCE, eventually};

use super::{ACCOUNT, CONTROL, NAMESPACE, World, domain};

pub(super) fn settings() -> Option<Settings> {
    Some(Settings {
        image: "proxy:test".to_owned(),
        control_plane: "control.test".to_owned(),
        control_namespace: CONTROL.to_owned(),
        trust_domain: domain(),
        drain_delay: Duration::from_secs(1),
        drain_limit: Duration::from_secs(1),
    })
}

/// Another Gateway of ours, of which nothing is there yet.
fn gateway(port: u16) -> serde_json::Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "namespace": NAMESPACE, "name": "new" },
        "spec": {
            "gatewayClassName": "weft",
            "listeners": [{ "name": "http", "port": port, "protocol": "HTTP" }],
        },
    })
}

#[tokio::test]
async fn a_gateway_is_given_pods_a_service_and_an_account_and_edits_follow() {
    let world = World::start().await;
    world.api.apply(gateway(80));
    let deployment = || world.api.deployment(NAMESPACE, "new-weft");
    eventually(PATIENCE, "a Deployment", || deployment().is_some()).await;
    let account = world
        .api
        .object(Kind::ServiceAccount, NAMESPACE, "new-weft");
    assert!(account.is_some(), "a service account comes before the pods");
    let port = || {
        let service = world.api.object(Kind::Service, NAMESPACE, "new-weft");
        service.and_then(|service| service["spec"]["ports"][0]["port"].as_u64())
    };
    assert_eq!(port(), Some(80));
    world.api.apply(gateway(8080));
    eventually(PATIENCE, "the new port", || port() == Some(8080)).await;
}

#[tokio::test]
async fn what_somebody_else_made_is_left_alone() {
    let world = World::start().await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "namespace": NAMESPACE, "name": "new-weft", "labels": { "of": "them" } },
    });
    world.api.apply(theirs);
    world.api.apply(gateway(80));
    let path = format!("GET /api/v1/namespaces/{NAMESPACE}/serviceaccounts/new-weft");
    let is_seen = || world.api.requests().iter().any(|it| it.starts_with(&path));
    eventually(PATIENCE, "it is looked at", is_seen).await;
    // The next step would be a write of it, or the Service.
    let again = || {
        let requests = world.api.requests();
        requests.iter().filter(|it| it.starts_with(&path)).count() > 1
    };
    eventually(PATIENCE, "it is looked at again", again).await;
    let account = world
        .api
        .object(Kind::ServiceAccount, NAMESPACE, "new-weft");
    let labels = account.map(|account| account["metadata"]["labels"].clone());
    assert_eq!(labels, Some(json!({ "of": "them" })));
    assert_eq!(world.api.deployment(NAMESPACE, "new-weft"), None);
}

/// The Programmed condition of the other Gateway: reason and message.
fn programmed(world: &World) -> String {
    let gateway = world.api.object(Kind::Gateway, NAMESPACE, "new");
    let gateway = gateway.unwrap_or_default();
    let conditions = gateway["status"]["conditions"].as_array().cloned();
    let conditions = conditions.unwrap_or_default();
    let found = conditions.iter().find(|it| it["type"] == "Programmed");
    let text = |field: &str| found.and_then(|it| it[field].as_str()).unwrap_or_default();
    format!("{}: {}", text("reason"), text("message"))
}

#[tokio::test]
async fn what_stands_in_the_way_is_in_the_status() {
    let world = World::start().await;
    world.api.apply(json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "namespace": NAMESPACE, "name": "new-weft" },
    }));
    world.api.apply(gateway(80));
    let is_told = || {
        let told = programmed(&world);
        told.starts_with("Pending") && told.contains("serviceaccounts shop/new-weft exists")
    };
    eventually(PATIENCE, "the status names the object", is_told).await;
}

#[tokio::test]
async fn a_gateway_of_another_class_is_deprived_of_what_it_was_given() {
    let world = World::start().await;
    world.api.apply(gateway(80));
    let deployment = || world.api.deployment(NAMESPACE, "new-weft");
    eventually(PATIENCE, "a Deployment", || deployment().is_some()).await;
    let mut moved = gateway(80);
    moved["spec"]["gatewayClassName"] = json!("far");
    world.api.apply(moved);
    let kinds = [Kind::Service, Kind::ServiceAccount];
    let are_gone = || {
        let is_gone = |kind: Kind| world.api.object(kind, NAMESPACE, "new-weft").is_none();
        deployment().is_none() && kinds.into_iter().all(is_gone)
    };
    eventually(PATIENCE, "all of it is removed", are_gone).await;
    let neighbour = world.api.object(Kind::Service, NAMESPACE, "edge-weft");
    assert!(
        neighbour.is_some(),
        "what its neighbour was given is left alone"
    );
}

#[tokio::test]
async fn what_gateways_were_given_goes_when_their_namespace_begins_to_end() {
    let world = World::start().await;
    world.api.apply(gateway(80));
    let deployment = |name| world.api.deployment(NAMESPACE, name);
    let are_there = || {
        ["new-weft", ACCOUNT]
            .map(deployment)
            .iter()
            .all(Option::is_some)
    };
    eventually(PATIENCE, "Deployments", are_there).await;
    world.api.apply(json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "deletionTimestamp": "2030-01-01T00:00:00Z" },
    }));
    let are_gone = || {
        let is_gone = |name| world.api.object(Kind::Service, NAMESPACE, name).is_none();
        let names = ["new-weft", ACCOUNT];
        names.map(deployment).iter().all(Option::is_none) && names.into_iter().all(is_gone)
    };
    eventually(PATIENCE, "all of it is removed", are_gone).await;
    let gateway = world.api.object(Kind::Gateway, NAMESPACE, "new");
    assert!(gateway.is_some(), "the Gateway is the cluster's to remove");
}

#[tokio::test]
async fn parameters_reach_the_deployment() {
    let world = World::start().await;
    let mut tuned = gateway(80);
    let reference = json!({ "group": "", "kind": "ConfigMap", "name": "big" });
    tuned["spec"]["infrastructure"] = json!({ "parametersRef": reference });
    world.api.apply(tuned);
    world.api.apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "namespace": NAMESPACE, "name": "big" },
        "data": { "replicas": "3" },
    }));
    let replicas = || {
        let deployment = world.api.deployment(NAMESPACE, "new-weft");
        deployment.and_then(|it| it["spec"]["replicas"].as_u64())
    };
    eventually(PATIENCE, "three replicas", || replicas() == Some(3)).await;
}
