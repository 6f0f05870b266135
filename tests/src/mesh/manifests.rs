//! Manifests of a world that changes: objects by reference, and the EndpointSlices a control plane
//! would make for them.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use super::{Family, pods::Pods};
use crate::wait::Expected;

/// Objects of a world, by reference.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    objects: BTreeMap<String, Value>,
}

/// `Kind namespace/name` of an object, or `Kind name` for those without a namespace.
#[must_use]
pub fn reference(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or("no kind");
    let name = text("/metadata/name").unwrap_or("no name");
    match text("/metadata/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// `namespace/name` of an object.
#[must_use]
pub fn full_name(object: &Value) -> String {
    let reference = reference(object);
    reference
        .split_once(' ')
        .expect("a kind and a name")
        .1
        .to_owned()
}

/// The documents of a YAML file.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn documents(path: &Path) -> Vec<Value> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).expected(&name);
    serde_saphyr::from_multiple(&text).expected(&name)
}

impl Manifests {
    /// Adds an object, or replaces the one with its reference.
    pub fn put(&mut self, object: Value) {
        self.objects.insert(reference(&object), object);
    }

    /// Takes an object away.
    ///
    /// # Panics
    /// When there is none.
    pub fn delete(&mut self, reference: &str) {
        let gone = self.objects.remove(reference);
        assert!(gone.is_some(), "{reference} is to go and is not there");
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = &Value> {
        self.objects.values()
    }

    /// Objects of a kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects().filter(move |object| object["kind"] == kind)
    }

    /// An object by its reference.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn get(&self, reference: &str) -> &Value {
        let found = self.objects.get(reference);
        found.unwrap_or_else(|| panic!("no {reference} in the manifests"))
    }

    /// Makes every namespace one of the mesh.
    pub fn enrol(&mut self) {
        for object in self.objects.values_mut() {
            if object["kind"] == "Namespace" {
                object["metadata"]["labels"]["weft.dev/mesh"] = json!("enabled");
            }
        }
    }

    /// The pods that a Service selects. One without a selector selects none.
    pub fn selected<'a>(&'a self, service: &Value) -> impl Iterator<Item = &'a Value> {
        let selector = service["spec"]["selector"].as_object().cloned();
        let namespace = service["metadata"]["namespace"].clone();
        self.of_kind("Pod").filter(move |pod| {
            let labels = &pod["metadata"]["labels"];
            let fits = |selector: &serde_json::Map<String, Value>| {
                selector.iter().all(|(name, value)| labels[name] == *value)
            };
            pod["metadata"]["namespace"] == namespace && selector.as_ref().is_some_and(fits)
        })
    }

    /// These manifests with the EndpointSlices of their Services: made where there is a selector,
    /// filled in where an address is written `pod:namespace/name`.
    #[must_use]
    pub fn with_endpoints(&self, pods: &Pods) -> Self {
        let mut whole = self.clone();
        for service in self.of_kind("Service") {
            for pod in self.selected(service) {
                for family in pods.families(&full_name(pod)) {
                    whole.put(slice(service, pod, family, pods));
                }
            }
        }
        for written in self.of_kind("EndpointSlice") {
            whole.put(filled_in(written, pods));
        }
        whole
    }
}

/// The EndpointSlice of one pod of a Service.
fn slice(service: &Value, pod: &Value, family: Family, pods: &Pods) -> Value {
    let pod_name = full_name(pod);
    let ports: Vec<Value> = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| {
            let target = port.get("targetPort").unwrap_or(&port["port"]);
            let address = pods.address(&pod_name, family, number(target));
            json!({"name": port["name"], "port": address.port(), "appProtocol": port["appProtocol"]})
        })
        .collect();
    let is_ready = pod["metadata"]["annotations"]["does"] != "nothing yet";
    let (service_name, namespace) = (
        &service["metadata"]["name"],
        &service["metadata"]["namespace"],
    );
    let name = format!(
        "{}-{}-{family:?}",
        text(service_name),
        text(&pod["metadata"]["name"])
    );
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name.to_lowercase(),
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service_name},
        },
        "addressType": format!("{family:?}"),
        "ports": ports,
        "endpoints": [{
            "addresses": [pods.ip(&pod_name, family)],
            "conditions": {"ready": is_ready},
            "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace},
        }],
    })
}

/// A written EndpointSlice of one pod with the address and the ports that the pod really has.
fn filled_in(written: &Value, pods: &Pods) -> Value {
    let mut slice = written.clone();
    let family = match text(&written["addressType"]) {
        "IPv6" => Family::IPv6,
        _ => Family::IPv4,
    };
    let address = text(&written["endpoints"][0]["addresses"][0]);
    let pod = address
        .strip_prefix("pod:")
        .expect("`pod:namespace/name`")
        .to_owned();
    slice["endpoints"][0]["addresses"][0] = json!(pods.ip(&pod, family));
    for port in slice["ports"].as_array_mut().into_iter().flatten() {
        port["port"] = json!(pods.address(&pod, family, number(&port["port"])).port());
    }
    slice
}

/// A port number.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn number(value: &Value) -> u16 {
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
    number.unwrap_or_else(|| panic!("{value} is no port"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
