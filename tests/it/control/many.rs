//! Many routes at once (a user applies a directory): each has its status soon, by one write each.

use std::time::Duration;

use serde_json::{Value, json};
use weft_api::Kind;
use weft_tests::fakeapi::Fault;
use weft_tests::wait::{PATIENCE, eventually};

use super::{NAMESPACE, World};

const ROUTES: usize = 1_000;
/// What an API server takes for an answer.
const LATENCY: Duration = Duration::from_millis(5);

fn route(number: usize) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "namespace": NAMESPACE, "name": format!("many-{number}"), "generation": 1 },
        "spec": {
            "parentRefs": [{ "name": "edge" }],
            "hostnames": [format!("h{number}.example")],
            "rules": [{ "backendRefs": [{ "name": "web", "port": 80 }] }],
        },
    })
}

fn is_accepted(route: &Value) -> bool {
    let conditions = &route["status"]["parents"][0]["conditions"];
    let mut conditions = conditions.as_array().into_iter().flatten();
    conditions.any(|it| it["type"] == "Accepted" && it["status"] == "True")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_routes_at_once_are_accepted_by_one_write_each() {
    let world = World::start().await;
    let route_of = |name: &str| world.api.object(Kind::HttpRoute, NAMESPACE, name);
    let first = || route_of("web").is_some_and(|route| is_accepted(&route));
    eventually(PATIENCE, "the first route is accepted", first).await;
    world.api.fault(Fault::Latency(LATENCY));
    for number in 0..ROUTES {
        world.api.apply(route(number));
    }
    let mut accepted = 0;
    let all = || {
        while accepted < ROUTES
            && route_of(&format!("many-{accepted}")).is_some_and(|route| is_accepted(&route))
        {
            accepted += 1;
        }
        accepted == ROUTES
    };
    eventually(PATIENCE, "every route is accepted", all).await;
    let requests = world.api.requests();
    let writes = requests
        .iter()
        .filter(|request| request.starts_with("PATCH") && request.contains("/httproutes/many-"));
    assert_eq!(writes.count(), ROUTES, "one write per route");
}
