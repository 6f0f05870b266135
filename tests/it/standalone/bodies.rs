//! Bodies that break the rules of their framing, and what is answered then: once, and truthfully.

use weft_tests::{
    gateway::Weft,
    rawclient::{RawClient, head},
    scripted::Scripted,
    wait::soon,
    world::World,
};

use super::validation::{ANY, BY_PATH, gateway};

#[tokio::test]
async fn broken_bodies_are_cut_and_answered_once() {
    let rows: [(&str, &[u8]); 12] = [
        ("a size with a space", b"5 \r\nhello\r\n0\r\n\r\n"),
        ("a size with a tab", b"5\t\r\nhello\r\n0\r\n\r\n"),
        ("a signed size", b"+5\r\nhello\r\n0\r\n\r\n"),
        ("a size with a prefix", b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("no size", b"\r\nhello\r\n0\r\n\r\n"),
        (
            "a size that overflows",
            b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
        ("LF after a size", b"5\nhello\r\n0\r\n\r\n"),
        ("LF after a chunk", b"5\r\nhello\n0\r\n\r\n"),
        ("a chunk that is too long", b"5\r\nhello!\r\n0\r\n\r\n"),
        (
            "a length in the trailers",
            b"5\r\nhello\r\n0\r\ncontent-length: 5\r\n\r\n",
        ),
        (
            "an encoding in the trailers",
            b"5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        (
            "a host in the trailers",
            b"5\r\nhello\r\n0\r\nhost: b\r\n\r\n",
        ),
    ];
    let backend = Scripted::start(|mut peer| async move {
        while peer.head().await.is_some() {
            if !peer.read_until(b"0\r\n\r\n").await {
                return;
            }
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    })
    .await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", ANY);
    let weft = Weft::start(&world);
    for (name, body) in rows {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        client
            .send(head("POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked"))
            .await;
        client.send(body).await;
        client.send(head("GET /smuggled HTTP/1.1\nhost: a")).await;
        assert_eq!(client.answer().await.status, 400, "{name}");
        let rest = client.rest().await;
        assert_eq!(
            String::from_utf8_lossy(&rest),
            "",
            "{name}: one answer, then the end"
        );
    }
}

#[tokio::test]
async fn chunk_extensions_are_understood_and_not_passed_on() {
    let (weft, _backend) = gateway(ANY).await;
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head("POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked"))
        .await;
    client.send("5;a=b;c\r\nhello\r\n0;d\r\n\r\n").await;
    let text = client.answer().await.text();
    assert!(
        text.ends_with("\n\nhello"),
        "the content alone arrives: {text}"
    );
}

#[tokio::test]
async fn an_answer_under_way_is_not_followed_by_a_refusal() {
    let backend = Scripted::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await;
        peer.ended().await;
    })
    .await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", ANY);
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head("POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked"))
        .await;
    assert_eq!(
        client.answer_head().await.status,
        200,
        "the answer begins before the body ends"
    );
    assert_eq!(
        client.chunk().await.as_deref(),
        Some(&b"first"[..]),
        "its first chunk"
    );
    client.send("x\r\n").await;
    let rest = soon("the end", client.rest()).await;
    assert_eq!(
        String::from_utf8_lossy(&rest),
        "",
        "nothing may look like more of the answer"
    );
}

#[tokio::test]
async fn a_refused_upload_still_reads_its_answer() {
    let (weft, backend) = gateway(BY_PATH).await;
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head(
            "POST /nowhere HTTP/1.1\nhost: a\ncontent-length: 8000000",
        ))
        .await;
    // The client writes on without looking, as simple clients do; its pipe may break.
    let body = vec![b'b'; 8_000_000];
    let _broken_pipe = soon("the upload", client.try_send(&body)).await;
    assert_eq!(
        client.answer().await.status,
        404,
        "the answer is not lost to a reset"
    );
    assert_eq!(backend.requests(), 0, "nothing was sent anywhere");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_up_to_the_bad_one() {
    let (weft, backend) = gateway(ANY).await;
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    let first = head("GET /first HTTP/1.1\nhost: a");
    let second = head("POST /second HTTP/1.1\nhost: a\ncontent-length: 3") + "abc";
    let bad = "GET /bad HTTP/1.1\nhost: a\n\n";
    client.send(format!("{first}{second}{bad}")).await;
    assert!(
        client.answer().await.text().contains("GET /first "),
        "the first answer"
    );
    assert!(
        client.answer().await.text().ends_with("\n\nabc"),
        "the second answer"
    );
    assert_eq!(client.answer().await.status, 400, "the bad request");
    assert_eq!(client.rest().await, b"", "the end");
    assert_eq!(backend.requests(), 2, "requests at the back-end");
}
