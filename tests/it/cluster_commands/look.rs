//! `weft describe`, `routes`, `explain` and `analyze` on a cluster: what files say, said of what is
//! applied, and of what would be.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use weft_api::Kind;
use weft_tests::fakeapi::{FakeApi, Fault};

use super::{Ran, SHOP, apply, cluster, install, weft};

/// A rule that never wins, and a backend that does not exist.
const EDIT: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {value: /cart}}]
    backendRefs: [{name: none, port: 80}]
";

/// A listener with a certificate.
const SECURE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: secure, namespace: shop}
spec:
  gatewayClassName: weft
  listeners:
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: web}]}}
";

const SLICE: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.244.1.5], conditions: {ready: true}, zone: a}]
";

async fn shop() -> FakeApi {
    let api = cluster().await;
    install(&api).await;
    apply(&api, SHOP);
    apply(&api, SLICE);
    api
}

/// A file with YAML.
fn file(yaml: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file.yaml");
    std::fs::write(&path, yaml).expect("a file");
    (directory, path)
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
async fn objects_are_shown_with_what_belongs_to_them() {
    let api = shop().await;
    let rows: &[(&str, i32, &[&str])] = &[
        (
            "describe gateway/edge -n shop",
            0,
            &["Gateway shop/edge", "HTTPRoute shop/web", "http"],
        ),
        (
            "describe httproute/shop/web",
            0,
            &["PathPrefix /cart", "shop/web:80 100 %", "ResolvedRefs"],
        ),
        (
            "describe svc/shop/web",
            0,
            &["10.96.0.7", "10.244.1.5:8080", "HTTPRoute shop/web rule 0"],
        ),
        (
            "describe gc/weft",
            0,
            &["weft.dev/gateway-controller", "shop/edge"],
        ),
        (
            "describe gateway/shop/none",
            2,
            &["there is no Gateway shop/none"],
        ),
        ("describe pot/of/tea", 3, &["no such kind"]),
        (
            "routes",
            0,
            &["Gateway shop/edge:80 listener http", "HTTPRoute shop/web"],
        ),
        ("routes -n pay", 0, &["no route is attached"]),
        (
            "explain --gateway shop/edge --path /cart",
            0,
            &["WINS", "10.244.1.5:8080"],
        ),
        ("analyze --cluster", 0, &["of the cluster"]),
        ("analyze", 3, &["DIR|FILE"]),
    ];
    for (line, code, parts) in rows {
        check(line, &weft(&api, line).await, *code, parts);
    }
    let requests = api.requests();
    assert!(
        !requests.iter().any(|it| it.contains("watch=")),
        "nothing is followed"
    );
}

#[tokio::test]
async fn a_cluster_is_told_in_the_words_of_a_directory() {
    let api = shop().await;
    let install = weft(&api, "install").await.stdout;
    let class = install
        .rsplit("---\n")
        .next()
        .expect("the class comes last")
        .to_owned();
    let (_directory, path) = file(&format!("{class}---{SHOP}---{SLICE}"));
    for line in [
        "routes -n shop -o json",
        "explain --gateway shop/edge --path /cart/1",
        "explain --gateway shop/edge --path /other -o json",
    ] {
        let live = weft(&api, line).await;
        let files = weft(&api, &format!("{line} -f {}", path.display())).await;
        assert_eq!(live.stdout, files.stdout, "{line}");
        assert!(!live.stdout.is_empty(), "{line}: {}", live.said());
    }
}

#[tokio::test]
async fn files_are_judged_as_if_they_were_applied() {
    let api = shop().await;
    let (_directory, path) = file(EDIT);
    let path = path.display();
    let over = weft(&api, &format!("analyze {path} --cluster -o json")).await;
    let report: Value = serde_json::from_str(&over.stdout).expect("JSON");
    assert_eq!(report["files"], 1, "{report:#}");
    assert!(report["objects"].as_u64() > Some(4), "{report:#}");
    let line = format!("analyze {path} --cluster --diff");
    let diff = weft(&api, &line).await;
    check(
        &line,
        &diff,
        2,
        &["introduced: ", "shop/none", "1 finding introduced, 0 fixed"],
    );
    let line = format!("explain -f {path} --cluster --gateway shop/edge --path /cart");
    check(&line, &weft(&api, &line).await, 0, &["answer   500"]);
    let stored = api
        .object(Kind::HttpRoute, "shop", "web")
        .expect("it is there");
    assert_eq!(
        stored["spec"]["rules"][0]["backendRefs"][0]["name"], "web",
        "nothing is applied"
    );
    apply(&api, EDIT);
    let (_directory, path) = file(SHOP);
    let line = format!("analyze {} --cluster --diff -o json", path.display());
    let ran = weft(&api, &line).await;
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["introduced"], json!([]), "{report:#}");
    assert_eq!(
        report["fixed"].as_array().map(Vec::len),
        Some(1),
        "{report:#}"
    );
    assert_eq!(ran.code, Some(0), "{}", ran.said());
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let api = shop().await;
    api.fault(Fault::Forbidden("httproutes"));
    let cure = "allow list of httproutes.gateway.networking.k8s.io to the user of this kubeconfig";
    check(
        "analyze",
        &weft(&api, "analyze --cluster").await,
        2,
        &["WA130", cure],
    );
    let ran = weft(&api, "routes").await;
    assert!(
        ran.stderr.contains(cure),
        "what is missing from the answer is told: {}",
        ran.said()
    );
}

#[tokio::test]
async fn secrets_are_read_one_by_one_and_only_when_something_refers_to_them() {
    let api = shop().await;
    let secrets = |api: &FakeApi| {
        let paths = api.paths().into_iter();
        paths
            .filter(|path| path.contains("/secrets"))
            .collect::<Vec<_>>()
    };
    weft(&api, "analyze --cluster").await;
    assert!(secrets(&api).is_empty(), "{:?}", secrets(&api));
    apply(&api, SECURE);
    let ran = weft(&api, "analyze --cluster").await;
    check("analyze", &ran, 2, &["Gateway shop/secure", "shop/web"]);
    assert_eq!(secrets(&api), ["GET /api/v1/namespaces/shop/secrets/web"]);
}

#[tokio::test]
async fn a_cluster_without_the_gateway_api_says_what_to_do() {
    let api = FakeApi::start(&[Kind::Namespace, Kind::Service]).await;
    check(
        "routes",
        &weft(&api, "routes").await,
        2,
        &["weft check --pre"],
    );
}
