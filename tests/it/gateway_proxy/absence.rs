//! The control plane is away: what serves goes on, what restarts serves what it had.

use weft_tests::{
    backend::Backend,
    control_plane::ControlPlane,
    proxy::{Proxy, free_port},
    wait::{PATIENCE, eventually},
};

use super::{Load, ask, failures, on, said, world};

#[tokio::test]
async fn without_a_control_plane_everything_goes_on() {
    let (one, other) = (Backend::named("one").await, Backend::named("other").await);
    let mut control_plane = ControlPlane::start().await;
    let mut proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &one)).await;
    eventually(PATIENCE, "it is saved", || proxy.saved().exists()).await;
    let load = Load::start(on(port), 4);
    control_plane.go_away().await;
    proxy
        .page_says("/metrics", 200, "weft_control_plane_connected 0")
        .await;
    load.more(100).await;
    let fates = load.stop().await;
    assert!(
        failures(&fates).is_empty(),
        "nothing fails: {:?}",
        failures(&fates)
    );
    proxy.kill_worker().await;
    assert_eq!(ask(on(port)).await, said("one"), "a new worker serves");

    proxy.restart();
    proxy.ready().await;
    assert_eq!(
        ask(on(port)).await,
        said("one"),
        "a new parent serves what was saved"
    );

    control_plane.come_back().await;
    control_plane.publish_and_wait(&world(port, &other)).await;
    assert_eq!(ask(on(port)).await, said("other"), "edits work again");
}

#[tokio::test]
async fn a_control_plane_with_another_root_is_followed_without_a_restart() {
    let (one, other) = (Backend::named("one").await, Backend::named("other").await);
    let mut control_plane = ControlPlane::start().await;
    let _proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &one)).await;
    let load = Load::start(on(port), 4);
    // Nothing but the bundle of the stream says that the new root can be trusted.
    control_plane.change_root().await;
    control_plane.publish_and_wait(&world(port, &other)).await;
    assert_eq!(ask(on(port)).await, said("other"), "edits go on");
    let fates = load.stop().await;
    assert!(
        failures(&fates).is_empty(),
        "nothing fails: {:?}",
        failures(&fates)
    );
}

#[tokio::test]
async fn a_new_proxy_says_what_it_waits_for() {
    let backend = Backend::named("one").await;
    let mut control_plane = ControlPlane::start().await;
    control_plane.go_away().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    proxy
        .page_says("/readyz", 503, "waiting for the control plane at 127.0.0.1")
        .await;
    proxy.page_says("/readyz", 503, "cannot be reached").await;
    control_plane.come_back().await;
    control_plane.publish_and_wait(&world(port, &backend)).await;
    proxy.ready().await;
    assert_eq!(ask(on(port)).await, said("one"));
}
