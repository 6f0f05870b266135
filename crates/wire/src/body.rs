//! The bodies of resources: `ir` values in CBOR.
//!
//! What a body consists of (rules, ports) is decoded part by part, so that a part a newer version
//! wrote fails alone: it is replaced by one that refuses what reaches it, and named. A body that
//! cannot be read at all is an error; whoever decodes keeps what they have.

mod endpoints;
mod gateway;
mod part;
mod peers;
mod route;
mod service;
mod workload;

use ciborium::Value;
use serde::de::DeserializeOwned;

pub(crate) use self::{
    endpoints::{Ports, decode_endpoints, encode_endpoints, encode_endpoints_outside},
    gateway::{decode_gateway, encode_gateway},
    peers::{decode_namespaces, decode_peers, encode_namespaces, encode_peers},
    route::{Attached, Parent, RouteParts, decode_route, encode_route},
    service::{decode_service, encode_service},
    workload::{decode_workload, encode_workload},
};
use crate::{CaBundle, Certificate, Key, Resource, ResourceError, limits};

/// A body, with what of it was not understood.
pub(crate) struct Decoded<T> {
    pub(crate) value: T,
    /// For people; empty if all was understood.
    pub(crate) problems: Vec<String>,
}

impl<T> Decoded<T> {
    fn whole(value: T) -> Self {
        Self {
            value,
            problems: Vec::new(),
        }
    }
}

pub(crate) fn encode_certificate(
    key: Key,
    certificate: &Certificate,
) -> Result<Resource, ResourceError> {
    Resource::encode(key, certificate)
}

pub(crate) fn decode_certificate(body: &[u8]) -> Result<Decoded<Certificate>, String> {
    read(body).map(Decoded::whole)
}

pub(crate) fn encode_ca_bundle(key: Key, bundle: &CaBundle) -> Result<Resource, ResourceError> {
    Resource::encode(key, bundle)
}

pub(crate) fn decode_ca_bundle(body: &[u8]) -> Result<Decoded<CaBundle>, String> {
    read(body).map(Decoded::whole)
}

/// Reads a body within its limits of size and depth.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    if body.len() > limits::RESOURCE_BYTES {
        return Err(format!(
            "takes {} bytes, {} are allowed; split the object",
            body.len(),
            limits::RESOURCE_BYTES
        ));
    }
    ciborium::de::from_reader_with_recursion_limit(body, limits::DEPTH).map_err(|e| said(&e))
}

/// Reads a value that is already in memory.
fn of_value<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    value.deserialized().map_err(|error| match error {
        ciborium::value::Error::Custom(message) => message,
    })
}

/// The field of a map.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let fields = value.as_map()?;
    let is_it = |(key, _): &&(Value, Value)| key.as_text() == Some(name);
    fields.iter().find(is_it).map(|(_, value)| value)
}

/// What ciborium says, without its own type names.
fn said<E: std::fmt::Debug>(error: &ciborium::de::Error<E>) -> String {
    match error {
        ciborium::de::Error::Io(_) => "the body ends too early".to_owned(),
        ciborium::de::Error::Syntax(at) => format!("byte {at} of the body is not CBOR"),
        ciborium::de::Error::Semantic(Some(at), message) => format!("{message} (byte {at})"),
        ciborium::de::Error::Semantic(None, message) => message.clone(),
        ciborium::de::Error::RecursionLimitExceeded => {
            format!("the body nests deeper than {} levels", limits::DEPTH)
        }
    }
}
