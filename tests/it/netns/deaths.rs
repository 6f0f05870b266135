//! The supervisor of a node is killed, and nobody notices: its workers go on, and the next supervisor goes on
//! with them.

mod load;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use weft_intercept::handoff::{Operation, Reply};
use weft_ir::{Name, NodePeers, Workload};
use weft_tests::{
    control_plane::ControlPlane,
    netns::{Agent, Pod, can_make_namespaces},
    wait::{PATIENCE, eventually},
};
use weft_wire::Configuration;

use self::load::{Load, Outcome, echo};
use super::pair::Pair;

/// How often a supervisor is killed.
const KILLS: usize = 20;
/// A supervisor that lived this long is followed by the next one at once.
const A_LIFE: Duration = Duration::from_millis(1100);

/// A node under `init`, whose pods are members that take no plaintext.
struct World {
    agent: Agent,
    control_plane: ControlPlane,
    pair: Pair,
}

/// These pods are members of the mesh, in their own namespace.
pub(super) fn members(pods: &[&Pod]) -> Configuration {
    let workload = |pod: &&Pod| {
        let workload = serde_json::json!({
            "name": { "namespace": pod.namespace, "name": pod.name },
            "uid": pod.uid,
            "node": "n1",
            "serviceAccount": pod.name,
            "addresses": pod.ips(),
            "isMember": true,
        });
        let workload: Workload = serde_json::from_value(workload).expect("a pod");
        let name = Name::new(pod.namespace.as_str(), pod.name.as_str());
        (name, Arc::new(workload))
    };
    let peer = |pod: &&Pod| {
        let id: Arc<str> = pod.identity.as_str().into();
        pod.ips().map(|ip| (ip, Arc::clone(&id)))
    };
    let workloads: BTreeMap<_, _> = pods.iter().map(workload).collect();
    let peers: NodePeers = pods.iter().flat_map(peer).collect();
    let namespaces = pods.iter().map(|pod| pod.namespace.as_str().into());
    Configuration {
        workloads: Arc::new(BTreeMap::from([("n1".into(), Arc::new(workloads))])),
        peers: Arc::new(BTreeMap::from([("n1".into(), Arc::new(peers))])),
        namespaces: Arc::new(namespaces.collect::<BTreeSet<_>>()),
        ..Configuration::default()
    }
}

/// The processes of this parent whose command line has this argument.
fn children(parent: Pid, argument: &str) -> Vec<Pid> {
    let parent = format!("PPid:\t{}", parent.as_raw_nonzero());
    let processes = fs::read_dir("/proc").expect("a proc file system");
    let processes = processes.filter_map(|entry| Some(entry.ok()?.path()));
    let is_one = |path: &std::path::PathBuf| {
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
        let (status, line) = (read("status"), read("cmdline"));
        status.lines().any(|it| it == parent) && line.split('\0').any(|it| it == argument)
    };
    let number = |path: std::path::PathBuf| path.file_name()?.to_str()?.parse().ok();
    let numbers = processes.filter(is_one).filter_map(number);
    numbers.filter_map(Pid::from_raw).collect()
}

impl World {
    async fn new() -> Self {
        let pair = Pair::running();
        let control_plane = ControlPlane::start_of_node().await;
        let agent = Agent::start_lasting(&pair.node, &control_plane, "u-1");
        Self {
            agent,
            control_plane,
            pair,
        }
    }

    /// The same, of which both pods are captured and can prove who they are.
    async fn captured() -> Self {
        let world = Self::new().await;
        let Pair { web, cart, .. } = &world.pair;
        world.control_plane.publish_whole(&members(&[web, cart]));
        for pod in [web, cart] {
            world.captures(pod).await;
            let is_signed = || {
                let identity = pod.identity.as_str();
                world.control_plane.has_signed(identity, &pod.uid)
            };
            eventually(PATIENCE, "it has a certificate", is_signed).await;
        }
        world
    }

    async fn captures(&self, pod: &Pod) {
        let Pod {
            namespace, name, ..
        } = pod;
        let captured = format!("weft_pod_captured{{namespace=\"{namespace}\",pod=\"{name}\"}} 1");
        self.agent.says("/metrics", 200, &captured).await;
    }

    fn supervisor(&self) -> Option<Pid> {
        children(self.agent.pid(), "--kept").pop()
    }

    /// Kills the supervisor that is there, once there is one.
    async fn kill(&self) {
        let mut found = None;
        let is_there = || {
            found = self.supervisor();
            found.is_some()
        };
        eventually(PATIENCE, "there is a supervisor", is_there).await;
        let found = found.expect("it was found");
        kill_process(found, Signal::KILL).expect("it runs");
        // What it listens on is closed some time after it has lost its name.
        let path = format!("/proc/{}", found.as_raw_nonzero());
        let is_gone = || fs::metadata(&path).is_err();
        eventually(PATIENCE, "it is dead", is_gone).await;
    }

    /// The workers, whoever is their parent just now.
    fn workers(&self) -> HashSet<Pid> {
        let orphans = children(self.agent.pid(), "shard");
        let others = self.supervisor().map(|it| children(it, "shard"));
        orphans
            .into_iter()
            .chain(others.unwrap_or_default())
            .collect()
    }
}

