//! Takes the mesh apart, before what serves it: first nobody is in it any more, then nothing of it is on any
//! node. Whoever only deleted the proxies of nodes would leave packet rules in pods that lead nowhere, and
//! a CNI plugin that has pods wait for a supervisor.

use std::{fmt, io, time::Duration};

use serde_json::{Value, json};
use weft_api::{Kind, ObjectKey, ObjectRef, workload::MESH};
use weft_source::kube::{Cluster, Resource, Selection};

use super::inventory::resource;
use crate::{
    cluster::{self, joined, name, text},
    exit::Failure,
    namespace::{Standing, State},
};

/// The DaemonSet of the proxies of nodes.
const PROXIES: &str = "weft-node";
/// Label of the pods that clean nodes.
pub(super) const CLEANERS: &str =
    "app.kubernetes.io/name=weft-node-removal,app.kubernetes.io/part-of=weft";
const CLEANER: &str = "weft-node-removal";
/// How long a node may take to let its pods go, or to be cleaned. One that is not there does neither.
const PATIENCE: Duration = Duration::from_secs(60);

const DAEMON_SETS: Resource = resource("apps/v1", "daemonsets");
const NAMESPACES: Resource = resource("v1", "namespaces");
const NODES: Resource = resource("v1", "nodes");
const PODS: Resource = resource("v1", "pods");

/// Something that says of itself that it is in the mesh.
#[derive(Debug)]
pub(super) struct Member {
    kind: Kind,
    key: ObjectKey,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = joined(self.key.namespace(), self.key.name());
        write!(f, "{} {name}", self.kind.as_str())
    }
}

/// What a cluster has of the mesh.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    /// What carries the label that enrols.
    pub(super) members: Vec<Member>,
    /// The DaemonSet.
    proxies: Option<Value>,
    /// The nodes it may have pods on.
    nodes: Vec<String>,
}

/// What did not happen in time, by name.
type Done = Result<(), Vec<String>>;

impl Mesh {
    /// Looks for it; nothing where no proxies of nodes are installed, because the label does nothing then.
    ///
    /// # Errors
    /// The API server does not say.
    pub(super) async fn find(cluster: &Cluster, namespace: &str) -> Result<Self, Failure> {
        let place = DAEMON_SETS.place(namespace, PROXIES);
        let proxies = cluster.look_at(&place).await.map_err(cluster::failure)?;
        if proxies.is_none() {
            return Ok(Self::default());
        }
        let enabled = Selection {
            labels: "weft.dev/mesh=enabled",
            ..Selection::default()
        };
        let mut members = Vec::new();
        for (kind, resource) in [(Kind::Namespace, NAMESPACES), (Kind::Pod, PODS)] {
            let found = cluster.find(resource, enabled).await;
            members.extend(found.map_err(cluster::failure)?.iter().map(|object| {
                let (namespace, name) = ("/metadata/namespace", "/metadata/name");
                let key = match text(object, namespace) {
                    "" => ObjectKey::cluster(text(object, name)),
                    namespace => ObjectKey::new(namespace, text(object, name)),
                };
                Member { kind, key }
            }));
        }
        let linux = Selection {
            labels: "kubernetes.io/os=linux",
            ..Selection::default()
        };
        let nodes = cluster.find(NODES, linux).await.map_err(cluster::failure)?;
        Ok(Self {
            members,
            proxies,
            nodes: nodes.iter().map(name).collect(),
        })
    }

    /// What goes with it, in words.
    pub(super) fn parts(&self, namespace: &str) -> Vec<String> {
        let proxies = self.proxies.iter();
        let proxies = proxies.map(|_| format!("DaemonSet {namespace}/{PROXIES}"));
        let nodes = self.nodes.iter();
        let nodes = nodes.map(|node| format!("files of Weft on node {node}"));
        proxies.chain(nodes).collect()
    }

    /// Ends it. `tell` hears of each step.
    ///
    /// # Errors
    /// The API server does not take a step. The inner error is what did not happen in time.
    pub(super) async fn end(
        &self,
        cluster: &Cluster,
        namespace: &str,
        tell: &impl Fn(String) -> io::Result<()>,
    ) -> Result<Done, Failure> {
        let Some(proxies) = &self.proxies else {
            return Ok(Ok(()));
        };
        for member in &self.members {
            let object = ObjectRef::new(member.kind, member.key.clone());
            let patch = json!({ "metadata": { "labels": { MESH: null } } });
            // It names no version, so there is none to differ from.
            let written = cluster.merge(&object, &patch).await;
            written.map_err(cluster::failure)?;
            tell(format!("took {member} out of the mesh\n"))?;
        }
        if let Err(captured) = in_time(|| still_captured(cluster)).await? {
            return Ok(Err(captured));
        }
        let place = DAEMON_SETS.place(namespace, PROXIES);
        let uid = text(proxies, "/metadata/uid");
        let removed = cluster.remove(&place, Some(uid)).await;
        if removed.map_err(cluster::failure)? {
            tell(format!("removed DaemonSet {namespace}/{PROXIES}\n"))?;
        }
        if let Err(left) = in_time(|| still_there(cluster, namespace)).await? {
            return Ok(Err(left));
        }
        self.clean(cluster, namespace, proxies, tell).await
    }

    /// Runs a pod on every node that takes the plugin out of its chain, and removes what is kept there.
    async fn clean(
        &self,
        cluster: &Cluster,
        namespace: &str,
        proxies: &Value,
        tell: &impl Fn(String) -> io::Result<()>,
    ) -> Result<Done, Failure> {
        for (number, node) in self.nodes.iter().enumerate() {
            let pod = cleaner(proxies, namespace, &format!("{CLEANER}-{number}"), node);
            let place = PODS.place(namespace, text(&pod, "/metadata/name"));
            let applied = cluster.apply(&place, &pod).await;
            applied.map_err(cluster::failure)?;
        }
        let unclean = in_time(|| uncleaned(cluster, namespace)).await?;
        if unclean.is_ok() {
            tell(format!("cleaned {} nodes\n", self.nodes.len()))?;
        }
        Ok(unclean)
    }

