//! What Gateways are given.

use std::time::Duration;

use serde_json::json;
use weft_api::Kind;
use weft_control::deploy::Settings;
use weft_tests::wait::{PATIENCE, eventually};

use super::{CONTROL, NAMESPACE, World, domain};

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
