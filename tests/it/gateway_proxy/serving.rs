//! What the control plane publishes is served, and it is told the truth about it.

use std::{collections::BTreeMap, fs, net::TcpListener, os::unix::fs::PermissionsExt, sync::Arc};

use weft_ir::Name;
use weft_tests::{
    backend::Backend,
    control_plane::ControlPlane,
    proxy::{Proxy, free_port},
    wait::{Expected, PATIENCE, eventually},
};
use weft_wire::Certificate;

use super::{ask, on, said, world};

#[tokio::test]
async fn a_published_configuration_serves_and_an_edit_takes_effect() {
    let (one, other) = (Backend::named("one").await, Backend::named("other").await);
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    let standing = control_plane.publish_and_wait(&world(port, &one)).await;
    assert_eq!(standing.problems, []);
    assert_eq!(ask(on(port)).await, said("one"), "acknowledged is served");
    proxy.ready().await;
    control_plane.publish_and_wait(&world(port, &other)).await;
    assert_eq!(ask(on(port)).await, said("other"), "an edit is served");
    let moved = free_port();
    control_plane.publish_and_wait(&world(moved, &other)).await;
    assert_eq!(ask(on(moved)).await, said("other"), "a new port is served");
    let is_closed = || std::net::TcpStream::connect(on(port)).is_err();
    eventually(PATIENCE, "the old port is closed", is_closed).await;
    let (parent, worker) = proxy.resident_kib();
    // Twice what an unoptimised build takes: catches a copy of everything, not a page.
    assert!(
        parent.max(worker) <= 48 * 1024,
        "resident: parent {parent} KiB, worker {worker} KiB"
    );
}

#[tokio::test]
async fn the_admin_endpoint_shows_both_processes() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &backend)).await;
    assert_eq!(ask(on(port)).await, said("one"));
    proxy.page_says("/healthz", 200, "ok").await;
    proxy.page_says("/metrics", 200, "weft_build_info").await;
    proxy
        .page_says("/metrics", 200, "weft_control_plane_connected 1")
        .await;
    proxy.page_says("/config", 200, "shop").await;
    let (_, metrics) = proxy.page("/metrics").await.expect("the endpoint answers");
    let ends = metrics.matches("# EOF").count();
    assert_eq!(ends, 1, "one exposition, with one end: {metrics}");
}

#[tokio::test]
async fn what_cannot_be_put_in_force_is_reported() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let taken = TcpListener::bind("0.0.0.0:0").expected("a port");
    let port = taken.local_addr().expected("its address").port();
    let broken = Certificate {
        chain_pem: "no certificate".into(),
        key_pem: "no key".into(),
    };
    let secret = Name::new("infra", "broken");
    control_plane.certificates(BTreeMap::from([(secret, Arc::new(broken))]));
    let listener = format!(
        "{{name: http, port: {port}, protocol: HTTP}}\n\
         {{name: https, port: {}, protocol: HTTPS, \
          tls: {{certificateRefs: [{{name: broken}}]}}}}",
        free_port()
    );
    let broken_world = weft_tests::world::World::bare()
        .gateway("infra/edge", &listener)
        .secret("infra/broken", "", "")
        .service("shop/web", &[backend.address])
        .route("shop/web", super::ROUTE);
    let standing = control_plane.publish_and_wait(&broken_world).await;
    let about = |kind: &str| {
        let mut problems = standing.problems.iter();
        problems.any(|problem| problem.kind == kind)
    };
    assert!(about("Gateway"), "the port in use: {:?}", standing.problems);
    drop(taken);
    let is_taken_back = || {
        let problems = control_plane.standing().problems;
        !problems.iter().any(|problem| problem.kind == "Gateway")
    };
    eventually(
        PATIENCE,
        "the free port is taken, and that is said",
        is_taken_back,
    )
    .await;
    assert_eq!(ask(on(port)).await, said("one"));
    drop(proxy);
}

#[tokio::test]
async fn the_saved_configuration_is_nobody_elses() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &backend)).await;
    eventually(PATIENCE, "it is saved", || proxy.saved().exists()).await;
    let mode = fs::metadata(proxy.saved())
        .expected("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
