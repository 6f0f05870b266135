//! `weft-proxy node` as a pod of a node runs it: what it asks the control plane for and tells it, what it
//! does without, and how one process follows another.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    sync::Arc,
};

use weft_intercept::handoff::{Operation, Reply};
use weft_ir::{Name, Workload};
use weft_tests::{
    control_plane::{ControlPlane, TOKEN},
    netns::{Agent, Node, Pod, can_make_namespaces},
    wait::{PATIENCE, eventually},
};
use weft_wire::{Configuration, proto::config::Capture};

/// A node with one pod that runs.
struct World {
    pod: Pod,
    node: Node,
}

impl World {
    fn new() -> Self {
        let node = Node::new();
        let pod = node.pod("web");
        node.runs(100, &pod);
        Self { pod, node }
    }

    fn start(&self, control_plane: &ControlPlane, instance: &str) -> Agent {
        Agent::start(&self.node, control_plane, instance)
    }

    /// Asks as the plugin does.
    fn ask(&self, op: Operation) -> Reply {
        tokio::task::block_in_place(|| self.node.ask(op, &self.pod))
    }

    /// Whether somebody listens for tunnels in the pod.
    fn listens(&self) -> bool {
        self.pod.dial(self.pod.at(15008)).is_ok()
    }

    /// The pod is a member, and its namespace of the mesh.
    fn configuration(&self) -> Configuration {
        let workload = serde_json::json!({
            "name": { "namespace": "shop", "name": "web" },
            "uid": self.pod.uid,
            "node": "n1",
            "serviceAccount": "web",
            "addresses": [self.pod.ip],
            "isMember": true,
        });
        let workload: Workload = serde_json::from_value(workload).expect("a pod");
        let pods = BTreeMap::from([(Name::new("shop", "web"), Arc::new(workload))]);
        Configuration {
            workloads: Arc::new(BTreeMap::from([("n1".into(), Arc::new(pods))])),
            namespaces: Arc::new(BTreeSet::from(["shop".into()])),
            ..Configuration::default()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_serves_its_pods_and_goes_on_without_a_control_plane() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::new();
    let mut control_plane = ControlPlane::start_of_node().await;
    let agent = world.start(&control_plane, "u-1");
    agent
        .says("/readyz", 503, "waiting for the control plane")
        .await;
    let generation = control_plane.publish_whole(&world.configuration());
    agent.says("/readyz", 200, "ok").await;
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(
        control_plane.token(),
        Some(bearer),
        "the token says which node"
    );
    assert_eq!(world.ask(Operation::Add), Reply::Ok {});
    assert!(world.listens(), "the pod starts with its listeners");
    assert!(
        control_plane.has_signed(world.pod.identity.as_str(), &world.pod.uid),
        "and with its certificate"
    );
    let addresses = world.pod.ips().map(|it| it.to_string());
    let is_told = || {
        let said = control_plane.pod(&world.pod.uid);
        said.is_some_and(|it| it.captured() == Capture::Done && it.addresses == addresses)
    };
    eventually(
        PATIENCE,
        "the control plane hears that it is captured, and where it is",
        is_told,
    )
    .await;
    let has_it = || control_plane.standing().generation == Some(generation);
    eventually(PATIENCE, "the node has the configuration", has_it).await;
    let captured = "weft_pod_captured{namespace=\"shop\",pod=\"web\"} 1";
    agent.says("/metrics", 200, captured).await;
    let saved = world.node.path("state/configuration.weft");
    eventually(PATIENCE, "it is saved", || saved.exists()).await;
    let mode = fs::metadata(&saved)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads it");

    control_plane.go_away().await;
    drop(agent);
    eventually(PATIENCE, "its listeners go with the process", || {
        !world.listens()
    })
    .await;
    let agent = world.start(&control_plane, "u-2");
    agent.says("/readyz", 200, "ok").await;
    // It is found by its process, and captured although nobody signs for it now.
    agent.says("/metrics", 200, captured).await;
    assert_eq!(world.ask(Operation::Check), Reply::Ok {});
    assert!(world.listens());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_made_while_the_control_plane_is_away_starts_when_it_is_back() {
    if !can_make_namespaces() {
        return;
    }
    let world = Arc::new(World::new());
    let mut control_plane = ControlPlane::start_of_node().await;
    let empty = Configuration {
        workloads: Arc::default(),
        ..world.configuration()
    };
    control_plane.publish_whole(&empty);
    let agent = world.start(&control_plane, "u-1");
    agent.says("/readyz", 200, "ok").await;
    control_plane.go_away().await;
    let asking = Arc::clone(&world);
    let started = tokio::spawn(async move { asking.ask(Operation::Add) });
    control_plane.come_back().await;
    control_plane.publish_whole(&world.configuration());
    let reply = started.await.expect("it has an answer");
    assert_eq!(reply, Reply::Ok {}, "it has waited, and is not sent away");
    assert!(world.listens(), "it is captured");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_follows_another_and_nobody_is_refused() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::new();
    let control_plane = ControlPlane::start_of_node().await;
    control_plane.publish_whole(&world.configuration());
    let mut old = world.start(&control_plane, "u-1");
    old.says("/readyz", 200, "ok").await;
    assert_eq!(world.ask(Operation::Add), Reply::Ok {});
    // A client that says nothing, so that the drain is cut short by its limit.
    let _silent = world
        .pod
        .dial(world.pod.at(15008))
        .expect("somebody listens");
    let mut new = world.start(&control_plane, "u-2");
    let captured = "weft_pod_captured{namespace=\"shop\",pod=\"web\"} 1";
    new.says("/metrics", 200, captured).await;
    assert!(world.listens(), "while there are two");
    old.ends().await;
    assert!(world.listens(), "when there is the new one only");
    assert_eq!(world.ask(Operation::Check), Reply::Ok {});
    new.ends().await;
}
