//! What proxies are known to get wrong where one hop ends and the next begins: cookies that HTTP/2
//! takes apart, uploads that are refused half-way, connections that one side wants closed, bodies
//! that arrive while the request is made again.

use http::Request;
use weft_tests::{
    body::empty,
    client::{ask2, http2, tcp},
    gateway::Weft,
    rawclient::{RawClient, head},
    scripted::{Peer, Scripted},
    wait::soon,
    world::World,
};

use super::streaming::gateway;

/// Answers every request with its own head.
async fn mirror(mut peer: Peer) {
    while let Some(asked) = peer.head().await {
        let length = asked.len();
        peer.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{asked}"
        ))
        .await;
    }
}

#[tokio::test]
async fn cookies_that_http2_took_apart_are_one_field_again() {
    let backend = Scripted::start(mirror).await;
    let weft = gateway(backend.address, "");
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    let request = Request::builder()
        .uri("http://a/")
        .header("cookie", "session=1; theme=dark")
        .header("x", "1")
        .header("cookie", "csrf=\"2, 3\"")
        .header("cookie", "last=4");
    let seen = ask2(&mut client, request.body(empty()).expect("a request")).await;
    let cookies: Vec<_> = seen.text().lines().map(str::to_owned).collect();
    let cookies: Vec<_> = cookies
        .iter()
        .filter(|it| it.starts_with("cookie"))
        .collect();
    assert_eq!(
        cookies,
        ["cookie: session=1; theme=dark; csrf=\"2, 3\"; last=4"],
        "one field (RFC 9113 section 8.2.3)"
    );
}

#[tokio::test]
async fn an_upload_that_the_back_end_refuses_half_way_reads_its_answer() {
    // Reads only the head, answers and closes: bytes that it did not read reset its connection.
    let backend = Scripted::answering(
        b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 8\r\n\r\ntoo much",
    )
    .await;
    let weft = gateway(backend.address, "");
    for (name, framing) in [
        ("with a length", "content-length: 8000000"),
        (
            "with an invitation",
            "content-length: 8000000\nexpect: 100-continue",
        ),
    ] {
        for number in 0..10 {
            let mut client = RawClient::connect(weft.gateway(8080)).await;
            client
                .send(head(&format!("POST / HTTP/1.1\nhost: a\n{framing}")))
                .await;
            if name == "with a length" {
                // The client writes on without looking, as simple clients do; its pipe may break.
                let body = vec![b'b'; 8_000_000];
                let _broken_pipe = soon("the upload", client.try_send(&body)).await;
            }
            let mut answer = client.answer().await;
            while answer.status == 100 {
                answer = client.answer().await;
            }
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (413, "too much"),
                "{name}, {number}: the back-end's answer"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_wants_to_close_is_told_so_and_the_back_end_stays() {
    let backend = Scripted::start(mirror).await;
    let world = World::new().service("shop/web", &[backend.address]).route(
        "shop/web",
        "rules: [{backendRefs: [{name: web, port: 80}]}]",
    );
    let weft = Weft::start_with(&world, 1);
    for (name, request, connection) in [
        (
            "close",
            "GET / HTTP/1.1\nhost: a\nconnection: close",
            Some("close"),
        ),
        ("HTTP/1.0", "GET / HTTP/1.0\nhost: a", None),
    ] {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let answer = client.ask(request).await;
        assert_eq!(answer.field("connection"), connection, "{name}");
        assert!(
            !answer.text().contains("connection"),
            "{name}: not passed on"
        );
        assert_eq!(client.rest().await, b"", "{name}: and closed");
    }
    assert_eq!(
        backend.connections(),
        1,
        "the other hop is none of its business"
    );
}

#[tokio::test]
async fn a_back_end_that_wants_to_close_keeps_the_client_s_connection() {
    let backend =
        Scripted::answering(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
            .await;
    let weft = gateway(backend.address, "");
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    for number in 0..5 {
        let answer = client
            .ask("POST / HTTP/1.1\nhost: a\ncontent-length: 0")
            .await;
        assert_eq!(answer.text(), "ok", "request {number}");
        assert_eq!(answer.field("connection"), None, "request {number}");
    }
}

#[tokio::test]
async fn a_body_that_comes_after_the_retry_arrives_once() {
    let backend = Scripted::start(|mut peer| async move {
        let asked = peer.head().await.expect("a request");
        assert!(asked.contains("content-length: 5\r\n"), "{asked}");
        if peer.index == 0 {
            peer.write("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
                .await;
            peer.ended().await;
            return;
        }
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nready\r\n")
            .await;
        let body = peer.read(5).await;
        let said = String::from_utf8_lossy(&body).into_owned();
        peer.write(format!("5\r\n{said}\r\n0\r\n\r\n")).await;
    })
    .await;
    let world = World::new().service("shop/web", &[backend.address]).route(
        "shop/web",
        "rules: [{retry: {codes: [503], attempts: 1}, backendRefs: [{name: web, port: 80}]}]",
    );
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head("PUT / HTTP/1.1\nhost: a\ncontent-length: 5"))
        .await;
    assert_eq!(client.answer_head().await.status, 200);
    assert_eq!(client.chunk().await.as_deref(), Some(&b"ready"[..]));
    client.send("hello").await;
    assert_eq!(client.chunk().await.as_deref(), Some(&b"hello"[..]));
    assert_eq!(client.chunk().await, None, "and nothing after it");
}

#[tokio::test]
async fn an_upgrade_that_finds_no_endpoint_is_answered_like_any_request() {
    let world = World::new().service("shop/web", &[]).route(
        "shop/web",
        "rules: [{backendRefs: [{name: web, port: 80}]}]",
    );
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    for more in ["", "connection: upgrade\nupgrade: websocket"] {
        let answer = client
            .ask(&format!("GET / HTTP/1.1\nhost: a\n{more}"))
            .await;
        assert_eq!(answer.status, 503, "clients come back after 503: {more:?}");
    }
}
