//! Upgrades: who may leave HTTP, when, and that no byte is lost or early.

use weft_tests::{
    gateway::Weft,
    rawclient::{RawClient, head},
    scripted::{Peer, Scripted},
    wait::{PATIENCE, eventually, soon},
    world::World,
};

const ANY: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";
const ASK: &str = "GET /chat HTTP/1.1\nhost: a\nconnection: Upgrade\nupgrade: websocket\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
                      upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn gateway(backend: &Scripted, app_protocol: &str) -> Weft {
    let world = World::new()
        .service_port("shop/web", app_protocol, &[backend.address])
        .route("shop/web", ANY);
    Weft::start(&world)
}

/// Sends back everything it gets.
async fn echo(mut peer: Peer) {
    loop {
        let byte = peer.read(1).await;
        if byte.is_empty() {
            return;
        }
        peer.write(byte).await;
    }
}

async fn agreeing() -> Scripted {
    Scripted::start(|mut peer| async move {
        let asked = peer.head().await.expect("a request");
        assert!(
            asked.contains("upgrade: websocket\r\n"),
            "the upgrade is offered: {asked}"
        );
        assert!(
            asked.contains("sec-websocket-key: "),
            "with its fields: {asked}"
        );
        peer.write(AGREED).await;
        echo(peer).await;
    })
    .await
}

#[tokio::test]
async fn a_websocket_carries_bytes_both_ways() {
    let backend = agreeing().await;
    for app_protocol in ["", "appProtocol: kubernetes.io/ws"] {
        let weft = gateway(&backend, app_protocol);
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        client.send(head(ASK)).await;
        let answer = client.answer_head().await;
        assert_eq!(answer.status, 101, "{app_protocol}");
        assert_eq!(answer.field("upgrade"), Some("websocket"));
        assert_eq!(
            answer.field("sec-websocket-accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        for piece in [
            &b"\x81\x05hello"[..],
            b"\n\n\0\xff\r\n bare ends are no business of HTTP here",
        ] {
            client.send(piece).await;
            assert_eq!(
                client.exactly(piece.len()).await,
                piece,
                "comes back as it was"
            );
        }
        client.finish().await;
        assert_eq!(client.rest().await, b"", "one side's end ends the other");
    }
}

#[tokio::test]
async fn early_bytes_wait_for_the_agreement() {
    let backend = Scripted::start(|mut peer| async move {
        peer.head().await.expect("a request");
        let early = tokio::time::timeout(std::time::Duration::from_millis(300), peer.read(1)).await;
        assert!(
            early.is_err(),
            "nothing may arrive before the agreement: {early:?}"
        );
        peer.write(AGREED).await;
        echo(peer).await;
    })
    .await;
    let weft = gateway(&backend, "");
    for apart in [false, true] {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        if apart {
            client.send(head(ASK)).await;
            client.send(b"early\n\x81").await;
        } else {
            client
                .send([head(ASK).as_bytes(), b"early\n\x81"].concat())
                .await;
        }
        assert_eq!(client.answer_head().await.status, 101, "apart: {apart}");
        assert_eq!(
            client.exactly(7).await,
            b"early\n\x81",
            "held and then passed on; apart: {apart}"
        );
        client.send(b"late").await;
        assert_eq!(client.exactly(4).await, b"late", "and what follows it");
    }
}

#[tokio::test]
async fn a_refused_upgrade_leaves_an_ordinary_connection() {
    let backend = Scripted::start(|mut peer| async move {
        while let Some(asked) = peer.head().await {
            let text = asked.split(' ').nth(1).unwrap_or_default().to_owned();
            peer.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            ))
            .await;
        }
    })
    .await;
    let weft = gateway(&backend, "");
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    let next = head("GET /next HTTP/1.1\nhost: a");
    client.send(head(ASK) + &next).await;
    assert_eq!(
        client.answer().await.text(),
        "/chat",
        "the request without an upgrade"
    );
    assert_eq!(
        client.answer().await.text(),
        "/next",
        "the request behind it is a request"
    );
    client.send(head(ASK)).await;
    assert_eq!(client.answer().await.text(), "/chat", "and again");
    client.send(next).await;
    assert_eq!(
        client.answer().await.text(),
        "/next",
        "sent after the answer"
    );
    client.send(head(ASK) + "GET / HTTP/1.1\nbare\n\n").await;
    assert_eq!(client.answer().await.text(), "/chat");
    let rest = String::from_utf8_lossy(&client.rest().await).into_owned();
    assert!(
        !rest.contains(" 200 "),
        "what follows is judged as HTTP: {rest}"
    );
}

#[tokio::test]
async fn upgrades_that_would_change_http_are_not_offered() {
    let backend = Scripted::start(|mut peer| async move {
        while let Some(asked) = peer.head().await {
            let offered = asked.to_ascii_lowercase().contains("upgrade");
            let text = if offered { "offered" } else { "plain" };
            peer.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            ))
            .await;
        }
    })
    .await;
    let weft = gateway(&backend, "");
    let rows = [
        (
            "h2c",
            "connection: upgrade, http2-settings\nupgrade: h2c\nhttp2-settings: AAMAAABk",
            "plain",
        ),
        ("TLS", "connection: upgrade\nupgrade: TLS/1.0", "plain"),
        (
            "several",
            "connection: upgrade\nupgrade: websocket, x",
            "plain",
        ),
        ("without connection", "upgrade: websocket", "plain"),
        (
            "another protocol",
            "connection: upgrade\nupgrade: x-custom",
            "offered",
        ),
    ];
    for (name, fields, expected) in rows {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let answer = client
            .ask(&format!("GET / HTTP/1.1\nhost: a\n{fields}"))
            .await;
        assert_eq!(answer.text(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_tunnel_ends_with_either_side() {
    let backend = Scripted::start(|mut peer| async move {
        peer.head().await.expect("a request");
        peer.write(AGREED).await;
        peer.write("bye").await;
    })
    .await;
    let weft = gateway(&backend, "");
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client.send(head(ASK)).await;
    assert_eq!(client.answer_head().await.status, 101);
    assert_eq!(client.exactly(3).await, b"bye");
    assert_eq!(
        soon("the end", client.rest()).await,
        b"",
        "when the back-end leaves"
    );
    drop(client);
    let in_flight = || weft.metric("weft_requests_in_flight", &[]);
    eventually(PATIENCE, "the tunnel counts no longer", || {
        in_flight() == 0.0
    })
    .await;
}
