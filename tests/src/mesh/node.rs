//! The form of a node: every pod is a network namespace of this kernel, captured by `weft-proxy node`
//! and served by its workers. The control plane is scripted; what it sends is what `translate` makes of
//! the manifests.
//!
//! Clients are pods, too: one in each namespace, which is a member of the mesh by its own label even
//! where its namespace is not. Pods come as in a cluster: the control plane knows them first, then the
//! plugin asks for them, and peers hear that they are members once they are captured.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::spawn_blocking,
};
use weft_api::{
    AnyObject,
    workload::{CAPTURED, MESH},
};
use weft_intercept::handoff::{Operation, Reply};
use weft_spiffe::TrustDomain;
use weft_store::Store;
use weft_translate::{EndpointTable, Enrolment, Scope, Translator};
use weft_wire::Configuration;

use super::{
    Dialled, Family, Mesh,
    manifests::{Manifests, full_name},
};
use crate::{
    control_plane::ControlPlane,
    gateway::{Statuses, route_status},
    netns::{Agent, Node, Pod},
    wait::{Expected, PATIENCE, eventually},
};

/// Name of the pod that dials for its namespace.
const CLIENT: &str = "the-client";

/// A mesh on one node.
pub struct NodeMesh {
    state: Mutex<State>,
    /// Ends before the pods do.
    agent: Agent,
    control_plane: ControlPlane,
    node: Arc<Node>,
}

struct State {
    /// By `namespace/name`.
    pods: BTreeMap<String, Made>,
    translator: Translator,
    endpoints: EndpointTable,
    scope: Scope,
    statuses: Statuses,
}

/// A pod that is there.
struct Made {
    pod: Arc<Pod>,
    families: BTreeSet<Family>,
    is_captured: bool,
}

impl NodeMesh {
    /// A mesh without any object.
    ///
    /// # Panics
    /// Without root, and when the processes do not start.
    pub async fn start() -> Self {
        let node = Arc::new(Node::new());
        let control_plane = ControlPlane::start_of_node().await;
        let agent = Agent::start(&node, &control_plane, "u-1");
        let enrolment = Enrolment::captured(TrustDomain::default());
        let scope = Scope {
            enrolment: enrolment.clone(),
            ..Scope::standalone()
        };
        let state = State {
            pods: BTreeMap::new(),
            translator: Translator::default(),
            endpoints: EndpointTable::new(enrolment),
            scope,
            statuses: Statuses::default(),
        };
        let mesh = Self {
            state: Mutex::new(state),
            agent,
            control_plane,
            node,
        };
        mesh.publish(&Manifests::default()).await;
        mesh.agent.says("/readyz", 200, "ok").await;
        mesh
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pod of this `namespace/name`, which is made when it is asked for first.
    fn pod(&self, name: &str, family: Option<Family>) -> Arc<Pod> {
        let mut state = self.lock();
        let made = state.pods.entry(name.to_owned()).or_insert_with(|| {
            let (namespace, name) = name.split_once('/').expect("`namespace/name`");
            Made {
                pod: Arc::new(self.node.pod_of(namespace, name, "default")),
                families: BTreeSet::new(),
                is_captured: false,
            }
        });
        made.families.extend(family);
        Arc::clone(&made.pod)
    }

    /// Adds what dials for each namespace.
    fn with_clients(&self, manifests: &Manifests) -> Manifests {
        let mut whole = manifests.clone();
        for namespace in manifests.of_kind("Namespace") {
            let namespace = namespace["metadata"]["name"].as_str().unwrap_or_default();
            for family in [Family::IPv4, Family::IPv6] {
                self.pod(&format!("{namespace}/{CLIENT}"), Some(family));
            }
            whole.put(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "namespace": namespace, "name": CLIENT, "labels": { MESH: "enabled" } },
            }));
        }
        whole
    }

    /// Has the node take these manifests over; the members that it has not captured yet.
    async fn publish(&self, manifests: &Manifests) -> Vec<Arc<Pod>> {
        let (configuration, newcomers) = self.lock().translate(manifests);
        let generation = self.control_plane.publish_whole(&configuration);
        let has_it = || self.control_plane.standing().generation == Some(generation);
        eventually(PATIENCE, "the node has the configuration", has_it).await;
        newcomers
    }

    /// Starts a pod as a container runtime does, which succeeds once it is captured.
    async fn capture(&self, pod: Arc<Pod>) {
        let name = format!("{}/{}", pod.namespace, pod.name);
        let node = Arc::clone(&self.node);
        let asked = spawn_blocking(move || node.ask(Operation::Add, &pod)).await;
        let reply = asked.expected("it does not panic");
        assert_eq!(reply, Reply::Ok {}, "{name} starts");
        let mut state = self.lock();
        let made = state.pods.get_mut(&name);
        made.expect("it was made").is_captured = true;
    }
}

