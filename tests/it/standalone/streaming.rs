//! Bytes flow as they come, both ways, and every form of message keeps its meaning.

use http::Request;
use http_body_util::BodyExt;
use weft_tests::{
    backend::{Backend, Speaks},
    body::{empty, fed, full},
    client::{ask1, ask2, http1, http2, tcp, whole},
    gateway::Weft,
    rawclient::{RawClient, head},
    scripted::Scripted,
    wait::{Expected, PATIENCE, eventually, soon},
    world::World,
};

const ANY: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";
pub(super) const H2C: &str = "appProtocol: kubernetes.io/h2c";

pub(super) fn gateway(address: std::net::SocketAddr, more: &str) -> Weft {
    let world = World::new()
        .service_port("shop/web", more, &[address])
        .route("shop/web", ANY);
    Weft::start(&world)
}

pub(super) fn get(path: &str) -> Request<weft_tests::body::Body> {
    request("GET", path, empty())
}

pub(super) fn request(
    method: &str,
    path: &str,
    body: weft_tests::body::Body,
) -> Request<weft_tests::body::Body> {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://a{path}"));
    request.header("host", "a").body(body).expect("a request")
}

#[tokio::test]
async fn the_client_has_the_first_chunk_before_the_back_end_sends_the_second() {
    let backend = Scripted::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await;
        // Goes on only when the client has asked for more, which it does when it has this.
        assert!(peer.read_until(b"more").await, "the client's reaction");
        peer.write("6\r\nsecond\r\n0\r\n\r\n").await;
    })
    .await;
    let weft = gateway(backend.address, "");
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head("POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked"))
        .await;
    client.send("5\r\nhello\r\n").await;
    assert_eq!(client.answer_head().await.status, 200);
    assert_eq!(
        client.chunk().await.as_deref(),
        Some(&b"first"[..]),
        "before the second is sent"
    );
    client.send("4\r\nmore\r\n0\r\n\r\n").await;
    assert_eq!(client.chunk().await.as_deref(), Some(&b"second"[..]));
    assert_eq!(client.chunk().await, None, "the end");
}

#[tokio::test]
async fn http2_streams_both_ways_at_once() {
    // Answers each piece as it arrives.
    let backend = Backend::serve(Speaks::H2c, |request| async move {
        let (feed, body) = fed();
        tokio::spawn(async move {
            let mut incoming = request.into_body();
            while let Some(Ok(frame)) = incoming.frame().await {
                if let Ok(data) = frame.into_data() {
                    feed.data(data).await;
                }
            }
        });
        http::Response::new(body)
    })
    .await;
    let weft = gateway(backend.address, H2C);
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    let (feed, body) = fed();
    let response = soon("the head", client.send_request(request("POST", "/", body))).await;
    let mut answer = response.expected("an answer").into_body();
    for piece in ["one", "two", "three"] {
        feed.data(piece).await;
        let frame = soon(piece, answer.frame())
            .await
            .expect("a piece")
            .expected("a piece");
        assert_eq!(
            frame.into_data().expect("data"),
            piece,
            "comes back before the next is sent"
        );
    }
    drop(feed);
    let rest = soon("the end of the answer", answer.collect())
        .await
        .expected("an orderly end");
    assert!(
        rest.to_bytes().is_empty(),
        "the answer ends with the request"
    );
}

#[tokio::test]
async fn large_bodies_pass_whole_in_every_pairing() {
    let content: Vec<u8> = (0..3_000_000_u32)
        .map(|number| number.to_le_bytes()[0])
        .collect();
    for (speaks, more) in [(Speaks::Http1, ""), (Speaks::H2c, H2C)] {
        let backend = Backend::serve(
            speaks,
            |request: Request<hyper::body::Incoming>| async move {
                let body = request.into_body().collect().await.expected("the body");
                http::Response::new(full(body.to_bytes()))
            },
        )
        .await;
        let weft = gateway(backend.address, more);
        let mut h1 = http1(tcp(weft.gateway(8080)).await).await;
        let mut h2 = http2(tcp(weft.gateway(8080)).await).await;
        let answer = ask1(&mut h1, request("POST", "/", full(content.clone()))).await;
        assert!(
            answer.body == content,
            "HTTP/1 to {speaks:?}: {} bytes",
            answer.body.len()
        );
        let answer = ask2(&mut h2, request("POST", "/", full(content.clone()))).await;
        assert!(
            answer.body == content,
            "HTTP/2 to {speaks:?}: {} bytes",
            answer.body.len()
        );
    }
}

