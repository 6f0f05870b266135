//! `weft uninstall`: a cluster is as it was before the installation, and nobody is cut off by mistake.

use serde_json::{Value, json};
use weft_api::Kind;
use weft_tests::fakeapi::{FakeApi, Fault};

use super::{Ran, SHOP, apply, cluster, install, weft};

/// What the control plane makes: for itself, and for Gateway shop/edge.
const MADE: &str = "
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: weft-controller, namespace: weft-system}
spec: {holderIdentity: one}
---
apiVersion: v1
kind: Secret
metadata: {name: weft-ca, namespace: weft-system}
type: Opaque
---
apiVersion: v1
kind: ConfigMap
metadata: {name: weft-root, namespace: shop}
data: {root.pem: PEM}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: edge-weft
  namespace: shop
  labels:
    app.kubernetes.io/component: gateway
    app.kubernetes.io/managed-by: weft
    app.kubernetes.io/part-of: weft
---
apiVersion: v1
kind: Service
metadata:
  name: edge-weft
  namespace: shop
  labels:
    app.kubernetes.io/component: gateway
    app.kubernetes.io/managed-by: weft
    app.kubernetes.io/part-of: weft
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: edge-weft
  namespace: shop
  labels:
    app.kubernetes.io/component: gateway
    app.kubernetes.io/managed-by: weft
    app.kubernetes.io/part-of: weft
";

/// Objects of others that look a little like ours.
const ALIKE: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: weft-root, namespace: default}
data: {something: else}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: weft-controller, namespace: default}
---
apiVersion: v1
kind: Service
metadata: {name: edge-weft, namespace: default, labels: {app.kubernetes.io/component: gateway}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: other}
spec: {controllerName: example.com/other}
";

/// A cluster with users, then Weft in it.
async fn installed() -> (FakeApi, Vec<Value>) {
    let api = cluster().await;
    apply(&api, SHOP);
    apply(&api, ALIKE);
    let other = json!({ "controllerName": "example.com/other" });
    state(&api, json!({ "parents": [other] }), waiting());
    let before = everything(&api);
    install(&api).await;
    apply(&api, MADE);
    let ours = json!({ "controllerName": "weft.dev/gateway-controller" });
    let accepted = json!({ "type": "Accepted", "status": "True" });
    let served = json!({ "conditions": [accepted], "addresses": [{ "value": "10.0.0.1" }] });
    state(&api, json!({ "parents": [ours, other] }), served);
    (api, before)
}

/// Writes the statuses of HTTPRoute shop/web and Gateway shop/edge.
fn state(api: &FakeApi, route: Value, gateway: Value) {
    api.edit(Kind::HttpRoute, ("shop", "web"), |it| it["status"] = route);
    api.edit(Kind::Gateway, ("shop", "edge"), |it| it["status"] = gateway);
}

/// The status of a Gateway that no controller has seen, as its CRD has it.
fn waiting() -> Value {
    let condition = |type_: &str| {
        json!({ "type": type_, "status": "Unknown", "reason": "Pending",
                "message": "Waiting for controller",
                "lastTransitionTime": "1970-01-01T00:00:00Z" })
    };
    json!({ "conditions": [condition("Accepted"), condition("Programmed")] })
}

/// All objects, without the versions they were stored in.
fn everything(api: &FakeApi) -> Vec<Value> {
    let mut all = api.everything();
    for object in &mut all {
        object["metadata"]["resourceVersion"] = Value::Null;
    }
    all
}

fn deletions(api: &FakeApi) -> Vec<String> {
    let requests = api.requests().into_iter();
    let deleted = requests.filter_map(|it| Some(it.strip_prefix("DELETE ")?.to_owned()));
    deleted.collect()
}

fn check(ran: &Ran, code: i32, said: &str) {
    assert_eq!(ran.code, Some(code), "{}", ran.said());
    assert!(ran.said().contains(said), "{said:?} in {}", ran.said());
}

#[tokio::test]
async fn afterwards_the_cluster_is_as_it_was() {
    let (api, before) = installed().await;
    let ran = weft(&api, "uninstall --yes --stop-gateways").await;
    check(&ran, 0, "nothing of Weft is left in this cluster");
    assert_eq!(everything(&api), before, "{}", ran.said());
    // The proxies of nodes are looked for again among all that is of Weft.
    let mut deleted = deletions(&api);
    deleted.dedup();
    let first = [
        "/apis/apps/v1/namespaces/weft-system/daemonsets/weft-node?",
        "/apis/apps/v1/namespaces/weft-system/deployments/weft-controller?",
    ];
    assert!(
        deleted[0].starts_with(first[0]) && deleted[1].starts_with(first[1]),
        "the mesh first, then nobody puts anything back: {deleted:?}"
    );
    let last = deleted.last().expect("something was deleted");
    assert!(
        last.starts_with("/api/v1/namespaces/weft-system?"),
        "{deleted:?}"
    );
    assert_eq!(ran.stdout.matches("removed ").count(), deleted.len());
    assert_eq!(
        ran.stdout.matches("took back ").count(),
        2,
        "{}",
        ran.said()
    );
    check(
        &weft(&api, "uninstall --yes").await,
        0,
        "nothing of Weft is in this cluster",
    );
}

