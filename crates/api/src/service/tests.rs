//! What absent and odd values of Services, endpoints and Pods mean.

use serde_json::{Value, json};

use super::{EndpointConditions, EndpointSlice, ServiceSpec};
use crate::object::{AnyObject, Kind};
use crate::workload::PodStatus;

#[track_caller]
fn check_addresses(name: &str, spec: Value, headless: bool, wanted: &[&str]) {
    let spec: ServiceSpec = serde_json::from_value(spec).expect("a spec");
    let addresses: Vec<_> = spec
        .addresses()
        .map(|address| address.to_string())
        .collect();
    assert_eq!(addresses, wanted, "{name}: addresses");
    assert_eq!(spec.is_headless(), headless, "{name}: headless");
}

#[test]
fn services_are_dialled_at_their_cluster_addresses() {
    let dual = json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"]});
    check_addresses("dual stack", dual, false, &["10.0.0.1", "fd00::1"]);
    check_addresses(
        "first only",
        json!({"clusterIP": "10.0.0.1"}),
        false,
        &["10.0.0.1"],
    );
    check_addresses(
        "list only",
        json!({"clusterIPs": ["fd00::1"]}),
        false,
        &["fd00::1"],
    );
    check_addresses("none yet", json!({}), false, &[]);
    check_addresses("empty text", json!({"clusterIP": ""}), false, &[]);
    let headless = json!({"clusterIP": "None", "clusterIPs": ["None"]});
    check_addresses("headless", headless, true, &[]);
    let external = json!({"type": "ExternalName", "clusterIP": "10.0.0.1"});
    check_addresses("external name", external, false, &[]);
}

#[track_caller]
fn check_conditions(name: &str, conditions: Value, wanted: (bool, bool, bool)) {
    let conditions: EndpointConditions = serde_json::from_value(conditions).expect("conditions");
    let state = (
        conditions.is_ready(),
        conditions.is_serving(),
        conditions.is_terminating(),
    );
    assert_eq!(state, wanted, "{name}: ready, serving, terminating");
}

#[test]
fn absent_endpoint_conditions_mean_what_the_api_says() {
    check_conditions("all absent", json!({}), (true, true, false));
    check_conditions("not ready", json!({"ready": false}), (false, false, false));
    let draining = json!({"ready": false, "serving": true, "terminating": true});
    check_conditions("draining", draining, (false, true, true));
    let failing = json!({"ready": false, "serving": false, "terminating": true});
    check_conditions("terminating and failing", failing, (false, false, true));
}

#[test]
fn pods_list_each_address_once() {
    let status: PodStatus = serde_json::from_value(json!({
        "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
    }))
    .expect("a status");
    let addresses: Vec<_> = status
        .addresses()
        .map(|address| address.to_string())
        .collect();
    assert_eq!(addresses, ["10.0.0.1", "fd00::1"]);
}

/// Every field of a core kind that is read must be one the type has.
#[track_caller]
fn check_kept(kind: Kind, mut document: Value) {
    document["apiVersion"] = kind.api_version().into();
    document["kind"] = kind.as_str().into();
    document["metadata"]["namespace"] = "shop".into();
    document["metadata"]["name"] = "web".into();
    let object = AnyObject::parse(document.clone()).unwrap_or_else(|e| panic!("{kind}: {e}"));
    assert_eq!(
        object.to_value().expect("a value"),
        document,
        "{kind} loses a field"
    );
}

#[test]
fn core_kinds_keep_what_weft_reads() {
    check_kept(
        Kind::Service,
        json!({"spec": {
            "type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ipFamilies": ["IPv4"], "selector": {"app": "web"}, "externalName": "example.org",
            "ports": [{
                "name": "http", "port": 80, "targetPort": "web", "protocol": "TCP",
                "appProtocol": "kubernetes.io/h2c", "nodePort": 30080,
            }],
        }}),
    );
    check_kept(
        Kind::EndpointSlice,
        json!({
            "addressType": "IPv6",
            "endpoints": [{
                "addresses": ["fd00::2"], "hostname": "web-0", "nodeName": "n1", "zone": "z1",
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-0"},
            }],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "http"}],
        }),
    );
    check_kept(
        Kind::Pod,
        json!({
            "metadata": {"labels": {"app": "web"}, "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1",
                "controller": true,
            }]},
            "spec": {
                "serviceAccountName": "web", "nodeName": "n1", "hostNetwork": true,
                "containers": [{"name": "web", "ports": [
                    {"name": "http", "containerPort": 80, "protocol": "TCP"},
                ]}],
            },
            "status": {"phase": "Running", "podIP": "fd00::2", "podIPs": [{"ip": "fd00::2"}]},
        }),
    );
    check_kept(
        Kind::ConfigMap,
        json!({"data": {"a": "b"}, "binaryData": {"c": "ZA=="}}),
    );
    check_kept(
        Kind::Secret,
        json!({"type": "Opaque", "data": {"c": "ZA=="}}),
    );
}

#[test]
fn values_of_later_versions_survive() {
    let slice: EndpointSlice =
        serde_json::from_value(json!({"addressType": "IPv7"})).expect("an unknown value is read");
    assert_eq!(slice.address_type.as_str(), "IPv7");
    let written = serde_json::to_value(&slice).expect("a value");
    assert_eq!(
        written["addressType"], "IPv7",
        "an unknown value is written as it was read"
    );
}
