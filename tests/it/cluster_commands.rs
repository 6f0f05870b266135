//! Commands that people type at a cluster, against a scripted API server: what they print, how they
//! end, and what they leave behind.

mod check;
mod identity;
mod look;
mod proxy;
mod readme;
mod uninstall;

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use weft_api::Kind;
use weft_tests::{
    binary,
    fakeapi::{FakeApi, Resource},
    wait::Expected,
};

/// What a command gave.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// What it said, for messages of assertions.
    fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Kinds besides those that Weft reads.
fn others() -> [Resource; 7] {
    let rbac = |kind, plural| Resource::other("rbac.authorization.k8s.io/v1", kind, plural);
    [
        rbac("ClusterRole", "clusterroles"),
        rbac("ClusterRoleBinding", "clusterrolebindings"),
        rbac("Role", "roles"),
        rbac("RoleBinding", "rolebindings"),
        Resource::other("apps/v1", "DaemonSet", "daemonsets"),
        Resource::other("v1", "Node", "nodes"),
        Resource::other("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ]
}

/// A Kubernetes with the CRDs of the Gateway API, and nothing of ours.
async fn cluster() -> FakeApi {
    let api = FakeApi::start(Kind::ALL).await;
    for resource in others() {
        api.serve_other(resource);
    }
    let version = json!({ "major": "1", "minor": "36", "gitVersion": "v1.36.3" });
    api.say("/version", version.to_string());
    let crd = json!({ "metadata": { "annotations": {
        "gateway.networking.k8s.io/bundle-version": "v1.6.1",
        "gateway.networking.k8s.io/channel": "standard",
    } } });
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/\
                gateways.gateway.networking.k8s.io";
    api.say(path, crd.to_string());
    api
}

/// Runs `weft LINE` against the API server.
async fn weft(api: &FakeApi, line: &str) -> Ran {
    let mut command = Command::new(binary::directory().join("weft"));
    command
        .args(line.split_whitespace())
        .env("KUBECONFIG", api.kubeconfig())
        .env_remove("WEFT_KUBECONFIG")
        .current_dir(binary::workspace())
        .stdin(Stdio::null());
    // The API server is served by this thread.
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expected("it runs").expected("`weft` starts");
    let text = |bytes| String::from_utf8(bytes).expected("output is text");
    Ran {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Applies a stream of YAML.
fn apply(api: &FakeApi, yaml: &str) {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expected("YAML");
    documents.into_iter().for_each(|object| api.apply(object));
}

/// Applies what `weft install` prints.
async fn install(api: &FakeApi) {
    let ran = weft(api, "install").await;
    assert_eq!(ran.code, Some(0), "{}", ran.said());
    apply(api, &ran.stdout);
}

/// What users have.
const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.7, ports: [{name: http, port: 80, appProtocol: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: weft
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {value: /cart}}]
    backendRefs: [{name: web, port: 80}]
";
