//! Proxies of nodes: which certificates they get, and what they are sent.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::Code;
use weft_api::Kind;
use weft_certs::Identity;
use weft_tests::wait::{PATIENCE, eventually, soon};
use weft_wire::{Assembler, Subscriber, proto::config::Role};

use super::client::{Anchor, Proxy, resources};
use super::{ACCOUNT, AUDIENCE, CONTROL, NAMESPACE, TOKEN, World, identity_of, objects};

/// Service account of the proxies of nodes.
const NODES: &str = "weft-node";
/// A token of the one on `node-1`, and the pod it is bound to.
pub(super) const NODE_TOKEN: &str = "token-of-node";
pub(super) const NODE_POD: &str = "uid-of-weft-node-0";

fn pod(name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "namespace": NAMESPACE, "name": name },
        "spec": { "nodeName": node, "serviceAccountName": "web" },
        "status": { "phase": "Running", "podIP": "10.1.0.1" },
    })
}

/// A cluster with a namespace of the mesh, and a pod on each of two nodes.
pub(super) async fn world() -> World {
    let mut objects = objects();
    objects.push(json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "labels": { "weft.dev/mesh": "enabled" } },
    }));
    objects.extend([pod("here", "node-1"), pod("there", "node-2")]);
    let world = World::with(objects).await;
    world.api.know_token(NODE_TOKEN, (CONTROL, NODES), AUDIENCE);
    world
}

pub(super) async fn certified(world: &World, anchor: &Anchor) -> Identity {
    let id = identity_of(CONTROL, NODES);
    let address = world.addresses().identity;
    let identity = anchor.certify(address, Some(NODE_TOKEN), &id).await;
    identity.expect("a certificate of its own")
}

fn node(name: &str, instance: &str) -> Subscriber {
    let identity = weft_wire::Identity {
        role: Role::Node,
        name: name.to_owned(),
        namespace: String::new(),
        instance: instance.to_owned(),
    };
    Subscriber::new(identity, Assembler::default())
}

/// A stream, once the control plane has read the cluster; or how it is refused.
pub(super) async fn open(
    world: &World,
    (identity, token): (&Identity, Option<&str>),
    (name, instance): (&str, &str),
) -> Result<Proxy, Code> {
    let opening = async {
        loop {
            let who = node(name, instance);
            let address = world.addresses().config;
            match Proxy::open_by(address, (identity, token), who).await {
                Ok(proxy) => return Ok(proxy),
                // As a proxy does: calling again at once would keep both sides busy.
                Err((Code::Unavailable, _)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err((code, _)) => return Err(code),
            }
        }
    };
    soon("an answer", opening).await
}

/// Takes changes until one has this; that one.
async fn until(proxy: &mut Proxy, wanted: &str) -> Vec<String> {
    loop {
        // The Service of the Gateway is made meanwhile, and is for clients on nodes as well.
        let sent = resources(&proxy.next().await);
        if sent.iter().any(|it| it == wanted) {
            return sent;
        }
    }
}

/// The UID of a pod, which the API server has chosen.
pub(super) fn uid_of(world: &World, name: &str) -> String {
    let pod = world.api.object(Kind::Pod, NAMESPACE, name);
    let uid = pod.unwrap_or_default()["metadata"]["uid"].clone();
    uid.as_str().unwrap_or_default().to_owned()
}

/// Whether the route says that the node has it.
fn is_applied(world: &World, route: &str) -> bool {
    let route = world.api.object(Kind::HttpRoute, NAMESPACE, route);
    let status = route.unwrap_or_default()["status"].to_string();
    status.contains("applied on 1 of 1 proxies")
}

#[tokio::test]
async fn a_node_is_sent_its_own_pods_and_applies_routes_of_services() {
    let world = world().await;
    let anchor = world.anchor().await;
    let identity = certified(&world, &anchor).await;
    let by = (&identity, Some(NODE_TOKEN));
    let opened = open(&world, by, ("node-1", NODE_POD)).await;
    let mut proxy = opened.unwrap_or_else(|code| panic!("refused: {code:?}"));
    let sent = resources(&proxy.next().await);
    assert!(sent.contains(&"Workload shop/here".to_owned()), "{sent:?}");
    assert!(sent.contains(&"Service shop/web".to_owned()), "{sent:?}");
    let strange = |it: &&String| it.ends_with("/there") || it.starts_with("Gateway");
    assert_eq!(sent.iter().find(strange), None, "of others: {sent:?}");

    world.api.apply(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "namespace": NAMESPACE, "name": "producer" },
        "spec": {
            "parentRefs": [{ "group": "", "kind": "Service", "name": "web" }],
            "rules": [{ "backendRefs": [{ "name": "web", "port": 80 }] }],
        },
    }));
    until(&mut proxy, "HTTPRoute shop/producer").await;
    let is_applied = || is_applied(&world, "producer");
    eventually(PATIENCE, "the node has the route", is_applied).await;

    world.api.delete(Kind::Pod, NAMESPACE, "there");
    world.api.delete(Kind::Pod, NAMESPACE, "here");
    let gone = until(&mut proxy, "-Workload shop/here").await;
    let route = "-HTTPRoute shop/producer".to_owned();
    assert!(gone.contains(&route), "with the last member: {gone:?}");
}

