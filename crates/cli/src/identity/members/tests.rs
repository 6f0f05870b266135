//! Who is who, by pods and namespaces.

use serde_json::{Value, json};

use super::{Identities, Members};

fn namespace(name: &str, mesh: &str) -> Value {
    json!({ "metadata": { "name": name, "labels": { "weft.dev/mesh": mesh } } })
}

/// A pod of namespace `shop`, changed.
fn pod(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = json!({
        "metadata": { "name": name, "namespace": "shop", "uid": name,
                      "annotations": { "weft.dev/captured": "true" } },
        "spec": { "nodeName": "n1", "serviceAccountName": "web", "containers": [] },
        "status": { "phase": "Running" },
    });
    change(&mut pod);
    pod
}

/// The rows of the table.
fn rows(pods: Vec<Value>, domain: Option<&str>) -> Vec<[String; 3]> {
    let namespaces = vec![namespace("shop", "enabled")];
    let members = Members::of(namespaces, pods).expect("objects of their kinds");
    let identities = Identities::of(members, domain.map(str::to_owned));
    identities
        .identities
        .iter()
        .map(super::Identity::row)
        .collect()
}

#[test]
fn an_identity_is_a_service_account_whoever_has_it() {
    let found = rows(
        vec![
            pod("web-0", |_| {}),
            pod("web-1", |it| it["spec"]["nodeName"] = "n2".into()),
            pod("web-2", |it| {
                it["metadata"]["annotations"] = json!({ "weft.dev/captured": "error" });
            }),
            pod("db-0", |it| {
                it["spec"]["serviceAccountName"] = Value::Null;
                it["spec"]["nodeName"] = Value::Null;
                it["metadata"]["annotations"] = Value::Null;
            }),
        ],
        Some("cluster.local"),
    );
    let expected = [
        [
            "spiffe://cluster.local/ns/shop/sa/default",
            "0 of 1 pod",
            "",
        ],
        [
            "spiffe://cluster.local/ns/shop/sa/web",
            "2 of 3 pods",
            "n1, n2",
        ],
    ];
    assert_eq!(found, expected);
}

#[test]
fn who_is_no_member_is_nobody() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 4] = [
        ("it has ended", |it| {
            it["status"]["phase"] = "Succeeded".into()
        }),
        ("it has failed", |it| {
            it["status"]["phase"] = "Failed".into()
        }),
        ("it is the node's network", |it| {
            it["spec"]["hostNetwork"] = true.into()
        }),
        ("its own label says no", |it| {
            it["metadata"]["labels"] = json!({ "weft.dev/mesh": "disabled" });
        }),
    ];
    for (why, change) in changes {
        let found = rows(vec![pod("web-0", change)], None);
        assert!(found.is_empty(), "{why}: {found:?}");
    }
    let found = rows(vec![pod("web-0", |_| {})], None);
    assert_eq!(
        found[0][0], "/ns/shop/sa/web",
        "without a domain its path is left"
    );
}
