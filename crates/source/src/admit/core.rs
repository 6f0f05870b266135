//! What an API server demands beyond schemas: of the metadata of every object, and of the core
//! kinds, as far as Weft reads them (`k8s.io/kubernetes`, `pkg/apis/core/validation`).
//!
//! Two things are allowed here that no cluster allows, because they are what endpoints and
//! Services look like without one: loopback addresses in EndpointSlices and in `clusterIP`.

mod config;
mod endpoints;
mod service;

use serde_json::{Map, Value};
use weft_api::Kind;

use super::text;
use crate::schema::Fault;

/// Most bytes of all annotations of an object.
const ANNOTATIONS_MAX_BYTES: usize = 256 << 10;

/// What is wrong with an object that satisfies its schema. Fields of a wrong type are passed over:
/// the schema has told them.
pub(super) fn faults(kind: Kind, object: &Value) -> Vec<Fault> {
    let mut faults = Faults::default();
    metadata(object, &mut faults);
    match kind {
        Kind::Service => service::check(object, &mut faults),
        Kind::EndpointSlice => endpoints::check(object, &mut faults),
        Kind::Secret => config::secret(object, &mut faults),
        Kind::ConfigMap => config::config_map(object, &mut faults),
        _ => {}
    }
    faults.0
}

/// Faults as they are found.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault {
            path: path.into(),
            message: message.into(),
            cure: None,
            unknown: false,
        });
    }
}

fn metadata(object: &Value, faults: &mut Faults) {
    let map = |name| {
        object
            .get("metadata")
            .and_then(|metadata| fields(metadata, name))
    };
    for (key, value) in map("labels").into_iter().flatten() {
        label("metadata.labels", key, value, faults);
    }
    let mut bytes = 0;
    for (key, value) in map("annotations").into_iter().flatten() {
        bytes += key.len() + value.as_str().map_or(0, str::len);
        if !text::is_qualified_name(&key.to_lowercase()) {
            let message =
                "the key must be a name with an optional DNS prefix, as in example.com/name";
            faults.add(format!("metadata.annotations[{key}]"), message);
        }
    }
    if bytes > ANNOTATIONS_MAX_BYTES {
        let message = format!("may have at most {ANNOTATIONS_MAX_BYTES} bytes in all, not {bytes}");
        faults.add("metadata.annotations", message);
    }
}

/// One label of an object or of a selector.
fn label(path: &str, key: &str, value: &Value, faults: &mut Faults) {
    if !text::is_qualified_name(key) {
        let message = "the key must be a name with an optional DNS prefix, as in example.com/name";
        faults.add(format!("{path}[{key}]"), message);
    }
    if value
        .as_str()
        .is_some_and(|value| !text::is_label_value(value))
    {
        let message = "must be at most 63 letters, digits, `-`, `_` and `.`, with a letter or \
                       digit at both ends";
        faults.add(format!("{path}[{key}]"), message);
    }
}

fn fields<'a>(value: &'a Value, name: &str) -> Option<&'a Map<String, Value>> {
    value.get(name).and_then(Value::as_object)
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let items = value.get(name).and_then(Value::as_array);
    items.map(Vec::as_slice).unwrap_or_default()
}

/// A text that is not empty.
fn string<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    let text = value.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}
