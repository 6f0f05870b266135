//! The control plane against a scripted API server, with proxies that speak its protocol over real
//! TLS.

mod captures;
mod certificates;
mod client;
mod deploys;
mod faults;
mod many;
mod nodes;
mod refusals;
mod replicas;
mod rotation;
mod secrets;
mod streams;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};
use weft_api::Kind;
use weft_certs::LeafLife;
use weft_control::{Addresses, Controller, Settings};
use weft_source::kube::{Access, WATCHED_KINDS, WatchOptions};
use weft_spiffe::{SpiffeId, TrustDomain, Workload};
use weft_telemetry::metrics::{BuildInfo, LabelGroups, Registry};
use weft_tests::fakeapi::FakeApi;
use weft_tests::wait::{Expected, PATIENCE, eventually, soon};

use client::Anchor;

/// Namespace of the control plane.
const CONTROL: &str = "weft-system";
/// Namespace of the Gateway.
const NAMESPACE: &str = "shop";
/// Service account of its proxies.
const ACCOUNT: &str = "edge-weft";
/// A token of one of its pods.
const TOKEN: &str = "token-of-edge";
/// Whom tokens are meant for.
const AUDIENCE: &str = "weft-identity";
/// Over which time proxies are told to renew when another certificate issues.
const SPREAD: Duration = Duration::from_secs(90);

/// A cluster with a Gateway and a route, and a control plane.
struct World {
    api: FakeApi,
    controller: Controller,
}

impl World {
    async fn start() -> Self {
        Self::with(objects()).await
    }

    /// Another cluster with the same objects, and a control plane of its own.
    async fn beside(other: &Self) -> Self {
        let mut objects = other.api.everything();
        // Who leads there does not lead here.
        objects.retain(|object| object["kind"] != "Lease");
        Self::with(objects).await
    }

    async fn with(objects: Vec<Value>) -> Self {
        let kinds = [
            WATCHED_KINDS,
            &[
                Kind::Secret,
                Kind::ConfigMap,
                Kind::ServiceAccount,
                Kind::Pod,
            ],
        ]
        .concat();
        let api = FakeApi::start(&kinds).await;
        for object in objects {
            api.apply(object);
        }
        api.know_token(TOKEN, (NAMESPACE, ACCOUNT), AUDIENCE);
        let controller = controller(&api, "first").await;
        let made = || api.object(Kind::Service, NAMESPACE, ACCOUNT).is_some();
        eventually(PATIENCE, "the Gateway has a Service", made).await;
        // As the cluster does.
        api.edit(Kind::Service, (NAMESPACE, ACCOUNT), |service| {
            service["status"] = json!({ "loadBalancer": { "ingress": [{ "ip": "192.0.2.7" }] } });
        });
        Self { api, controller }
    }

    fn addresses(&self) -> Addresses {
        self.controller.addresses()
    }

    /// What a pod of the Gateway trusts: the ConfigMap in its namespace.
    async fn anchor(&self) -> Anchor {
        let stored = || self.api.object(Kind::ConfigMap, NAMESPACE, "weft-root");
        eventually(PATIENCE, "the roots are published", || stored().is_some()).await;
        let pem = stored().unwrap_or_default()["data"]["root.pem"].clone();
        Anchor::new(&domain(), pem.as_str().unwrap_or_default())
    }

    /// Ends the control plane and starts another one.
    async fn restart(&mut self) {
        let next = controller(&self.api, "second").await;
        let ended = std::mem::replace(&mut self.controller, next);
        soon("the control plane ends", ended.stop())
            .await
            .expected("it ends well");
    }

    /// The Programmed condition of the Gateway, as stored: status and reason.
    fn programmed(&self) -> String {
        let gateway = self.api.object(Kind::Gateway, NAMESPACE, "edge");
        let gateway = gateway.unwrap_or_default();
        let conditions = gateway["status"]["conditions"].as_array().cloned();
        let conditions = conditions.unwrap_or_default();
        let found = conditions.iter().find(|it| it["type"] == "Programmed");
        let text = |field: &str| {
            let value = found.and_then(|condition| condition[field].as_str());
            value.unwrap_or_default().to_owned()
        };
        format!("{}/{}", text("status"), text("reason"))
    }

    async fn becomes(&self, programmed: &str) {
        let what = format!("the Gateway is {programmed}");
        eventually(PATIENCE, &what, || self.programmed() == programmed).await;
    }
}

fn domain() -> TrustDomain {
    TrustDomain::parse("cluster.local").expected("a trust domain")
}

fn identity_of(namespace: &str, service_account: &str) -> SpiffeId {
    let workload = Workload {
        namespace,
        service_account,
    };
    SpiffeId::for_workload(&domain(), workload).expected("an identity")
}

async fn controller(api: &FakeApi, replica: &str) -> Controller {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = Settings {
        access: Access {
            kubeconfig: Some(api.kubeconfig()),
            context: None,
        },
        namespace: CONTROL.to_owned(),
        replica: replica.to_owned(),
        trust_domain: domain(),
        config: anywhere,
        advertise: None,
        identity: anywhere,
        admin: anywhere,
        life: LeafLife::default(),
        rotation_dwell: Duration::ZERO,
        rotation_spread: SPREAD,
        mesh: true,
        deploy: deploys::settings(),
        watch: WatchOptions::new(Settings::jitter(replica)),
    };
    let build = BuildInfo {
        version: "test",
        commit: "",
    };
    let registry = Registry::new(build, LabelGroups::default());
    Controller::start(settings, registry)
        .await
        .expected("the control plane starts")
}

fn objects() -> Vec<Value> {
    vec![
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": { "name": "weft" },
            "spec": { "controllerName": "weft.dev/gateway-controller" },
        }),
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": { "namespace": NAMESPACE, "name": "edge" },
            "spec": {
                "gatewayClassName": "weft",
                "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "namespace": NAMESPACE, "name": "web" },
            "spec": { "clusterIP": "10.0.0.8", "ports": [{ "port": 80 }] },
        }),
        route("/"),
    ]
}

/// The route of the Gateway, for a path.
fn route(path: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "namespace": NAMESPACE, "name": "web" },
        "spec": {
            "parentRefs": [{ "name": "edge" }],
            "rules": [{
                "matches": [{ "path": { "type": "PathPrefix", "value": path } }],
                "backendRefs": [{ "name": "web", "port": 80 }],
            }],
        },
    })
}
