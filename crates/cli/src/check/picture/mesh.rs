//! What the mesh looks like: the proxies of nodes, and all pods.

use serde_json::Value;
use weft_source::kube::{Cluster, Resource, Selection};

use super::{Asked, NAMESPACES, PODS, asked, look, resource};
use crate::namespace::Standing;

const DAEMON_SETS: Resource = resource("apps/v1", "daemonsets");
/// The DaemonSet of the proxies of nodes, and their label.
const PROXIES: &str = "weft-node";
const PROXY_PODS: &str = "app.kubernetes.io/name=weft-node";

/// The proxies of nodes, and the pods they are there for.
#[derive(Clone, Debug)]
pub(in crate::check) struct Mesh {
    pub(in crate::check) daemon_set: Asked<Option<Value>>,
    pub(in crate::check) proxies: Asked<Vec<Value>>,
    pub(in crate::check) namespaces: Asked<Vec<Value>>,
    /// All of the cluster.
    pub(in crate::check) pods: Asked<Vec<Value>>,
}

impl Mesh {
    pub(super) async fn take(cluster: &Cluster, namespace: &str) -> Self {
        let all = Selection::default();
        let here = Selection {
            namespace,
            labels: PROXY_PODS,
            fields: "",
        };
        Self {
            daemon_set: look(cluster, DAEMON_SETS.place(namespace, PROXIES)).await,
            proxies: asked(cluster.find(PODS, here).await),
            namespaces: asked(cluster.find(NAMESPACES, all).await),
            pods: asked(cluster.find(PODS, all).await),
        }
    }

    /// How the namespaces stand to the mesh.
    pub(in crate::check) fn standings(&self) -> Asked<Vec<Standing>> {
        let (namespaces, pods) = (self.namespaces.clone()?, self.pods.clone()?);
        Standing::all(namespaces, pods).map_err(|error| error.to_string())
    }
}
