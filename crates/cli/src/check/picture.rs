//! What the checks look at: everything is asked once, and what was not answered says why. Judging it
//! is somebody else's work.

mod mesh;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use serde_json::Value;
use weft_api::{AnyObject, Kind};
use weft_control::{SERVICE_ACCOUNT, deploy::deployed_name};
use weft_ir::Name;
use weft_source::{
    Finding,
    kube::{
        Cluster, InstalledApi, Place, RequestError, Resource, Selection, ServerVersion,
        WATCHED_KINDS,
    },
};
use weft_translate::Scope;

pub(super) use self::mesh::Mesh;
use super::{Extent, rights::Grants};
use crate::{
    clock,
    cluster::{joined, text},
};

/// An answer, or why there is none.
pub(super) type Asked<T> = Result<T, String>;

const CONFIG_MAPS: Resource = resource("v1", "configmaps");
const NAMESPACES: Resource = resource("v1", "namespaces");
const NODES: Resource = resource("v1", "nodes");
const PODS: Resource = resource("v1", "pods");
const SECRETS: Resource = resource("v1", "secrets");
const SERVICES: Resource = resource("v1", "services");
const DEPLOYMENTS: Resource = resource("apps/v1", "deployments");
/// Served since Kubernetes 1.33, the oldest that is supported.
const SERVICE_CIDRS: Resource = resource("networking.k8s.io/v1", "servicecidrs");
const LEASES: Resource = resource("coordination.k8s.io/v1", "leases");
const CLASSES: Resource = resource("gateway.networking.k8s.io/v1", "gatewayclasses");
const GATEWAYS: Resource = resource("gateway.networking.k8s.io/v1", "gateways");
const ROLES: Resource = resource("rbac.authorization.k8s.io/v1", "roles");
const CLUSTER_ROLES: Resource = resource("rbac.authorization.k8s.io/v1", "clusterroles");
const ROLE_BINDINGS: Resource = resource("rbac.authorization.k8s.io/v1", "rolebindings");
const CLUSTER_BINDINGS: Resource = resource("rbac.authorization.k8s.io/v1", "clusterrolebindings");
const ADMISSION: Resource = resource(
    "admissionregistration.k8s.io/v1",
    "validatingadmissionpolicies",
);
/// Comes with the CRDs of the Gateway API.
const SAFE_UPGRADES: &str = "safe-upgrades.gateway.networking.k8s.io";
/// Where a cluster has its own pods.
const SYSTEM: &str = "kube-system";
/// The settings of Cilium, where it is installed.
const CILIUM: &str = "cilium-config";
const CONTROLLERS: &str = "app.kubernetes.io/name=weft-controller";
const PROXIES: &str = "app.kubernetes.io/component=gateway,app.kubernetes.io/managed-by=weft";

const fn resource(api_version: &'static str, plural: &'static str) -> Resource {
    Resource {
        api_version,
        plural,
    }
}

/// What an installation creates first, and what others of its kind hang on.
pub(super) const INSTALLED: &[Resource] = &[
    NAMESPACES,
    CLUSTER_ROLES,
    CLUSTER_BINDINGS,
    ROLES,
    ROLE_BINDINGS,
    DEPLOYMENTS,
    SERVICES,
    CLASSES,
];

/// What a Gateway was given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) deployment: Asked<Option<Value>>,
    pub(super) service: Asked<Option<Value>>,
}

/// The control plane.
#[derive(Clone, Debug)]
pub(super) struct ControlPlane {
    pub(super) deployment: Asked<Option<Value>>,
    pub(super) pods: Asked<Vec<Value>>,
    pub(super) lease: Asked<Option<Value>>,
    /// Objects that were refused, and kinds that cannot be listed.
    pub(super) unreadable: Asked<Vec<Finding>>,
    /// HTTPRoutes and GRPCRoutes.
    pub(super) routes: Asked<Vec<AnyObject>>,
    pub(super) grants: Asked<Grants>,
}

/// What a cluster has beside Weft.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) namespaces: Asked<Vec<Value>>,
    pub(super) nodes: Asked<Vec<Value>>,
    pub(super) service_cidrs: Asked<Vec<Value>>,
    /// Those of the cluster itself, of which some have addresses of their own.
    pub(super) pods: Asked<Vec<Value>>,
    pub(super) cilium: Asked<Option<Value>>,
}

