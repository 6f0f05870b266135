//! One keyed part of the configuration, encoded.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::{Key, limits, proto::config as message};

/// An encoded part of the configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Resource {
    key: Key,
    version: u64,
    body: Bytes,
}

/// Why a part of the configuration cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// It is larger than [`limits::RESOURCE_BYTES`].
    #[error(
        "{key} takes {bytes} bytes, {} are allowed; split the object",
        limits::RESOURCE_BYTES
    )]
    TooLarge {
        /// The resource.
        key: Key,
        /// Its size.
        bytes: usize,
    },
    /// It holds a value that has no encoded form.
    #[error("{key} cannot be encoded: {message}")]
    Unencodable {
        /// The resource.
        key: Key,
        /// What is wrong.
        message: String,
    },
}

impl Resource {
    /// Encodes a body. The version is a digest of the encoded form, so that equal bodies have equal
    /// versions, also in another process.
    pub(crate) fn encode(key: Key, body: &impl Serialize) -> Result<Self, ResourceError> {
        let mut bytes = Vec::with_capacity(512);
        match ciborium::into_writer(body, &mut bytes) {
            Err(error) => Err(ResourceError::Unencodable {
                key,
                message: error.to_string(),
            }),
            Ok(()) if bytes.len() > limits::RESOURCE_BYTES => Err(ResourceError::TooLarge {
                key,
                bytes: bytes.len(),
            }),
            Ok(()) => {
                let version = digest(&bytes);
                // A body lives as long as its object does not change: no spare room.
                let body = Bytes::from(bytes.into_boxed_slice());
                Ok(Self { key, version, body })
            }
        }
    }

    /// A resource as a message holds it.
    ///
    /// # Errors
    /// What is wrong with its type or name, for people.
    pub fn from_message(message: &message::Resource) -> Result<Self, String> {
        Ok(Self {
            key: Key::parse(&message.r#type, &message.name)?,
            version: message.version,
            body: message.body.clone(),
        })
    }

    /// The resource as a message. The body is shared.
    pub fn to_message(&self) -> message::Resource {
        message::Resource {
            r#type: self.key.kind.as_str().to_owned(),
            name: self.key.name.to_string(),
            version: self.version,
            body: self.body.clone(),
        }
    }

    /// Type and name.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Differs whenever the body differs; never 0.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The body, in CBOR.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Without the body, which may hold a key.
impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:016x} ({} bytes)",
            self.key,
            self.version,
            self.body.len()
        )
    }
}

/// FNV-1a, 64 bits: the same everywhere and for ever, which saved versions rely on. 0 is taken.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let step = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step).max(1)
}
