//! `weft check`: verdicts on a cluster before, during and after an installation, and exit codes.

use serde_json::{Value, json};
use weft_api::Kind;
use weft_tests::fakeapi::{FakeApi, Fault};

use super::{Ran, SHOP, apply, cluster, install, weft};

fn condition(type_: &str) -> Value {
    json!({ "type": type_, "status": "True", "reason": type_, "observedGeneration": 1 })
}

/// Does what kubelets, a load balancer and the control plane would do.
async fn run(api: &FakeApi) {
    apply(api, SHOP);
    install(api).await;
    let proxies = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": { "name": "weft-node", "namespace": "weft-system" },
        "status": {
            "desiredNumberScheduled": 1, "numberReady": 1, "updatedNumberScheduled": 1,
        },
    });
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "weft-controller", "namespace": "weft-system" },
        "spec": { "holderIdentity": "one", "leaseDurationSeconds": 10,
                  "renewTime": "2999-01-01T00:00:00.000000Z" },
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "one", "namespace": "weft-system",
                      "labels": { "app.kubernetes.io/name": "weft-controller" } },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    });
    [proxies, lease, pod]
        .into_iter()
        .for_each(|object| api.apply(object));
    let mut controller = api
        .deployment("weft-system", "weft-controller")
        .expect("installed");
    controller["status"] = json!({ "readyReplicas": 2, "updatedReplicas": 2 });
    api.apply(controller);
    api.edit(Kind::GatewayClass, ("", "weft"), |class| {
        class["status"] = json!({ "conditions": [condition("Accepted")] });
    });
    api.edit(Kind::Gateway, ("shop", "edge"), |gateway| {
        gateway["status"] = json!({
            "addresses": [{ "value": "10.0.0.1" }],
            "conditions": [condition("Accepted"), condition("Programmed")],
        });
    });
    let uid =
        api.object(Kind::Gateway, "shop", "edge").expect("applied")["metadata"]["uid"].clone();
    let metadata = json!({ "name": "edge-weft", "namespace": "shop",
                           "ownerReferences": [{ "uid": uid }] });
    let image = concat!("ghcr.io/weft-mesh/weft-proxy:", env!("CARGO_PKG_VERSION"));
    api.apply(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata.clone() }));
    api.apply(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": { "replicas": 1, "template": { "spec": { "containers": [{ "image": image }] } } },
        "status": { "readyReplicas": 1, "updatedReplicas": 1 },
    }));
}

/// The verdict on a code in the JSON form.
fn verdict(ran: &Ran, code: &str) -> String {
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("a list").iter();
    let mut found = checks.filter(|check| check["code"] == code);
    let check = found
        .next()
        .unwrap_or_else(|| panic!("no {code} in {report:#}"));
    check["verdict"].as_str().expect("a word").to_owned()
}

#[tokio::test]
async fn a_running_installation_has_nothing_wrong_with_it() {
    let api = cluster().await;
    run(&api).await;
    let ran = weft(&api, "check").await;
    // The policy that comes with the CRDs is not in this cluster.
    assert_eq!(ran.code, Some(1), "{}", ran.said());
    assert!(ran.stdout.contains("1 warning"), "{}", ran.said());
    assert!(ran.stdout.contains("WC106"), "{}", ran.said());
    for code in [
        "WC101", "WC103", "WC201", "WC202", "WC211", "WC801", "WC802", "WC805",
    ] {
        assert!(
            ran.stdout.contains(&format!("good    {code}")),
            "{code} in {}",
            ran.said()
        );
    }
    let allowed = weft(&api, "check --allow-warnings").await;
    assert_eq!(allowed.code, Some(0), "{}", allowed.said());
    let one = weft(&api, "check --gateway shop/edge").await;
    assert_eq!(one.code, Some(0), "{}", one.said());
    let none = weft(&api, "check --gateway shop/none").await;
    assert_eq!(none.code, Some(2), "{}", none.said());
}

#[tokio::test]
async fn before_an_installation_only_what_it_needs_is_judged() {
    let api = cluster().await;
    let ran = weft(&api, "check --pre -o json").await;
    assert_eq!(verdict(&ran, "WC107"), "good");
    assert!(!ran.stdout.contains("WC201"), "{}", ran.said());
    api.fault(Fault::Forbidden("clusterroles"));
    let ran = weft(&api, "check --pre -o json").await;
    assert_eq!(verdict(&ran, "WC107"), "error");
    api.withdraw(Kind::Gateway);
    let ran = weft(&api, "check --pre -o json").await;
    assert_eq!(verdict(&ran, "WC103"), "error");
    assert_eq!(ran.code, Some(2), "{}", ran.said());
}

#[tokio::test]
async fn exit_codes_are_those_that_are_documented() {
    let mut api = cluster().await;
    let rows = [
        ("check", Some(2), "weft install"),
        ("check --wait 10ms", Some(5), "WC201"),
        ("check --list", Some(0), "WC805"),
        ("check -o markdown", Some(3), "no output markdown"),
        ("check --pre --gateway a/b", Some(3), "cannot be used"),
        ("check -o junit", Some(2), "<failure type=\"WC201\""),
        ("check --kubeconfig nowhere", Some(4), "nowhere"),
    ];
    for (line, code, said) in rows {
        let ran = weft(&api, line).await;
        assert_eq!(ran.code, code, "{line}: {}", ran.said());
        assert!(ran.said().contains(said), "{line}: {}", ran.said());
    }
    api.stop().await;
    let ran = weft(&api, "check").await;
    assert_eq!(ran.code, Some(4), "{}", ran.said());
    assert!(ran.stdout.contains("error   WC101"), "{}", ran.said());
}

#[tokio::test]
async fn what_may_not_be_looked_at_is_skipped_and_says_why() {
    let api = cluster().await;
    run(&api).await;
    api.fault(Fault::Forbidden("pods"));
    api.fault(Fault::Forbidden("clusterrolebindings"));
    let ran = weft(&api, "check -o json").await;
    assert_eq!(verdict(&ran, "WC203"), "skipped");
    assert_eq!(verdict(&ran, "WC211"), "skipped");
    assert_eq!(verdict(&ran, "WC201"), "good");
    assert_eq!(
        ran.code,
        Some(1),
        "only the warning of before: {}",
        ran.said()
    );
}
