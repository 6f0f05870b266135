//! The worker has nothing that a stranger who captured it could use, and serves all the same.

use std::{collections::BTreeMap, fs, sync::Arc};

use http::Request;
use weft_ir::Name;
use weft_tests::{
    backend::{Backend, Speaks},
    body::{empty, full},
    client::{ask1, ask2, http1, http2, tcp, tls},
    control_plane::ControlPlane,
    pki::{Ca, Leaf},
    proxy::{Proxy, free_port},
    rawclient::{RawClient, head},
    scripted::Scripted,
    wait::Expected,
    world::World,
};
use weft_wire::Certificate;

use super::on;

const HOST: &str = "shop.example";
const ASK: &str = "GET /chat HTTP/1.1\nhost: shop.example\nconnection: Upgrade\n\
                   upgrade: websocket\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\n\
                   sec-websocket-version: 13";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
                      upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A line of `/proc/PID/status`, as numbers.
fn status(proxy: &Proxy, field: &str) -> Vec<u64> {
    let worker = proxy.worker().expect("a worker runs");
    let path = format!("/proc/{}/status", worker.as_raw_nonzero());
    let status = fs::read_to_string(path).expected("the status of the worker");
    let line = status
        .lines()
        .find_map(|it| it.strip_prefix(field)?.strip_prefix(':'));
    let numbers = line.expect("the field").split_whitespace();
    let parse = |number| u64::from_str_radix(number, 16).expected("a number");
    numbers.map(parse).collect()
}

#[tokio::test]
async fn the_worker_has_no_privilege_and_few_calls() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    // Who serves is confined.
    control_plane
        .publish_and_wait(&super::world(port, &backend))
        .await;
    let rows = [
        ("CapEff", 0),
        ("CapPrm", 0),
        ("CapInh", 0),
        ("CapAmb", 0),
        ("NoNewPrivs", 1),
        // By a filter of system calls.
        ("Seccomp", 2),
    ];
    for (field, expected) in rows {
        assert_eq!(status(&proxy, field), [expected], "{field}");
    }
    let worker = proxy.worker().expect("a worker runs").as_raw_nonzero();
    let limits = fs::read_to_string(format!("/proc/{worker}/limits")).expected("its limits");
    let core = limits.lines().find(|it| it.starts_with("Max core file"));
    let words: Vec<_> = core.expect("a limit").split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "no core file has its keys");
}

#[tokio::test]
async fn every_kind_of_traffic_passes() {
    let ca = Ca::new();
    let leaf = Leaf {
        names: &[HOST],
        ..Leaf::NOBODY
    };
    let issued = ca.issue(leaf);
    let old = Backend::echo("old", Speaks::Http1).await;
    let new = Backend::echo("new", Speaks::H2c).await;
    let chat = Scripted::start(|mut peer| async move {
        peer.head().await.expect("a request");
        peer.write(AGREED).await;
        let message = peer.read(5).await;
        peer.write(message).await;
    })
    .await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let secret = Certificate {
        chain_pem: issued.cert_pem.clone().into(),
        key_pem: issued.key_pem.clone().into(),
    };
    let name = Name::new("infra", "cert");
    control_plane.certificates(BTreeMap::from([(name, Arc::new(secret))]));
    let (clear, secure) = (free_port(), free_port());
    let listeners = format!(
        "{{name: http, port: {clear}, protocol: HTTP}}\n{{name: https, port: {secure}, \
         protocol: HTTPS, tls: {{certificateRefs: [{{name: cert}}]}}}}"
    );
    let to = |path: &str, service: &str| {
        format!(
            "{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: {service}, port: 80}}]}}"
        )
    };
    let world = World::bare()
        .gateway("infra/edge", &listeners)
        .secret("infra/cert", &issued.cert_pem, &issued.key_pem)
        .service("shop/old", &[old.address])
        .service_port("shop/new", "appProtocol: kubernetes.io/h2c", &[new.address])
        .service("shop/chat", &[chat.address]);
    let before = [to("/", "old"), to("/new", "new"), to("/chat", "chat")];
    let route = |rules: &[String]| format!("rules: [{}]", rules.join(", "));
    let first = world.clone().route("shop/web", &route(&before));
    let standing = control_plane.publish_and_wait(&first).await;
    assert_eq!(standing.problems, []);

    let get = |path: &str| {
        let request = Request::builder().uri(format!("http://{HOST}{path}"));
        request.body(empty()).expect("a request")
    };
    let post = || {
        let request = Request::builder()
            .method("POST")
            .uri("/")
            .header("host", HOST);
        request.body(full(vec![b'x'; 1 << 20])).expect("a request")
    };
    let mut one = http1(tcp(on(clear)).await).await;
    let uploaded = ask1(&mut one, post()).await;
    assert_eq!(uploaded.status, 200, "HTTP/1.1 with a large body");
    assert!(uploaded.body.len() > 1 << 20);
    let mut two = http2(tcp(on(clear)).await).await;
    assert_eq!(ask2(&mut two, get("/")).await.status, 200, "HTTP/2");
    let stream = tls(on(secure), HOST, &["h2"], &ca.pem)
        .await
        .expected("TLS");
    let mut sealed = http2(stream).await;
    let answer = ask2(&mut sealed, get("/new")).await;
    assert_eq!(answer.status, 200, "HTTP/2 in TLS, to a back-end of HTTP/2");
    let mut raw = RawClient::connect(on(clear)).await;
    raw.send(head(ASK)).await;
    assert_eq!(raw.answer_head().await.status, 101, "a WebSocket");
    raw.send("hello").await;
    assert_eq!(raw.exactly(5).await, b"hello");

    let after = [to("/", "new")];
    control_plane
        .publish_and_wait(&world.route("shop/web", &route(&after)))
        .await;
    let answer = ask2(&mut two, get("/")).await.text();
    assert!(answer.starts_with("backend: new"), "a reload: {answer}");
    proxy.page_says("/metrics", 200, "weft_build_info").await;
    assert!(proxy.worker().is_some());
    proxy
        .page_says("/metrics", 200, "weft_worker_ends_total 0")
        .await;
}
