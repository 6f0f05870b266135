//! The end of a proxy: clients leave first, then it does, and nobody loses a request.

use http::Request;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::watch;
use weft_tests::{
    backend::{Backend, Speaks, echo},
    body::{Body, empty},
    client::{Whole, ask1, http1, tcp},
    control_plane::ControlPlane,
    proxy::{Proxy, free_port},
    wait::{PATIENCE, eventually},
    world::World,
};

use super::{Load, failures, on, world};

async fn get(connection: &mut SendRequest<Body>) -> Whole {
    let request = Request::get("/").header("host", "shop.example");
    ask1(connection, request.body(empty()).expect("a request")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_asked_to_end_fails_nobody() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let mut proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &backend)).await;
    let load = Load::start(on(port), 4);
    let mut kept = http1(tcp(on(port)).await).await;
    assert_eq!(get(&mut kept).await.status, 200);
    load.more(50).await;
    proxy.terminate();
    proxy.page_says("/readyz", 503, "the proxy is ending").await;
    // Endpoints have left: nobody new comes.
    let fates = load.stop().await;
    assert!(
        failures(&fates).is_empty(),
        "nothing fails: {:?}",
        failures(&fates)
    );
    let mut answers = 1;
    loop {
        let answer = get(&mut kept).await;
        assert_eq!(answer.status, 200, "after {answers} answers");
        answers += 1;
        if answer
            .headers
            .get("connection")
            .is_some_and(|it| it == "close")
        {
            break;
        }
    }
    let status = proxy.ended().await;
    assert_eq!(status.code(), Some(0), "it ends in order");
}

#[tokio::test]
async fn a_proxy_that_never_served_ends_at_once() {
    let mut control_plane = ControlPlane::start().await;
    control_plane.go_away().await;
    let mut proxy = Proxy::start_lingering(&control_plane, 3600);
    proxy
        .page_says("/readyz", 503, "waiting for the control plane")
        .await;
    proxy.terminate();
    let status = proxy.ended().await;
    assert_eq!(status.code(), Some(0), "it ends in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_whose_gateway_is_gone_waits_for_nobody() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let mut proxy = Proxy::start_lingering(&control_plane, 3600);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &backend)).await;
    proxy.terminate();
    proxy.page_says("/readyz", 503, "the proxy is ending").await;
    let mut late = http1(tcp(on(port)).await).await;
    assert_eq!(get(&mut late).await.status, 200, "it serves meanwhile");
    drop(late);
    control_plane.publish(&World::bare());
    let status = proxy.ended().await;
    assert_eq!(status.code(), Some(0), "it ends in order");
}

/// A back-end whose answers wait for the word.
async fn slow(word: watch::Receiver<bool>) -> Backend {
    Backend::serve(Speaks::Http1, move |request| {
        let mut word = word.clone();
        async move {
            let said = word.wait_for(|said| *said).await;
            drop(said.expect("the test says it"));
            echo("slow", request).await
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn until_its_end_a_proxy_follows_endpoints() {
    let (word, is_said) = watch::channel(false);
    let (slow, first) = (slow(is_said).await, Backend::named("first").await);
    let control_plane = ControlPlane::start().await;
    let mut proxy = Proxy::start(&control_plane);
    let (port, late) = (free_port(), free_port());
    control_plane.publish_and_wait(&world(port, &first)).await;
    let mut kept = http1(tcp(on(port)).await).await;
    assert_eq!(get(&mut kept).await.text(), "first");
    control_plane.publish_and_wait(&world(port, &slow)).await;
    let mut waiting = http1(tcp(on(port)).await).await;
    let under_way = tokio::spawn(async move { get(&mut waiting).await.status });
    eventually(PATIENCE, "a request is under way", || slow.requests() == 1).await;

    proxy.terminate();
    let is_closed = || std::net::TcpStream::connect(on(port)).is_err();
    eventually(PATIENCE, "the proxy listens no more", is_closed).await;
    let second = Backend::named("second").await;
    control_plane.publish_and_wait(&world(port, &second)).await;
    assert_eq!(get(&mut kept).await.text(), "second", "what is there now");
    assert!(is_closed(), "a change opens nothing again");
    control_plane.publish_and_wait(&world(late, &second)).await;
    assert!(
        std::net::TcpStream::connect(on(late)).is_err(),
        "nothing new is opened"
    );

    word.send_replace(true);
    assert_eq!(under_way.await.expect("an answer"), 200, "nothing is cut");
    assert_eq!(proxy.ended().await.code(), Some(0), "it ends in order");
}
