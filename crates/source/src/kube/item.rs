//! Objects as the API server sends them: pages of lists and lines of watches. Each object is
//! judged alone; one that cannot be read is an error in its own place, not of the page.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use kube::core::Status;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use weft_api::{AnyObject, Kind, ObjectKey, ObjectRef, ParseError, Scope};

/// How our labels and annotations begin.
const OWN_PREFIX: &str = "weft.dev/";

/// A kind in the version it is served in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) kind: Kind,
    pub(crate) version: String,
}

impl Served {
    /// A kind in the newest version we know.
    pub(crate) fn newest(kind: Kind) -> Self {
        let version = kind.versions().first().copied().unwrap_or_default();
        Self {
            kind,
            version: version.to_owned(),
        }
    }

    /// `apiVersion` of its objects.
    pub(crate) fn api_version(&self) -> String {
        match self.kind.group() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The path of all its objects, or of those of a namespace.
    pub(crate) fn path(&self, namespace: &str) -> String {
        let root = match self.kind.group() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        let plural = self.kind.plural();
        if namespace.is_empty() {
            format!("{root}/{plural}")
        } else {
            format!("{root}/namespaces/{namespace}/{plural}")
        }
    }
}

/// Resource version of one object or of a whole state. Kubernetes 1.35 says that they can be
/// compared as numbers, and all earlier versions did so (KEP-5504); what is no number can only be
/// told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Number(u64),
    Opaque(u64),
}

impl Version {
    pub(crate) fn new(text: &str) -> Self {
        text.parse().map(Self::Number).unwrap_or_else(|_| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            Self::Opaque(hasher.finish())
        })
    }

    /// Whether this one certainly came before another one.
    pub(crate) fn is_before(self, other: Self) -> bool {
        matches!((self, other), (Self::Number(this), Self::Number(other)) if this < other)
    }
}

/// One object off the wire.
#[derive(Debug)]
pub(crate) struct Item {
    /// Absent when the object does not even have a name.
    pub(crate) reference: Option<ObjectRef>,
    /// `metadata.resourceVersion`, empty when there is none.
    pub(crate) version: String,
    pub(crate) object: Result<AnyObject, ParseError>,
}

impl Item {
    /// Reads an object. Items of lists say neither kind nor version, so both are put in.
    pub(crate) fn read(served: &Served, mut value: Value) -> Self {
        let mut reference = None;
        let mut version = String::new();
        if let Value::Object(fields) = &mut value {
            fields
                .entry("apiVersion")
                .or_insert_with(|| served.api_version().into());
            fields
                .entry("kind")
                .or_insert_with(|| served.kind.as_str().into());
        }
        if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
            // The largest part of many objects, of use to servers only.
            metadata.remove("managedFields");
            if served.kind == Kind::Pod {
                trim_pod(metadata);
            }
            let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or("");
            text("resourceVersion").clone_into(&mut version);
            let namespace = match served.kind.scope() {
                Scope::Namespaced => text("namespace"),
                Scope::Cluster => "",
            };
            if !text("name").is_empty() {
                let key = ObjectKey::new(namespace, text("name"));
                reference = Some(ObjectRef::new(served.kind, key));
            }
        }
        Self {
            reference,
            version,
            object: AnyObject::parse(value),
        }
    }
}

/// Pods are the objects a cluster has most of. Of their annotations only ours are read, and nobody asks
/// whom they belong to; both together are most of what would be kept of one.
fn trim_pod(metadata: &mut Map<String, Value>) {
    metadata.remove("ownerReferences");
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.retain(|key, _| key.starts_with(OWN_PREFIX));
    }
}

/// A page of a list.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    /// Resource version of the whole list, the same on all its pages.
    pub(crate) version: String,
    /// Asks for the next page; absent on the last.
    pub(crate) next: Option<String>,
}

impl Page {
    /// Reads a page, one object after the other, so that no more than one is held as JSON.
    pub(crate) fn decode(served: &Served, body: &[u8]) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let page = PageSeed(served).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(page)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListMetadata {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    next: Option<String>,
}

struct PageSeed<'a>(&'a Served);

