//! From JSON to objects: what an API server does to a document before it stores it, as far as it
//! matters to a reader.

use serde_json::Value;
use thiserror::Error;

use super::{AnyObject, Kind, Object, Scope};
use crate::key::{ObjectKey, ObjectRef};
use crate::meta;

/// Namespace of objects that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// Why a document is not an object Weft can use.
#[derive(Debug, Error)]
pub enum ParseError {
    /// The document is a list, a number, a text or empty.
    #[error("the document is {found}, not an object: write `apiVersion`, `kind` and `metadata`")]
    NotAnObject {
        /// What it is instead.
        found: &'static str,
    },
    /// `apiVersion`, `kind` or `metadata.name` is missing or not a text.
    #[error("{kind} has no `{field}`: it must be a non-empty text")]
    MissingField {
        /// The kind, as far as known.
        kind: String,
        /// Path of the field.
        field: &'static str,
    },
    /// A kind Weft does not read. Not a fault: the document is somebody else's.
    #[error("{kind} of {api_version} is not a kind Weft reads")]
    UnknownKind {
        /// `apiVersion` as written.
        api_version: String,
        /// `kind` as written.
        kind: String,
    },
    /// A known kind in a version that Gateway API v1.6.1 does not serve.
    #[error("{kind} {key}: version {version:?} is not served; use {}", kind.api_version())]
    UnservedVersion {
        /// The kind.
        kind: Kind,
        /// The object.
        key: ObjectKey,
        /// The version as written.
        version: String,
    },
    /// A name or namespace no API server accepts.
    #[error(
        "{object}: `{field}` must be lower-case letters, digits, `-`{}, at most {max_bytes} \
         bytes, with a letter or digit at both ends",
        if *.max_bytes > LABEL_MAX_BYTES { " and `.`" } else { "" }
    )]
    InvalidName {
        /// The object.
        object: ObjectRef,
        /// Path of the field.
        field: &'static str,
        /// Most bytes the value may have.
        max_bytes: usize,
    },
    /// A field has a value of a wrong type or out of range.
    #[error("{object}: field `{path}`: {source}")]
    InvalidField {
        /// The object.
        object: ObjectRef,
        /// Path of the field, for example `spec.rules[0].backendRefs[1].port`.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// A decoding error with the path of the field.
pub(super) type DecodeError = serde_path_to_error::Error<serde_json::Error>;

/// Most bytes of a DNS label (RFC 1123).
const LABEL_MAX_BYTES: usize = 63;
/// Most bytes of a DNS name (RFC 1123).
const NAME_MAX_BYTES: usize = 253;

impl AnyObject {
    /// Reads one object. `kind: List` is not expanded here.
    ///
    /// As an API server does, nulls count as absent, namespaced objects without namespace get
    /// `default`, cluster-scoped ones lose theirs, and fields outside the schema are dropped.
    /// Metadata Weft never reads is dropped as well ([`meta::slim`]). Whether required fields are
    /// present is for schema validation, not for parsing.
    ///
    /// # Errors
    ///
    /// [`ParseError::UnknownKind`] for documents of other software, which are no fault; any other
    /// variant names the culprit.
    pub fn parse(mut value: Value) -> Result<Self, ParseError> {
        let (kind, version) = kind_of(&value)?;
        let key = key_of(kind, &value)?;
        if !kind.versions().contains(&version.as_str()) {
            return Err(ParseError::UnservedVersion { kind, key, version });
        }
        check_names(kind, &key)?;
        prune_nulls(&mut value);
        if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
            match kind.scope() {
                Scope::Namespaced => {
                    metadata.insert("namespace".to_owned(), key.namespace().into());
                }
                Scope::Cluster => {
                    metadata.remove("namespace");
                }
            }
        }
        Self::decode(kind, value).map_err(|error| ParseError::InvalidField {
            object: ObjectRef::new(kind, key),
            path: error.path().to_string(),
            source: error.into_inner(),
        })
    }
}

/// Reads one object of a known kind.
pub(super) fn decode<T: Object>(value: Value) -> Result<T, DecodeError> {
    let mut object: T = serde_path_to_error::deserialize(value)?;
    meta::slim(object.metadata_mut());
    Ok(object)
}

fn kind_of(value: &Value) -> Result<(Kind, String), ParseError> {
    let found = match value {
        Value::Object(_) => None,
        Value::Null => Some("empty"),
        Value::Bool(_) => Some("a truth value"),
        Value::Number(_) => Some("a number"),
        Value::String(_) => Some("a text"),
        Value::Array(_) => Some("a list"),
    };
    if let Some(found) = found {
        return Err(ParseError::NotAnObject { found });
    }
    let field = |field: &'static str, kind: &str| {
        text(value, field).ok_or_else(|| ParseError::MissingField {
            kind: kind.to_owned(),
            field,
        })
    };
    let name = field("kind", "the object")?;
    let api_version = field("apiVersion", name)?;
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let kind = Kind::find(group, name).ok_or_else(|| ParseError::UnknownKind {
        api_version: api_version.to_owned(),
        kind: name.to_owned(),
    })?;
    Ok((kind, version.to_owned()))
}

fn key_of(kind: Kind, value: &Value) -> Result<ObjectKey, ParseError> {
    let metadata = value.get("metadata").unwrap_or(&Value::Null);
    let name = text(metadata, "name").ok_or_else(|| ParseError::MissingField {
        kind: kind.as_str().to_owned(),
        field: "metadata.name",
    })?;
    Ok(match kind.scope() {
        Scope::Cluster => ObjectKey::cluster(name),
        Scope::Namespaced => ObjectKey::new(
            text(metadata, "namespace").unwrap_or(DEFAULT_NAMESPACE),
            name,
        ),
    })
}

/// A non-empty text field.
fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value
        .get(field)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// Names end up in paths and labels of what Weft writes, so they are checked even where no API
/// server has done it before.
fn check_names(kind: Kind, key: &ObjectKey) -> Result<(), ParseError> {
    let invalid = |field, max_bytes| ParseError::InvalidName {
        object: ObjectRef::new(kind, key.clone()),
        field,
        max_bytes,
    };
    if !key.namespace().is_empty() && !is_label(key.namespace()) {
        return Err(invalid("metadata.namespace", LABEL_MAX_BYTES));
    }
    let name_is_label = matches!(kind, Kind::Namespace | Kind::Service);
    if name_is_label && !is_label(key.name()) {
        return Err(invalid("metadata.name", LABEL_MAX_BYTES));
    }
    let is_name = key.name().len() <= NAME_MAX_BYTES && key.name().split('.').all(is_segment);
    if is_name {
        Ok(())
    } else {
        Err(invalid("metadata.name", NAME_MAX_BYTES))
    }
}

fn is_label(text: &str) -> bool {
    text.len() <= LABEL_MAX_BYTES && is_segment(text)
}

fn is_segment(text: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
}

/// Removes null fields, which Go writes for lists that were never set. Nulls inside lists stay
/// and are refused by the type they should have.
fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(prune_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(prune_nulls),
        _ => {}
    }
}
