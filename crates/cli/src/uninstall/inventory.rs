//! What of a cluster is Weft's: found by labels and names, in the order in which it has to go.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;
use weft_control::{SERVICE_ACCOUNT, deploy::ROOTS_NAME};
use weft_source::kube::{Cluster, Resource, Selection};
use weft_translate::Scope;

use super::{
    Kept, mesh,
    mesh::Mesh,
    statuses::{self, Statement},
};
use crate::{
    cluster::{self, name, text},
    exit::Failure,
};

/// Labels of what the control plane makes for Gateways.
const GENERATED: &str = "app.kubernetes.io/component=gateway,app.kubernetes.io/managed-by=weft";
/// Labels of what an installation consists of.
const INSTALLED: &str = "app.kubernetes.io/name=weft-controller,app.kubernetes.io/part-of=weft";
/// Labels of the pod that `helm test` runs.
const TESTS: &str = "app.kubernetes.io/name=weft-check,app.kubernetes.io/part-of=weft";
/// Labels of dashboards and alerts.
const MONITORING: &str = "app.kubernetes.io/name=weft-monitoring,app.kubernetes.io/part-of=weft";
/// Labels of the proxies of nodes.
const ON_NODES: &str = "app.kubernetes.io/name=weft-node,app.kubernetes.io/part-of=weft";
/// The label of everything of ours.
const PART: &str = "app.kubernetes.io/part-of=weft";
/// The Secret of the authority.
const AUTHORITY: &str = "weft-ca";
/// Where Helm says by which release an object was made.
const RELEASE: &str = "/metadata/annotations/meta.helm.sh~1release-name";

const DEPLOYMENTS: Resource = resource("apps/v1", "deployments");
const NAMESPACES: Resource = resource("v1", "namespaces");
const PODS: Resource = resource("v1", "pods");
const CONFIG_MAPS: Resource = resource("v1", "configmaps");
const CLASSES: Resource = resource("gateway.networking.k8s.io/v1", "gatewayclasses");
pub(super) const GATEWAYS: Resource = resource("gateway.networking.k8s.io/v1", "gateways");
const BINDINGS: Resource = resource("rbac.authorization.k8s.io/v1", "clusterrolebindings");

pub(super) const fn resource(api_version: &'static str, plural: &'static str) -> Resource {
    Resource {
        api_version,
        plural,
    }
}

