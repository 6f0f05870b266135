//! Pods that nodes capture: what stands at them, who is told when, and what a restart changes.

use std::time::Duration;

use serde_json::{Value, json};
use weft_api::Kind;
use weft_tests::fakeapi::Fault;
use weft_tests::wait::{PATIENCE, eventually};
use weft_wire::proto::config::{
    Capture, ClientMessage, PodReport, PodState, client_message::Message,
};

use super::client::{Proxy, resources};
use super::nodes::{self, NODE_POD, NODE_TOKEN, certified, open, uid_of};
use super::{CONTROL, NAMESPACE, World};

/// Pods that one node captures at once, as after a restart of its proxy.
const PODS: u8 = 50;
/// What an API server takes for an answer.
const LATENCY: Duration = Duration::from_millis(20);
/// From the word of their node to the tables of others.
const LIMIT: Duration = Duration::from_secs(1);

fn name(at: u8) -> String {
    format!("web-{at}")
}

fn pod(at: u8) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "namespace": NAMESPACE, "name": name(at) },
        "spec": { "nodeName": "node-1", "serviceAccountName": "web" },
        "status": { "phase": "Running", "podIP": format!("10.2.0.{at}") },
    })
}

async fn world(pods: u8) -> World {
    let world = nodes::world().await;
    (0..pods).for_each(|at| world.api.apply(pod(at)));
    world
}

/// The stream of the proxy on `node-1`, once it was sent all of these pods.
async fn stream(world: &World, pods: u8) -> Proxy {
    let anchor = world.anchor().await;
    let identity = certified(world, &anchor).await;
    let by = (&identity, Some(NODE_TOKEN));
    let opened = open(world, by, ("node-1", NODE_POD)).await;
    let mut proxy = opened.unwrap_or_else(|code| panic!("refused: {code:?}"));
    let workloads = |proxy: &Proxy| {
        let configuration = proxy.subscriber.assembler().configuration();
        let pods = configuration.workloads.get("node-1");
        pods.map_or(0, |pods| pods.len())
    };
    // One is of every such world.
    while workloads(&proxy) < usize::from(pods) + 1 {
        proxy.next().await;
    }
    proxy
}

async fn say(world: &World, proxy: &Proxy, pods: u8, (captured, reason): (Capture, &str)) {
    let state = |at: u8| PodState {
        uid: uid_of(world, &name(at)),
        captured: captured.into(),
        reason: reason.to_owned(),
        ..PodState::default()
    };
    let pods = (0..pods).map(state).collect();
    let message = Some(Message::Pods(PodReport { pods }));
    proxy.answer(ClientMessage { message }).await;
}

fn peers(proxy: &Proxy) -> usize {
    let configuration = proxy.subscriber.assembler().configuration();
    let peers = configuration.peers.get("node-1");
    peers.map_or(0, |peers| peers.len())
}

