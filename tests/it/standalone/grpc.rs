//! gRPC streams: messages as they come, statuses at the end, and what breaks them.

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use weft_tests::{
    backend::{Backend, Speaks},
    body::{Body, fed},
    client::{ask2, http2, tcp, whole},
    gateway::Weft,
    rawclient::RawClient,
    wait::{Expected, PATIENCE, eventually, soon},
    world::World,
};

const ROUTE: &str = "rules: [{matches: [{method: {service: s}}], \
                     backendRefs: [{name: web, port: 80}]}]";

fn call(method: &str, body: Body) -> Request<Body> {
    let request = Request::builder()
        .method("POST")
        .uri(format!("http://a/s/{method}"));
    let request = request
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    request.body(body).expect("a request")
}

fn status(code: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    trailers
}

/// Sends every message back; `/s/cut` breaks off after the first, `/s/fail` ends with status 7.
async fn chat(request: Request<Incoming>) -> Response<Body> {
    let method = request.uri().path().trim_start_matches("/s/").to_owned();
    assert_eq!(
        request.headers()["te"],
        "trailers",
        "gRPC servers insist on it"
    );
    let (feed, body) = fed();
    tokio::spawn(async move {
        let mut incoming = request.into_body();
        while let Some(Ok(frame)) = incoming.frame().await {
            let Ok(message) = frame.into_data() else {
                break;
            };
            feed.data(message).await;
            if method == "cut" {
                feed.cut().await;
                return;
            }
        }
        let code = if method == "fail" { "7" } else { "0" };
        feed.trailers(status(code)).await;
    });
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc);
    response
}

async fn gateway() -> (Backend, Weft) {
    let backend = Backend::serve(Speaks::H2c, chat).await;
    let world = World::new()
        .service_port(
            "shop/web",
            "appProtocol: kubernetes.io/h2c",
            &[backend.address],
        )
        .grpc_route("shop/web", ROUTE);
    let weft = Weft::start(&world);
    (backend, weft)
}

#[tokio::test]
async fn a_stream_in_both_directions_keeps_its_pace() {
    let (_backend, weft) = gateway().await;
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    let (feed, body) = fed();
    let response = soon("the head", client.send_request(call("chat", body))).await;
    let mut answers = response.expected("an answer").into_body();
    for number in 0_u8..20 {
        let message = vec![0, 0, 0, 0, 1, number];
        feed.data(message.clone()).await;
        let frame = soon("the message back", answers.frame())
            .await
            .expect("a frame");
        let data = frame.expected("a frame").into_data().expect("a message");
        assert_eq!(data, message, "before the next one is sent");
    }
    drop(feed);
    let rest = soon("the end", answers.collect())
        .await
        .expected("an orderly end");
    let trailers = rest.trailers().cloned().expect("trailers");
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn a_status_at_the_end_of_a_stream_arrives() {
    let (_backend, weft) = gateway().await;
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    let request = call("fail", weft_tests::body::full("\0\0\0\0\0"));
    let answer = whole(
        soon("the head", client.send_request(request))
            .await
            .expected("a head"),
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), answer.grpc_status()),
        (200, Some("7"))
    );
    let counted = weft.metric("weft_requests_total", &["grpc", "\"7\""]);
    assert_eq!(counted, 1.0, "counted with its gRPC status");
}

#[tokio::test]
async fn a_stream_that_breaks_has_a_status_and_its_neighbours_live() {
    let (_backend, weft) = gateway().await;
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    let (feed, body) = fed();
    let response = soon("a head", client.send_request(call("chat", body))).await;
    let mut neighbour = response.expected("an answer").into_body();
    let request = call("cut", weft_tests::body::full("\0\0\0\0\0"));
    let cut = soon("a head", client.send_request(request))
        .await
        .expected("a head");
    assert_eq!(whole(cut).await.grpc_status(), Some("14"), "UNAVAILABLE");
    feed.data("\0\0\0\0\x01x").await;
    let frame = soon("the neighbour's message", neighbour.frame())
        .await
        .expect("a frame");
    assert!(
        frame.expected("a frame").is_data(),
        "the connection is not affected"
    );
}

#[tokio::test]
async fn a_client_that_cancels_takes_its_stream_along() {
    let (seen, mut ended) = tokio::sync::mpsc::channel(1);
    let backend = Backend::serve(Speaks::H2c, move |request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let (feed, body) = fed();
            tokio::spawn(async move {
                let mut incoming = request.into_body();
                while let Some(Ok(_message)) = incoming.frame().await {}
                drop(feed);
                seen.send(()).await.expect("the test listens");
            });
            Response::new(body)
        }
    })
    .await;
    let world = World::new()
        .service_port(
            "shop/web",
            "appProtocol: kubernetes.io/h2c",
            &[backend.address],
        )
        .grpc_route("shop/web", ROUTE);
    let weft = Weft::start(&world);
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    let (feed, body) = fed();
    let response = soon("a head", client.send_request(call("watch", body))).await;
    feed.data("\0\0\0\0\0").await;
    drop(response);
    feed.cut().await;
    soon("the end at the back-end", ended.recv())
        .await
        .expect("the stream ended");
    let other = client.send_request(call("watch", weft_tests::body::empty()));
    soon("another stream", other)
        .await
        .expected("the connections live");
}

#[tokio::test]
async fn calls_of_an_http_route_go_as_http2_to_a_port_that_declares_nothing() {
    let backend = Backend::serve(Speaks::H2c, chat).await;
    let copy = Backend::serve(Speaks::H2c, chat).await;
    let spec = "rules: [{backendRefs: [{name: web, port: 80}], filters: [{type: RequestMirror, \
                requestMirror: {backendRef: {name: copy, port: 80}}}]}]";
    let world = World::new()
        .service("shop/web", &[backend.address])
        .service("shop/copy", &[copy.address])
        .route("shop/web", spec);
    let weft = Weft::start(&world);
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    let request = call("fail", weft_tests::body::full("\0\0\0\0\0"));
    let response = soon("the head", client.send_request(request)).await;
    let answer = whole(response.expected("a head")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.grpc_status()),
        (200, Some("7")),
        "{}",
        answer.text()
    );
    eventually(PATIENCE, "the copy goes as HTTP/2 too", || {
        copy.requests() == 1
    })
    .await;
}

#[tokio::test]
async fn what_only_looks_like_grpc_goes_as_http1() {
    let backend = Backend::echo("web", Speaks::Http1).await;
    let world = World::new().service("shop/web", &[backend.address]).route(
        "shop/web",
        "rules: [{backendRefs: [{name: web, port: 80}]}]",
    );
    let weft = Weft::start(&world);
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    for media in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/json",
    ] {
        let request = Request::post("http://a/s/m").header("content-type", media);
        let request = request
            .body(weft_tests::body::full("x"))
            .expect("a request");
        let seen = ask2(&mut client, request).await.text();
        assert!(seen.contains("POST /s/m HTTP/1.1\n"), "{media}: {seen}");
    }
    let mut old = RawClient::connect(weft.gateway(8080)).await;
    let asked = "POST /s/m HTTP/1.1\nhost: a\ncontent-type: application/grpc\ncontent-length: 0";
    let seen = old.ask(asked).await.text();
    assert!(
        seen.contains("POST /s/m HTTP/1.1\n"),
        "no HTTP/2 client: {seen}"
    );
}
