//! Change under load: tables swap, endpoints and listeners come and go, and nobody notices.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use http::Request;
use tokio::{net::TcpStream, task::JoinSet};
use weft_tests::{
    backend::{Backend, Speaks},
    body::{Body, empty, fed, full},
    client::{ask1, http1, http2, tcp, whole},
    gateway::Weft,
    rawclient::{RawClient, head},
    wait::{Expected, PATIENCE, eventually, soon},
    world::World,
};

fn get(path: &str) -> Request<Body> {
    let request = Request::builder()
        .uri(format!("http://a{path}"))
        .header("host", "a");
    request.body(empty()).expect("a request")
}

/// Clients that ask one request after the other on connections they keep, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: JoinSet<Result<(), String>>,
}

impl Load {
    /// Starts four clients, half of them in HTTP/2. `accept` judges every answer.
    fn start(weft: &Weft, accept: fn(u16, &str) -> bool) -> Self {
        let (stop, answered) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let mut clients = JoinSet::new();
        for number in 0..4 {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let address = weft.gateway(8080);
            clients.spawn(async move {
                let mut h1 = http1(tcp(address).await).await;
                let mut h2 = http2(tcp(address).await).await;
                while !stop.load(Relaxed) {
                    let answer = match number % 2 {
                        0 => {
                            h1.ready()
                                .await
                                .map_err(|error| format!("connection: {error}"))?;
                            h1.send_request(get("/")).await
                        }
                        _ => h2.send_request(get("/")).await,
                    };
                    let answer = whole(answer.map_err(|error| format!("request: {error}"))?).await;
                    let (status, text) = (answer.status.as_u16(), answer.text());
                    if !accept(status, &text) {
                        return Err(format!("answer: {status} {text}"));
                    }
                    answered.fetch_add(1, Relaxed);
                }
                Ok(())
            });
        }
        Self {
            stop,
            answered,
            clients,
        }
    }

