//! `weft identity` on a cluster: who is who, by which roots, and orders to the authority, none of which
//! needs a key to be shown to anybody.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use weft_api::Kind;
use weft_certs::{Authority, TrustBundle};
use weft_spiffe::TrustDomain;
use weft_tests::fakeapi::{FakeApi, Fault};

use super::{Ran, apply, cluster, weft};

/// A namespace of the mesh with two pods, and a pod outside of it.
const PODS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {weft.dev/mesh: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: plain}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, annotations: {weft.dev/captured: 'true'}}
spec: {nodeName: n1, serviceAccountName: web, containers: []}
status: {phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop}
spec: {nodeName: n2, serviceAccountName: web, containers: []}
status: {phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: plain}
spec: {nodeName: n2, containers: []}
status: {phase: Running}
";

const SECRET: (&str, &str) = ("weft-system", "weft-ca");

/// A cluster with these pods and an authority, whose key is `PRIVATE`; and its root.
async fn mesh() -> (FakeApi, Authority) {
    let api = cluster().await;
    apply(&api, PODS);
    let domain = TrustDomain::parse("cluster.local").expect("a trust domain");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let root = Authority::generate(&domain, now).expect("an authority");
    let (bundle, _refused) = TrustBundle::from_der(&domain, [root.root_der().to_vec()], now);
    for namespace in ["weft-system", "shop"] {
        api.apply(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "weft-root", "namespace": namespace },
            "data": { "root.pem": bundle.to_pem() },
        }));
    }
    api.apply(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": { "name": SECRET.1, "namespace": SECRET.0 },
        "data": { "root.key": "UFJJVkFURQ==" },
    }));
    (api, root)
}

fn annotate(api: &FakeApi, annotations: Value) {
    api.edit(Kind::Secret, SECRET, |secret| {
        secret["metadata"]["annotations"] = annotations;
    });
}

fn annotations(api: &FakeApi) -> Value {
    let secret = api.object(Kind::Secret, SECRET.0, SECRET.1);
    secret.expect("it is there")["metadata"]["annotations"].clone()
}

fn check(line: &str, ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{line}: {}", ran.said());
    for part in parts {
        assert!(
            ran.said().contains(part),
            "{line}: {part:?} in {}",
            ran.said()
        );
    }
}

#[tokio::test]
async fn pods_are_told_by_what_they_are() {
    let (api, root) = mesh().await;
    let id = "spiffe://cluster.local/ns/shop/sa/web";
    let fingerprint = root.root_fingerprint();
    let rows: &[(&str, i32, &[&str])] = &[
        ("identity list", 0, &[id, "1 of 2 pods", "n1, n2"]),
        ("identity list -n plain", 0, &["no pod is in the mesh"]),
        (
            "identity show shop/web-0",
            0,
            &[id, "captured     true", "shared with  web-1", &fingerprint],
        ),
        (
            "identity show web-1 -n shop -o json",
            0,
            &["\"captured\": \"pending\""],
        ),
        (
            "identity show plain/old",
            2,
            &["weft namespace enable plain"],
        ),
        (
            "identity show shop/none",
            2,
            &["there is no running pod shop/none"],
        ),
        ("identity show shop/web-0 -n shop", 3, &["not both"]),
        (
            "identity roots",
            0,
            &[&fingerprint, "2 of 2 namespaces", "none under way"],
        ),
        (
            "identity roots --control-namespace other",
            2,
            &["no Secret other/weft-ca"],
        ),
        ("identity list -o junit", 3, &["no output junit"]),
    ];
    for (line, code, parts) in rows {
        check(line, &weft(&api, line).await, *code, parts);
    }
    let wrote = api.requests().into_iter().find(|it| !it.starts_with("GET"));
    assert_eq!(wrote, None, "whoever looks writes nothing");
}

#[tokio::test]
async fn who_may_see_less_is_told_less() {
    let (api, root) = mesh().await;
    api.fault(Fault::Forbidden("secrets"));
    let ran = weft(&api, "identity roots").await;
    let parts = [
        root.root_fingerprint(),
        "only its metadata is asked for".to_owned(),
    ];
    check("roots", &ran, 0, &parts.each_ref().map(String::as_str));
    let ran = weft(&api, "identity rotate").await;
    check(
        "rotate",
        &ran,
        2,
        &["weft-system/weft-ca", "roles do not allow it"],
    );
    api.heal();
    api.fault(Fault::Forbidden("configmaps"));
    let ran = weft(&api, "identity list").await;
    check(
        "list",
        &ran,
        0,
        &["/ns/shop/sa/web", "the trust domain is not known"],
    );
}

#[tokio::test]
async fn a_rotation_is_ordered_once_and_followed() {
    let (api, _root) = mesh().await;
    let dry = weft(&api, "identity rotate --dry-run").await;
    check(
        "dry",
        &dry,
        0,
        &["would be annotated", "weft.dev/rotate=root"],
    );
    assert_eq!(annotations(&api), Value::Null, "nothing is written");
    let ran = weft(&api, "identity rotate issuer").await;
    check("issuer", &ran, 0, &["asked for: another issuer"]);
    assert_eq!(annotations(&api), json!({ "weft.dev/rotate": "issuer" }));
    let ran = weft(&api, "identity rotate --wait --timeout 10ms").await;
    check("wait", &ran, 5, &["asked for: another root"]);
    let secret = api.object(Kind::Secret, SECRET.0, SECRET.1).expect("there");
    assert_eq!(
        secret["data"]["root.key"], "UFJJVkFURQ==",
        "what is stored stays"
    );

    annotate(
        &api,
        json!({ "weft.dev/rotation-phase": "distribute",
                "weft.dev/rotation-status": "phase 1 waits for node n2" }),
    );
    let ran = weft(&api, "identity rotate").await;
    check(
        "again",
        &ran,
        2,
        &["distribute (1 of 3)", "n2", "--force-step"],
    );
    let ran = weft(&api, "identity rotate --force-step -o json").await;
    check(
        "force",
        &ran,
        0,
        &["weft.dev/rotation-step=force", "\"forced\": true"],
    );
    annotate(&api, Value::Null);
    let ran = weft(&api, "identity rotate --force-step").await;
    check("none", &ran, 2, &["no rotation is under way"]);
}
