//! The pods of a Gateway. They are admitted under the Pod Security Standard `restricted`: nothing
//! here needs root, a capability, a writable root or a token for the API server.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::metadata::Owned;
use super::parameters::Parameters;
use super::{ADMIN_PORT, GRACE, ROOTS_KEY, ROOTS_NAME, Settings, TOKEN_AUDIENCE};

/// The user `nonroot` of the usual images without a shell.
const USER: u32 = 65532;
const CONTAINER: &str = "gateway";
const ROOTS_DIRECTORY: &str = "/var/run/secrets/weft/root";
const TOKEN_DIRECTORY: &str = "/var/run/secrets/weft/token";
const TOKEN_FILE: &str = "token";
const TOKEN_SECONDS: u32 = 3600;
const STATE_DIRECTORY: &str = "/var/lib/weft";
/// Between the end that is asked of a pod and the signal to its processes.
const BEFORE_SIGNAL: Duration = Duration::from_secs(1);
/// Several times the saved configuration of 10,000 routes.
const STATE_LIMIT: &str = "256Mi";

/// The Deployment.
pub(super) fn render(owned: &Owned, parameters: &Parameters, settings: &Settings) -> Value {
    let mut spec = Map::from_iter([
        (
            "selector".to_owned(),
            json!({ "matchLabels": owned.selector() }),
        ),
        (
            "strategy".to_owned(),
            // A pod goes when another one serves.
            json!({
                "type": "RollingUpdate",
                "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": 0 },
            }),
        ),
    ]);
    let template = json!({
        "metadata": owned.described(),
        "spec": pod(owned, parameters, settings),
    });
    spec.insert("template".to_owned(), template);
    // Absent, it belongs to whoever scales: a HorizontalPodAutoscaler or a person.
    if let Some(replicas) = parameters.replicas {
        spec.insert("replicas".to_owned(), json!(replicas));
    }
    let fields = Map::from_iter([("spec".to_owned(), Value::Object(spec))]);
    owned.object("apps/v1", "Deployment", fields)
}

fn pod(owned: &Owned, parameters: &Parameters, settings: &Settings) -> Value {
    let grace = BEFORE_SIGNAL + settings.drain_delay + settings.drain_limit + GRACE;
    json!({
        "serviceAccountName": owned.name,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": grace.as_secs(),
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": { "type": "RuntimeDefault" },
            // In the safe set: it says who may bind ports of this pod's own network.
            "sysctls": [{ "name": "net.ipv4.ip_unprivileged_port_start", "value": "0" }],
        },
        "topologySpreadConstraints": [
            spread(owned, "topology.kubernetes.io/zone"),
            spread(owned, "kubernetes.io/hostname"),
        ],
        "containers": [container(owned, parameters, settings)],
        "volumes": volumes(),
    })
}

/// Pods of one version apart, where there is room.
fn spread(owned: &Owned, topology: &str) -> Value {
    json!({
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": { "matchLabels": owned.selector() },
        "matchLabelKeys": ["pod-template-hash"],
    })
}

/// What a pod knows of itself.
fn of_pod(name: &str, field: &str) -> Value {
    json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": field } } })
}

fn container(owned: &Owned, parameters: &Parameters, settings: &Settings) -> Value {
    json!({
        "name": CONTAINER,
        "image": settings.image,
        "args": arguments(owned, parameters, settings),
        "env": [
            of_pod("WEFT_INSTANCE", "metadata.uid"),
            of_pod("WEFT_POD_IPS", "status.podIPs"),
        ],
        "ports": [{ "name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP" }],
        "resources": parameters.resources.rendered(),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
        },
        // A signal in the moment of the start meets `runc init` and is lost: the first process of a
        // container takes none without a handler. A second later our program has one.
        "lifecycle": { "preStop": { "sleep": { "seconds": BEFORE_SIGNAL.as_secs() } } },
        // Every second, so that a pod serves and stops serving within one.
        "readinessProbe": probe("/readyz", 1, 2),
        // It restarts a parent that hangs; workers are the parent's to restart, and sooner.
        "livenessProbe": probe("/healthz", 10, 6),
        "volumeMounts": [
            { "name": "root", "mountPath": ROOTS_DIRECTORY, "readOnly": true },
            { "name": "token", "mountPath": TOKEN_DIRECTORY, "readOnly": true },
            { "name": "state", "mountPath": STATE_DIRECTORY },
        ],
    })
}

/// All that the proxy is told, what it would take by default as well: a page shows it whole.
fn arguments(owned: &Owned, parameters: &Parameters, settings: &Settings) -> Vec<String> {
    let options = [
        ("name", owned.gateway.clone()),
        ("namespace", owned.namespace.clone()),
        ("service-account", owned.name.clone()),
        ("trust-domain", settings.trust_domain.to_string()),
        ("control-plane", settings.control_plane.clone()),
        ("control-namespace", settings.control_namespace.clone()),
        ("root-file", format!("{ROOTS_DIRECTORY}/{ROOTS_KEY}")),
        ("token-file", format!("{TOKEN_DIRECTORY}/{TOKEN_FILE}")),
        ("state-dir", STATE_DIRECTORY.to_owned()),
        ("admin", format!("[::]:{ADMIN_PORT}")),
        ("drain-delay", settings.drain_delay.as_secs().to_string()),
        ("drain-limit", settings.drain_limit.as_secs().to_string()),
        ("log", parameters.log_level.as_str().to_owned()),
    ];
    let given = options.map(|(option, value)| format!("--{option}={value}"));
    ["gateway".to_owned()].into_iter().chain(given).collect()
}

fn probe(path: &str, period_seconds: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": "admin" },
        "periodSeconds": period_seconds,
        "timeoutSeconds": period_seconds,
        "failureThreshold": failures,
    })
}

fn volumes() -> Value {
    json!([
        { "name": "root", "configMap": { "name": ROOTS_NAME } },
        {
            "name": "token",
            "projected": {
                "sources": [{
                    "serviceAccountToken": {
                        "audience": TOKEN_AUDIENCE,
                        "expirationSeconds": TOKEN_SECONDS,
                        "path": TOKEN_FILE,
                    },
                }],
            },
        },
        // Outlives the container, so a restarted one serves without the control plane.
        { "name": "state", "emptyDir": { "sizeLimit": STATE_LIMIT } },
    ])
}