#[tokio::test]
async fn head_and_bodiless_answers_keep_their_form() {
    let rows: [(&str, &str, &str, u16, Option<&str>); 5] = [
        (
            "HEAD",
            "HEAD",
            "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
            200,
            Some("1000"),
        ),
        ("204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        (
            "304",
            "GET",
            "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n",
            304,
            None,
        ),
        (
            "304 with a length",
            "GET",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
            304,
            None,
        ),
        (
            "an empty answer",
            "GET",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            200,
            Some("0"),
        ),
    ];
    for (name, method, script, status, length) in rows {
        let backend = Scripted::start(move |mut peer| async move {
            while peer.head().await.is_some() {
                peer.write(script).await;
            }
        })
        .await;
        let weft = gateway(backend.address, "");
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        for _twice in 0..2 {
            client
                .send(head(&format!("{method} / HTTP/1.1\nhost: a")))
                .await;
            let answer = client.answer_to(method).await;
            assert_eq!(answer.status, status, "{name}");
            assert_eq!(answer.field("content-length"), length, "{name}: length");
        }
        assert_eq!(backend.connections(), 1, "{name}: both connections live on");
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_passed_whole() {
    let backend = Scripted::answering(b"HTTP/1.1 200 OK\r\n\r\nall there is").await;
    let weft = gateway(backend.address, "");
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    let answer = client.ask("GET / HTTP/1.1\nhost: a").await;
    assert_eq!(answer.text(), "all there is");
    assert_eq!(
        answer.field("transfer-encoding"),
        Some("chunked"),
        "framed for the client"
    );
    let mut old = RawClient::connect(weft.gateway(8080)).await;
    let answer = old.ask("GET / HTTP/1.0\nhost: a").await;
    assert_eq!(
        answer.field("transfer-encoding"),
        None,
        "HTTP/1.0 knows no chunks"
    );
    assert_eq!(answer.text(), "all there is");
}

#[tokio::test]
async fn answers_cut_by_the_back_end_are_cut_for_the_client() {
    let rows: [(&str, &[u8]); 2] = [
        (
            "a length not reached",
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        ),
        (
            "no last chunk",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ),
    ];
    for (name, script) in rows {
        let backend = Scripted::answering(script).await;
        let weft = gateway(backend.address, "");
        let mut h1 = RawClient::connect(weft.gateway(8080)).await;
        h1.send(head("GET / HTTP/1.1\nhost: a")).await;
        assert_eq!(h1.answer_head().await.status, 200, "{name}");
        let rest = String::from_utf8_lossy(&h1.rest().await).into_owned();
        assert!(
            !rest.ends_with("0\r\n\r\n"),
            "{name}: must not look complete: {rest:?}"
        );
        let mut h2 = http2(tcp(weft.gateway(8080)).await).await;
        let response = soon("a head", h2.send_request(get("/")))
            .await
            .expected("a head");
        let body = soon("the body", response.into_body().collect()).await;
        assert!(body.is_err(), "{name}: HTTP/2 sees a reset stream");
    }
}

#[tokio::test]
async fn interim_answers_do_not_disturb_the_final_one() {
    let script = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
                  HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let backend = Scripted::start(move |mut peer| async move {
        while peer.head().await.is_some() {
            peer.write(script).await;
        }
    })
    .await;
    let weft = gateway(backend.address, "");
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    for _twice in 0..2 {
        let answer = client.ask("GET / HTTP/1.1\nhost: a").await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "ok"),
            "the final answer"
        );
    }
}

#[tokio::test]
async fn expect_100_continue_gets_its_invitation() {
    let backend = Backend::echo("web", Speaks::Http1).await;
    let weft = gateway(backend.address, "");
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    let expecting = "POST / HTTP/1.1\nhost: a\ncontent-length: 4\nexpect: 100-continue";
    client.send(head(expecting)).await;
    assert_eq!(client.answer().await.status, 100, "before the body is sent");
    client.send("body").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().ends_with("\n\nbody"), "{}", answer.text());
}

#[tokio::test]
async fn a_refusal_needs_no_body_after_expect() {
    let weft = Weft::start(&World::new());
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head(
            "POST / HTTP/1.1\nhost: a\ncontent-length: 4\nexpect: 100-continue",
        ))
        .await;
    assert_eq!(
        client.answer().await.status,
        404,
        "instead of an invitation"
    );
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_along() {
    let (seen, mut ended) = tokio::sync::mpsc::channel(1);
    let backend = Scripted::start(move |mut peer| {
        let seen = seen.clone();
        async move {
            peer.head().await;
            let gone = peer.ended().await;
            seen.send(gone).await.expect("the test listens");
        }
    })
    .await;
    let weft = gateway(backend.address, "");
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client.send(head("GET / HTTP/1.1\nhost: a")).await;
    eventually(PATIENCE, "the request arrives", || {
        backend.connections() == 1
    })
    .await;
    drop(client);
    let gone = soon("the end at the back-end", ended.recv()).await;
    assert_eq!(
        gone,
        Some(true),
        "the upstream connection is closed, not left waiting"
    );
}

#[tokio::test]
async fn many_requests_share_one_http2_connection() {
    let backend = Backend::echo("web", Speaks::H2c).await;
    let weft = Weft::start_with(
        &World::new()
            .service_port("shop/web", H2C, &[backend.address])
            .route("shop/web", ANY),
        1,
    );
    let client = http2(tcp(weft.gateway(8080)).await).await;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..50 {
        let mut client = client.clone();
        asking.spawn(async move {
            let response = client.send_request(get(&format!("/{number}"))).await;
            (number, whole(response.expected("an answer")).await)
        });
    }
    while let Some(done) = soon("all answers", asking.join_next()).await {
        let (number, answer) = done.expected("no panic");
        assert!(
            answer.text().contains(&format!("/{number} ")),
            "answers are not mixed up"
        );
    }
    assert_eq!(backend.connections(), 1, "upstream connections");
}
