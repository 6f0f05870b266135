//! Mesh clients of a Service under a BackendTLSPolicy: they speak plaintext, its endpoints get TLS.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use weft_tests::{
    backend::Backend,
    client::{ask1, http1, tcp, tls},
    gateway::Weft,
    pki::Ca,
    rawclient::RawClient,
    wait::{Expected, soon},
    world::World,
};

use super::{CA, GOOD, NAME, get, secure};

/// Service `shop/web`, whose port says this of itself.
fn service(backend: &Backend, ca: &Ca, declared: &str) -> World {
    World::bare()
        .service_port("shop/web", declared, &[backend.address])
        .authorities("shop/ca", &ca.pem)
        .backend_tls("shop/tls", "web", &format!("hostname: {NAME}, {CA}"))
}

async fn ask(weft: &Weft) -> u16 {
    let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
    client.ask("GET / HTTP/1.1\nhost: a").await.status
}

#[tokio::test]
async fn requests_get_tls_with_and_without_a_route() {
    let ca = Ca::new();
    let backend = secure(&ca, GOOD).await;
    let unrouted = service(&backend, &ca, "appProtocol: http");
    let weft = Weft::start(&unrouted);
    assert_eq!(ask(&weft).await, 200, "passed through");
    let route = "rules: [{backendRefs: [{name: web, port: 80}]}]";
    weft.update(&unrouted.mesh_route("shop/r", "shop/web", route));
    assert_eq!(ask(&weft).await, 200, "by a route");
    assert_eq!(backend.requests(), 2);
    let stranger = secure(&Ca::new(), GOOD).await;
    weft.update(&service(&stranger, &ca, "appProtocol: http"));
    assert_eq!(ask(&weft).await, 502, "who cannot be verified gets nothing");
    assert_eq!(stranger.requests(), 0);
}

/// A port that is not parsed: bytes get TLS, and TLS of the client's own is left as it is.
#[tokio::test]
async fn bytes_that_are_not_parsed_get_tls_once() {
    let ca = Ca::new();
    let backend = secure(&ca, GOOD).await;
    for declared in [
        "",
        "appProtocol: tcp",
        "appProtocol: https",
        "appProtocol: http",
    ] {
        let weft = Weft::start(&service(&backend, &ca, declared));
        let at = weft.mesh("client", "shop/web");
        let mut client = http1(tcp(at).await).await;
        let answer = ask1(&mut client, get("a")).await;
        assert_eq!(answer.status, 200, "plaintext, {declared:?}");
        let stream = tls(at, NAME, &["http/1.1"], &ca.pem).await;
        let mut client = http1(stream.expected("TLS with the back-end itself")).await;
        let answer = ask1(&mut client, get("a")).await;
        assert_eq!(answer.status, 200, "TLS of the client's own, {declared:?}");
    }
}

/// Who cannot be verified gets no byte of a connection that is not parsed.
#[tokio::test]
async fn connections_to_strangers_are_reset() {
    let (ca, stranger) = (Ca::new(), secure(&Ca::new(), GOOD).await);
    let weft = Weft::start(&service(&stranger, &ca, "appProtocol: tcp"));
    let mut stream = tcp(weft.mesh("client", "shop/web")).await;
    stream.write_all(b"hello\n").await.expected("sent");
    let ended = soon("an end", stream.read(&mut [0; 8])).await;
    assert!(!matches!(ended, Ok(1..)), "nothing comes back: {ended:?}");
    assert_eq!(stranger.requests(), 0);
}
