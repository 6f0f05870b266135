//! The end of a proxy: clients leave first, then it does, and nobody loses a request.

use http::Request;
use weft_tests::{
    backend::Backend,
    body::empty,
    client::{ask1, http1, tcp},
    control_plane::ControlPlane,
    proxy::{Proxy, free_port},
};

use super::{Load, failures, on, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_asked_to_end_fails_nobody() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let mut proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &backend)).await;
    let load = Load::start(on(port), 4);
    let mut kept = http1(tcp(on(port)).await).await;
    let request = || {
        let request = Request::get("/").header("host", "shop.example");
        request.body(empty()).expect("a request")
    };
    assert_eq!(ask1(&mut kept, request()).await.status, 200);
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
        let answer = ask1(&mut kept, request()).await;
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