/// How ours are told from others.
#[derive(Clone, Copy)]
enum Ours {
    /// By labels, in every namespace or in none.
    Labels(&'static str),
    /// By labels, in the namespace of the control plane.
    LabelsHere(&'static str),
    /// By name, in the namespace of the control plane.
    NamedHere(&'static str),
    /// By name, in every namespace.
    Named(&'static str),
}

/// A kind of object, and which of them are ours.
struct Row {
    kind: &'static str,
    resource: Resource,
    ours: Ours,
    /// Whether what comes after it waits until it is gone.
    is_awaited: bool,
}

const fn row(kind: &'static str, resource: Resource, ours: Ours) -> Row {
    Row {
        kind,
        resource,
        ours,
        is_awaited: false,
    }
}

/// In the order of removal.
const ROWS: &[Row] = &[
    // They have ended with the mesh.
    Row {
        is_awaited: true,
        ..row(
            "DaemonSet",
            resource("apps/v1", "daemonsets"),
            Ours::LabelsHere(ON_NODES),
        )
    },
    row("Pod", PODS, Ours::LabelsHere(mesh::CLEANERS)),
    // Nobody puts anything back once its pods are gone.
    Row {
        is_awaited: true,
        ..row("Deployment", DEPLOYMENTS, Ours::LabelsHere(INSTALLED))
    },
    // Proxies finish their requests while their Services still lead to them.
    Row {
        is_awaited: true,
        ..row("Deployment", DEPLOYMENTS, Ours::Labels(GENERATED))
    },
    row(
        "Service",
        resource("v1", "services"),
        Ours::Labels(GENERATED),
    ),
    row(
        "ServiceAccount",
        resource("v1", "serviceaccounts"),
        Ours::Labels(GENERATED),
    ),
    row("ConfigMap", CONFIG_MAPS, Ours::Named(ROOTS_NAME)),
    row("ConfigMap", CONFIG_MAPS, Ours::LabelsHere(MONITORING)),
    row(
        "PrometheusRule",
        resource("monitoring.coreos.com/v1", "prometheusrules"),
        Ours::LabelsHere(MONITORING),
    ),
    row("GatewayClass", CLASSES, Ours::Labels(PART)),
    row("ClusterRoleBinding", BINDINGS, Ours::Labels(PART)),
    row(
        "ClusterRole",
        resource("rbac.authorization.k8s.io/v1", "clusterroles"),
        Ours::Labels(PART),
    ),
    row(
        "PodDisruptionBudget",
        resource("policy/v1", "poddisruptionbudgets"),
        Ours::LabelsHere(INSTALLED),
    ),
    row(
        "Service",
        resource("v1", "services"),
        Ours::LabelsHere(INSTALLED),
    ),
    row(
        "RoleBinding",
        resource("rbac.authorization.k8s.io/v1", "rolebindings"),
        Ours::LabelsHere(PART),
    ),
    row(
        "Role",
        resource("rbac.authorization.k8s.io/v1", "roles"),
        Ours::LabelsHere(PART),
    ),
    row(
        "Lease",
        resource("coordination.k8s.io/v1", "leases"),
        Ours::NamedHere(SERVICE_ACCOUNT),
    ),
    row(
        "Secret",
        resource("v1", "secrets"),
        Ours::NamedHere(AUTHORITY),
    ),
    // Of a `helm test` that failed.
    row("Pod", PODS, Ours::LabelsHere(TESTS)),
    row(
        "ServiceAccount",
        resource("v1", "serviceaccounts"),
        Ours::LabelsHere(INSTALLED),
    ),
    row(
        "ServiceAccount",
        resource("v1", "serviceaccounts"),
        Ours::LabelsHere(ON_NODES),
    ),
];

/// Kinds that show that somebody else lives in the namespace. What owns pods is not needed beside
/// them.
const OTHERS: &[(&str, Resource)] = &[
    ("Deployment", DEPLOYMENTS),
    ("Pod", PODS),
    ("Service", resource("v1", "services")),
    ("ConfigMap", CONFIG_MAPS),
    ("Secret", resource("v1", "secrets")),
    (
        "PersistentVolumeClaim",
        resource("v1", "persistentvolumeclaims"),
    ),
    ("Gateway", GATEWAYS),
];

/// An object that is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) kind: &'static str,
    pub(super) resource: Resource,
    pub(super) namespace: String,
    pub(super) name: String,
    /// Which incarnation was seen.
    pub(super) uid: String,
    /// Whether what comes after it waits until it is gone.
    pub(super) is_awaited: bool,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = cluster::joined(&self.namespace, &self.name);
        write!(f, "{} {name}", self.kind)
    }
}

impl Item {
    fn new(row: &Row, object: &Value) -> Self {
        Self {
            kind: row.kind,
            resource: row.resource,
            namespace: text(object, "/metadata/namespace").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
            uid: text(object, "/metadata/uid").to_owned(),
            is_awaited: row.is_awaited,
        }
    }
}

/// What of a cluster is ours.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// In the order of removal.
    pub(super) items: Vec<Item>,
    /// What stays on purpose.
    pub(super) kept: Vec<Kept>,
    /// Gateways that are served.
    pub(super) gateways: Vec<String>,
    /// What we have said about objects of users.
    pub(super) statements: Vec<Statement>,
    /// What ends before anything goes.
    pub(super) mesh: Mesh,
}

impl Inventory {
    /// Looks through the cluster.
    ///
    /// # Errors
    /// The API server does not say, the user may not ask, or the control plane is in another
    /// namespace.
    pub(super) async fn take(cluster: &Cluster, namespace: &str) -> Result<Self, Failure> {
        let mut all = Self::default();
        for row in ROWS {
            for object in find(cluster, row.resource, row.ours, namespace).await? {
                if is_ours(row, &object) {
                    all.note_release(&object, namespace);
                    all.items.push(Item::new(row, &object));
                }
            }
        }
        other_namespace(cluster, namespace).await?;
        all.gateways = gateways(cluster).await?;
        all.mesh = Mesh::find(cluster, namespace).await?;
        all.statements = statuses::find(cluster, &all.gateways).await?;
        all.take_namespace(cluster, namespace).await?;
        Ok(all)
    }

    /// Helm remembers what it installed.
    fn note_release(&mut self, object: &Value, namespace: &str) {
        let release = text(object, RELEASE);
        if release.is_empty() {
            return;
        }
        let kept = Kept {
            object: format!("Helm release {namespace}/{release}"),
            why: format!(
                "Helm keeps the record; `helm uninstall {release} -n {namespace}` ends it"
            ),
        };
        if !self.kept.contains(&kept) {
            self.kept.push(kept);
        }
    }

