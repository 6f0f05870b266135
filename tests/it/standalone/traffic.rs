//! Where requests go: shares, copies, and endpoints that fail or leave.

use http::Request;
use weft_tests::{
    backend::{Backend, Speaks, nobody},
    body::{Body, empty, full},
    client::{ask1, http1, tcp},
    gateway::Weft,
    scripted::Scripted,
    wait::{PATIENCE, eventually, soon},
    world::World,
};

fn get() -> Request<Body> {
    Request::builder()
        .uri("/")
        .header("host", "a")
        .body(empty())
        .expect("a request")
}

/// Sends `count` requests, one after the other, and counts the answers with that text.
async fn share(weft: &Weft, count: usize, text: &str) -> usize {
    let mut client = http1(tcp(weft.gateway(8080)).await).await;
    let mut hits = 0;
    for _ in 0..count {
        hits += usize::from(ask1(&mut client, get()).await.text() == text);
    }
    hits
}

#[tokio::test]
async fn weights_hold_within_five_points_over_500_requests() {
    let (one, two) = (Backend::named("one").await, Backend::named("two").await);
    for (first, second) in [(1, 1), (9, 1), (70, 30), (1, 99)] {
        let spec = format!(
            "rules: [{{backendRefs: [{{name: one, port: 80, weight: {first}}}, \
             {{name: two, port: 80, weight: {second}}}]}}]"
        );
        let world = World::new()
            .service("shop/one", &[one.address])
            .service("shop/two", &[two.address])
            .route("shop/web", &spec);
        let hits = share(&Weft::start(&world), 500, "one").await;
        let expected = 500 * first / (first + second);
        assert!(
            hits.abs_diff(expected) <= 25,
            "{first}:{second} gave {hits} of 500"
        );
    }
}

#[tokio::test]
async fn weight_zero_gets_nothing_and_disturbs_nobody() {
    let (one, zero) = (Backend::named("one").await, Backend::named("zero").await);
    let spec = "rules: [{backendRefs: [{name: one, port: 80, weight: 1}, \
                {name: zero, port: 80, weight: 0}, {name: missing, port: 80, weight: 0}]}]";
    let world = World::new()
        .service("shop/one", &[one.address])
        .service("shop/zero", &[zero.address])
        .route("shop/web", spec);
    assert_eq!(
        share(&Weft::start(&world), 100, "one").await,
        100,
        "answers of the one backend"
    );
    assert_eq!(zero.requests(), 0, "requests at weight 0");
}

#[tokio::test]
async fn an_invalid_backend_answers_for_its_share() {
    let one = Backend::named("one").await;
    let spec = "rules: [{backendRefs: [{name: one, port: 80}, {name: missing, port: 80}]}]";
    let world = World::new()
        .service("shop/one", &[one.address])
        .route("shop/web", spec);
    let hits = share(&Weft::start(&world), 100, "one").await;
    assert_eq!(hits, 50, "half of the requests; the other half is 500");
}

const MIRROR: &str = "rules: [{backendRefs: [{name: web, port: 80}], filters: [\
    {type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}}]}]";

#[tokio::test]
async fn a_mirror_gets_every_request_with_its_body() {
    let web = Backend::echo("web", Speaks::Http1).await;
    let (heard, mut copies) = tokio::sync::mpsc::channel(16);
    let mirror = Backend::serve(
        Speaks::Http1,
        move |request: Request<hyper::body::Incoming>| {
            let heard = heard.clone();
            async move {
                use http_body_util::BodyExt as _;
                let path = request.uri().path().to_owned();
                let body = request
                    .into_body()
                    .collect()
                    .await
                    .map(|body| body.to_bytes());
                heard
                    .send((path, body.ok()))
                    .await
                    .expect("the test listens");
                http::Response::new(full("ignored"))
            }
        },
    )
    .await;
    let world = World::new()
        .service("shop/web", &[web.address])
        .service("shop/copy", &[mirror.address])
        .route("shop/web", MIRROR);
    let weft = Weft::start(&world);
    let mut client = http1(tcp(weft.gateway(8080)).await).await;
    for (path, body) in [
        ("/empty", ""),
        ("/small", "body"),
        ("/large", &"x".repeat(300_000)),
    ] {
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header("host", "a");
        let content = if body.is_empty() {
            empty()
        } else {
            full(body.to_owned())
        };
        let answer = ask1(&mut client, request.body(content).expect("a request")).await;
        assert!(
            answer.text().starts_with("backend: web"),
            "{path}: the answer is the backend's"
        );
        let (copied, content) = soon("the copy", copies.recv()).await.expect("a copy");
        assert_eq!(copied, path, "the copy's path");
        assert!(
            content.as_deref() == Some(body.as_bytes()),
            "{path}: the copy's body"
        );
    }
}

#[tokio::test]
async fn a_mirror_that_fails_or_dawdles_does_not_matter() {
    let web = Backend::echo("web", Speaks::Http1).await;
    let slow = Scripted::start(|mut peer| async move {
        peer.head().await;
        // Reads nothing more and answers nothing.
        std::future::pending::<()>().await;
    })
    .await;
    for (name, mirror) in [("refuses", nobody()), ("never reads", slow.address)] {
        let world = World::new()
            .service("shop/web", &[web.address])
            .service("shop/copy", &[mirror])
            .route("shop/web", MIRROR);
        let weft = Weft::start(&world);
        let mut client = http1(tcp(weft.gateway(8080)).await).await;
        for size in [0, 10, 5_000_000] {
            let request = Request::builder()
                .method("POST")
                .uri("/")
                .header("host", "a");
            let body = if size == 0 {
                empty()
            } else {
                full(vec![b'x'; size])
            };
            let answer = ask1(&mut client, request.body(body).expect("a request")).await;
            let text = answer.text();
            assert!(
                text.starts_with("backend: web"),
                "a mirror that {name}, {size} bytes"
            );
        }
    }
}

