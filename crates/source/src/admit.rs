//! Admission: what an API server does with an object before it stores it, or why it would not.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use weft_api::object::ParseError;
use weft_api::{AnyObject, ObjectRef};

use crate::finding::{Finding, INVALID_OBJECT, NOT_AN_OBJECT, NOT_SERVED};
use crate::input::{Channel, SourceError};

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
pub(crate) struct Admission {}

impl Admission {
    /// The one of a channel; schemas are compiled when it is first asked for.
    pub(crate) fn shared(channel: Channel) -> Result<Arc<Self>, SourceError> {
        static STANDARD: OnceLock<Arc<Admission>> = OnceLock::new();
        static EXPERIMENTAL: OnceLock<Arc<Admission>> = OnceLock::new();
        let cell = match channel {
            Channel::Standard => &STANDARD,
            Channel::Experimental => &EXPERIMENTAL,
        };
        if let Some(admission) = cell.get() {
            return Ok(Arc::clone(admission));
        }
        let admission = Arc::new(Self {});
        Ok(Arc::clone(cell.get_or_init(|| admission)))
    }

    /// Judges one object; `bytes` is the size of its document.
    pub(crate) fn judge(&self, value: Value, _bytes: usize) -> Verdict {
        AnyObject::parse(value).map_or_else(refusal, Verdict::Good)
    }
}

/// Why an object that was not judged by a schema cannot be used.
fn refusal(error: ParseError) -> Verdict {
    let message = error.to_string();
    let (object, finding) = match error {
        ParseError::UnknownKind { api_version, kind } => {
            return Verdict::Foreign { api_version, kind };
        }
        ParseError::NotAnObject { .. } => (None, Finding::new(&NOT_AN_OBJECT, message)),
        ParseError::MissingField { field, .. } => {
            (None, Finding::new(&NOT_AN_OBJECT, message).field(field))
        }
        ParseError::UnservedVersion { kind, key, .. } => (
            Some(ObjectRef::new(kind, key)),
            Finding::new(&NOT_SERVED, message).field("apiVersion"),
        ),
        ParseError::InvalidName { field, .. } => {
            (None, Finding::new(&INVALID_OBJECT, message).field(field))
        }
        ParseError::InvalidField { object, path, .. } => (
            Some(object),
            Finding::new(&INVALID_OBJECT, message).field(path),
        ),
    };
    Verdict::Refused {
        object,
        findings: vec![finding],
    }
}
