//! Which container a proxy runs in, and what it answers there.

use std::fmt;

use serde_json::Value;
use weft_source::kube::{Cluster, Executed, Resource, Selection};

use super::Whose;
use crate::{
    cluster::{self, text},
    exit::Failure,
};

const PODS: Resource = Resource {
    api_version: "v1",
    plural: "pods",
};
/// The Gateway a pod serves (GEP-1762).
const GATEWAY: &str = "/metadata/labels/gateway.networking.k8s.io~1gateway-name";
const NAME: &str = "/metadata/labels/app.kubernetes.io~1name";
/// Labels of the proxies of nodes, and their value.
const NODE_PROXY: &str = "weft-node";

/// What a proxy is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask<'a> {
    /// What it has at a path.
    Show(&'a str),
    /// To have something else there, and what it has then.
    Set(&'a str, &'a str),
}

/// A proxy.
#[derive(Debug)]
pub(super) struct Place {
    namespace: String,
    pod: String,
    container: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.pod)
    }
}

impl Whose {
    /// The proxy that is meant.
    ///
    /// # Errors
    /// There is none, or it does not run.
    pub(super) async fn find(&self, cluster: &Cluster) -> Result<Place, Failure> {
        let which = &self.which;
        if let Some(gateway) = &which.gateway {
            return of_gateway(cluster, split(gateway)?).await;
        }
        if let Some(node) = &which.node {
            return self.of_node(cluster, node).await;
        }
        let (namespace, name) = split(which.pod.as_deref().unwrap_or_default())?;
        let pod = cluster.look_at(&PODS.place(namespace, name)).await;
        let pod = pod.map_err(cluster::failure)?;
        let pod =
            pod.ok_or_else(|| Failure::errors(format!("there is no pod {namespace}/{name}")))?;
        if !text(&pod, GATEWAY).is_empty() {
            return Ok(Place::of(&pod, "gateway"));
        }
        if text(&pod, NAME) == NODE_PROXY && namespace == self.control_namespace {
            return Ok(Place::of(&pod, "node"));
        }
        match text(&pod, "/spec/nodeName") {
            "" => Err(Failure::errors(format!(
                "pod {namespace}/{name} has no node yet, and therefore no proxy"
            ))),
            node => self.of_node(cluster, node).await,
        }
    }

    async fn of_node(&self, cluster: &Cluster, node: &str) -> Result<Place, Failure> {
        let selection = Selection {
            namespace: &self.control_namespace,
            labels: "app.kubernetes.io/name=weft-node",
            ..Selection::default()
        };
        let found = cluster.find(PODS, selection).await;
        let mut pods = found.map_err(cluster::failure)?;
        pods.retain(|pod| text(pod, "/spec/nodeName") == node);
        best(&pods, "node").ok_or_else(|| {
            Failure::errors(format!(
                "no proxy runs on node {node} (pods of DaemonSet {}/weft-node); `weft check` says why",
                self.control_namespace
            ))
        })
    }
}

async fn of_gateway(cluster: &Cluster, (namespace, name): (&str, &str)) -> Result<Place, Failure> {
    let labels = format!("gateway.networking.k8s.io/gateway-name={name}");
    let selection = Selection {
        namespace,
        labels: &labels,
        ..Selection::default()
    };
    let pods = cluster.find(PODS, selection).await;
    best(&pods.map_err(cluster::failure)?, "gateway").ok_or_else(|| {
        Failure::errors(format!(
            "no proxy of Gateway {namespace}/{name} runs; `weft check --gateway {namespace}/{name}` \
             says why"
        ))
    })
}

/// `NS/NAME`.
fn split(text: &str) -> Result<(&str, &str), Failure> {
    let usage = || Failure::usage(format!("{text:?}: write NS/NAME, such as shop/edge"));
    text.split_once('/').ok_or_else(usage)
}

/// The first that is ready, or else the first that runs.
fn best(pods: &[Value], container: &'static str) -> Option<Place> {
    let runs = |pod: &&Value| {
        text(pod, "/status/phase") == "Running"
            && pod.pointer("/metadata/deletionTimestamp").is_none()
    };
    let is_ready = |pod: &&Value| {
        let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|it| it["type"] == "Ready" && it["status"] == "True")
    };
    let ready = pods.iter().filter(runs).find(is_ready);
    let pod = ready.or_else(|| pods.iter().find(runs))?;
    Some(Place::of(pod, container))
}

impl Place {
    fn of(pod: &Value, container: &'static str) -> Self {
        Self {
            namespace: text(pod, "/metadata/namespace").to_owned(),
            pod: text(pod, "/metadata/name").to_owned(),
            container,
        }
    }

    /// What the proxy says at its admin socket.
    ///
    /// # Errors
    /// Nothing can be run there, or the proxy has no answer.
    pub(super) async fn ask(&self, cluster: &Cluster, ask: Ask<'_>) -> Result<String, Failure> {
        let pod = (self.namespace.as_str(), self.pod.as_str());
        let set;
        let command = match ask {
            Ask::Show(path) => vec!["weft-proxy", "admin", path],
            Ask::Set(path, value) => {
                // One word, so that a value that begins with a hyphen is none of the options.
                set = format!("--set={value}");
                vec!["weft-proxy", "admin", path, &set]
            }
        };
        let ran = cluster.execute(pod, self.container, &command).await;
        let Executed {
            stdout,
            stderr,
            failure,
        } = ran.map_err(|error| {
            if error.is_forbidden() {
                let namespace = &self.namespace;
                return Failure::errors(format!(
                    "{error}; allow create and get of pods/exec in namespace {namespace} to the user \
                     of this kubeconfig"
                ));
            }
            cluster::failure(error)
        })?;
        if let Some(failure) = failure {
            let said = String::from_utf8_lossy(&stderr);
            return Err(Failure::errors(format!(
                "proxy {self} does not say: {}: {failure}; one of before version {} cannot",
                said.trim(),
                env!("CARGO_PKG_VERSION")
            )));
        }
        let shown = String::from_utf8(stdout);
        shown.map_err(|_| Failure::errors(format!("proxy {self} says what is no text")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::best;

    fn pod(name: &str, phase: &str, ready: &str) -> Value {
        json!({
            "metadata": { "name": name, "namespace": "shop" },
            "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": ready }] },
        })
    }

    #[test]
    fn of_several_proxies_one_that_serves_is_asked() {
        let mut going = pod("going", "Running", "True");
        going["metadata"]["deletionTimestamp"] = "2026-11-22T00:00:00Z".into();
        let rows: [(&str, Vec<Value>, Option<&str>); 4] = [
            ("none", vec![], None),
            (
                "one that has ended",
                vec![pod("a", "Failed", "False")],
                None,
            ),
            (
                "one that is ready before one that starts",
                vec![pod("a", "Running", "False"), pod("b", "Running", "True")],
                Some("shop/b"),
            ),
            (
                "one that starts before one that goes",
                vec![going, pod("b", "Running", "False")],
                Some("shop/b"),
            ),
        ];
        for (name, pods, expected) in rows {
            let found = best(&pods, "gateway").map(|place| place.to_string());
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }
}
