//! Header and trailer fields: which pass, which belong to one hop, and which are made here.

use http::{HeaderMap, HeaderValue};
use weft_tests::{
    backend::{Backend, Speaks},
    body::{Body, empty, fed, with_trailers},
    client::{ask2, http2, tcp},
    rawclient::{RawClient, head},
    scripted::Scripted,
};

use super::streaming::{H2C, gateway, get, request};

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("abc"));
    trailers
}

#[tokio::test]
async fn trailers_of_requests_arrive() {
    let backend = Backend::echo("web", Speaks::H2c).await;
    let weft = gateway(backend.address, H2C);
    let mut h2 = http2(tcp(weft.gateway(8080)).await).await;
    let body = with_trailers("data", trailers());
    let answer = ask2(&mut h2, request("POST", "/", body)).await;
    assert!(
        answer.text().ends_with("data\ntrailer x-checksum: abc"),
        "h2 to h2: {}",
        answer.text()
    );
    let mut h1 = RawClient::connect(weft.gateway(8080)).await;
    h1.send(head(
        "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\ntrailer: x-checksum",
    ))
    .await;
    h1.send("4\r\ndata\r\n0\r\nx-checksum: abc\r\n\r\n").await;
    let answer = h1.answer().await;
    assert!(
        answer.text().ends_with("data\ntrailer x-checksum: abc"),
        "h1 to h2: {}",
        answer.text()
    );
}

#[tokio::test]
async fn trailers_of_answers_arrive_where_they_are_understood() {
    let backend = Backend::serve(Speaks::H2c, |_request| async {
        let (feed, body) = fed();
        tokio::spawn(async move { feed.data("data").await && feed.trailers(trailers()).await });
        let mut response = http::Response::new(body);
        response
            .headers_mut()
            .insert("trailer", HeaderValue::from_static("x-checksum"));
        response
    })
    .await;
    let weft = gateway(backend.address, H2C);
    let mut h2 = http2(tcp(weft.gateway(8080)).await).await;
    let answer = ask2(&mut h2, get("/")).await;
    assert_eq!(
        answer.trailers.expect("trailers")["x-checksum"],
        "abc",
        "h2"
    );
    let mut h1 = RawClient::connect(weft.gateway(8080)).await;
    let answer = h1.ask("GET / HTTP/1.1\nhost: a\nte: trailers").await;
    assert_eq!(
        answer.trailer("x-checksum"),
        Some("abc"),
        "h1 that asks for them"
    );
    let answer = h1.ask("GET / HTTP/1.1\nhost: a").await;
    assert_eq!(answer.trailer("x-checksum"), None, "h1 that does not");
    assert_eq!(answer.text(), "data");
}

/// Says how long the content is and that trailers follow it.
async fn measured(request: http::Request<hyper::body::Incoming>) -> http::Response<Body> {
    let body = if request.method() == http::Method::HEAD {
        empty()
    } else {
        let (feed, body) = fed();
        tokio::spawn(async move { feed.data("data").await && feed.trailers(trailers()).await });
        body
    };
    http::Response::builder()
        .header("content-length", "4")
        .header("trailer", "x-checksum")
        .body(body)
        .expect("a response")
}

#[tokio::test]
async fn a_length_gives_way_to_trailers_that_the_client_asks_for() {
    let backend = Backend::serve(Speaks::H2c, measured).await;
    let weft = gateway(backend.address, H2C);
    let mut h1 = RawClient::connect(weft.gateway(8080)).await;
    for te in ["trailers", "gzip;q=0.5, Trailers"] {
        let asked = format!("GET / HTTP/1.1\nhost: a\nconnection: te\nte: {te}");
        let answer = h1.ask(&asked).await;
        assert_eq!(answer.text(), "data", "{te}");
        assert_eq!(answer.trailer("x-checksum"), Some("abc"), "{te}");
        assert_eq!(answer.field("content-length"), None, "{te}: framed once");
    }
    let answer = h1.ask("GET / HTTP/1.1\nhost: a").await;
    assert_eq!(answer.field("content-length"), Some("4"), "nobody asked");
    assert_eq!(answer.text(), "data");
    h1.send(head("HEAD / HTTP/1.1\nhost: a\nte: trailers"))
        .await;
    let answer = h1.answer_to("HEAD").await;
    assert_eq!(answer.field("content-length"), Some("4"), "no content");
    let mut h2 = http2(tcp(weft.gateway(8080)).await).await;
    let answer = ask2(&mut h2, get("/")).await;
    assert_eq!(answer.headers["content-length"], "4", "HTTP/2 has both");
    assert_eq!(answer.trailers.expect("trailers")["x-checksum"], "abc");
}

