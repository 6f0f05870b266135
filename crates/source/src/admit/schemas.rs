//! The schemas of all kinds: those of Gateway API from its CRDs, those of the core kinds from a
//! file of this room. Each is compiled when the first object needs it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;
use weft_api::{Kind, crds};

use crate::finding::{Finding, NOT_SERVED};
use crate::input::Channel;
use crate::schema::{Node, Oracle, compile};
use crate::yaml;

/// Schemas of the core kinds, by kind.
const CORE: &str = include_str!("../../schemas/core.yaml");

/// Kinds whose objects are judged by their CRDs have a version each; the others only this one.
const CORE_VERSION: &str = "v1";

/// All schemas of one channel.
#[derive(Debug)]
pub(super) struct Schemas {
    channel: Channel,
    /// By kind; the error of a schema that cannot be used is a defect and refuses its objects.
    kinds: BTreeMap<Kind, OnceLock<Result<Versions, String>>>,
}

type Versions = BTreeMap<String, Schema>;

/// The schema of a version of a kind.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) node: Node,
    /// Whether the status belongs to controllers and not to whoever writes the object.
    pub(super) has_status: bool,
    /// The CRD, to make the oracle from; parsed again then, because hardly any object needs it.
    crd: Option<(&'static str, usize)>,
    oracle: OnceLock<Oracle>,
}

impl Schemas {
    pub(super) fn new(channel: Channel) -> Self {
        let kinds = Kind::ALL.iter().map(|kind| (*kind, OnceLock::new()));
        Self {
            channel,
            kinds: kinds.collect(),
        }
    }

    /// The schema of a version of a kind, or why there is none.
    pub(super) fn of(&self, kind: Kind, version: &str) -> Result<&Schema, Box<Finding>> {
        let refuse = |message: String, cure: String| {
            let finding = Finding::new(&NOT_SERVED, message).field("apiVersion");
            Box::new(finding.cure(cure))
        };
        let versions = self.kinds.get(&kind).map(|cell| {
            cell.get_or_init(|| {
                if kind.group().contains("gateway") {
                    gateway_versions(self.channel, kind)
                } else {
                    core_versions(kind)
                }
            })
        });
        let versions = match versions {
            Some(Ok(versions)) => versions,
            Some(Err(message)) => {
                let message = format!("the schema of {kind} cannot be used: {message}");
                return Err(refuse(message, "report this defect".to_owned()));
            }
            None => {
                let message = format!("{kind} has no schema");
                return Err(refuse(message, "report this defect".to_owned()));
            }
        };
        versions.get(version).ok_or_else(|| {
            if versions.is_empty() && self.channel == Channel::Standard {
                let message = format!("{kind} is not in the standard channel");
                return refuse(message, "use the experimental channel".to_owned());
            }
            let served: Vec<_> = versions.keys().map(String::as_str).collect();
            let message = format!("version {version:?} of {kind} is not served");
            let cure = format!("use a version that is: {}", served.join(", "));
            refuse(message, cure)
        })
    }
}

impl Schema {
    /// The rules, judged by CEL. Compiled when first needed.
    pub(super) fn oracle(&self) -> &Oracle {
        self.oracle.get_or_init(|| {
            let schema = self.crd.and_then(|(text, index)| {
                let mut crd = yaml::parse(text).ok()??;
                let version = crd.pointer_mut(&format!("/spec/versions/{index}/schema"))?;
                Some(version.get_mut("openAPIV3Schema")?.take())
            });
            Oracle::new(&schema.unwrap_or_default())
        })
    }
}

/// The versions a CRD serves; none when the channel does not have the kind.
fn gateway_versions(channel: Channel, kind: Kind) -> Result<Versions, String> {
    let crds = match channel {
        Channel::Standard => crds::STANDARD,
        Channel::Experimental => crds::EXPERIMENTAL,
    };
    let name = format!("{}.{}", kind.plural(), kind.group());
    let Some((_, text)) = crds.iter().find(|(crd, _)| *crd == name) else {
        return Ok(Versions::new());
    };
    let mut crd = parse(text)?;
    let metadata = core_schema("ObjectMeta")?;
    let mut versions = Versions::new();
    let listed = crd
        .pointer_mut("/spec/versions")
        .and_then(Value::as_array_mut);
    for (index, version) in listed.into_iter().flatten().enumerate() {
        if version.get("served") != Some(&Value::Bool(true)) {
            continue;
        }
        let name = version.get("name").and_then(Value::as_str);
        let name = name.ok_or("a version has no name")?.to_owned();
        let has_status = version.pointer("/subresources/status").is_some();
        let schema = version.pointer_mut("/schema/openAPIV3Schema");
        let mut schema = schema.ok_or("a version has no schema")?.take();
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.insert("metadata".to_owned(), metadata.clone());
            if has_status {
                properties.remove("status");
            }
        }
        let schema = Schema {
            node: compile(&schema)?,
            has_status,
            crd: Some((*text, index)),
            oracle: OnceLock::new(),
        };
        versions.insert(name, schema);
    }
    Ok(versions)
}

fn core_versions(kind: Kind) -> Result<Versions, String> {
    let schema = Schema {
        node: compile(&core_schema(kind.as_str())?)?,
        // Pods are the only core kind whose status is read, and it comes from the files here.
        has_status: kind != Kind::Pod,
        crd: None,
        oracle: OnceLock::new(),
    };
    Ok(Versions::from([(CORE_VERSION.to_owned(), schema)]))
}

fn core_schema(name: &str) -> Result<Value, String> {
    let mut schemas = parse(CORE)?;
    let schema = schemas.get_mut(name).map(Value::take);
    schema.ok_or_else(|| format!("there is no schema of {name}"))
}

fn parse(text: &str) -> Result<Value, String> {
    let value =
        yaml::parse(text).map_err(|error| format!("line {}: {}", error.line, error.message));
    value?.ok_or_else(|| "it is empty".to_owned())
}
