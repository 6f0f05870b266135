//! As what a pod is reached from the first moment at which its address is known: one row per life of a pod.

use serde_json::{Value, json};
use weft_api::AnyObject;
use weft_ir::{Name, ServicePort};
use weft_source::Event;
use weft_spiffe::TrustDomain;

use super::super::{Gateways, Heard, World};
use super::*;

fn object(value: Value) -> Event {
    Event::Apply(AnyObject::parse(value).expect("a good object"))
}

/// What happens, of one pod `shop/a` on node `n1`.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The namespace has this label.
    Namespace(&'static str),
    /// The proxy of the node is in this phase.
    Proxy(&'static str),
    /// A pod elsewhere has the labels of the proxy of the node.
    Impostor,
    /// The pod is there: on its node or on none, with this address and this word on its capture.
    Pod(&'static str, &'static str, &'static str),
    /// Another pod has its name.
    Another(&'static str),
    /// The pod is gone.
    Gone,
    /// Its Service has it as an endpoint.
    Slice,
}

use Step::{Another, Gone, Impostor, Namespace, Pod as APod, Proxy, Slice};

fn pod(uid: &str, [node, address, captured]: [&str; 3]) -> Event {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "namespace": "shop", "name": "a", "uid": uid },
        "spec": { "serviceAccountName": "a" }, "status": { "phase": "Pending" },
    });
    if !node.is_empty() {
        pod["spec"]["nodeName"] = json!(node);
    }
    if !address.is_empty() {
        pod["status"] = json!({ "phase": "Running", "podIPs": [{ "ip": address }] });
    }
    if !captured.is_empty() {
        pod["metadata"]["annotations"] = json!({ CAPTURED: captured });
    }
    object(pod)
}

fn proxy(namespace: &str, phase: &str) -> Event {
    object(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": namespace, "name": "weft-node-1", "uid": "p",
            "labels": {
                "app.kubernetes.io/name": "weft-node", "app.kubernetes.io/part-of": "weft",
            },
        },
        "spec": { "nodeName": "n1" }, "status": { "phase": phase },
    }))
}

impl Step {
    fn event(self) -> Event {
        match self {
            Namespace(label) => object(json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": { "name": "shop", "labels": { "weft.dev/mesh": label } },
            })),
            Proxy(phase) => proxy("weft-system", phase),
            Impostor => proxy("shop", "Running"),
            APod(node, address, captured) => pod("u1", [node, address, captured]),
            Another(address) => pod("u2", ["n1", address, ""]),
            Gone => {
                let key = ObjectKey::new("shop", "a");
                Event::Delete(ObjectRef::new(Kind::Pod, key))
            }
            Slice => object(json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {
                    "namespace": "shop", "name": "web-1",
                    "labels": { "kubernetes.io/service-name": "web" },
                },
                "addressType": "IPv4", "ports": [{ "port": 8080 }],
                "endpoints": [{
                    "addresses": ["10.1.0.1"], "targetRef": { "kind": "Pod", "name": "a" },
                }],
            })),
        }
    }
}

fn settle(world: &mut World, events: Vec<Event>) {
    let changes = world.take(events);
    let heard = Heard {
        acknowledged: |_: &Gateways| BTreeMap::new(),
        departed: BTreeSet::new(),
        now: std::time::Duration::ZERO,
    };
    world.settle(heard, changes);
}

/// As what the pod is reached by its address, and by its Service.
fn reached(world: &World) -> String {
    let configuration = world.configuration();
    let mut peers = configuration.peers.values().flat_map(|it| it.keys());
    let by_address = peers.next().map_or("-", |_| "member");
    let port = ServicePort {
        service: Name::new("shop", "web"),
        port: 80,
    };
    let endpoints = configuration.endpoints[&port].all();
    let by_service = endpoints.first().map_or("-", |it| match it.member {
        Some(_) => "member",
        None => "plain",
    });
    format!("{by_address} {by_service}")
}

const IN: Step = Namespace("enabled");
const OUT: Step = Namespace("disabled");
const RUNS: Step = Proxy("Running");
const NEW: Step = APod("", "", "");
const PLACED: Step = APod("n1", "", "");
const STARTED: Step = APod("n1", "10.1.0.1", "");
const CAPTURED_AT_LAST: Step = APod("n1", "10.1.0.1", "true");

