//! Which answer a client gets when something is wrong, in HTTP and in gRPC, and that nothing is
//! sent where it must not go (the table of backends and answers in the routing rules).

use std::{net::SocketAddr, time::Duration};

use http::Request;
use weft_tests::{
    backend::{Backend, Speaks, nobody},
    body::{Body, empty, full},
    client::{Whole, ask1, ask2, http1, http2, tcp},
    gateway::Weft,
    rawclient::RawClient,
    scripted::Scripted,
    wait::eventually,
    world::World,
};

const ANY: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";
const GRPC: &str = "appProtocol: kubernetes.io/h2c";

fn get(path: &str) -> Request<Body> {
    let request = Request::builder()
        .uri(format!("http://a{path}"))
        .header("host", "a");
    request.body(empty()).expect("a request")
}

fn call(path: &str) -> Request<Body> {
    let request = Request::builder()
        .method("POST")
        .uri(format!("http://a{path}"));
    let request = request
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    request.body(full("\0\0\0\0\0")).expect("a request")
}

/// Asks in HTTP/1, HTTP/2 and gRPC.
async fn ask_all(weft: &Weft) -> (Whole, Whole, Whole) {
    let mut h1 = http1(tcp(weft.gateway(8080)).await).await;
    let mut h2 = http2(tcp(weft.gateway(8080)).await).await;
    (
        ask1(&mut h1, get("/")).await,
        ask2(&mut h2, get("/")).await,
        ask2(&mut h2, call("/s/m")).await,
    )
}

/// Compares the status in HTTP/1 and HTTP/2 and the gRPC status, which comes with HTTP status 200.
async fn check(name: &str, world: World, status: u16, grpc_status: &str) {
    let weft = Weft::start(&world);
    let (h1, h2, grpc) = ask_all(&weft).await;
    assert_eq!(h1.status, status, "{name} in HTTP/1: {}", h1.text());
    assert_eq!(h2.status, status, "{name} in HTTP/2: {}", h2.text());
    assert_eq!(grpc.status, 200, "{name}: HTTP status of a gRPC answer");
    assert_eq!(grpc.grpc_status(), Some(grpc_status), "{name} in gRPC");
    assert!(
        grpc.trailers.is_none() && grpc.body.is_empty(),
        "{name}: trailers-only"
    );
    assert_eq!(
        grpc.headers["content-type"], "application/grpc",
        "{name}: content type"
    );
}

/// The same with one route `shop/web` beside a Service `shop/web` with these endpoints.
async fn check_route(name: &str, endpoints: &[SocketAddr], spec: &str, expected: (u16, &str)) {
    let world = World::new()
        .service("shop/web", endpoints)
        .route("shop/web", spec);
    check(name, world, expected.0, expected.1).await;
}