/// Says what was measured.
fn show(what: &str, outcome: &Outcome) {
    let line = format!(
        "{what}: {} connections, p50 {:?}, p99 {:?}, p99.9 {:?}, longest {:?}; {} words\n",
        outcome.took.len(),
        outcome.quantile(2),
        outcome.quantile(100),
        outcome.quantile(1000),
        outcome.quantile(usize::MAX),
        outcome.words,
    );
    let _written = io::stderr().write_all(line.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_that_supervisors_are_killed() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::captured().await;
    let Pair { web, cart, .. } = &world.pair;
    echo(cart.listen(80));
    let workers = world.workers();
    let signed = world.control_plane.signatures();
    let load = Load::start(web, cart.at(80));
    for _ in 0..KILLS {
        tokio::time::sleep(A_LIFE).await;
        world.kill().await;
        for pod in [web, cart] {
            world.captures(pod).await;
        }
    }
    let outcome = load.end();
    show("supervisor killed", &outcome);
    assert_eq!(outcome.refused, [""; 0], "connections were refused");
    assert_eq!(outcome.cut, [""; 0], "connections were cut");
    assert!(outcome.took.len() > 1000 && outcome.words > 1000);
    assert_eq!(world.workers(), workers, "the same processes all the time");
    let signed = world.control_plane.signatures() - signed;
    assert!(
        signed <= KILLS,
        "supervisors need certificates, pods have theirs: {signed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_joins_although_the_supervisor_is_killed() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::new().await;
    let Pair { web, node, .. } = &world.pair;
    world.control_plane.publish_whole(&members(&[web]));
    world.captures(web).await;
    let mut joined = Vec::new();
    for (number, after_ms) in (0..).zip([0, 2, 5, 10, 20, 40, 80]) {
        let pod = node.pod(&format!("pod-{after_ms}"));
        node.runs(200 + number, &pod);
        echo(pod.listen(80));
        joined.push(pod);
        let all = joined.iter().chain([web]).collect::<Vec<_>>();
        tokio::time::sleep(A_LIFE).await;
        world.control_plane.publish_whole(&members(&all));
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        world.kill().await;
        let pod = joined.last().expect("it has just joined");
        world.captures(pod).await;
        let load = Load::start(web, pod.at(80));
        eventually(PATIENCE, "it is served", || load.answered() > 10).await;
        let outcome = load.end();
        assert_eq!(outcome.refused, [""; 0], "{after_ms} ms: refused");
        assert_eq!(outcome.cut, [""; 0], "{after_ms} ms: cut");
    }
    assert_eq!(world.workers().len(), 1, "all have the same worker");
}

#[tokio::test(flavor = "multi_thread")]
async fn supervisors_and_workers_may_die_one_upon_the_other() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::captured().await;
    let Pair { web, cart, .. } = &world.pair;
    echo(cart.listen(80));
    let load = Load::start(web, cart.at(80));
    let workers = world.workers();
    for _ in 0..3 {
        world.kill().await;
    }
    for pod in [web, cart] {
        world.captures(pod).await;
    }
    assert_eq!(world.workers(), workers, "three supervisors in a row");
    let before = load.answered();
    eventually(PATIENCE, "all goes on", || load.answered() > before + 100).await;
    let outcome = load.end();
    assert_eq!(outcome.refused, [""; 0], "connections were refused");
    assert_eq!(outcome.cut, [""; 0], "connections were cut");

    // The supervisor that follows comes after a delay, because of these the last two have not lived.
    for _ in 0..3 {
        world.kill().await;
    }
    for worker in &workers {
        kill_process(*worker, Signal::KILL).expect("it runs without a supervisor");
    }
    let load = Load::start(web, cart.at(80));
    eventually(PATIENCE, "another worker serves", || load.answered() > 100).await;
    let outcome = load.end();
    show("supervisor and worker killed", &outcome);
    assert_eq!(outcome.refused, [""; 0], "listeners outlive both");
    assert!(
        world.workers().is_disjoint(&workers),
        "there are others now"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_to_end_ends_in_order_with_or_without_a_supervisor() {
    if !can_make_namespaces() {
        return;
    }
    for (row, kills) in [("with a supervisor", 0), ("without one", 3)] {
        let mut world = World::captured().await;
        for _ in 0..kills {
            world.kill().await;
        }
        world.agent.ends().await;
        let web = &world.pair.web;
        let refused = world.pair.cart.dial(web.at(15008));
        refused.expect_err(&format!("{row}: nobody listens in the pod any more"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_was_followed_does_not_come_back() {
    if !can_make_namespaces() {
        return;
    }
    let mut world = World::captured().await;
    let Pair { web, cart, node } = &world.pair;
    echo(cart.listen(80));
    let load = Load::start(web, cart.at(80));
    let next = Agent::start_lasting(node, &world.control_plane, "u-2");
    let captured = "weft_pod_captured{namespace=\"shop\",pod=\"web\"} 1";
    next.says("/metrics", 200, captured).await;
    world.kill().await;
    let before = load.answered();
    eventually(PATIENCE, "all goes on", || load.answered() > before + 200).await;
    let checked = tokio::task::block_in_place(|| node.ask(Operation::Check, web));
    assert_eq!(checked, Reply::Ok {}, "the plugin asks the new one");
    world.agent.ends().await;
    let outcome = load.end();
    show("followed", &outcome);
    assert_eq!(outcome.refused, [""; 0], "connections were refused");
    assert_eq!(outcome.took.len(), before.max(outcome.took.len()));
    drop(next);
}