    /// Stops the clients; returns how many answers they had.
    async fn finish(mut self) -> usize {
        self.stop.store(true, Relaxed);
        while let Some(done) = soon("the clients stop", self.clients.join_next()).await {
            done.expected("no panic")
                .expected("every request is answered");
        }
        self.answered.load(Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_swap_under_load_without_a_failed_request() {
    let (one, two) = (Backend::named("one").await, Backend::named("two").await);
    let world = |weight: usize| {
        let header = format!("{{name: x-weight, value: \"{weight}\"}}");
        World::new()
            .service("shop/one", &[one.address])
            .service("shop/two", &[two.address])
            .route(
                "shop/web",
                &format!(
                    "rules: [{{filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{header}]}}}}], \
                     backendRefs: [{{name: one, port: 80, weight: {weight}}}, {{name: two, port: 80, weight: {}}}]}}]",
                    100 - weight
                ),
            )
    };
    let weft = Weft::start(&world(0));
    let load = Load::start(&weft, |status, text| {
        status == 200 && (text == "one" || text == "two")
    });
    for step in 0..200 {
        let before = load.answered.load(Relaxed);
        weft.update(&world(step % 101));
        eventually(PATIENCE, "requests go on", || {
            load.answered.load(Relaxed) > before
        })
        .await;
    }
    let answered = load.finish().await;
    assert!(answered >= 200, "{answered} requests over 200 changes");
    let dropped = weft.metric("weft_connections_closed_total", &["drain"]);
    assert_eq!(dropped, 0.0, "connections that a change closed");
    assert_eq!(
        weft.metric("weft_request_errors_total", &[]),
        0.0,
        "errors counted"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_sees_one_table() {
    // Each table sets the same value on the request and on the answer.
    let web = Backend::serve(
        Speaks::Http1,
        |request: Request<hyper::body::Incoming>| async move {
            let value = request.headers().get("x-table").cloned();
            http::Response::new(full(
                value.map_or_else(Vec::new, |value| value.as_bytes().to_vec()),
            ))
        },
    )
    .await;
    let world = |table: usize| {
        let set = format!("{{set: [{{name: x-table, value: \"{table}\"}}]}}");
        let filters = format!(
            "{{type: RequestHeaderModifier, requestHeaderModifier: {set}}}, \
             {{type: ResponseHeaderModifier, responseHeaderModifier: {set}}}"
        );
        World::new().service("shop/web", &[web.address]).route(
            "shop/web",
            &format!("rules: [{{filters: [{filters}], backendRefs: [{{name: web, port: 80}}]}}]"),
        )
    };
    let weft = Arc::new(Weft::start(&world(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let (asking, stopped) = (Arc::clone(&weft), Arc::clone(&stop));
    let client = tokio::spawn(async move {
        let mut client = http1(tcp(asking.gateway(8080)).await).await;
        let mut tables = std::collections::BTreeSet::new();
        while !stopped.load(Relaxed) {
            let answer = ask1(&mut client, get("/")).await;
            let on_answer = answer.headers["x-table"].to_str().expect("text").to_owned();
            assert_eq!(
                answer.text(),
                on_answer,
                "request and answer under one table"
            );
            tables.insert(on_answer);
        }
        tables.len()
    });
    for table in 1..150 {
        weft.update(&world(table));
        tokio::task::yield_now().await;
    }
    stop.store(true, Relaxed);
    let tables = soon("the client stops", client).await.expected("no panic");
    assert!(tables > 1, "the client saw the tables change: {tables}");
}

#[tokio::test]
async fn endpoints_come_and_go_under_load() {
    let backends = [
        Backend::named("x").await,
        Backend::named("x").await,
        Backend::named("x").await,
    ];
    let world = |step: usize| {
        let chosen: Vec<_> = (0..3)
            .filter(|at| at % 3 != step % 3)
            .map(|at| backends[at].address)
            .collect();
        World::new().service("shop/web", &chosen).route(
            "shop/web",
            "rules: [{backendRefs: [{name: web, port: 80}]}]",
        )
    };
    let weft = Weft::start(&world(0));
    let load = Load::start(&weft, |status, text| status == 200 && text == "x");
    for step in 1..100 {
        let before = load.answered.load(Relaxed);
        weft.update(&world(step));
        eventually(PATIENCE, "requests go on", || {
            load.answered.load(Relaxed) > before
        })
        .await;
    }
    load.finish().await;
}

#[tokio::test]
async fn a_bad_object_affects_only_itself() {
    let web = Backend::named("web").await;
    let good = World::new().service("shop/web", &[web.address]).route(
        "shop/good",
        "hostnames: [a], rules: [{backendRefs: [{name: web, port: 80}]}]",
    );
    let weft = Weft::start(&good);
    let bad = good.route(
        "shop/bad",
        "hostnames: [b], rules: [{matches: [{path: {type: RegularExpression, value: \"(\"}}], \
                          backendRefs: [{name: web, port: 80}]}]",
    );
    weft.update(&bad);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    assert_eq!(
        client.ask("GET / HTTP/1.1\nhost: a").await.status,
        200,
        "the good route"
    );
    assert_ne!(
        client.ask("GET / HTTP/1.1\nhost: b").await.status,
        200,
        "the bad one"
    );
}

#[tokio::test]
async fn a_gateway_that_goes_lets_its_requests_finish() {
    let (feed, body) = fed();
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let backend = Backend::serve(Speaks::Http1, move |_request| {
        let body = body.lock().expect("no panic").take().unwrap_or_else(empty);
        async move { http::Response::new(body) }
    })
    .await;
    let rest = World::bare().service("shop/web", &[backend.address]);
    let listener = "{name: http, port: 8080, protocol: HTTP}";
    let world = rest.clone().gateway("infra/edge", listener).route(
        "shop/web",
        "rules: [{backendRefs: [{name: web, port: 80}]}]",
    );
    let weft = Weft::start(&world);
    let mut busy = RawClient::connect(weft.gateway(8080)).await;
    busy.send(head("GET / HTTP/1.1\nhost: a")).await;
    assert_eq!(busy.answer_head().await.status, 200);
    let mut idle = RawClient::connect(weft.gateway(8080)).await;
    assert_eq!(idle.ask("GET / HTTP/1.1\nhost: a").await.status, 200);
    weft.update(&rest);
    assert_eq!(
        soon("the idle connection ends", idle.rest()).await,
        b"",
        "in order"
    );
    feed.data("late").await;
    drop(feed);
    assert_eq!(
        busy.chunk().await.as_deref(),
        Some(&b"late"[..]),
        "the request under way goes on"
    );
    assert_eq!(busy.chunk().await, None, "to its end");
    let refused = TcpStream::connect(weft.gateway(8080)).await;
    assert!(refused.is_err(), "nobody listens there any more");
}

#[tokio::test]
async fn an_address_may_change_hands_in_one_step() {
    let (one, two) = (Backend::named("one").await, Backend::named("two").await);
    let world = |gateway: &str, backend: &Backend| {
        World::bare()
            .gateway(&format!("infra/{gateway}"), "{name: http, port: 8080, protocol: HTTP}")
            .service("shop/web", &[backend.address])
            .with(&format!(
                "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: web, namespace: shop}}, \
                 spec: {{parentRefs: [{{name: {gateway}, namespace: infra}}], rules: [{{backendRefs: [{{name: web, port: 80}}]}}]}}}}"
            ))
    };
    let weft = Weft::start(&world("old", &one));
    for (gateway, backend, text) in [("new", &two, "two"), ("old", &one, "one")] {
        weft.update(&world(gateway, backend));
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        assert_eq!(
            client.ask("GET / HTTP/1.1\nhost: a").await.text(),
            text,
            "Gateway {gateway}"
        );
    }
}
