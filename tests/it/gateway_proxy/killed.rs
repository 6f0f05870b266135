//! Workers that die or hang: nobody is refused, and the next one serves soon.

use std::time::Duration;

use weft_tests::{
    backend::Backend,
    control_plane::ControlPlane,
    proxy::{Proxy, free_port},
    wait::{PATIENCE, eventually},
};

use super::{Fate, Load, ask, failures, on, said, world};

/// From the kill to the first answer after it.
const SERVING_AGAIN: Duration = Duration::from_secs(1);
const CLIENTS: usize = 8;
const KILLS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_refuses_nobody() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &backend)).await;
    let load = Load::start(on(port), CLIENTS);
    for _ in 0..KILLS {
        load.more(100).await;
        proxy.kill_worker().await;
    }
    load.more(100).await;
    let fates = load.stop().await;
    let failures = failures(&fates);
    let refused = failures.get(&Fate::Refused);
    assert_eq!(refused, None, "of {} requests", fates.len());
    let lost: usize = failures.values().sum();
    let in_flight = CLIENTS * KILLS;
    assert!(
        lost <= in_flight,
        "only requests in flight are lost: {failures:?}"
    );
    proxy
        .page_says("/metrics", 200, "weft_worker_ends_total 5")
        .await;
}

/// Who has lived is replaced at once, however often that happens; who dies young waits longer and
/// longer, because it may never live.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_lived_are_replaced_at_once_again_and_again() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &backend)).await;
    for _ in 0..KILLS {
        // Longer than a worker that dies young lives.
        let lived = tokio::time::Instant::now() + Duration::from_millis(1_100);
        while tokio::time::Instant::now() < lived {
            assert_eq!(ask(on(port)).await, said("one"));
        }
        let killed = tokio::time::Instant::now();
        proxy.kill_worker().await;
        assert_eq!(ask(on(port)).await, said("one"), "it waits and is served");
        let took = killed.elapsed();
        assert!(took <= SERVING_AGAIN, "serving again after {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_is_replaced_within_a_second() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &backend)).await;
    assert_eq!(ask(on(port)).await, said("one"));
    let began = tokio::time::Instant::now();
    proxy.kill_worker().await;
    assert_eq!(ask(on(port)).await, said("one"), "it waits and is served");
    let took = began.elapsed();
    assert!(took <= SERVING_AGAIN, "serving again after {took:?}");
}

/// Who is killed twice in a row is back as soon as who is killed once: a loop begins with the third.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_twice_in_a_row_is_replaced_at_once_both_times() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &backend)).await;
    for kill in ["the first", "the second"] {
        let began = tokio::time::Instant::now();
        proxy.kill_worker().await;
        assert_eq!(ask(on(port)).await, said("one"), "it waits and is served");
        let took = began.elapsed();
        assert!(
            took <= SERVING_AGAIN,
            "serving again after {kill}: {took:?}"
        );
    }
}

#[tokio::test]
async fn a_worker_that_hangs_is_replaced() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &backend)).await;
    let frozen = proxy.freeze_worker();
    let is_another = || proxy.worker().is_some_and(|other| other != frozen);
    eventually(PATIENCE, "another worker runs", is_another).await;
    assert_eq!(ask(on(port)).await, said("one"));
}
