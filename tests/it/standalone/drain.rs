//! The end of a process: what is under way finishes, clients are told to leave, nothing fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Request;
use hyper::body::Incoming;
use tokio::{
    net::TcpStream,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use weft_tests::{
    backend::{Backend, Speaks},
    body::{empty, full},
    client::{http2, tcp, whole},
    gateway::Weft,
    rawclient::{RawClient, head},
    scripted::Scripted,
    wait::{Expected, PATIENCE, eventually, soon},
    world::World,
};

const ANY: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";

/// A back-end that answers `/slow` when it is released, and a Gateway in front of it.
async fn held() -> (watch::Sender<bool>, Backend, Arc<Weft>) {
    let (release, held) = watch::channel(false);
    let answer = move |request: Request<Incoming>| {
        let mut held = held.clone();
        async move {
            if request.uri().path() == "/slow" {
                let released = held.wait_for(|released| *released).await;
                released.expect("the test goes on");
            }
            http::Response::new(full("done"))
        }
    };
    let backend = Backend::serve(Speaks::Http1, answer).await;
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", ANY);
    (release, backend, Arc::new(Weft::start(&world)))
}

/// Begins a drain and waits until nobody is let in any more.
async fn drain(weft: &Arc<Weft>) -> JoinHandle<usize> {
    let draining = Arc::clone(weft);
    let drain = tokio::spawn(async move { draining.drain(Duration::from_secs(30)).await });
    soon("no new connection is accepted", async {
        while TcpStream::connect(weft.gateway(8080)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drain
}

#[tokio::test]
async fn a_drain_lets_requests_finish_and_says_goodbye() {
    let (release, backend, weft) = held().await;
    let mut slow = RawClient::connect(weft.gateway(8080)).await;
    slow.send(head("GET /slow HTTP/1.1\nhost: a")).await;
    let mut kept = RawClient::connect(weft.gateway(8080)).await;
    let answer = kept.ask("GET / HTTP/1.1\nhost: a").await;
    assert_eq!(answer.field("connection"), None, "kept before the drain");
    let arrived = || backend.requests() == 2;
    eventually(PATIENCE, "the slow request arrives", arrived).await;
    let drain = drain(&weft).await;
    let answer = kept.ask("GET / HTTP/1.1\nhost: a").await;
    let goodbye = answer.field("connection");
    assert_eq!(goodbye, Some("close"), "the client is asked to leave");
    assert_eq!(kept.rest().await, b"", "and the connection ends");
    assert!(!drain.is_finished(), "it waits for what is under way");
    release.send(true).expect("the back-end waits");
    let answer = slow.answer().await;
    assert_eq!(answer.text(), "done", "the slow request");
    let goodbye = answer.field("connection");
    assert_eq!(
        goodbye,
        Some("close"),
        "begun before the drain, answered in it"
    );
    let cut = soon("the drain ends", drain).await.expected("no panic");
    assert_eq!(cut, 0, "requests cut");
}

#[tokio::test]
async fn a_drain_says_goaway_and_lets_streams_finish() {
    let (release, backend, weft) = held().await;
    let mut client = http2(tcp(weft.gateway(8080)).await).await;
    let request = Request::builder().uri("http://a/slow").body(empty());
    let slow = client.send_request(request.expect("a request"));
    let arrived = || backend.requests() == 1;
    eventually(PATIENCE, "the slow request arrives", arrived).await;
    let drain = drain(&weft).await;
    assert!(!drain.is_finished(), "it waits for what is under way");
    release.send(true).expect("the back-end waits");
    let answer = soon("the answer", slow).await.expected("an answer");
    assert_eq!(whole(answer).await.text(), "done");
    eventually(PATIENCE, "the connection ends", || client.is_closed()).await;
    let cut = soon("the drain ends", drain).await.expected("no panic");
    assert_eq!(cut, 0, "requests cut");
}

#[tokio::test]
async fn a_drain_ends_at_its_limit_and_says_what_it_cut() {
    let backend = Scripted::start(|mut peer| async move {
        peer.read_until(b"a request that never comes").await;
    })
    .await;
    let weft = Weft::start(
        &World::new()
            .service("shop/web", &[backend.address])
            .route("shop/web", ANY),
    );
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client.send(head("GET / HTTP/1.1\nhost: a")).await;
    eventually(PATIENCE, "the request arrives", || {
        backend.connections() == 1
    })
    .await;
    let cut = soon("the drain ends", weft.drain(Duration::from_millis(300))).await;
    assert_eq!(cut, 1, "requests cut at the limit");
}

#[tokio::test]
async fn a_drain_waits_for_tunnels_and_for_slow_readers() {
    let backend = Scripted::start(|mut peer| async move {
        let asked = peer.head().await.unwrap_or_default();
        if asked.contains("upgrade") {
            peer.write(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
            )
            .await;
            if peer.read_until(b"last words").await {
                peer.write("heard").await;
            }
        } else {
            let size = 2_000_000;
            peer.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n"))
                .await;
            peer.write(vec![b'x'; size]).await;
        }
    })
    .await;
    let weft = Arc::new(Weft::start(
        &World::new()
            .service("shop/web", &[backend.address])
            .route("shop/web", ANY),
    ));
    let mut reader = RawClient::connect(weft.gateway(8080)).await;
    reader.send(head("GET / HTTP/1.1\nhost: a")).await;
    assert_eq!(reader.answer_head().await.status, 200);
    let mut tunnel = RawClient::connect(weft.gateway(8080)).await;
    tunnel
        .send(head(
            "GET / HTTP/1.1\nhost: a\nconnection: upgrade\nupgrade: x",
        ))
        .await;
    assert_eq!(tunnel.answer_head().await.status, 101);
    let draining = Arc::clone(&weft);
    let drain = tokio::spawn(async move { draining.drain(Duration::from_secs(30)).await });
    // Longer than a drain waits for a request that may still come.
    let early = tokio::time::timeout(Duration::from_millis(1000), async {
        while !drain.is_finished() {
            tokio::task::yield_now().await
        }
    })
    .await;
    assert!(early.is_err(), "the drain waits");
    tunnel.send("last words").await;
    assert_eq!(tunnel.exactly(5).await, b"heard", "the tunnel lives");
    drop(tunnel);
    assert_eq!(
        reader.exactly(2_000_000).await.len(),
        2_000_000,
        "the whole answer"
    );
    assert_eq!(
        soon("the drain ends", drain).await.expected("no panic"),
        0,
        "requests cut"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_fails_no_request() {
    let backend = Backend::named("web").await;
    let weft = Arc::new(Weft::start(
        &World::new()
            .service("shop/web", &[backend.address])
            .route("shop/web", ANY),
    ));
    let address = weft.gateway(8080);
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let answered = Arc::clone(&answered);
        // Each client reconnects whenever it is told to, until nobody listens any more.
        clients.spawn(async move {
            while let Ok(stream) = TcpStream::connect(address).await {
                let mut client = RawClient::over(stream);
                loop {
                    let answer = client.ask("GET / HTTP/1.1\nhost: a").await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answered.fetch_add(1, Relaxed);
                    if answer.field("connection") == Some("close") {
                        break;
                    }
                }
            }
        });
    }
    eventually(PATIENCE, "load", || answered.load(Relaxed) > 200).await;
    assert_eq!(
        soon("the drain ends", weft.drain(Duration::from_secs(20))).await,
        0,
        "requests cut"
    );
    while let Some(done) = soon("the clients leave", clients.join_next()).await {
        done.expected("no client saw a failure");
    }
}

#[tokio::test]
async fn idle_connections_of_every_kind_do_not_hold_a_drain_up() {
    let backend = Backend::named("web").await;
    let world = World::new()
        .service_port("shop/web", "appProtocol: http", &[backend.address])
        .route("shop/web", ANY);
    let weft = Weft::start(&world);
    let gateway = weft.gateway(8080);
    let mut silent = RawClient::connect(gateway).await;
    let mut used = RawClient::connect(gateway).await;
    assert_eq!(used.ask("GET / HTTP/1.1\nhost: a").await.status, 200);
    let mut mesh = RawClient::connect(weft.mesh("client", "shop/web")).await;
    let h2 = http2(tcp(gateway).await).await;
    let drained = weft.drain(Duration::from_secs(60));
    assert_eq!(soon("the drain ends", drained).await, 0, "requests cut");
    assert_eq!(silent.rest().await, b"", "never used");
    assert_eq!(used.rest().await, b"", "kept alive");
    assert_eq!(mesh.rest().await, b"", "a mesh client that has not spoken");
    eventually(PATIENCE, "HTTP/2 ends too", || h2.is_closed()).await;
}