    async fn take_namespace(&mut self, cluster: &Cluster, namespace: &str) -> Result<(), Failure> {
        let row = row("Namespace", NAMESPACES, Ours::Named(""));
        let place = NAMESPACES.place("", namespace);
        let Some(object) = cluster.look_at(&place).await.map_err(cluster::failure)? else {
            return Ok(());
        };
        let item = Item::new(&row, &object);
        if text(&object, "/metadata/labels/app.kubernetes.io~1part-of") != "weft" {
            if !self.items.is_empty() {
                self.kept.push(Kept {
                    object: item.to_string(),
                    why: "`weft install` did not make it".to_owned(),
                });
            }
            return Ok(());
        }
        let others = self.others(cluster, namespace).await?;
        if others.is_empty() {
            self.items.push(Item {
                is_awaited: true,
                ..item
            });
        } else {
            self.kept.push(Kept {
                object: item.to_string(),
                why: format!("it holds what is not Weft's: {}", others.join(", ")),
            });
        }
        Ok(())
    }

    /// What others have in the namespace.
    async fn others(&self, cluster: &Cluster, namespace: &str) -> Result<Vec<String>, Failure> {
        let ours: BTreeSet<&str> = self.items.iter().map(|item| item.uid.as_str()).collect();
        let mut others = Vec::new();
        for (kind, resource) in OTHERS {
            let selection = Selection {
                namespace,
                ..Selection::default()
            };
            let found = cluster.find(*resource, selection).await;
            for object in found.map_err(cluster::failure)? {
                if !ours.contains(text(&object, "/metadata/uid")) && !comes_along(&object) {
                    others.push(format!("{kind} {}", name(&object)));
                }
            }
        }
        Ok(others)
    }
}

/// Whether an object of a namespace is there because of the namespace, or because of what we remove.
fn comes_along(object: &Value) -> bool {
    let is_part = text(object, "/metadata/labels/app.kubernetes.io~1part-of") == "weft";
    let is_published = text(object, "/metadata/name") == "kube-root-ca.crt";
    let is_token = text(object, "/type") == "kubernetes.io/service-account-token";
    is_part || is_published || is_token
}

async fn find(
    cluster: &Cluster,
    resource: Resource,
    ours: Ours,
    here: &str,
) -> Result<Vec<Value>, Failure> {
    let named = |name: &str| format!("metadata.name={name}");
    let (labels, fields, namespace) = match ours {
        Ours::Labels(labels) => (labels, String::new(), ""),
        Ours::LabelsHere(labels) => (labels, String::new(), here),
        Ours::NamedHere(name) => ("", named(name), here),
        Ours::Named(name) => ("", named(name), ""),
    };
    let selection = Selection {
        namespace,
        labels,
        fields: &fields,
    };
    let found = cluster.find(resource, selection).await;
    found.map_err(cluster::failure)
}

/// A name alone may be anybody's: the roots are known by what they hold.
fn is_ours(row: &Row, object: &Value) -> bool {
    row.resource != CONFIG_MAPS || object.pointer("/data/root.pem").is_some()
}

/// Says so when the control plane is somewhere else.
async fn other_namespace(cluster: &Cluster, namespace: &str) -> Result<(), Failure> {
    let place = BINDINGS.place("", SERVICE_ACCOUNT);
    let binding = cluster.look_at(&place).await.map_err(cluster::failure)?;
    let subject = binding.as_ref().map(|it| text(it, "/subjects/0/namespace"));
    match subject {
        Some(other) if !other.is_empty() && other != namespace => Err(Failure::usage(format!(
            "the control plane is in namespace {other}, not in {namespace}; add -n {other}"
        ))),
        _ => Ok(()),
    }
}

/// Gateways whose class is ours.
async fn gateways(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    let controller = Scope::standalone().gateway_controller;
    let all = Selection::default();
    let classes = cluster.find(CLASSES, all).await.map_err(cluster::failure)?;
    let ours = classes
        .iter()
        .filter(|class| text(class, "/spec/controllerName") == controller);
    let ours: BTreeSet<&str> = ours.map(|class| text(class, "/metadata/name")).collect();
    let found = cluster
        .find(GATEWAYS, all)
        .await
        .map_err(cluster::failure)?;
    let served = found
        .iter()
        .filter(|it| ours.contains(text(it, "/spec/gatewayClassName")));
    Ok(served.map(name).collect())
}
