//! The worker has nothing that a stranger who captured it could use, and serves all the same.

use std::{collections::BTreeMap, fs, sync::Arc};

use http::Request;
use weft_ir::Name;
use weft_tests::{
    backend::{Backend, Speaks},
    body::{Body, empty, full},
    client::{ask1, ask2, http1, http2, tcp, tls},
    control_plane::ControlPlane,
    pki::{Ca, Issued, Leaf},
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

/// Takes a WebSocket and sends one message back.
async fn chat() -> Scripted {
    Scripted::start(|mut peer| async move {
        peer.head().await.expect("a request");
        peer.write(AGREED).await;
        let message = peer.read(5).await;
        peer.write(message).await;
    })
    .await
}

/// Listeners in clear and in TLS, with the certificate `infra/cert`.
fn gateway([clear, secure]: [u16; 2], issued: &Issued) -> World {
    let listeners = format!(
        "{{name: http, port: {clear}, protocol: HTTP}}\n{{name: https, port: {secure}, \
         protocol: HTTPS, tls: {{certificateRefs: [{{name: cert}}]}}}}"
    );
    World::bare().gateway("infra/edge", &listeners).secret(
        "infra/cert",
        &issued.cert_pem,
        &issued.key_pem,
    )
}

fn certificates(issued: &Issued) -> BTreeMap<Name, Arc<Certificate>> {
    let certificate = Certificate {
        chain_pem: issued.cert_pem.clone().into(),
        key_pem: issued.key_pem.clone().into(),
    };
    BTreeMap::from([(Name::new("infra", "cert"), Arc::new(certificate))])
}

/// Rules of `(path, Service)`.
fn rules(rules: &[(&str, &str)]) -> String {
    let rules = rules.iter().map(|(path, service)| {
        format!(
            "{{matches: [{{path: {{value: {path}}}}}], \
             backendRefs: [{{name: {service}, port: 80}}]}}"
        )
    });
    format!("rules: [{}]", rules.collect::<Vec<_>>().join(", "))
}

fn get(path: &str) -> Request<Body> {
    let request = Request::builder().uri(format!("http://{HOST}{path}"));
    request.body(empty()).expect("a request")
}

async fn uploads(port: u16) {
    let request = Request::builder().method("POST").uri("/");
    let request = request.header("host", HOST).body(full(vec![b'x'; 1 << 20]));
    let mut client = http1(tcp(on(port)).await).await;
    let answer = ask1(&mut client, request.expect("a request")).await;
    assert_eq!(answer.status, 200, "HTTP/1.1 with a large body");
    assert!(answer.body.len() > 1 << 20, "it comes back");
}

async fn talks(port: u16) {
    let mut client = RawClient::connect(on(port)).await;
    client.send(head(ASK)).await;
    assert_eq!(client.answer_head().await.status, 101, "a WebSocket");
    client.send("hello").await;
    assert_eq!(client.exactly(5).await, b"hello");
}

async fn asks_in_tls(port: u16, ca: &Ca) {
    let stream = tls(on(port), HOST, &["h2"], &ca.pem).await.expected("TLS");
    let answer = ask2(&mut http2(stream).await, get("/new")).await;
    assert_eq!(answer.status, 200, "HTTP/2 in TLS, to a back-end of HTTP/2");
}

#[tokio::test]
async fn every_kind_of_traffic_passes() {
    let ca = Ca::new();
    let issued = ca.issue(Leaf {
        names: &[HOST],
        ..Leaf::NOBODY
    });
    let old = Backend::echo("old", Speaks::Http1).await;
    let new = Backend::echo("new", Speaks::H2c).await;
    let chat = chat().await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    control_plane.certificates(certificates(&issued));
    let [clear, secure] = [free_port(), free_port()];
    let world = gateway([clear, secure], &issued)
        .service("shop/old", &[old.address])
        .service_port("shop/new", "appProtocol: kubernetes.io/h2c", &[new.address])
        .service("shop/chat", &[chat.address]);
    let before = rules(&[("/", "old"), ("/new", "new"), ("/chat", "chat")]);
    let first = world.clone().route("shop/web", &before);
    let standing = control_plane.publish_and_wait(&first).await;
    assert_eq!(standing.problems, []);

    uploads(clear).await;
    asks_in_tls(secure, &ca).await;
    talks(clear).await;
    let mut client = http2(tcp(on(clear)).await).await;
    assert_eq!(ask2(&mut client, get("/")).await.status, 200, "HTTP/2");
    let after = world.route("shop/web", &rules(&[("/", "new")]));
    control_plane.publish_and_wait(&after).await;
    let answer = ask2(&mut client, get("/")).await.text();
    assert!(answer.starts_with("backend: new"), "a reload: {answer}");
    proxy.page_says("/metrics", 200, "weft_build_info").await;
    let lived = "weft_worker_ends_total 0";
    proxy.page_says("/metrics", 200, lived).await;
}