/// Everything that was asked.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) url: String,
    pub(super) now: SystemTime,
    pub(super) namespace: String,
    /// The error says whether anybody was there at all.
    pub(super) version: Result<ServerVersion, (bool, String)>,
    pub(super) served: Asked<BTreeMap<Kind, String>>,
    pub(super) installed: Asked<Option<InstalledApi>>,
    pub(super) safe_upgrades: Asked<bool>,
    pub(super) home: Asked<Option<Value>>,
    pub(super) surroundings: Surroundings,
    /// Rights to install, when they matter.
    pub(super) rights: Vec<(Resource, Asked<bool>)>,
    pub(super) control_plane: Option<ControlPlane>,
    pub(super) mesh: Option<Mesh>,
    /// Those of our controller.
    pub(super) classes: Asked<Vec<Value>>,
    /// Those of our classes.
    pub(super) gateways: Asked<Vec<Value>>,
    /// By `namespace/name` of the Gateway.
    pub(super) given: BTreeMap<String, Given>,
    pub(super) proxies: Asked<Vec<Value>>,
    /// Secrets of listeners, by `namespace/name`.
    pub(super) secrets: BTreeMap<String, Asked<Option<Value>>>,
}

async fn look(cluster: &Cluster, place: Place<'_>) -> Asked<Option<Value>> {
    asked(cluster.look_at(&place).await)
}

fn asked<T>(answer: Result<T, RequestError>) -> Asked<T> {
    answer.map_err(|error| {
        let text = error.to_string();
        // Who cannot do what is all that matters of a long sentence.
        let refusal = text.rsplit_once(" is forbidden: ");
        match refusal.filter(|_| error.is_forbidden()) {
            Some((_, refusal)) => refusal.to_owned(),
            None => text,
        }
    })
}

impl Picture {
    /// Asks for everything that the extent needs.
    pub(super) async fn take(cluster: &Cluster, namespace: &str, extent: Extent) -> Self {
        let version = cluster.server_version().await;
        let mut picture = Self {
            url: cluster.url().to_owned(),
            now: clock::today(),
            namespace: namespace.to_owned(),
            version: version.map_err(|error| (error.was_reached(), error.to_string())),
            ..Self::blank()
        };
        if picture.version.is_err() {
            return picture;
        }
        if extent != Extent::Gateway {
            picture.take_prerequisites(cluster).await;
        }
        if extent == Extent::Before {
            picture.take_rights(cluster).await;
            return picture;
        }
        picture.control_plane = Some(control_plane(cluster, namespace, extent).await);
        if extent == Extent::All {
            picture.mesh = Some(Mesh::take(cluster, namespace).await);
        }
        picture.take_gateways(cluster).await;
        picture
    }

    /// Nothing was asked yet.
    pub(super) fn blank() -> Self {
        let not_asked = || "it was not asked for".to_owned();
        Self {
            url: String::new(),
            now: SystemTime::UNIX_EPOCH,
            namespace: String::new(),
            version: Err((false, not_asked())),
            served: Err(not_asked()),
            installed: Err(not_asked()),
            safe_upgrades: Err(not_asked()),
            home: Err(not_asked()),
            surroundings: Surroundings {
                namespaces: Err(not_asked()),
                nodes: Err(not_asked()),
                service_cidrs: Err(not_asked()),
                pods: Err(not_asked()),
                cilium: Err(not_asked()),
            },
            rights: Vec::new(),
            control_plane: None,
            mesh: None,
            classes: Ok(Vec::new()),
            gateways: Ok(Vec::new()),
            given: BTreeMap::new(),
            proxies: Ok(Vec::new()),
            secrets: BTreeMap::new(),
        }
    }

    async fn take_prerequisites(&mut self, cluster: &Cluster) {
        self.served = asked(cluster.served(WATCHED_KINDS).await);
        self.installed = asked(cluster.gateway_api().await);
        let policy = look(cluster, ADMISSION.place("", SAFE_UPGRADES)).await;
        self.safe_upgrades = policy.map(|policy| policy.is_some());
        self.home = look(cluster, NAMESPACES.place("", &self.namespace)).await;
        let all = Selection::default();
        let of_the_system = Selection {
            namespace: SYSTEM,
            ..all
        };
        self.surroundings = Surroundings {
            namespaces: asked(cluster.find(NAMESPACES, all).await),
            nodes: asked(cluster.find(NODES, all).await),
            service_cidrs: asked(cluster.find(SERVICE_CIDRS, all).await),
            pods: asked(cluster.find(PODS, of_the_system).await),
            cilium: look(cluster, CONFIG_MAPS.place(SYSTEM, CILIUM)).await,
        };
    }

    async fn take_rights(&mut self, cluster: &Cluster) {
        for resource in INSTALLED {
            let allowed = cluster.may("create", *resource, "").await;
            self.rights.push((*resource, asked(allowed)));
        }
    }