#[tokio::test]
async fn nobody_reads_what_is_of_another_node() {
    let world = world().await;
    let anchor = world.anchor().await;
    let identity = certified(&world, &anchor).await;
    let gateway = identity_of(NAMESPACE, ACCOUNT);
    let address = world.addresses().identity;
    let gateway = anchor.certify(address, Some(TOKEN), &gateway).await;
    let gateway = gateway.expect("a certificate of a Gateway");
    let rows = [
        (
            "another node",
            &identity,
            Some(NODE_TOKEN),
            ("node-2", NODE_POD),
        ),
        (
            "another pod",
            &identity,
            Some(NODE_TOKEN),
            ("node-1", "uid-x"),
        ),
        ("no token", &identity, None, ("node-1", NODE_POD)),
        (
            "unknown token",
            &identity,
            Some("unknown"),
            ("node-1", NODE_POD),
        ),
        (
            "token of a Gateway",
            &identity,
            Some(TOKEN),
            ("node-1", NODE_POD),
        ),
        (
            "a Gateway",
            &gateway,
            Some(NODE_TOKEN),
            ("node-1", NODE_POD),
        ),
    ];
    for (name, identity, token, who) in rows {
        let refused = open(&world, (identity, token), who).await.map(drop);
        assert_eq!(refused, Err(Code::PermissionDenied), "{name}");
    }
}

#[tokio::test]
async fn a_new_pod_gets_its_certificate_though_the_watch_is_late() {
    let world = world().await;
    let anchor = world.anchor().await;
    let identity = certified(&world, &anchor).await;
    let opened = open(&world, (&identity, Some(NODE_TOKEN)), ("node-1", NODE_POD)).await;
    assert!(opened.is_ok(), "the pods are known");
    let web = identity_of(NAMESPACE, "web");
    let address = world.addresses().identity;
    let asking = anchor.certify_pod(address, Some(NODE_TOKEN), (&web, "uid-of-new"));
    let lagging = async {
        // What is under test is a watch that is so much behind.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut new = pod("new", "node-1");
        new["metadata"]["uid"] = "uid-of-new".into();
        world.api.apply(new);
    };
    let (answer, ()) = tokio::join!(asking, lagging);
    assert_eq!(answer.map(|it| it.id()), Ok(web), "at the first attempt");
}

#[tokio::test]
async fn a_node_gets_certificates_of_its_own_pods_alone() {
    let world = world().await;
    let anchor = world.anchor().await;
    let identity = certified(&world, &anchor).await;
    // Now the pods are known.
    let opened = open(&world, (&identity, Some(NODE_TOKEN)), ("node-1", NODE_POD)).await;
    assert!(opened.is_ok());
    world.api.know_token("legacy", (CONTROL, NODES), AUDIENCE);
    world.api.unbind_token("legacy");
    let (here, there) = (uid_of(&world, "here"), uid_of(&world, "there"));
    let (here, there) = (here.as_str(), there.as_str());
    assert!(!here.is_empty() && here != there, "pods have UIDs");
    let (web, other) = (
        identity_of(NAMESPACE, "web"),
        identity_of(NAMESPACE, "other"),
    );
    let rows = [
        ("its pod", NODE_TOKEN, &web, here, Ok(web.clone())),
        (
            "a pod of another node",
            NODE_TOKEN,
            &web,
            there,
            Err(Code::Unavailable),
        ),
        (
            "another account",
            NODE_TOKEN,
            &other,
            here,
            Err(Code::PermissionDenied),
        ),
        ("no pod", NODE_TOKEN, &web, "", Err(Code::PermissionDenied)),
        (
            "a legacy token",
            "legacy",
            &web,
            here,
            Err(Code::PermissionDenied),
        ),
        ("a Gateway", TOKEN, &web, here, Err(Code::PermissionDenied)),
    ];
    for (name, token, id, uid, expected) in rows {
        let address = world.addresses().identity;
        let answer = anchor.certify_pod(address, Some(token), (id, uid)).await;
        assert_eq!(answer.map(|it| it.id()), expected, "{name}");
    }
}