/// Names, what happens one after the other, and as what the pod is reached in the end, by its address and by
/// its Service.
const ROWS: &[(&str, &[Step], &str)] = &[
    (
        "it starts in the mesh",
        &[IN, RUNS, NEW, PLACED, STARTED, Slice],
        "member member",
    ),
    (
        "its Service has it before anything tells its address",
        &[IN, RUNS, NEW, PLACED, Slice],
        "- member",
    ),
    (
        "its capture is written",
        &[IN, RUNS, NEW, PLACED, STARTED, CAPTURED_AT_LAST, Slice],
        "member member",
    ),
    (
        "it is lost after that",
        &[
            IN,
            RUNS,
            NEW,
            PLACED,
            CAPTURED_AT_LAST,
            Slice,
            APod("n1", "10.1.0.1", "error"),
        ],
        "- plain",
    ),
    (
        "its first attempts failed",
        &[
            IN,
            RUNS,
            PLACED,
            APod("n1", "", "error"),
            APod("n1", "10.1.0.1", "error"),
            Slice,
        ],
        "member member",
    ),
    (
        "it ran before its namespace was enrolled",
        &[OUT, RUNS, NEW, PLACED, STARTED, Slice, IN],
        "- plain",
    ),
    (
        "it was found running",
        &[IN, RUNS, STARTED, Slice],
        "- plain",
    ),
    (
        "it had no address when its namespace was enrolled",
        &[OUT, RUNS, NEW, IN, PLACED, STARTED, Slice],
        "member member",
    ),
    (
        "its namespace is heard of last",
        &[RUNS, NEW, PLACED, IN, STARTED, Slice],
        "member member",
    ),
    (
        "its namespace is heard of when it runs already",
        &[RUNS, NEW, PLACED, STARTED, IN, Slice],
        "- plain",
    ),
    (
        "its namespace leaves the mesh",
        &[IN, RUNS, NEW, PLACED, STARTED, Slice, OUT],
        "- plain",
    ),
    (
        "and comes back while it runs",
        &[IN, RUNS, NEW, PLACED, STARTED, Slice, OUT, IN],
        "- plain",
    ),
    (
        "a node without the mesh",
        &[IN, NEW, PLACED, STARTED, Slice],
        "- plain",
    ),
    (
        "a pod elsewhere is labelled as the proxy of its node",
        &[IN, Impostor, NEW, PLACED, STARTED, Slice],
        "- plain",
    ),
    (
        "the proxy of its node has not started",
        &[IN, Proxy("Pending"), NEW, PLACED, STARTED, Slice],
        "- plain",
    ),
    (
        "the proxy of its node ends later",
        &[IN, RUNS, NEW, PLACED, STARTED, Slice, Proxy("Failed")],
        "member member",
    ),
    (
        "another pod with its name",
        &[IN, RUNS, NEW, PLACED, Gone, Another("10.1.0.1"), Slice],
        "- plain",
    ),
    (
        "another pod with its name, seen from its beginning",
        &[
            IN,
            RUNS,
            NEW,
            PLACED,
            Another(""),
            Another("10.1.0.1"),
            Slice,
        ],
        "member member",
    ),
];

#[test]
fn a_pod_that_starts_in_the_mesh_is_reached_as_a_member_from_the_first_moment() {
    let service = || {
        object(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "namespace": "shop", "name": "web" },
            "spec": { "clusterIP": "10.0.0.7", "ports": [{ "port": 80, "targetPort": 8080 }] },
        }))
    };
    for (name, steps, expected) in ROWS {
        let mut world = World::new(false, Some((TrustDomain::default(), "weft-system")));
        settle(&mut world, vec![service()]);
        for step in *steps {
            settle(&mut world, vec![step.event()]);
        }
        assert_eq!(reached(&world), *expected, "{name}");
    }
}

#[test]
fn what_happens_at_once_is_judged_by_how_it_ends() {
    let mut world = World::new(false, Some((TrustDomain::default(), "weft-system")));
    let steps = [NEW, IN, PLACED, RUNS, STARTED];
    settle(&mut world, steps.map(Step::event).into());
    let peers = &world.configuration().peers;
    assert_eq!(peers.len(), 1, "it had no address at first");
}