/// The fields of a request, what else it says in HTTP/1, and what arrives of `te` and `connection`.
const TES: &[(&str, &str, &[&str])] = &[
    ("trailers", "", &["connection: te", "te: trailers"]),
    ("TRAILERS;q=1", "", &[]),
    ("gzip, trailers", "", &["connection: te", "te: trailers"]),
    ("gzip", "", &[]),
    (
        "trailers",
        "upgrade: x-custom",
        &["connection: upgrade", "upgrade: x-custom"],
    ),
];

#[tokio::test]
async fn te_is_a_matter_of_one_hop_and_says_so() {
    let backend = Backend::echo("web", Speaks::Http1).await;
    let weft = gateway(backend.address, "");
    let hop = |seen: &str| {
        let mut hop: Vec<_> = seen
            .lines()
            .filter(|line| {
                ["te: ", "connection: ", "upgrade: "]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .map(str::to_owned)
            .collect();
        hop.sort();
        hop
    };
    for (te, more, expected) in TES {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let asked = format!("GET / HTTP/1.1\nhost: a\nconnection: te, upgrade\nte: {te}\n{more}");
        let seen = client.ask(&asked).await.text();
        assert_eq!(hop(&seen), *expected, "{te} {more}");
    }
    let mut h2 = http2(tcp(weft.gateway(8080)).await).await;
    let mut asked = get("/");
    let fields = asked.headers_mut();
    fields.insert("te", HeaderValue::from_static("trailers"));
    let seen = ask2(&mut h2, asked).await.text();
    assert_eq!(
        hop(&seen),
        ["connection: te", "te: trailers"],
        "from HTTP/2"
    );
}

#[tokio::test]
async fn framing_fields_in_trailers_of_answers_are_dropped() {
    let script = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-a\r\n\r\n2\r\nok\r\n\
                  0\r\nx-a: 1\r\ncontent-length: 5\r\nhost: b\r\n\r\n";
    let backend = Scripted::start(move |mut peer| async move {
        while peer.head().await.is_some() {
            peer.write(script).await;
        }
    })
    .await;
    let weft = gateway(backend.address, "");
    let mut h2 = http2(tcp(weft.gateway(8080)).await).await;
    let answer = ask2(&mut h2, get("/")).await;
    let trailers = answer.trailers.expect("trailers");
    assert_eq!(trailers.len(), 1, "only what may stand there: {trailers:?}");
    assert_eq!(trailers["x-a"], "1");
}

#[tokio::test]
async fn an_answer_with_length_and_encoding_is_framed_once() {
    let script = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n\
                  5\r\nhello\r\n0\r\n\r\n";
    let backend = Scripted::start(move |mut peer| async move {
        while peer.head().await.is_some() {
            peer.write(script).await;
        }
    })
    .await;
    let weft = gateway(backend.address, "");
    let mut h1 = RawClient::connect(weft.gateway(8080)).await;
    let answer = h1.ask("GET / HTTP/1.1\nhost: a").await;
    assert_eq!(answer.text(), "hello", "the encoding counts");
    let mut h2 = http2(tcp(weft.gateway(8080)).await).await;
    let answer = ask2(&mut h2, get("/")).await;
    assert_eq!(answer.text(), "hello", "in HTTP/2 too");
}

#[tokio::test]
async fn hop_by_hop_fields_stay_on_their_hop() {
    let backend = Backend::echo("web", Speaks::Http1).await;
    let weft = gateway(backend.address, "");
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    let asked = "GET / HTTP/1.1\nhost: a\nconnection: x-one\nconnection: x-two, keep-alive\n\
                 x-one: 1\nx-two: 2\nkeep-alive: timeout=5\nproxy-connection: close\n\
                 x-weft-identity: me\nx-forwarded-for: 1.2.3.4\nforwarded: for=1.2.3.4\nx-kept: 3";
    let seen = client.ask(asked).await.text();
    for gone in [
        "x-one",
        "x-two",
        "keep-alive",
        "proxy-connection",
        "x-weft",
        "1.2.3.4",
    ] {
        assert!(!seen.contains(gone), "{gone} must not arrive:\n{seen}");
    }
    assert!(
        seen.contains("x-kept: 3\n"),
        "what is nobody's business passes:\n{seen}"
    );
    assert!(
        seen.contains("x-forwarded-for: 127."),
        "the client's address arrives:\n{seen}"
    );
    assert!(
        seen.contains("x-forwarded-proto: http\n"),
        "the client's scheme arrives:\n{seen}"
    );
}

#[tokio::test]
async fn a_length_named_in_connection_still_frames_the_body() {
    let backend = Backend::echo("web", Speaks::Http1).await;
    let weft = gateway(backend.address, "");
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client
        .send(head(
            "POST / HTTP/1.1\nhost: a\nconnection: content-length, host\ncontent-length: 2",
        ))
        .await;
    client.send("ok").await;
    let seen = client.answer().await.text();
    assert!(
        seen.contains("content-length: 2\n") && seen.ends_with("\n\nok"),
        "{seen}"
    );
    assert!(seen.contains("host: a\n"), "{seen}");
}