    /// Removes the pods that have cleaned nodes.
    ///
    /// # Errors
    /// The API server does not remove one. The inner error is those that did not go in time.
    pub(super) async fn dismiss(
        &self,
        cluster: &Cluster,
        namespace: &str,
    ) -> Result<Done, Failure> {
        for number in 0..self.nodes.len() {
            let name = format!("{CLEANER}-{number}");
            let removed = cluster.remove(&PODS.place(namespace, &name), None).await;
            removed.map_err(cluster::failure)?;
        }
        let cleaners = Selection {
            namespace,
            labels: CLEANERS,
            fields: "",
        };
        in_time(|| pods(cluster, cleaners)).await
    }
}

/// Asks until nothing is left, or the time is over.
async fn in_time<F: Future<Output = Result<Vec<String>, Failure>>>(
    left: impl Fn() -> F,
) -> Result<Done, Failure> {
    let gone = async {
        while !left().await?.is_empty() {
            tokio::time::sleep(super::remove::LOOK).await;
        }
        Ok(Ok(()))
    };
    match tokio::time::timeout(PATIENCE, gone).await {
        Ok(gone) => gone,
        Err(_late) => Ok(Err(left().await?)),
    }
}

async fn still_captured(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    let all = Selection::default();
    let namespaces = cluster.find(NAMESPACES, all).await;
    let pods = cluster.find(PODS, all).await;
    let standings = Standing::all(
        namespaces.map_err(cluster::failure)?,
        pods.map_err(cluster::failure)?,
    )?;
    let captured = standings.iter().flat_map(|standing| {
        let leaving = standing.pods.iter().filter(|it| it.state == State::Leaving);
        leaving.map(|pod| {
            let pod_name = joined(&standing.namespace, &pod.name);
            format!("capture of Pod {pod_name} on node {}", pod.node)
        })
    });
    Ok(captured.collect())
}

async fn still_there(cluster: &Cluster, namespace: &str) -> Result<Vec<String>, Failure> {
    let here = Selection {
        namespace,
        labels: "app.kubernetes.io/name=weft-node",
        fields: "",
    };
    pods(cluster, here).await
}

/// Pods by name.
async fn pods(cluster: &Cluster, which: Selection<'_>) -> Result<Vec<String>, Failure> {
    let pods = cluster.find(PODS, which).await.map_err(cluster::failure)?;
    Ok(pods
        .iter()
        .map(|pod| format!("Pod {}", name(pod)))
        .collect())
}

async fn uncleaned(cluster: &Cluster, namespace: &str) -> Result<Vec<String>, Failure> {
    let here = Selection {
        namespace,
        labels: CLEANERS,
        fields: "",
    };
    let pods = cluster.find(PODS, here).await.map_err(cluster::failure)?;
    let unclean = pods
        .iter()
        .filter(|pod| text(pod, "/status/phase") != "Succeeded");
    let named = unclean.map(|pod| {
        let node = text(pod, "/spec/nodeName");
        format!(
            "files of Weft on node {node}, which Pod {} removes",
            name(pod)
        )
    });
    Ok(named.collect())
}

/// A pod that cleans a node: on the network of the node, so that it needs no plugin to start.
fn cleaner(proxies: &Value, namespace: &str, name: &str, node: &str) -> Value {
    let template = &proxies["spec"]["template"]["spec"];
    let volume = |wanted: &str| {
        let volumes = template["volumes"].as_array().into_iter().flatten();
        let mut found = volumes.filter(|it| text(it, "/name") == wanted);
        found.next().cloned().unwrap_or_default()
    };
    let directory = |name: &str, path: &str| json!({ "name": name, "hostPath": { "path": path } });
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": CLEANER,
                "app.kubernetes.io/part-of": "weft",
                MESH: "disabled",
            },
        },
        "spec": {
            "nodeName": node,
            "hostNetwork": true,
            "restartPolicy": "OnFailure",
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{ "operator": "Exists" }],
            "imagePullSecrets": template["imagePullSecrets"],
            "securityContext": {
                "runAsUser": 0,
                "runAsGroup": 0,
                "seccompProfile": { "type": "RuntimeDefault" },
                "seLinuxOptions": { "type": "spc_t" },
            },
            "containers": [removal(template)],
            "volumes": [
                volume("cni-configurations"),
                volume("cni-programs"),
                directory("lib", "/var/lib"),
                directory("run", "/run"),
            ],
        },
    })
}

/// What such a pod runs: the program and the image of the proxies.
fn removal(template: &Value) -> Value {
    let mount = |name: &str, path: &str| json!({ "name": name, "mountPath": path });
    json!({
        "name": "removal",
        "image": template["containers"][0]["image"],
        "imagePullPolicy": template["containers"][0]["imagePullPolicy"],
        "command": ["/usr/local/bin/weft-cni"],
        "args": [
            "remove",
            "--conf-dir", "/host/cni/configurations",
            "--bin-dir", "/host/cni/programs",
            "--state-dir", "/host/lib/weft",
            "--run-dir", "/host/run/weft",
        ],
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        "volumeMounts": [
            mount("cni-configurations", "/host/cni/configurations"),
            mount("cni-programs", "/host/cni/programs"),
            mount("lib", "/host/lib"),
            mount("run", "/host/run"),
        ],
    })
}
