//! What all generated objects have in common: name, labels, annotations and the owner.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use weft_api::{GATEWAY_GROUP, Gateway, ObjectKey};

use super::RenderError;
use super::name::{deployed_name, label_value};

/// Label with the name of the Gateway (GEP-1762: required on all generated objects).
pub const GATEWAY_LABEL: &str = "gateway.networking.k8s.io/gateway-name";
/// Label with the name of its class.
pub const CLASS_LABEL: &str = "gateway.networking.k8s.io/gateway-class-name";

/// Label that says who made an object, for people and tools (`app.kubernetes.io`).
pub const MANAGED_LABEL: &str = "app.kubernetes.io/managed-by";
/// Its value on what is generated.
pub const MANAGED_BY: &str = "weft";

/// Name and metadata of what a Gateway owns.
pub(super) struct Owned {
    pub(super) name: String,
    pub(super) gateway: String,
    pub(super) namespace: String,
    /// Labels that say whose object it is; pods are selected by them.
    identity: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    owner: Value,
}

impl Owned {
    /// Reads off a Gateway what its objects have in common.
    pub(super) fn new(gateway: &Gateway) -> Result<Self, RenderError> {
        let metadata = &gateway.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let class = gateway.spec.gateway_class_name.as_str();
        let identity = BTreeMap::from([
            (GATEWAY_LABEL.to_owned(), label_value(name)),
            (CLASS_LABEL.to_owned(), label_value(class)),
        ]);
        let infrastructure = gateway.spec.infrastructure.as_deref();
        let mut labels = infrastructure.map_or_else(BTreeMap::new, |it| it.labels.clone());
        let deployed = deployed_name(name, class);
        // Ours come last: a label of the user must not take a pod away from its Service.
        labels.extend(identity.clone());
        labels.extend(
            [
                ("app.kubernetes.io/name", "weft-gateway"),
                ("app.kubernetes.io/instance", &deployed),
                ("app.kubernetes.io/component", "gateway"),
                ("app.kubernetes.io/part-of", "weft"),
                (MANAGED_LABEL, MANAGED_BY),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        Ok(Self {
            owner: owner(gateway)?,
            name: deployed,
            gateway: name.to_owned(),
            namespace: namespace.to_owned(),
            identity,
            labels,
            annotations: infrastructure.map_or_else(BTreeMap::new, |it| it.annotations.clone()),
        })
    }

    /// An object with the metadata; `fields` are its other fields.
    pub(super) fn object(&self, version: &str, kind: &str, fields: Map<String, Value>) -> Value {
        let mut metadata = self.described();
        metadata.insert("name".to_owned(), json!(self.name));
        metadata.insert("namespace".to_owned(), json!(self.namespace));
        metadata.insert("ownerReferences".to_owned(), json!([self.owner]));
        let mut object = fields;
        object.insert("apiVersion".to_owned(), json!(version));
        object.insert("kind".to_owned(), json!(kind));
        object.insert("metadata".to_owned(), Value::Object(metadata));
        Value::Object(object)
    }

    /// Labels and annotations alone, for a pod template.
    pub(super) fn described(&self) -> Map<String, Value> {
        let mut metadata = Map::new();
        metadata.insert("labels".to_owned(), json!(self.labels));
        if !self.annotations.is_empty() {
            metadata.insert("annotations".to_owned(), json!(self.annotations));
        }
        metadata
    }

    /// The labels by which the pods are found. A Deployment can never change them, so nothing of
    /// the user's is among them.
    pub(super) fn selector(&self) -> Value {
        json!(self.identity)
    }
}

/// A reference to a Gateway as the owner of an object.
///
/// It does not block the deletion of the Gateway: that would need the right to change its
/// finalizers, and buys nothing.
fn owner(gateway: &Gateway) -> Result<Value, RenderError> {
    let metadata = &gateway.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let Some(uid) = metadata.uid.as_deref().filter(|uid| !uid.is_empty()) else {
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        return Err(RenderError::NoUid(ObjectKey::new(namespace, name)));
    };
    Ok(json!({
        "apiVersion": format!("{GATEWAY_GROUP}/v1"),
        "kind": "Gateway",
        "name": name,
        "uid": uid,
        "controller": true,
    }))
}

/// Whether an object of the cluster was generated for this incarnation of the Gateway. One that
/// has a name we would give and another owner, or none, is somebody else's and must be left alone.
#[must_use]
pub fn is_ours(object: &Value, gateway: &Gateway) -> bool {
    let references = object["metadata"]["ownerReferences"].as_array();
    let uid = gateway.metadata.uid.as_deref();
    references.into_iter().flatten().any(|reference| {
        reference["kind"] == "Gateway" && uid.is_some() && reference["uid"].as_str() == uid
    })
}
