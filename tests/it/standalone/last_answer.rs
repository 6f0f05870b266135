//! Retries that come to nothing: the client gets the last answer a back-end gave (GEP-1731), and
//! the endpoint that gave it is not asked again while there is another one.

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::Notify;
use weft_tests::{
    backend::{Backend, nobody},
    gateway::Weft,
    rawclient::{RawClient, head},
    scripted::{Peer, Scripted},
    wait::soon,
    world::World,
};

const BUSY: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\nx-from: back-end\r\n\r\nbusy";

/// What becomes of the retry of a request that was answered 502.
enum Retry {
    /// The Service has these endpoints by then.
    Moved(Vec<SocketAddr>),
    /// The endpoint reads it and closes.
    Dropped,
    /// The endpoint reads it and is silent.
    Ignored,
}

fn world(endpoints: &[SocketAddr]) -> World {
    // The backoff leaves the test time to move the endpoints.
    let spec = "rules: [{timeouts: {request: 10s, backendRequest: 1s}, \
                retry: {codes: [502], attempts: 1, backoff: 500ms}, \
                backendRefs: [{name: web, port: 80}]}]";
    World::new()
        .service("shop/web", endpoints)
        .route("shop/web", spec)
}

/// Answers the first request with 502; a retry is read, and ignored or dropped.
async fn busy_once(mut peer: Peer, seen: Arc<Notify>, drops: bool) {
    let mut first = peer.index == 0;
    while peer.head().await.is_some() {
        if first {
            peer.write(BUSY).await;
            seen.notify_one();
            first = false;
        } else if drops {
            return;
        } else {
            peer.read_until(b"a request that never comes").await;
        }
    }
}

async fn check(name: &str, retry: Retry) {
    let seen = Arc::new(Notify::new());
    let (told, drops) = (Arc::clone(&seen), !matches!(retry, Retry::Ignored));
    let backend = Scripted::start(move |peer| busy_once(peer, Arc::clone(&told), drops)).await;
    let weft = Weft::start(&world(&[backend.address]));
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client.send(head("GET / HTTP/1.1\nhost: a")).await;
    soon("the first answer", seen.notified()).await;
    if let Retry::Moved(endpoints) = retry {
        weft.update(&world(&endpoints));
    }
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (502, "busy"),
        "{name}: the back-end's answer, not one of Weft's own"
    );
    assert_eq!(answer.field("x-from"), Some("back-end"), "{name}: whole");
}

#[tokio::test]
async fn a_retry_that_nobody_answers_leaves_the_answer_before() {
    check("no endpoint left", Retry::Moved(Vec::new())).await;
    check("an endpoint that refuses", Retry::Moved(vec![nobody()])).await;
    check("an endpoint that drops it", Retry::Dropped).await;
    check("an endpoint that is silent", Retry::Ignored).await;
}

#[tokio::test]
async fn the_endpoint_that_failed_is_known_by_its_address() {
    let seen = Arc::new(Notify::new());
    let told = Arc::clone(&seen);
    // Endpoints are sorted by address: the good one takes the failed one's place in the list.
    let failing = Scripted::start_on([127, 0, 0, 2].into(), move |mut peer| {
        let told = Arc::clone(&told);
        async move {
            while peer.head().await.is_some() {
                peer.write(BUSY).await;
                told.notify_one();
            }
        }
    })
    .await;
    let good = Backend::named("good").await;
    let weft = Weft::start(&world(&[failing.address]));
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    client.send(head("GET / HTTP/1.1\nhost: a")).await;
    soon("the first answer", seen.notified()).await;
    weft.update(&world(&[good.address, failing.address]));
    assert_eq!(client.answer().await.text(), "good");
}

#[tokio::test]
async fn an_answer_that_a_retry_replaces_costs_no_connection() {
    let backend = Scripted::start(|mut peer| async move {
        while let Some(asked) = peer.head().await {
            assert!(
                asked.starts_with("GET "),
                "requests keep their borders: {asked}"
            );
            peer.write(BUSY).await;
        }
    })
    .await;
    let spec = "rules: [{retry: {codes: [502], attempts: 1, backoff: 1ms}, \
                backendRefs: [{name: web, port: 80}]}]";
    let world = World::new()
        .service("shop/web", &[backend.address])
        .route("shop/web", spec);
    let weft = Weft::start_with(&world, 1);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    for number in 0..20 {
        let answer = client.ask("GET / HTTP/1.1\nhost: a").await;
        assert_eq!(answer.text(), "busy", "request {number}");
    }
    let opened = backend.connections();
    assert!(
        opened <= 2,
        "{opened} connections: one per attempt at a time"
    );
}