/// What is wrong, the endpoints, the spec of the route; the status in HTTP and in gRPC.
type Row<'a> = (&'a str, &'a [SocketAddr], &'a str, (u16, &'a str));

#[tokio::test]
async fn what_cannot_be_served_is_answered_by_its_cause() {
    let web = Backend::named("web").await.address;
    let refused = nobody();
    check("no route", World::new(), 404, "12").await;
    let rows: [Row<'_>; 9] = [
        (
            "no match",
            &[web],
            "rules: [{matches: [{path: {type: Exact, value: /x}}], backendRefs: [{name: web, port: 80}]}]",
            (404, "12"),
        ),
        (
            "no backend",
            &[web],
            "rules: [{backendRefs: []}]",
            (500, "14"),
        ),
        (
            "a missing backend",
            &[web],
            "rules: [{backendRefs: [{name: nothing, port: 80}]}]",
            (500, "14"),
        ),
        (
            "a missing port",
            &[web],
            "rules: [{backendRefs: [{name: web, port: 81}]}]",
            (500, "14"),
        ),
        (
            "an unknown kind",
            &[web],
            "rules: [{backendRefs: [{kind: Thing, name: web, port: 80}]}]",
            (500, "14"),
        ),
        (
            "a namespace without grant",
            &[web],
            "rules: [{backendRefs: [{name: web, namespace: infra, port: 80}]}]",
            (500, "14"),
        ),
        (
            "all weights 0",
            &[web],
            "rules: [{backendRefs: [{name: web, port: 80, weight: 0}]}]",
            (500, "14"),
        ),
        ("no endpoint", &[], ANY, (503, "14")),
        ("every endpoint refuses", &[refused], ANY, (503, "14")),
    ];
    for (name, endpoints, spec, expected) in rows {
        check_route(name, endpoints, spec, expected).await;
    }
}

#[tokio::test]
async fn a_filter_that_is_not_known_fails_its_rule_alone() {
    let web = Backend::named("web").await;
    let spec = "rules: [\
        {matches: [{path: {type: Exact, value: /}}], backendRefs: [{name: web, port: 80}], \
         filters: [{type: ExtensionRef, extensionRef: {group: x.io, kind: Thing, name: t}}]}, \
        {matches: [{path: {type: Exact, value: /good}}], backendRefs: [{name: web, port: 80}]}]";
    let world = World::new()
        .service("shop/web", &[web.address])
        .route("shop/web", spec);
    let weft = Weft::start(&world);
    let mut client = http1(tcp(weft.gateway(8080)).await).await;
    assert_eq!(
        ask1(&mut client, get("/")).await.status,
        500,
        "never served without its filter"
    );
    assert_eq!(web.requests(), 0, "and nothing was sent");
    assert_eq!(
        ask1(&mut client, get("/good")).await.status,
        200,
        "the rule beside it"
    );
}

/// What a back-end that follows `script` makes of a GET and of a POST, which is not repeated.
async fn check_script(name: &str, script: &'static [u8], expected: u16) {
    let backend = Scripted::answering(script).await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", ANY);
    let weft = Weft::start(&world);
    for method in ["GET", "POST"] {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let answer = client
            .ask(&format!("{method} / HTTP/1.1\nhost: a\ncontent-length: 0"))
            .await;
        assert_eq!(
            answer.status,
            expected,
            "{name} to {method}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn answers_that_are_none() {
    check_script("nothing", b"", 503).await;
    check_script("no HTTP", b"hello\r\n\r\n", 502).await;
    check_script("an unknown version", b"HTTP/7.3 200 OK\r\n\r\n", 502).await;
    check_script("no status", b"HTTP/1.1 hello\r\n\r\n", 502).await;
    check_script("a broken field", b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n", 502).await;
    check_script(
        "two lengths",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        502,
    )
    .await;
    check_script(
        "an upgrade nobody asked for",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        502,
    )
    .await;
}

#[tokio::test]
async fn a_reset_without_an_answer() {
    let backend = Scripted::start(|mut peer| async move {
        peer.head().await;
        peer.reset();
    })
    .await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", ANY);
    check("a reset", world, 503, "14").await;
}

#[tokio::test]
async fn a_back_end_that_does_not_speak_http2() {
    let backend = Scripted::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            .await;
        peer.read_until(b"a request that never comes").await;
    })
    .await;
    let world = World::new()
        .service_port("shop/web", GRPC, &[backend.address])
        .route("shop/web", ANY);
    check("an HTTP/1 server behind h2c", world, 502, "14").await;
}

#[tokio::test]
async fn the_next_endpoint_serves_when_one_refuses() {
    let web = Backend::named("web").await;
    let world = World::new()
        .service("shop/web", &[nobody(), nobody(), web.address])
        .route("shop/web", ANY);
    let weft = Weft::start(&world);
    for method in ["GET", "POST"] {
        for _ in 0..20 {
            let mut client = RawClient::connect(weft.gateway(8080)).await;
            let asked = format!("{method} / HTTP/1.1\nhost: a\ncontent-length: 0");
            let answer = client.ask(&asked).await;
            assert_eq!(
                answer.status, 200,
                "{method}: nothing was sent to who refused"
            );
        }
    }
}

#[tokio::test]
async fn timeouts_answer_504() {
    let backend = Scripted::start(|mut peer| async move {
        peer.read_until(b"a request that never comes").await;
    })
    .await;
    for timeouts in [
        "request: 200ms",
        "backendRequest: 200ms",
        "request: 5s, backendRequest: 200ms",
    ] {
        let spec = format!(
            "rules: [{{timeouts: {{{timeouts}}}, backendRefs: [{{name: web, port: 80}}]}}]"
        );
        let world = World::new()
            .service("shop/web", &[backend.address])
            .route("shop/web", &spec);
        check(timeouts, world, 504, "4").await;
    }
}

#[tokio::test]
async fn the_request_timeout_ends_an_answer_under_way() {
    let backend = Scripted::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            .await;
        peer.ended().await;
    })
    .await;
    let spec = "rules: [{timeouts: {request: 200ms}, backendRefs: [{name: web, port: 80}]}]";
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", spec);
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.answer_head().await.status, 200);
    assert_eq!(
        client.rest().await,
        b"half",
        "what came in time, then the end"
    );
}

#[tokio::test]
async fn errors_are_counted_with_their_reason() {
    let world = World::new().service("shop/web", &[]).route("shop/web", ANY);
    let weft = Weft::start(&world);
    let mut client = http1(tcp(weft.gateway(8080)).await).await;
    ask1(&mut client, get("/")).await;
    let counted = || {
        weft.metric(
            "weft_request_errors_total",
            &["no_ready_endpoint", "route_name=\"web\""],
        )
    };
    let patience = Duration::from_secs(5);
    eventually(patience, "the error is counted", || counted() == 1.0).await;
}

#[tokio::test]
async fn grpc_answers_pass_with_their_status() {
    let backend = Backend::serve(Speaks::H2c, |request| async move {
        let (status, only) = match request.uri().path() {
            "/s/trailers-only" => ("5", true),
            _ => ("0", false),
        };
        let status = http::HeaderValue::from_static(status);
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", status.clone());
        let mut response = http::Response::new(match only {
            true => empty(),
            false => weft_tests::body::with_trailers("\0\0\0\0\x02hi", trailers),
        });
        response.headers_mut().insert(
            "content-type",
            http::HeaderValue::from_static("application/grpc"),
        );
        if only {
            response.headers_mut().insert("grpc-status", status);
        }
        response
    })
    .await;
    let world = World::new()
        .service_port("shop/web", GRPC, &[backend.address])
        .grpc_route(
            "shop/web",
            "rules: [{matches: [{method: {service: s}}], backendRefs: [{name: web, port: 80}]}]",
        );
    let weft = Weft::start(&world);
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    let answer = ask2(&mut client, call("/s/unary")).await;
    assert_eq!(&answer.body[..], b"\0\0\0\0\x02hi", "the message");
    assert_eq!(
        answer.grpc_status(),
        Some("0"),
        "its status in the trailers"
    );
    let answer = ask2(&mut client, call("/s/trailers-only")).await;
    assert_eq!(
        (answer.grpc_status(), answer.trailers.is_none()),
        (Some("5"), true),
        "trailers-only"
    );
    let answer = ask2(&mut client, call("/other/unary")).await;
    assert_eq!(answer.grpc_status(), Some("12"), "no rule: UNIMPLEMENTED");
    assert_eq!(
        ask2(&mut client, get("/s/unary")).await.status,
        404,
        "a request that is no call"
    );
}