    async fn take_gateways(&mut self, cluster: &Cluster) {
        let controller = Scope::standalone().gateway_controller;
        let all = Selection::default();
        self.classes = asked(cluster.find(CLASSES, all).await);
        if let Ok(classes) = &mut self.classes {
            classes.retain(|class| text(class, "/spec/controllerName") == controller);
        }
        self.gateways = asked(cluster.find(GATEWAYS, all).await);
        let classes = self.classes.clone().unwrap_or_default();
        if let Ok(gateways) = &mut self.gateways {
            gateways.retain(|gateway| {
                let class = text(gateway, "/spec/gatewayClassName");
                classes.iter().any(|it| text(it, "/metadata/name") == class)
            });
        }
        let proxies = Selection {
            labels: PROXIES,
            ..Selection::default()
        };
        self.proxies = asked(cluster.find(PODS, proxies).await);
        for gateway in self.gateways.clone().unwrap_or_default() {
            let namespace = text(&gateway, "/metadata/namespace");
            let name = text(&gateway, "/metadata/name");
            let deployed = deployed_name(name, text(&gateway, "/spec/gatewayClassName"));
            let given = Given {
                deployment: look(cluster, DEPLOYMENTS.place(namespace, &deployed)).await,
                service: look(cluster, SERVICES.place(namespace, &deployed)).await,
            };
            self.given.insert(joined(namespace, name), given);
            for (namespace, name) in certificates(&gateway) {
                let key = joined(&namespace, &name);
                let secret = look(cluster, SECRETS.place(&namespace, &name)).await;
                self.secrets.insert(key, secret);
            }
        }
    }

    /// Forgets every other Gateway.
    pub(super) fn only(&mut self, wanted: &Name) {
        if let Ok(gateways) = &mut self.gateways {
            gateways.retain(|gateway| {
                text(gateway, "/metadata/namespace") == &*wanted.namespace
                    && text(gateway, "/metadata/name") == &*wanted.name
            });
            if gateways.is_empty() {
                self.gateways = Err(format!("there is no Gateway {wanted} of a class of Weft"));
            }
        }
    }
}

async fn control_plane(cluster: &Cluster, namespace: &str, extent: Extent) -> ControlPlane {
    let here = |labels| Selection {
        namespace,
        labels,
        fields: "",
    };
    let deployment = look(cluster, DEPLOYMENTS.place(namespace, SERVICE_ACCOUNT)).await;
    if extent == Extent::Gateway {
        let not_asked = || "it was not asked for".to_owned();
        return ControlPlane {
            deployment,
            pods: Err(not_asked()),
            lease: Err(not_asked()),
            unreadable: Err(not_asked()),
            routes: Err(not_asked()),
            grants: Err(not_asked()),
        };
    }
    let snapshot = asked(cluster.snapshot(WATCHED_KINDS).await);
    let (unreadable, routes) = match snapshot {
        Ok(mut snapshot) => {
            let is_route =
                |it: &AnyObject| matches!(it, AnyObject::HttpRoute(_) | AnyObject::GrpcRoute(_));
            snapshot.objects.retain(is_route);
            (Ok(snapshot.findings), Ok(snapshot.objects))
        }
        Err(error) => (Err(error.clone()), Err(error)),
    };
    ControlPlane {
        deployment,
        pods: asked(cluster.find(PODS, here(CONTROLLERS)).await),
        lease: look(cluster, LEASES.place(namespace, SERVICE_ACCOUNT)).await,
        unreadable,
        routes,
        grants: grants(cluster, namespace).await,
    }
}

/// What the control plane's service account is granted, by which bindings.
async fn grants(cluster: &Cluster, namespace: &str) -> Asked<Grants> {
    let all = Selection::default();
    let mut grants = Grants::default();
    for (bindings, is_cluster) in [(CLUSTER_BINDINGS, true), (ROLE_BINDINGS, false)] {
        for binding in asked(cluster.find(bindings, all).await)? {
            let role = text(&binding, "/roleRef/name");
            let place = match text(&binding, "/roleRef/kind") {
                "ClusterRole" => CLUSTER_ROLES.place("", role),
                _ => ROLES.place(text(&binding, "/metadata/namespace"), role),
            };
            if Grants::is_bound(&binding, (namespace, SERVICE_ACCOUNT)) {
                let role = look(cluster, place).await?;
                grants.add(&binding, role.as_ref(), is_cluster);
            }
        }
    }
    Ok(grants)
}

/// Secrets that the listeners of a Gateway name, with their namespaces, each once.
pub(super) fn certificates(gateway: &Value) -> Vec<(String, String)> {
    let own = text(gateway, "/metadata/namespace");
    let listeners = gateway.pointer("/spec/listeners").and_then(Value::as_array);
    let references = listeners.into_iter().flatten().flat_map(|listener| {
        let references = listener.pointer("/tls/certificateRefs");
        references.and_then(Value::as_array).into_iter().flatten()
    });
    let named: BTreeSet<_> = references
        .map(|reference| {
            let namespace = match text(reference, "/namespace") {
                "" => own,
                other => other,
            };
            (namespace.to_owned(), text(reference, "/name").to_owned())
        })
        .collect();
    named.into_iter().collect()
}
