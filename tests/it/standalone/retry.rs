//! Second chances: what is sent again, where, how often, and what is not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use http::Request;
use hyper::{server::conn::http2 as server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use weft_tests::{
    backend::{Backend, Speaks, nobody},
    body::{empty, full},
    client::{ask1, ask2, http1, http2, tcp},
    gateway::Weft,
    rawclient::{RawClient, head},
    scripted::Scripted,
    wait::{Expected, soon},
    world::World,
};

/// A back-end that answers 503 to its first `failures` requests, with their number as the body, and
/// then says what it saw.
async fn failing(failures: usize) -> (Backend, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let backend = Backend::serve(
        Speaks::Http1,
        move |request: Request<hyper::body::Incoming>| {
            let number = counted.fetch_add(1, Relaxed) + 1;
            async move {
                use http_body_util::BodyExt as _;
                let body = request
                    .into_body()
                    .collect()
                    .await
                    .map(|body| body.to_bytes());
                let mut response = http::Response::new(full(format!(
                    "{number} {}",
                    body.map_or(0, |body| body.len())
                )));
                if number <= failures {
                    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                }
                response
            }
        },
    )
    .await;
    (backend, seen)
}

fn route(retry: &str) -> String {
    format!("rules: [{{retry: {{{retry}}}, backendRefs: [{{name: web, port: 80}}]}}]")
}

/// Name, stanza, failures before the first success, length of the body; status and text.
const RETRIES: &[(&str, &str, usize, usize, u16, &str)] = &[
    ("no stanza", "", 1, 0, 503, "1 0"),
    (
        "one failure, one retry",
        "codes: [503], attempts: 1",
        1,
        0,
        200,
        "2 0",
    ),
    (
        "two failures, one retry",
        "codes: [503], attempts: 1",
        2,
        0,
        503,
        "2 0",
    ),
    (
        "two failures, three retries",
        "codes: [503], attempts: 3",
        2,
        0,
        200,
        "3 0",
    ),
    (
        "another code",
        "codes: [500], attempts: 3",
        1,
        0,
        503,
        "1 0",
    ),
    (
        "a body within the bound",
        "codes: [503], attempts: 1",
        1,
        64 * 1024,
        200,
        "2 65536",
    ),
    (
        "a body above the bound",
        "codes: [503], attempts: 1",
        1,
        64 * 1024 + 1,
        503,
        "1 65537",
    ),
];

#[tokio::test]
async fn listed_codes_are_retried_up_to_the_attempts() {
    for &(name, retry, failures, length, status, text) in RETRIES {
        let (backend, _seen) = failing(failures).await;
        let spec = match retry {
            "" => "rules: [{backendRefs: [{name: web, port: 80}]}]".to_owned(),
            retry => route(retry),
        };
        let world = World::new()
            .service("shop/web", &[backend.address])
            .route("shop/web", &spec);
        let weft = Weft::start(&world);
        let mut client = http1(tcp(weft.gateway(8080)).await).await;
        let body = if length == 0 {
            empty()
        } else {
            full(vec![b'x'; length])
        };
        let request = Request::builder()
            .method("POST")
            .uri("/")
            .header("host", "a");
        let answer = ask1(&mut client, request.body(body).expect("a request")).await;
        // The answer is the last one of the back-end, not one of Weft's own.
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (status, text),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_retry_goes_to_another_endpoint() {
    let bad = Backend::status("bad", 503).await;
    let good = Backend::named("good").await;
    let world = World::new()
        .service("shop/web", &[bad.address, good.address])
        .route("shop/web", &route("codes: [503], attempts: 1"));
    let weft = Weft::start(&world);
    let mut client = http1(tcp(weft.gateway(8080)).await).await;
    for number in 0..20 {
        let request = Request::builder().uri("/").header("host", "a");
        let answer = ask1(&mut client, request.body(empty()).expect("a request")).await;
        assert_eq!(answer.text(), "good", "request {number}");
    }
}

#[tokio::test]
async fn a_mirrored_body_can_be_sent_again_too() {
    let (backend, _seen) = failing(1).await;
    let copy = Backend::echo("copy", Speaks::Http1).await;
    let spec = "rules: [{retry: {codes: [503], attempts: 1}, backendRefs: [{name: web, port: 80}], \
                filters: [{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}}]}]";
    let world = World::new()
        .service("shop/web", &[backend.address])
        .service("shop/copy", &[copy.address])
        .route("shop/web", spec);
    let weft = Weft::start(&world);
    let mut client = http1(tcp(weft.gateway(8080)).await).await;
    let request = Request::builder()
        .method("POST")
        .uri("/")
        .header("host", "a");
    let answer = ask1(&mut client, request.body(full("body")).expect("a request")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "2 4")
    );
}

#[tokio::test]
async fn a_timed_out_attempt_is_retried_within_the_request_timeout() {
    let backend = Scripted::start(|mut peer| async move {
        while peer.head().await.is_some() {
            if peer.index == 0 {
                peer.read_until(b"a request that never comes").await;
            } else {
                peer.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .await;
            }
        }
    })
    .await;
    let spec = "rules: [{timeouts: {request: 10s, backendRequest: 200ms}, \
                retry: {attempts: 1}, backendRefs: [{name: web, port: 80}]}]";
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", spec);
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    assert_eq!(client.ask("GET / HTTP/1.1\nhost: a").await.text(), "ok");
}

/// How many connections carry a request that the back-end drops after reading it.
async fn check_lost(name: &str, spec: &str, method: &str, expected: usize) {
    let backend = Scripted::start(|mut peer| async move {
        peer.head().await;
    })
    .await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", spec);
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    let answer = client
        .ask(&format!("{method} / HTTP/1.1\nhost: a\ncontent-length: 0"))
        .await;
    assert_eq!(answer.status, 503, "{name}");
    assert_eq!(backend.connections(), expected, "{name}: times it was sent");
}

#[tokio::test]
async fn lost_requests_are_repeated_only_when_that_is_safe_or_asked_for() {
    let plain = "rules: [{backendRefs: [{name: web, port: 80}]}]";
    check_lost("GET", plain, "GET", 2).await;
    check_lost("POST", plain, "POST", 1).await;
    check_lost("POST with a stanza", &route("attempts: 2"), "POST", 3).await;
    check_lost("GET with a stanza", &route("attempts: 2"), "GET", 3).await;
}

#[tokio::test]
async fn retries_stay_within_the_budget() {
    let (backend, seen) = failing(usize::MAX).await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", &route("codes: [503], attempts: 3"));
    // One worker has one budget: 20 % of the requests and ten a second, counted over ten seconds.
    let weft = Weft::start_with(&world, 1);
    let mut client = http1(tcp(weft.gateway(8080)).await).await;
    let requests = 200;
    for _ in 0..requests {
        let request = Request::builder().uri("/").header("host", "a");
        ask1(&mut client, request.body(empty()).expect("a request")).await;
    }
    let retries = seen.load(Relaxed) - requests;
    assert!(
        (100..=180).contains(&retries),
        "{retries} retries for {requests} failing requests"
    );
    assert!(
        weft.metric("weft_retries_total", &["no_budget"]) > 0.0,
        "and it is counted"
    );
}

#[tokio::test]
async fn an_idle_connection_that_the_back_end_closes_costs_no_request() {
    let backend = Scripted::start(|mut peer| async move {
        // One answer, then the connection ends without a word about it.
        if peer.head().await.is_some() {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
        }
    })
    .await;
    let world = World::new().service("shop/web", &[backend.address]).route(
        "shop/web",
        "rules: [{backendRefs: [{name: web, port: 80}]}]",
    );
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    for number in 0..100 {
        let answer = client.ask("GET / HTTP/1.1\nhost: a").await;
        assert_eq!(answer.status, 200, "request {number}: {}", answer.text());
    }
}

#[tokio::test]
async fn connections_to_back_ends_are_used_again() {
    let backend = Backend::named("web").await;
    let world = World::new().service("shop/web", &[backend.address]).route(
        "shop/web",
        "rules: [{backendRefs: [{name: web, port: 80}]}]",
    );
    let weft = Weft::start_with(&world, 1);
    for _client in 0..20 {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        for _request in 0..5 {
            assert_eq!(client.ask("GET / HTTP/1.1\nhost: a").await.status, 200);
        }
    }
    assert_eq!(
        backend.connections(),
        1,
        "for a hundred requests one after the other"
    );
}

#[tokio::test]
async fn uploads_that_clients_break_off_do_not_count_against_the_endpoint() {
    let backend = Scripted::start(|mut peer| async move {
        while let Some(asked) = peer.head().await {
            if asked.starts_with("POST") && !peer.read_until(b"0\r\n\r\n").await {
                return;
            }
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
        }
    })
    .await;
    let world = World::new()
        .service("shop/web", &[backend.address, nobody()])
        .route(
            "shop/web",
            "rules: [{backendRefs: [{name: web, port: 80}]}]",
        );
    let weft = Weft::start(&world);
    for _ in 0..30 {
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        client
            .send(head("POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked"))
            .await;
        client.send("5\r\nhello\r\nbroken\r\n").await;
        assert_eq!(
            soon("an answer", client.answer()).await.status,
            400,
            "the client's own fault"
        );
    }
    let ejected = weft.metric("weft_endpoint_ejections_total", &["no_answer"]);
    assert_eq!(ejected, 0.0, "endpoints ejected for what clients did");
}

#[tokio::test]
async fn an_http2_back_end_that_says_goaway_costs_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("its address");
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _peer)) = listener.accept().await {
            connections.spawn(leaving_after_ten(stream));
        }
    });
    let world = World::new()
        .service_port("shop/web", "appProtocol: kubernetes.io/h2c", &[address])
        .route(
            "shop/web",
            "rules: [{backendRefs: [{name: web, port: 80}]}]",
        );
    let weft = Weft::start(&world);
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let mut client = http2(tcp(weft.gateway(8080)).await).await;
        clients.spawn(async move {
            for number in 0..100 {
                let request = Request::builder().method("POST").uri("http://a/");
                let answer = ask2(&mut client, request.body(empty()).expect("a request")).await;
                assert_eq!(answer.status, 200, "request {number}: {}", answer.text());
            }
        });
    }
    while let Some(done) = soon("the clients", clients.join_next()).await {
        done.expected("no request failed");
    }
}