#[tokio::test]
async fn several_mirrors_and_a_share_of_the_requests() {
    let (web, all, half) = (
        Backend::named("web").await,
        Backend::named("all").await,
        Backend::named("half").await,
    );
    let spec = "rules: [{backendRefs: [{name: web, port: 80}], filters: [\
        {type: RequestMirror, requestMirror: {backendRef: {name: all, port: 80}}}, \
        {type: RequestMirror, requestMirror: {backendRef: {name: half, port: 80}, percent: 50}}]}]";
    let world = World::new()
        .service("shop/web", &[web.address])
        .service("shop/all", &[all.address])
        .service("shop/half", &[half.address])
        .route("shop/web", spec);
    let weft = Weft::start(&world);
    assert_eq!(share(&weft, 200, "web").await, 200);
    eventually(PATIENCE, "the full mirror has everything", || {
        all.requests() == 200
    })
    .await;
    let copies = half.requests();
    assert!((60..=140).contains(&copies), "{copies} of 200 at 50 %");
}

#[tokio::test]
async fn an_endpoint_that_only_fails_is_avoided() {
    let good = Backend::named("good").await;
    let bad = Backend::status("bad", 500).await;
    let world = World::new()
        .service("shop/web", &[good.address, bad.address])
        .route(
            "shop/web",
            "rules: [{backendRefs: [{name: web, port: 80}]}]",
        );
    let weft = Weft::start_with(&world, 1);
    let served = share(&weft, 200, "good").await;
    assert!(
        served >= 190,
        "{served} of 200 were good; the bad endpoint has to go early"
    );
}

#[tokio::test]
async fn at_most_half_of_the_endpoints_leave_rotation() {
    let (one, two) = (
        Backend::status("one", 500).await,
        Backend::status("two", 500).await,
    );
    let world = World::new()
        .service("shop/web", &[one.address, two.address])
        .route(
            "shop/web",
            "rules: [{backendRefs: [{name: web, port: 80}]}]",
        );
    let weft = Weft::start_with(&world, 1);
    share(&weft, 50, "").await;
    let ejected = weft.metric("weft_endpoint_ejections_total", &["\"web\""]);
    assert_eq!(ejected, 1.0, "endpoints out of two that only fail");
    let (before, after) = (one.requests(), two.requests());
    share(&weft, 20, "").await;
    let (to_one, to_two) = (one.requests() - before, two.requests() - after);
    assert!(
        (to_one, to_two) == (20, 0) || (to_one, to_two) == (0, 20),
        "{to_one} and {to_two}"
    );
}

#[tokio::test]
async fn terminating_endpoints_serve_only_when_nobody_else_does() {
    const LEAVING: &str = "ready: false, serving: true, terminating: true";
    let (ready, leaving) = (
        Backend::named("ready").await,
        Backend::named("leaving").await,
    );
    let route = "rules: [{backendRefs: [{name: web, port: 80}]}]";
    let world = World::new()
        .service("shop/web", &[ready.address])
        .endpoint("shop/web", leaving.address, LEAVING)
        .route("shop/web", route);
    let weft = Weft::start(&world);
    assert_eq!(
        share(&weft, 50, "ready").await,
        50,
        "beside a ready endpoint"
    );
    let alone = World::new()
        .service("shop/web", &[])
        .endpoint("shop/web", leaving.address, LEAVING)
        .route("shop/web", route);
    weft.update(&alone);
    assert_eq!(share(&weft, 50, "leaving").await, 50, "alone");
    let gone = World::new()
        .service("shop/web", &[])
        .endpoint(
            "shop/web",
            leaving.address,
            "ready: false, serving: false, terminating: true",
        )
        .route("shop/web", route);
    weft.update(&gone);
    assert_eq!(
        ask1(&mut http1(tcp(weft.gateway(8080)).await).await, get())
            .await
            .status,
        503,
        "not serving"
    );
}

#[tokio::test]
async fn every_endpoint_gets_its_chance() {
    let (one, two) = (Backend::named("one").await, Backend::named("two").await);
    let world = World::new()
        .service("shop/web", &[one.address, two.address])
        .route(
            "shop/web",
            "rules: [{backendRefs: [{name: web, port: 80}]}]",
        );
    share(&Weft::start(&world), 100, "one").await;
    // How many depends on latency; a fresh endpoint is tried all the same.
    assert!(
        one.requests() > 0 && two.requests() > 0,
        "{} and {}",
        one.requests(),
        two.requests()
    );
}

#[tokio::test]
async fn a_dead_endpoint_is_left_out_without_a_failed_request() {
    let good = Backend::named("good").await;
    let mut dying = Scripted::start(|mut peer| async move {
        while peer.head().await.is_some() {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood")
                .await;
        }
    })
    .await;
    let world = World::new()
        .service("shop/web", &[good.address, dying.address])
        .route(
            "shop/web",
            "rules: [{backendRefs: [{name: web, port: 80}]}]",
        );
    let weft = Weft::start(&world);
    assert_eq!(share(&weft, 50, "good").await, 50, "while both live");
    dying.stop();
    assert_eq!(share(&weft, 200, "good").await, 200, "after one died");
}