/// What stands at a pod: captured, and why not.
fn annotated(world: &World, at: u8) -> String {
    let pod = world.api.object(Kind::Pod, NAMESPACE, &name(at));
    let annotations = pod.unwrap_or_default()["metadata"]["annotations"].clone();
    let text = |key: &str| annotations[key].as_str().unwrap_or_default().to_owned();
    let both = format!(
        "{} {}",
        text("weft.dev/captured"),
        text("weft.dev/captured-reason")
    );
    both.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_pods_that_are_captured_at_once_are_peers_within_a_second() {
    let world = world(PODS).await;
    let mut proxy = stream(&world, PODS).await;
    world.api.fault(Fault::Latency(LATENCY));
    let began = tokio::time::Instant::now();
    say(&world, &proxy, PODS, (Capture::Done, "")).await;
    while peers(&proxy) < usize::from(PODS) {
        proxy.next().await;
    }
    let took = began.elapsed();
    assert!(
        took <= LIMIT,
        "{PODS} pods took {took:?}, {LIMIT:?} is allowed"
    );
    let requests = world.api.requests();
    let patches = requests
        .iter()
        .filter(|it| it.starts_with("PATCH") && it.contains("/pods/"));
    let patches: Vec<_> = patches.collect();
    assert_eq!(patches.len(), usize::from(PODS), "one write each");
    let elsewhere = patches.iter().find(|it| !it.contains("/status"));
    assert_eq!(elsewhere, None, "nothing that a pod is made of can change");

    say(&world, &proxy, PODS, (Capture::Done, "")).await;
    say(&world, &proxy, 1, (Capture::Failed, "no route")).await;
    let failed = || annotated(&world, 0) == "error no route";
    eventually(PATIENCE, "what failed is said", failed).await;
    while peers(&proxy) == usize::from(PODS) {
        proxy.next().await;
    }
    let patches = || {
        let requests = world.api.requests();
        let patches = requests
            .iter()
            .filter(|it| it.starts_with("PATCH") && it.contains("/pods/"));
        patches.count()
    };
    assert_eq!(
        patches(),
        usize::from(PODS) + 1,
        "what is said again is not written again"
    );
}

/// Waits until the proxy has a peer at this address.
async fn peer_at(proxy: &mut Proxy, address: &str) {
    let address = address.parse().expect("an address");
    let is_there = |proxy: &Proxy| {
        let configuration = proxy.subscriber.assembler().configuration();
        let peers = configuration.peers.get("node-1");
        peers.is_some_and(|peers| peers.contains_key(&address))
    };
    while !is_there(proxy) {
        proxy.next().await;
    }
}

#[tokio::test]
async fn a_pod_is_a_peer_before_its_kubelet_tells_its_address() {
    let world = world(0).await;
    let mut starting = pod(0);
    starting["status"] = json!({ "phase": "Pending" });
    world.api.apply(starting);
    let mut proxy = stream(&world, 1).await;
    let state = PodState {
        uid: uid_of(&world, &name(0)),
        captured: Capture::Done.into(),
        addresses: vec!["10.2.0.7".to_owned(), "fd00::7".to_owned()],
        ..PodState::default()
    };
    let message = Some(Message::Pods(PodReport { pods: vec![state] }));
    proxy.answer(ClientMessage { message }).await;
    peer_at(&mut proxy, "fd00::7").await;
    peer_at(&mut proxy, "10.2.0.7").await;
    let known = world.api.object(Kind::Pod, NAMESPACE, &name(0));
    let known = known.expect("the pod")["status"]["podIP"].clone();
    assert_eq!(known, Value::Null, "nobody can have dialled it yet");
}

#[tokio::test]
async fn a_pod_that_starts_is_a_peer_before_its_capture_is_written() {
    let world = world(0).await;
    world.api.apply(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "namespace": CONTROL, "name": "weft-node-1", "labels": {
            "app.kubernetes.io/name": "weft-node", "app.kubernetes.io/part-of": "weft",
        } },
        "spec": { "nodeName": "node-1", "hostNetwork": true }, "status": { "phase": "Running" },
    }));
    let mut starting = pod(0);
    starting["status"] = json!({ "phase": "Pending" });
    world.api.apply(starting);
    // It ran before anybody had heard of it.
    world.api.apply(pod(1));
    let mut proxy = stream(&world, 2).await;
    world.api.apply(pod(0));
    peer_at(&mut proxy, "10.2.0.0").await;
    assert_eq!(peers(&proxy), 1, "the other one is still to be captured");
    assert_eq!(annotated(&world, 0), "", "nothing was said of either");
}

#[tokio::test]
async fn members_stay_members_when_the_control_plane_starts_anew() {
    let mut world = world(1).await;
    let mut proxy = stream(&world, 1).await;
    say(&world, &proxy, 1, (Capture::Done, "")).await;
    while peers(&proxy) < 1 {
        proxy.next().await;
    }
    drop(proxy);
    world.restart().await;
    let proxy = stream(&world, 1).await;
    assert_eq!(peers(&proxy), 1, "before its node has said anything");
}

#[tokio::test]
async fn a_pod_leaves_its_peers_before_its_node_lets_it_go() {
    let world = world(1).await;
    let mut proxy = stream(&world, 1).await;
    say(&world, &proxy, 1, (Capture::Done, "")).await;
    while peers(&proxy) < 1 {
        proxy.next().await;
    }
    world.api.edit(Kind::Pod, (NAMESPACE, &name(0)), |pod| {
        pod["metadata"]["labels"] = json!({ "weft.dev/mesh": "disabled" });
    });
    let is_member = |proxy: &Proxy| {
        let configuration = proxy.subscriber.assembler().configuration();
        let pods = configuration.workloads["node-1"].values();
        let mut pods = pods.filter(|pod| *pod.name.name == *name(0));
        pods.next().is_some_and(|pod| pod.is_member)
    };
    let first = loop {
        let (delta, answer) = proxy.take().await;
        if peers(&proxy) == 0 {
            assert!(is_member(&proxy), "still captured: {:?}", resources(&delta));
            break answer;
        }
        proxy.answer(answer).await;
    };
    proxy.answer(first).await;
    while is_member(&proxy) {
        proxy.next().await;
    }
    assert_eq!(
        annotated(&world, 0),
        "true",
        "it is captured until its node says otherwise"
    );
    say(&world, &proxy, 1, (Capture::Ended, "")).await;
    let is_gone = || annotated(&world, 0).is_empty();
    eventually(PATIENCE, "nothing stands at the pod", is_gone).await;
}