#[tokio::test]
async fn nothing_goes_without_a_word_from_somebody() {
    let (api, _) = installed().await;
    let rows = [
        ("uninstall --stop-gateways", 3, "add --yes"),
        ("uninstall --yes", 2, "shop/edge"),
        ("uninstall -o json", 3, "add --yes"),
        ("uninstall --yes -n elsewhere", 3, "add -n weft-system"),
        ("uninstall --dry-run", 0, "Deployment shop/edge-weft"),
        ("uninstall --dry-run", 0, "nobody will serve: shop/edge"),
        ("uninstall --dry-run", 0, "status of HTTPRoute shop/web"),
    ];
    for (line, code, said) in rows {
        check(&weft(&api, line).await, code, said);
    }
    assert!(deletions(&api).is_empty(), "{:?}", deletions(&api));
}

#[tokio::test]
async fn what_others_keep_in_the_namespace_keeps_the_namespace() {
    let (api, _) = installed().await;
    let theirs = json!({ "apiVersion": "v1", "kind": "ConfigMap",
                         "metadata": { "name": "theirs", "namespace": "weft-system" } });
    api.apply(theirs);
    let ran = weft(&api, "uninstall --yes --stop-gateways").await;
    check(
        &ran,
        0,
        "Namespace weft-system stays: it holds what is not Weft's: ConfigMap",
    );
    assert!(api.object(Kind::Namespace, "", "weft-system").is_some());
    assert!(
        api.object(Kind::ConfigMap, "weft-system", "theirs")
            .is_some()
    );
    assert!(api.deployment("weft-system", "weft-controller").is_none());
}

#[tokio::test]
async fn what_does_not_go_in_time_is_named() {
    let (api, _) = installed().await;
    api.fault(Fault::StaysAfterDelete("edge-weft".to_owned()));
    let ran = weft(&api, "uninstall --yes --stop-gateways --timeout 300ms").await;
    check(&ran, 5, "still there: Deployment shop/edge-weft");
    let root = api.object(Kind::ConfigMap, "shop", "weft-root");
    assert!(
        root.is_some(),
        "what the proxies need stays as long as they do"
    );
    api.heal();
    let ran = weft(&api, "uninstall --yes --stop-gateways").await;
    check(&ran, 0, "nothing of Weft is left");
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let (api, _) = installed().await;
    api.fault(Fault::Forbidden("clusterroles"));
    let ran = weft(&api, "uninstall --yes --stop-gateways").await;
    check(&ran, 2, "clusterroles.rbac.authorization.k8s.io");
    assert!(
        deletions(&api).is_empty(),
        "and nothing is taken apart halfway"
    );
}

#[tokio::test]
async fn machines_are_told_what_went_and_what_stays() {
    let (api, _) = installed().await;
    api.edit(
        Kind::Service,
        ("weft-system", "weft-controller"),
        |service| {
            service["metadata"]["annotations"] = json!({ "meta.helm.sh/release-name": "mesh" });
        },
    );
    let ran = weft(&api, "uninstall --yes --stop-gateways -o json").await;
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let removed = report["removed"].as_array().expect("a list");
    assert!(
        removed.contains(&"Secret weft-system/weft-ca".into()),
        "{report}"
    );
    assert_eq!(
        report["kept"][0]["object"], "Helm release weft-system/mesh",
        "{report}"
    );
    assert_eq!(report["left"], json!([]));
}

/// What the kubelet of a node makes of the pod that cleans it.
async fn clean(api: &FakeApi) {
    let cleaned = async {
        while api
            .object(Kind::Pod, "weft-system", "weft-node-removal-0")
            .is_none()
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        api.edit(Kind::Pod, ("weft-system", "weft-node-removal-0"), |pod| {
            pod["status"] = json!({ "phase": "Succeeded" });
        });
    };
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, cleaned)
        .await
        .expect("a pod cleans the node");
}

#[tokio::test]
async fn the_mesh_alone_goes_and_everything_else_stays() {
    let (api, _) = installed().await;
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": "one", "labels": { "kubernetes.io/os": "linux" } },
    });
    let member = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": "pay", "labels": { "weft.dev/mesh": "enabled" } },
    });
    api.apply(node);
    let before = everything(&api);
    api.apply(member);
    for (line, code, said) in [
        ("uninstall --mesh-only --yes", 2, "Namespace pay"),
        ("uninstall --mesh-only --end-mesh", 3, "add --yes"),
        (
            "uninstall --mesh-only --dry-run",
            0,
            "files of Weft on node one",
        ),
        (
            "uninstall --mesh-only --dry-run",
            0,
            "in the clear: Namespace pay",
        ),
        ("uninstall --mesh-only --stop-gateways", 3, "cannot be used"),
    ] {
        check(&weft(&api, line).await, code, said);
    }
    assert!(deletions(&api).is_empty(), "{:?}", deletions(&api));
    assert!(api.delete(Kind::Namespace, "", "pay"), "it leaves");
    let (ran, ()) = tokio::join!(weft(&api, "uninstall --mesh-only --yes"), clean(&api));
    check(&ran, 0, "nothing of the mesh is left on any node");
    let mut left = before;
    left.retain(|object| object["kind"] != "DaemonSet");
    assert_eq!(everything(&api), left, "{}", ran.said());
    let again = weft(&api, "uninstall --mesh-only --yes").await;
    check(&again, 0, "there is no mesh of Weft");
}
