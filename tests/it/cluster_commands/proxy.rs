//! `weft proxy` on a cluster: which proxy is asked, what it says, and what is said when it does not.

use serde_json::{Value, json};
use weft_tests::fakeapi::{FakeApi, Fault};

use super::{cluster, weft};

/// Pods: a Gateway's proxy, a node's, and one of the mesh on that node.
async fn pods() -> FakeApi {
    let api = cluster().await;
    let gateway = json!({ "gateway.networking.k8s.io/gateway-name": "edge" });
    let node = json!({ "app.kubernetes.io/name": "weft-node" });
    for (namespace, name, labels) in [
        ("shop", "edge-1", gateway),
        ("weft-system", "weft-node-1", node),
        ("shop", "web-0", json!({})),
    ] {
        api.apply(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "namespace": namespace, "name": name, "labels": labels },
            "spec": { "nodeName": "n1", "containers": [] },
            "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] },
        }));
    }
    api
}

/// What the proxy in a pod answers at a path.
fn answer(api: &FakeApi, pod: &str, path: &str, answer: &str) {
    let program = format!("/api/v1/namespaces/{pod}/exec weft-proxy admin {path}");
    api.say(&program, answer);
}

fn config(id: &str) -> String {
    let endpoint = json!({ "address": "10.0.0.1:8080", "state": "ready", "pod": "web-0" });
    let config = json!({
        "version": 1,
        "generation": 3,
        "tables": { "gateways": {}, "services": {} },
        "endpoints": [{ "service": "shop/web", "port": 80, "endpoints": [endpoint] }],
        "identities": [{ "id": id, "notAfterUnixS": 4_000_000_000_u64, "renewals": 1,
                         "failures": 0, "lastError": null }],
    });
    config.to_string()
}

/// Command, exit code, and what is said.
const ROWS: &str = "
identities --gateway shop/edge        | 0 | proxy shop/edge-1 | ns/shop/sa/edge
identities --pod shop/edge-1          | 0 | ns/shop/sa/edge
identities --node n1                  | 0 | proxy weft-system/weft-node-1 | ns/w/sa/node | worker shop
identities --pod shop/web-0           | 0 | ns/w/sa/node
endpoints --gateway shop/edge         | 0 | shop/web | 10.0.0.1:8080 | ready
routes --gateway shop/edge            | 0 | no route is attached
connections --gateway shop/edge       | 0 | Gateway shop/edge | 5
connections --node n1                 | 0 | weft-system/weft-node-1
log --gateway shop/edge               | 0 | proxy shop/edge-1 | info
log debug --gateway shop/edge         | 0 | debug
log --node n1                         | 2 | no such program | exit code 1
log --gateway shop/edge é             | 3 | printable ASCII
routes --gateway shop/none            | 2 | weft check --gateway shop/none
routes --node n9                      | 2 | no proxy runs on node n9
routes --pod shop/none                | 2 | there is no pod shop/none
routes --pod web-0                    | 3 | write NS/NAME
routes                                | 3 | --gateway
routes --node n1 --pod shop/web-0     | 3 | cannot be used with
";

#[tokio::test]
async fn the_proxy_that_is_meant_says_what_it_has() {
    let api = pods().await;
    answer(
        &api,
        "shop/pods/edge-1",
        "/config",
        &config("spiffe://a/ns/shop/sa/edge"),
    );
    answer(
        &api,
        "weft-system/pods/weft-node-1",
        "/config",
        &config("spiffe://a/ns/w/sa/node"),
    );
    let metrics = "weft_connections_opened_total{parent_kind=\"Gateway\",parent_name=\"edge\",\
                   parent_namespace=\"shop\",tls=\"none\"} 5\n# EOF\n";
    answer(&api, "shop/pods/edge-1", "/metrics", metrics);
    let metrics = "weft_identity_cert_expiry_timestamp_seconds{shard=\"shop\",holder=\"worker\",\
                   identity=\"spiffe://a/ns/shop/sa/web\"} 4000000000\n# EOF\n";
    answer(&api, "weft-system/pods/weft-node-1", "/metrics", metrics);
    answer(&api, "shop/pods/edge-1", "/log", "info\n");
    answer(&api, "shop/pods/edge-1", "/log --set=debug", "debug\n");
    for row in ROWS.lines().filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [line, code, parts @ ..] = &cells[..] else {
            panic!("a row of a command, its exit code and what it says: {row}");
        };
        let ran = weft(&api, &format!("proxy {line}")).await;
        assert_eq!(ran.code, code.parse().ok(), "{line}: {}", ran.said());
        for part in parts {
            let said = ran.said();
            assert!(said.contains(part), "{line}: {part:?} in {said}");
        }
    }
}

#[tokio::test]
async fn scripts_read_json_and_missing_rights_are_named() {
    let api = pods().await;
    answer(
        &api,
        "shop/pods/edge-1",
        "/config",
        &config("spiffe://a/ns/shop/sa/edge"),
    );
    let ran = weft(&api, "proxy endpoints --gateway shop/edge -o json").await;
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["proxy"], "shop/edge-1", "{report:#}");
    assert_eq!(
        report["endpoints"][0]["endpoints"][0]["pod"], "web-0",
        "{report:#}"
    );
    answer(&api, "shop/pods/edge-1", "/log", "info\n");
    let ran = weft(&api, "proxy log --gateway shop/edge -o json").await;
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["log"], "info", "{report:#}");
    api.fault(Fault::Forbidden("exec"));
    let ran = weft(&api, "proxy endpoints --gateway shop/edge").await;
    assert_eq!(ran.code, Some(2), "{}", ran.said());
    let cure = "allow create and get of pods/exec in namespace shop";
    assert!(ran.stderr.contains(cure), "{}", ran.said());
}
