//! Admission: what an API server does with an object before it stores it, or why it would not.

mod core;
mod schemas;
#[cfg(test)]
mod tests;
mod text;

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use weft_api::object::ParseError;
use weft_api::{
    AnyObject, DISCOVERY_GROUP, EXPERIMENTAL_GROUP, GATEWAY_GROUP, Kind, ObjectKey, ObjectRef,
};

use crate::finding::{
    Finding, INVALID_OBJECT, NOT_AN_OBJECT, NOT_SERVED, TOO_LARGE, UNKNOWN_FIELD,
};
use crate::input::Channel;
use crate::schema::{Fault, closest};
use schemas::{Schema, Schemas};

/// Largest object an API server stores: the request limit of etcd.
const OBJECT_MAX_BYTES: usize = 1_572_864;

/// Kinds of the core group that are not read.
const CORE_KINDS_OF_OTHERS: &[&str] = &[
    "Binding",
    "ComponentStatus",
    "Endpoints",
    "Event",
    "LimitRange",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodTemplate",
    "ReplicationController",
    "ResourceQuota",
];

/// What became of a document.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// An object, with defaults applied.
    Good(AnyObject),
    /// An object that is refused, or something that is none.
    Refused {
        /// The object, when the document says which one it is.
        object: Option<ObjectRef>,
        /// Why, at least one.
        findings: Vec<Finding>,
    },
    /// An object of other software.
    Foreign {
        /// `apiVersion`
        api_version: String,
        /// `kind`
        kind: String,
    },
}

/// Judges objects by the schemas of one channel.
#[derive(Debug)]
pub(crate) struct Admission {
    schemas: Schemas,
}

impl Admission {
    /// The one of a channel. Schemas are compiled when the first object needs them, once per
    /// process.
    pub(crate) fn shared(channel: Channel) -> Arc<Self> {
        static STANDARD: OnceLock<Arc<Admission>> = OnceLock::new();
        static EXPERIMENTAL: OnceLock<Arc<Admission>> = OnceLock::new();
        let cell = match channel {
            Channel::Standard => &STANDARD,
            Channel::Experimental => &EXPERIMENTAL,
        };
        let make = || {
            Arc::new(Self {
                schemas: Schemas::new(channel),
            })
        };
        Arc::clone(cell.get_or_init(make))
    }

    /// Judges one object; `bytes` is the size of its document.
    pub(crate) fn judge(&self, mut value: Value, bytes: usize) -> Verdict {
        let (kind, version) = match identify(&value) {
            Identity::Known(kind, version) => (kind, version.to_owned()),
            Identity::NoKind(finding) => return refused(None, vec![finding]),
            // Whatever it is, the parser of objects says it best.
            Identity::Other => return parse(value),
        };
        let Some(object) = reference(kind, &value) else {
            return parse(value);
        };
        if bytes > OBJECT_MAX_BYTES && value.to_string().len() > OBJECT_MAX_BYTES {
            let message = format!("has more than {OBJECT_MAX_BYTES} bytes");
            return refused(Some(object), vec![Finding::new(&TOO_LARGE, message)]);
        }
        let schema = match self.schemas.of(kind, &version) {
            Ok(schema) => schema,
            Err(finding) => return refused(Some(object), vec![*finding]),
        };
        let faults = schema_faults(schema, kind, &mut value);
        if !faults.is_empty() {
            let findings = faults.into_iter().map(finding).collect();
            return refused(Some(object), findings);
        }
        parse(value)
    }
}

/// What an API server would say about an object of a kind it serves. Defaults are filled in.
fn schema_faults(schema: &Schema, kind: Kind, value: &mut Value) -> Vec<Fault> {
    if schema.has_status
        && let Value::Object(fields) = &mut *value
    {
        // Statuses are written by controllers; what comes with a new object is dropped.
        fields.remove("status");
    }
    let report = schema.node.check(value);
    let mut faults = report.faults;
    if faults.is_empty() && report.unproven {
        faults = schema.oracle().faults(value);
    }
    faults.extend(core::faults(kind, value));
    faults
}