/// Serves an HTTP/2 connection; asks its client to leave when it has had ten requests.
async fn leaving_after_ten(stream: TcpStream) {
    let (heard, mut requests) = tokio::sync::mpsc::channel(16);
    let service = service_fn(move |_request: Request<hyper::body::Incoming>| {
        let heard = heard.clone();
        async move {
            heard.send(()).await.expect("the connection counts");
            Ok::<_, std::convert::Infallible>(http::Response::new(full("ok")))
        }
    });
    let builder = server::Builder::new(TokioExecutor::new());
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut count = 0;
    loop {
        tokio::select! {
            _ended = connection.as_mut() => return,
            Some(()) = requests.recv() => count += 1,
        }
        if count == 10 {
            connection.as_mut().graceful_shutdown();
        }
    }
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the wait before a retry is what is tested"
)]
async fn a_retry_waits_for_its_backoff() {
    let (backend, _seen) = failing(1).await;
    let spec = route("codes: [503], attempts: 1, backoff: 300ms");
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", &spec);
    let weft = Weft::start(&world);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    let started = std::time::Instant::now();
    assert_eq!(client.ask("GET / HTTP/1.1\nhost: a").await.status, 200);
    let took = started.elapsed();
    assert!(took.as_millis() >= 300, "the retry came after {took:?}");
}
