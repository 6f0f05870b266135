//! The mesh inlet: a connection to a ClusterIP, whose client namespace and port are the key.

use std::time::{Duration, Instant};

use http::Request;
use tokio::net::TcpStream;
use weft_tests::{
    backend::{Backend, Speaks, nobody},
    body::{Body, empty},
    client::{ask1, ask2, http1, http2, tcp},
    gateway::Weft,
    rawclient::{RawClient, head},
    scripted::{Peer, Scripted},
    wait::soon,
    world::World,
};

mod tls_policy;

fn get(path: &str) -> Request<Body> {
    let request = Request::builder()
        .uri(format!("http://web.shop{path}"))
        .header("host", "web.shop");
    request.body(empty()).expect("a request")
}

/// What clients of a namespace get from `shop/web`.
async fn ask(weft: &Weft, namespace: &str, path: &str) -> (u16, String) {
    let mut client = http1(tcp(weft.mesh(namespace, "shop/web")).await).await;
    let answer = ask1(&mut client, get(path)).await;
    (answer.status.as_u16(), answer.text())
}

fn to(backend: &str) -> String {
    format!(
        "rules: [{{matches: [{{path: {{type: PathPrefix, value: /x}}}}], backendRefs: [{{name: {backend}, port: 80}}]}}]"
    )
}

#[tokio::test]
async fn consumers_routes_replace_the_producers() {
    let (web, producer, consumer) = (
        Backend::named("web").await,
        Backend::named("producer").await,
        Backend::named("consumer").await,
    );
    let plain = World::bare()
        .service_port("shop/web", "appProtocol: http", &[web.address])
        .service("shop/producer", &[producer.address])
        .service("client/consumer", &[consumer.address]);
    let weft = Weft::start(&plain);
    assert_eq!(
        ask(&weft, "client", "/x").await.1,
        "web",
        "no route: the Service itself"
    );
    let produced = plain
        .clone()
        .mesh_route("shop/web", "shop/web", &to("producer"));
    weft.update(&produced);
    assert_eq!(
        ask(&weft, "client", "/x").await.1,
        "producer",
        "a producer route acts for everybody"
    );
    assert_eq!(
        ask(&weft, "shop", "/x").await.1,
        "producer",
        "its own namespace too"
    );
    assert_eq!(
        ask(&weft, "client", "/y").await.0,
        404,
        "routed, but no rule matches"
    );
    let consumed = produced.mesh_route("client/web", "shop/web", &to("consumer"));
    weft.update(&consumed);
    assert_eq!(
        ask(&weft, "client", "/x").await.1,
        "consumer",
        "a consumer route replaces it"
    );
    assert_eq!(
        ask(&weft, "shop", "/x").await.1,
        "producer",
        "for its own namespace only"
    );
    weft.update(&plain);
    assert_eq!(
        ask(&weft, "client", "/y").await.1,
        "web",
        "without routes as before"
    );
}

#[tokio::test]
async fn the_host_is_not_looked_at() {
    let web = Backend::echo("web", Speaks::Http1).await;
    let world = World::bare()
        .service_port("shop/web", "appProtocol: http", &[web.address])
        .mesh_route(
            "shop/web",
            "shop/web",
            "hostnames: [other.example], rules: [{backendRefs: [{name: web, port: 80}]}]",
        );
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
    let asked = "GET / HTTP/1.1\nhost: whatever:99\nx-forwarded-for: 1.2.3.4";
    let seen = client.ask(asked).await.text();
    assert!(
        seen.contains("host: whatever:99\n"),
        "the host passes unchanged: {seen}"
    );
    assert!(
        seen.contains("x-forwarded-for: 1.2.3.4\n"),
        "no trust boundary inside the mesh: {seen}"
    );
}

#[tokio::test]
async fn clients_choose_the_http_they_speak() {
    let web = Backend::echo("web", Speaks::H2c).await;
    let world =
        World::bare().service_port("shop/web", "appProtocol: kubernetes.io/h2c", &[web.address]);
    let weft = Weft::start(&world);
    let mut h2 = http2(tcp(weft.mesh("client", "shop/web")).await).await;
    assert!(
        ask2(&mut h2, get("/")).await.text().contains("HTTP/2"),
        "HTTP/2 to a declared port"
    );
    let (status, text) = ask(&weft, "client", "/").await;
    assert!(
        status == 200 && text.contains("HTTP/2"),
        "HTTP/1 to the same: {status} {text}"
    );
}

/// Greets, then sends back what it gets.
async fn greet(mut peer: Peer) {
    peer.write("220 hello\r\n").await;
    loop {
        let byte = peer.read(1).await;
        if byte.is_empty() {
            return;
        }
        peer.write(byte).await;
    }
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time to a greeting is what is tested"
)]
async fn a_server_that_speaks_first_is_heard() {
    let mail = Scripted::start(greet).await;
    for declared in ["", "appProtocol: http", "appProtocol: tcp"] {
        let weft = Weft::start(&World::bare().service_port("shop/web", declared, &[mail.address]));
        let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
        let started = Instant::now();
        assert_eq!(client.exactly(11).await, b"220 hello\r\n", "{declared}");
        let took = started.elapsed();
        // 50 ms of silence before the upstream connection, and as much for a busy machine.
        assert!(
            took < Duration::from_millis(200),
            "{declared}: the greeting took {took:?}"
        );
        client.send("quit").await;
        assert_eq!(client.exactly(4).await, b"quit", "{declared}: bytes back");
        client.finish().await;
        assert_eq!(client.rest().await, b"", "{declared}: the end");
    }
}

