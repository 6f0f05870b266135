//! Several replicas: every one serves proxies, and statuses know of all of them.

use std::net::SocketAddr;

use serde_json::json;
use tonic::Code;
use weft_api::Kind;
use weft_certs::Identity;
use weft_control::Controller;
use weft_tests::wait::{Expected, PATIENCE, eventually, soon};

use super::client::{Proxy, resources, subscriber};
use super::streams::{identity, opened};
use super::{CONTROL, NAMESPACE, World, controller, route};

const LEASE: (&str, &str) = (CONTROL, "weft-controller");

/// What the Lease says of its holder: the name of a replica.
fn leader(world: &World) -> String {
    let lease = world.api.lease(LEASE.0, LEASE.1).unwrap_or_default();
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    let name = holder.split('@').next().unwrap_or_default();
    name.to_owned()
}

/// A world whose controller leads, and another replica beside it.
pub(super) async fn two() -> (World, Controller) {
    let world = World::start().await;
    eventually(PATIENCE, "the first leads", || leader(&world) == "first").await;
    let second = controller(&world.api, "second").await;
    (world, second)
}

pub(super) async fn proxy(at: SocketAddr, identity: &Identity, instance: &str) -> Proxy {
    opened(at, identity, subscriber("edge", instance)).await
}

/// Another generation of the Gateway.
fn edit(world: &World, port: u16) {
    let edit = |gateway: &mut serde_json::Value| {
        gateway["spec"]["listeners"][0]["port"] = port.into();
        gateway["metadata"]["generation"] = port.into();
    };
    world.api.edit(Kind::Gateway, (NAMESPACE, "edge"), edit);
}

#[tokio::test]
async fn a_gateway_is_programmed_when_the_proxies_of_all_replicas_say_so() {
    let (world, second) = two().await;
    let identity = identity(&world).await;
    let mut here = proxy(world.addresses().config, &identity, "pod-1").await;
    let mut there = proxy(second.addresses().config, &identity, "pod-2").await;
    let versions = |proxy: &Proxy| proxy.subscriber.assembler().versions().clone();
    here.next().await;
    there.next().await;
    assert_eq!(versions(&here), versions(&there), "byte for byte the same");
    world.becomes("True/Programmed").await;

    edit(&world, 8080);
    here.next().await;
    let (_, answer) = there.take().await;
    world.becomes("False/Pending").await;
    // Whatever else the leader has to say is said by the time it has told the next edit.
    world.api.apply(route("/shop"));
    here.next().await;
    assert_eq!(world.programmed(), "False/Pending", "one lags elsewhere");
    there.answer(answer).await;
    world.becomes("True/Programmed").await;
}

#[tokio::test]
async fn a_killed_leader_costs_proxies_nothing_but_a_call() {
    let (mut world, second) = two().await;
    let identity = identity(&world).await;
    let mut before = proxy(world.addresses().config, &identity, "pod-1").await;
    before.next().await;
    world.becomes("True/Programmed").await;
    // The other one does not lead yet, and serves all the same.
    drop(std::mem::replace(&mut world.controller, second));
    soon("the stream breaks", before.broken()).await;
    let at = world.addresses().config;
    let mut after = opened(at, &identity, before.subscriber).await;
    let delta = after.next().await;
    assert_eq!(resources(&delta), Vec::<String>::new(), "nothing again");
    world.api.apply(route("/shop"));
    assert_eq!(resources(&after.next().await), ["HTTPRoute shop/web"]);
    assert_eq!(leader(&world), "first", "nobody has taken over so far");

    // As if its time was over.
    world.api.delete_lease(LEASE);
    eventually(PATIENCE, "the second leads", || leader(&world) == "second").await;
    edit(&world, 8080);
    let (_, answer) = after.take().await;
    world.becomes("False/Pending").await;
    after.answer(answer).await;
    world.becomes("True/Programmed").await;
}

#[tokio::test]
async fn a_killed_follower_takes_no_word_of_its_proxies_with_it() {
    let (world, second) = two().await;
    let identity = identity(&world).await;
    let mut here = proxy(world.addresses().config, &identity, "pod-1").await;
    let mut there = proxy(second.addresses().config, &identity, "pod-2").await;
    here.next().await;
    there.next().await;
    world.becomes("True/Programmed").await;
    drop(second);
    soon("the stream breaks", there.broken()).await;
    edit(&world, 8080);
    here.next().await;
    world.becomes("False/Pending").await;
    world.api.apply(route("/shop"));
    here.next().await;
    assert_eq!(world.programmed(), "False/Pending", "one is not back yet");
    let at = world.addresses().config;
    let mut there = opened(at, &identity, there.subscriber).await;
    let delta = there.next().await;
    assert_eq!(
        resources(&delta),
        ["Gateway shop/edge", "HTTPRoute shop/web"],
        "what it has missed"
    );
    world.becomes("True/Programmed").await;
}

#[tokio::test]
async fn a_replica_that_cannot_tell_the_leader_serves_nobody() {
    let mut world = World::start().await;
    let identity = identity(&world).await;
    soon("the first ends", world.controller.stop())
        .await
        .expected("it ends well");
    let ghost = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "namespace": LEASE.0, "name": LEASE.1 },
        "spec": {
            // Nobody can listen there.
            "holderIdentity": "ghost@127.0.0.1:0",
            "leaseDurationSeconds": 3600,
        },
    });
    world.api.apply(ghost);
    world.controller = controller(&world.api, "second").await;
    let at = world.addresses().config;
    let metrics = || world.api.requests().len();
    let before = metrics();
    eventually(PATIENCE, "the second has read the cluster", || {
        let lease = |request: &String| request.contains("/leases/");
        let asked = world.api.requests().split_off(before);
        asked.iter().filter(|it| lease(it)).count() >= 2
    })
    .await;
    let refused = Proxy::open(at, &identity, subscriber("edge", "pod-1")).await;
    let refused = refused.err().map(|(code, _)| code);
    assert_eq!(refused, Some(Code::Unavailable));
    world.api.delete_lease(LEASE);
    let mut served = proxy(at, &identity, "pod-1").await;
    assert!(!resources(&served.next().await).is_empty(), "it leads now");
}