impl<'de> DeserializeSeed<'de> for PageSeed<'_> {
    type Value = Page;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Page, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageSeed<'_> {
    type Value = Page;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.0.kind)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Page, A::Error> {
        let mut page = Page::default();
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "metadata" => {
                    let metadata: ListMetadata = map.next_value()?;
                    page.version = metadata.resource_version.unwrap_or_default();
                    page.next = metadata.next.filter(|next| !next.is_empty());
                }
                "items" => page.items = map.next_value_seed(ItemsSeed(self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(page)
    }
}

struct ItemsSeed<'a>(&'a Served);

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_> {
    type Value = Vec<Item>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Item>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_> {
    type Value = Vec<Item>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<Item>, A::Error> {
        let mut items = Vec::new();
        while let Some(value) = sequence.next_element::<Value>()? {
            items.push(Item::read(self.0, value));
        }
        Ok(items)
    }

    /// An empty list of Go may be written as null.
    fn visit_unit<E>(self) -> Result<Vec<Item>, E> {
        Ok(Vec::new())
    }
}

/// A line of a watch.
#[derive(Debug)]
pub(crate) enum Line {
    /// Added or modified.
    Changed(Item),
    Deleted(Item),
    /// Nothing happened up to this resource version.
    Bookmark(String),
    /// The watch went wrong.
    Error(Status),
    /// A type that later servers may add.
    Unknown,
}

#[derive(Deserialize)]
struct RawLine {
    #[serde(rename = "type")]
    type_: String,
    #[serde(default)]
    object: Value,
}

impl Line {
    pub(crate) fn decode(served: &Served, line: &[u8]) -> Result<Self, serde_json::Error> {
        let RawLine { type_, object } = serde_json::from_slice(line)?;
        Ok(match type_.as_str() {
            "ADDED" | "MODIFIED" => Self::Changed(Item::read(served, object)),
            "DELETED" => Self::Deleted(Item::read(served, object)),
            "BOOKMARK" => {
                let version = object.pointer("/metadata/resourceVersion");
                Self::Bookmark(version.and_then(Value::as_str).unwrap_or("").to_owned())
            }
            "ERROR" => Self::Error(serde_json::from_value(object)?),
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is kept of a pod is what is read of it: memory of a cluster's pods follows from that.
    #[test]
    fn of_a_pod_only_what_is_read_is_kept() {
        let environment: Vec<_> = (0..40)
            .map(|at| json!({ "name": format!("VARIABLE_{at}"), "value": "x".repeat(40) }))
            .collect();
        let conditions = json!([{ "type": "Ready", "status": "True", "message": "m".repeat(200) }]);
        let pod = json!({
            "metadata": {
                "namespace": "shop", "name": "web-0", "uid": "u", "resourceVersion": "7",
                "labels": { "app": "web" },
                "annotations": {
                    "weft.dev/opaque-ports": "5432",
                    "k8s.v1.cni.cncf.io/network-status": "n".repeat(900),
                },
                "managedFields": [{ "manager": "kubelet", "fieldsV1": { "f:status": {} } }],
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web" }],
            },
            "spec": {
                "nodeName": "n1", "serviceAccountName": "web", "dnsPolicy": "ClusterFirst",
                "volumes": [{ "name": "v", "emptyDir": {} }],
                "tolerations": [{ "key": "node.kubernetes.io/not-ready", "operator": "Exists" }],
                "containers": [{
                    "name": "web", "image": "registry.example/web:1", "env": environment,
                    "readinessProbe": {
                        "httpGet": { "port": 8080, "path": "/ready", "scheme": "HTTP" },
                        "periodSeconds": 1,
                    },
                }],
            },
            "status": {
                "phase": "Running", "podIP": "10.1.0.1", "conditions": conditions,
                "containerStatuses": [{ "name": "web", "imageID": "i".repeat(200) }],
            },
        });
        let whole = pod.to_string().len();
        let item = Item::read(&Served::newest(Kind::Pod), pod);
        let kept = item.object.expect("a pod").to_value().expect("JSON");
        let expected = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "namespace": "shop", "name": "web-0", "uid": "u", "resourceVersion": "7",
                "labels": { "app": "web" },
                "annotations": { "weft.dev/opaque-ports": "5432" },
            },
            "spec": {
                "nodeName": "n1", "serviceAccountName": "web",
                "containers": [{
                    "name": "web",
                    "readinessProbe": { "httpGet": { "port": 8080 } },
                }],
            },
            "status": { "phase": "Running", "podIP": "10.1.0.1" },
        });
        assert_eq!(kept, expected);
        assert!(
            kept.to_string().len() * 10 < whole,
            "a tenth of {whole} bytes"
        );
    }
}