enum Identity<'a> {
    Known(Kind, &'a str),
    /// A kind that should be known, by its group, but does not exist.
    NoKind(Finding),
    Other,
}

fn identify(value: &Value) -> Identity<'_> {
    let field = |name| value.get(name).and_then(Value::as_str);
    let (Some(api_version), Some(name)) = (field("apiVersion"), field("kind")) else {
        return Identity::Other;
    };
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    if let Some(kind) = Kind::find(group, name) {
        return Identity::Known(kind, version);
    }
    let known_group = [GATEWAY_GROUP, EXPERIMENTAL_GROUP, DISCOVERY_GROUP, ""].contains(&group);
    let of_others = group.is_empty() && CORE_KINDS_OF_OTHERS.contains(&name);
    if !known_group || of_others || name.is_empty() {
        return Identity::Other;
    }
    let finding = Finding::new(&NOT_SERVED, format!("{api_version} has no kind {name:?}"));
    if let Some(kind) = Kind::ALL.iter().find(|kind| kind.as_str() == name) {
        let group = Some(kind.group()).filter(|group| !group.is_empty());
        let group = group.map_or_else(String::new, |group| format!("{group}/"));
        let cure = format!("write apiVersion: {group}{}", kind.versions()[0]);
        return Identity::NoKind(finding.field("apiVersion").cure(cure));
    }
    let kinds = Kind::ALL.iter().filter(|kind| kind.group() == group);
    let meant = closest(name, kinds.map(|kind| kind.as_str()));
    Identity::NoKind(match meant {
        Some(meant) => finding.field("kind").cure(format!("write {meant}")),
        None => finding.field("kind"),
    })
}

/// The object a document is about; `None` when it has no name.
fn reference(kind: Kind, value: &Value) -> Option<ObjectRef> {
    let text = |name| {
        let text = value.get("metadata")?.get(name)?.as_str()?;
        (!text.is_empty()).then_some(text)
    };
    let name = text("name")?;
    let key = match kind.scope() {
        weft_api::Scope::Cluster => ObjectKey::cluster(name),
        weft_api::Scope::Namespaced => ObjectKey::new(text("namespace").unwrap_or("default"), name),
    };
    Some(ObjectRef::new(kind, key))
}

fn finding(fault: Fault) -> Finding {
    let code = if fault.unknown {
        &UNKNOWN_FIELD
    } else {
        &INVALID_OBJECT
    };
    let finding = Finding::new(code, fault.message).field(fault.path);
    match fault.cure {
        Some(cure) => finding.cure(cure),
        None => finding,
    }
}

fn refused(object: Option<ObjectRef>, findings: Vec<Finding>) -> Verdict {
    Verdict::Refused { object, findings }
}

fn parse(value: Value) -> Verdict {
    AnyObject::parse(value).map_or_else(refusal, Verdict::Good)
}

/// Why an object that no schema judged cannot be used.
fn refusal(error: ParseError) -> Verdict {
    let message = error.to_string();
    let (object, code, field) = match error {
        ParseError::UnknownKind { api_version, kind } => {
            return Verdict::Foreign { api_version, kind };
        }
        ParseError::NotAnObject { .. } => (None, &NOT_AN_OBJECT, String::new()),
        ParseError::MissingField { field, .. } => (None, &NOT_AN_OBJECT, field.to_owned()),
        ParseError::UnservedVersion { kind, key, .. } => {
            let object = ObjectRef::new(kind, key);
            (Some(object), &NOT_SERVED, "apiVersion".to_owned())
        }
        // No object can have such a name, so it cannot be told which one is meant.
        ParseError::InvalidName { field, .. } => (None, &INVALID_OBJECT, field.to_owned()),
        ParseError::InvalidField { object, path, .. } => (Some(object), &INVALID_OBJECT, path),
    };
    refused(object, vec![Finding::new(code, message).field(field)])
}