#[tokio::test]
async fn a_silent_client_of_a_routed_port_is_still_routed() {
    let (web, producer) = (
        Backend::named("web").await,
        Backend::named("producer").await,
    );
    let world = World::bare()
        .service_port("shop/web", "appProtocol: http", &[web.address])
        .service("shop/producer", &[producer.address])
        .mesh_route("shop/web", "shop/web", &to("producer"));
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
    // The speculative connection shows that the silence has been noticed.
    weft_tests::wait::eventually(
        weft_tests::wait::PATIENCE,
        "a speculative connection",
        || web.connections() == 1,
    )
    .await;
    assert_eq!(
        client.ask("GET /x HTTP/1.1\nhost: a").await.text(),
        "producer",
        "not opaque"
    );
}

#[tokio::test]
async fn bytes_that_are_no_http_pass_to_the_service() {
    let echo = Scripted::start(|mut peer| async move {
        while peer.read_until(b"\n").await {
            peer.write("heard\n").await;
        }
    })
    .await;
    let world = World::bare()
        .service_port("shop/web", "appProtocol: http", &[echo.address])
        .mesh_route("shop/web", "shop/web", &to("web"));
    let weft = Weft::start(&world);
    for bytes in [
        &b"\0\x01\x02\n"[..],
        b"SSH-2.0-test\r\n",
        b"EHLO mail.example\r\n",
    ] {
        let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
        client.send(bytes).await;
        assert_eq!(
            client.exactly(6).await,
            b"heard\n",
            "{}",
            bytes.escape_ascii()
        );
    }
    let opaque = weft.metric("weft_detect_total", &["opaque"]);
    assert_eq!(opaque, 3.0, "and it is counted");
}

#[tokio::test]
async fn what_only_looks_like_http_is_refused_and_not_passed_around_the_routes() {
    let web = Backend::named("web").await;
    let world = World::bare()
        .service_port("shop/web", "appProtocol: http", &[web.address])
        .mesh_route("shop/web", "shop/web", &to("web"));
    let weft = Weft::start(&world);
    let rows = [
        (
            "a bare line end",
            "GET /x HTTP/1.1\nhost: a\n\n".to_owned(),
            400,
        ),
        ("no host", head("GET /x HTTP/1.1"), 400),
        (
            "too long a target",
            head(&format!("GET /{} HTTP/1.1\nhost: a", "x".repeat(9000))),
            414,
        ),
    ];
    for (name, bytes, status) in rows {
        let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
        client.send(bytes).await;
        assert_eq!(client.answer().await.status, status, "{name}");
    }
    assert_eq!(web.connections(), 0, "nothing reached the back-end");
}

#[tokio::test]
async fn undeclared_ports_are_never_parsed() {
    let echo = Scripted::start(|mut peer| async move {
        let first = peer.read(16).await;
        peer.write(first).await;
    })
    .await;
    let weft = Weft::start(&World::bare().service("shop/web", &[echo.address]));
    let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
    client.send("GET / HTTP/1.1\n\n").await;
    assert_eq!(
        client.rest().await,
        b"GET / HTTP/1.1\n\n",
        "bytes in, bytes out"
    );
}

#[tokio::test]
async fn opaque_connections_half_close() {
    let peer = Scripted::start(|mut peer| async move {
        assert!(peer.read_until(b"question").await, "the question");
        assert!(peer.ended().await, "the client's end arrives");
        peer.write("answer").await;
    })
    .await;
    let weft = Weft::start(&World::bare().service("shop/web", &[peer.address]));
    let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
    client.send("question").await;
    client.finish().await;
    assert_eq!(
        client.rest().await,
        b"answer",
        "what comes after the client's end"
    );
}

#[tokio::test]
async fn opaque_connections_that_lead_nowhere_are_reset() {
    for endpoints in [&[][..], &[nobody()]] {
        let weft = Weft::start(&World::bare().service("shop/web", endpoints));
        // The reset may come before the client has noticed that it is connected.
        let reset = match TcpStream::connect(weft.mesh("client", "shop/web")).await {
            Ok(stream) => !RawClient::over(stream).ends_in_order().await,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        };
        assert!(reset, "not an orderly end: {endpoints:?}");
    }
}

#[tokio::test]
async fn opaque_connections_take_the_endpoint_that_is_there() {
    let echo = Scripted::start(greet).await;
    let endpoints = [nobody(), nobody(), echo.address];
    let weft = Weft::start(&World::bare().service("shop/web", &endpoints));
    for _ in 0..10 {
        let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
        assert_eq!(
            soon("a greeting", client.exactly(11)).await,
            b"220 hello\r\n"
        );
    }
}

#[tokio::test]
async fn a_slow_first_line_is_answered_408() {
    let web = Backend::named("web").await;
    let weft =
        Weft::start(&World::bare().service_port("shop/web", "appProtocol: http", &[web.address]));
    let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
    client.send("GET /never-en").await;
    assert_eq!(client.answer().await.status, 408);
}

#[tokio::test]
async fn errors_of_mesh_routes() {
    let web = Backend::named("web").await;
    let world = World::bare()
        .service_port("shop/web", "appProtocol: http", &[web.address])
        .service("shop/empty", &[])
        .mesh_route(
            "shop/web",
            "shop/web",
            "rules: [\
            {matches: [{path: {value: /missing}}], backendRefs: [{name: nothing, port: 80}]}, \
            {matches: [{path: {value: /empty}}], backendRefs: [{name: empty, port: 80}]}]",
        );
    let weft = Weft::start(&world);
    for (path, status) in [("/missing", 500), ("/empty", 503), ("/other", 404)] {
        assert_eq!(ask(&weft, "client", path).await.0, status, "{path}");
    }
    assert_eq!(web.requests(), 0, "nothing falls through to the Service");
}
