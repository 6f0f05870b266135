//! `weft run` and `weft demo`: real connections, without a cluster.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use crate::{
    commands::GOOD,
    weft::{Place, curl, eventually, statuses},
};

/// A backend that answers every request with a text, until the test ends.
fn backend(text: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let length = text.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close");
            let _ = write!(stream, "{head}\r\n\r\n{text}");
        }
    });
    port
}

/// A Service with one endpoint in this process.
fn service(namespace: &str, name: &str, text: &'static str) -> String {
    let port = backend(text);
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{ports: [{{name: http, port: 80, appProtocol: http}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}
  namespace: {namespace}
  labels: {{kubernetes.io/service-name: {name}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"
    )
}

/// A Gateway and a route to one backend.
fn edge(backend: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge, namespace: shop}}
spec:
  gatewayClassName: weft
  listeners: [{{name: http, port: 80, protocol: HTTP}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web, namespace: shop}}
spec:
  parentRefs: [{{name: edge}}, {{group: \"\", kind: Service, name: web}}]
  rules: [{{backendRefs: [{{name: {backend}, port: 80}}]}}]
"
    )
}

#[test]
fn a_directory_is_served_and_edits_act() {
    let backends = [("web", "apex"), ("v1", "one"), ("v2", "two")];
    let backends = backends
        .map(|(name, text)| service("shop", name, text))
        .concat();
    let place = Place::new(&format!("{}{backends}", edge("v1")));
    let serving = place.serve("");
    let gateway = serving.gateway("shop/edge", 80);
    let mesh = format!("http://{}/", place.resolve("web.shop:80"));
    assert_eq!(
        curl(&gateway, &[]),
        (200, "one".to_owned()),
        "through the gateway"
    );
    assert_eq!(
        curl(&mesh, &[]),
        (200, "one".to_owned()),
        "to the ClusterIP"
    );
    place.write(&format!("{}{backends}", edge("v2")));
    eventually("the edit acts at the gateway", || {
        curl(&gateway, &[]).1 == "two"
    });
    assert_eq!(curl(&mesh, &[]), (200, "two".to_owned()), "and in the mesh");
    place.write("a: {broken");
    eventually("the run says what is broken", || {
        place.told().contains("WA120")
    });
    assert_eq!(
        curl(&gateway, &[]),
        (200, "two".to_owned()),
        "the last good version serves"
    );
    assert_eq!(serving.terminate(), Some(0), "{}", place.told());
}

#[test]
fn clients_of_a_namespace_use_its_own_routes() {
    let consumer = "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: pay}
spec:
  parentRefs: [{group: \"\", kind: Service, name: web, namespace: shop}]
  rules: [{backendRefs: [{name: mine, port: 80}]}]
";
    let backends = [
        service("shop", "web", "apex"),
        service("shop", "v1", "one"),
        service("pay", "mine", "mine"),
    ];
    let place = Place::new(&format!("{}{consumer}{}", edge("v1"), backends.concat()));
    let _serving = place.serve("");
    let asked = |line: &str| curl(&format!("http://{}/", place.resolve(line)), &[]).1;
    assert_eq!(
        asked("web.shop:80"),
        "one",
        "everybody has the producer's routes"
    );
    assert_eq!(asked("-n pay web.shop:80"), "mine", "pay has its own");
    assert_eq!(asked("-n stock web.shop:80"), "one", "stock has none");
}

#[test]
fn addresses_stay_and_statuses_follow_their_objects() {
    let place = Place::new(GOOD);
    let run = |place: &Place| place.weft("run -f yaml --until-idle -q");
    let state = |place: &Place| {
        std::fs::read_to_string(place.path().join(".weft/state.yaml")).expect("a state")
    };
    assert_eq!(run(&place).code, 0);
    let first = state(&place);
    let status = |kind: &str| {
        let all = statuses(&place.path().join(".weft"));
        all.iter().any(|path| path.starts_with(kind))
    };
    assert!(status("HTTPRoute") && status("Gateway") && status("GatewayClass"));
    assert_eq!(run(&place).code, 0);
    assert_eq!(state(&place), first, "the same addresses again");
    place.write(GOOD.split("---").next().expect("the class"));
    run(&place);
    assert!(
        status("GatewayClass") && !status("HTTPRoute"),
        "gone with its object"
    );
}

#[test]
fn one_run_per_state_directory() {
    let place = Place::new(GOOD);
    let _serving = place.serve("");
    let second = place.weft("run -f yaml --until-idle");
    assert_eq!(second.code, 2);
    assert!(second.stderr.contains("--state-dir"), "{}", second.stderr);
    let elsewhere = place.weft("run -f yaml --until-idle -q --state-dir other");
    assert_eq!(elsewhere.code, 0, "beside each other: {}", elsewhere.stderr);
}

#[test]
fn ports_are_mapped_as_asked() {
    let place = Place::new(&edge("none"));
    let serving = place.serve("--port-map 80=8099 --client-namespace shop");
    assert!(
        serving.gateway("shop/edge", 80).ends_with(":8099"),
        "{}",
        serving.started
    );
    assert_eq!(
        curl(&serving.gateway("shop/edge", 80), &[]).0,
        500,
        "no such backend"
    );
}

#[test]
fn the_admin_endpoint_tells() {
    let place = Place::new(GOOD);
    let port = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("it")
        .port();
    let serving = place.serve(&format!("--admin 127.0.0.1:{port}"));
    let get = |path: &str| curl(&format!("http://127.0.0.1:{port}{path}"), &[]);
    eventually("it answers", || get("/healthz").0 == 200);
    assert_eq!(get("/readyz"), (200, "ok\n".to_owned()));
    let metrics = get("/metrics").1;
    let config: serde_json::Value = serde_json::from_str(&get("/config").1).expect("JSON");
    // 1, or more if somebody on this machine had an address that another one then replaced.
    let generation = config["generation"].as_u64().expect("a number");
    assert!(generation >= 1, "nothing is in effect: {config}");
    let counted = format!("weft_config_generation{{}} {generation}\n");
    assert!(
        metrics.contains(&counted),
        "{counted} is missing: {metrics}"
    );
    assert_eq!(config["listening"], serving.started["listening"]);
}

#[test]
fn the_demo_keeps_its_promises() {
    let place = Place::new(GOOD);
    let mut command = place.command("demo --once");
    let ran = command
        .env("TMPDIR", place.path())
        .output()
        .expect("the binary runs");
    let ran = crate::weft::Ran::from(ran);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("everything is as the YAML says"),
        "{}",
        ran.stdout
    );
    let left: Vec<_> = std::fs::read_dir(place.path())
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with("weft-demo"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
