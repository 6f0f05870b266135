//! What a gateway takes that serves a thousand routes and has nothing to do.

use std::fs;

use weft_tests::{
    backend::Backend,
    control_plane::ControlPlane,
    proxy::{Proxy, free_port},
    wait::Expected,
    world::World,
};

use super::{ask, on, said};

const ROUTES: usize = 1_000;
const EDITS: usize = 10;
/// Anonymous memory of both processes: two copies of the configuration, one of them with an index,
/// counters and endpoints. Half as much again as an unoptimised build takes.
const MOST_KIB: u64 = 28 << 10;

/// A Gateway with many routes, of which the last has that weight.
fn world(port: u16, backend: &Backend, weight: usize) -> World {
    let listener = format!("{{name: http, port: {port}, protocol: HTTP}}");
    let route = |at| {
        let weight = if at + 1 == ROUTES { weight } else { 1 };
        format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, \
             metadata: {{name: route-{at}, namespace: shop}}, \
             spec: {{parentRefs: [{{name: edge, namespace: infra}}], \
             hostnames: [host-{at}.example], rules: [\
             {{matches: [{{path: {{value: /a}}}}], \
             backendRefs: [{{name: web, port: 80, weight: {weight}}}]}}, \
             {{backendRefs: [{{name: web, port: 80}}]}}]}}}}"
        )
    };
    let routes: Vec<String> = (0..ROUTES).map(route).collect();
    World::bare()
        .gateway("infra/edge", &listener)
        .service("shop/web", &[backend.address])
        .route("shop/any", super::ROUTE)
        .with(&routes.join("\n---\n"))
}

/// A line of `/proc/PID/FILE`, as a number.
fn number(process: u64, file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).expected("a process");
    let mut lines = text.lines();
    let line = lines.find_map(|it| it.strip_prefix(field)?.strip_prefix(':'));
    let word = line.and_then(|it| it.split_whitespace().next());
    word.expect("the field").parse().expected("a number")
}

#[tokio::test]
async fn a_thousand_routes_fit_in_little_memory() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    for edit in 1..=EDITS {
        let world = world(port, &backend, edit);
        let standing = control_plane.publish_and_wait(&world);
        assert_eq!(standing.await.problems, []);
    }
    assert_eq!(ask(on(port)).await, said("one"));
    let worker = proxy.worker().expect("a worker runs").as_raw_nonzero();
    let worker = u64::from(worker.get().cast_unsigned());
    let parent = number(worker, "status", "PPid");
    let sum = |field: &str| {
        let of = |process| number(process, "smaps_rollup", field);
        of(parent) + of(worker)
    };
    let [taken, pss, rss] = ["Anonymous", "Pss", "Rss"].map(sum);
    assert!(
        taken <= MOST_KIB,
        "{ROUTES} routes: {taken} KiB anonymous, {pss} KiB proportional, {rss} KiB resident"
    );
}