impl State {
    fn translate(&mut self, manifests: &Manifests) -> (Configuration, Vec<Arc<Pod>>) {
        let mut store = Store::default();
        for object in manifests.objects() {
            let object = match object["kind"].as_str() {
                Some("Pod") => self.placed(object),
                _ => object.clone(),
            };
            store.apply(AnyObject::parse(object).expected("an object of the suite"));
        }
        let output = self.translator.translate(&store, &self.scope);
        self.endpoints.update(&store);
        self.statuses = Arc::clone(&output.statuses);
        let members = output.workloads.values().flat_map(|pods| pods.values());
        let members: BTreeSet<_> = members
            .filter(|it| it.is_member)
            .map(|it| it.uid.to_string())
            .collect();
        let newcomers = self.pods.values().filter(|made| !made.is_captured);
        let newcomers = newcomers.filter(|made| members.contains(&made.pod.uid));
        let newcomers = newcomers.map(|made| Arc::clone(&made.pod)).collect();
        let configuration = Configuration {
            tables: output.tables,
            endpoints: Arc::clone(self.endpoints.table()),
            workloads: output.workloads,
            peers: output.peers,
            namespaces: output.namespaces,
            ..Configuration::default()
        };
        (configuration, newcomers)
    }

    /// A pod with what its node and the control plane say of it.
    fn placed(&self, written: &Value) -> Value {
        let made = &self.pods[&full_name(written)];
        let ips = made.families.iter().map(|family| made.ip(*family));
        let ips: Vec<_> = ips.map(|ip| json!({ "ip": ip })).collect();
        let mut pod = written.clone();
        pod["metadata"]["uid"] = json!(made.pod.uid);
        pod["spec"]["nodeName"] = json!("n1");
        pod["status"] = json!({ "phase": "Running", "podIP": ips[0]["ip"], "podIPs": ips });
        if made.is_captured {
            pod["metadata"]["annotations"][CAPTURED] = json!("true");
        }
        pod
    }
}

impl Made {
    fn ip(&self, family: Family) -> IpAddr {
        match family {
            Family::IPv4 => self.pod.ip,
            Family::IPv6 => self.pod.ipv6,
        }
    }
}

impl Mesh for NodeMesh {
    async fn listen(&self, pod: &str, family: Family) -> TcpListener {
        let pod = self.pod(pod, Some(family));
        let ip = match family {
            Family::IPv4 => pod.ip,
            Family::IPv6 => pod.ipv6,
        };
        let listener = pod.listen_at(SocketAddr::new(ip, 0));
        listener
            .set_nonblocking(true)
            .expected("a socket can be set");
        TcpListener::from_std(listener).expected("a socket of a pod")
    }

    fn nobody(&self, pod: &str, family: Family) -> SocketAddr {
        let state = self.lock();
        // Port 1 is not among those that the kernel chooses from.
        SocketAddr::new(state.pods[pod].ip(family), 1)
    }

    async fn apply(&self, manifests: &Manifests) {
        let whole = self.with_clients(manifests);
        let newcomers = self.publish(&whole).await;
        if newcomers.is_empty() {
            return;
        }
        for pod in newcomers {
            self.capture(pod).await;
        }
        let missed = self.publish(&whole).await;
        assert!(missed.is_empty(), "all members are captured: {missed:?}");
    }

    async fn dial(&self, namespace: &str, address: SocketAddr) -> io::Result<Dialled> {
        let client = self.pod(&format!("{namespace}/{CLIENT}"), None);
        let dialled = spawn_blocking(move || client.dial(address)).await;
        let stream = dialled.expected("it does not panic")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Box::new(TcpStream::from_std(stream)?))
    }

    async fn status(&self, object: &str) -> Option<Value> {
        route_status(&self.lock().statuses, object)
    }
}
