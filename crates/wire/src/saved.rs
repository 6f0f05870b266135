//! The form in which a configuration lies on a disk.
//!
//! ```text
//! "weft-tables\n"   12 bytes
//! form              u16, big endian; this is form 1
//! digest            u64, big endian, over what follows: tells a torn file from a whole one
//! resources         the protobuf message `weft.config.v1.Saved`
//! ```
//!
//! Every released form can be read for ever (invariant 7). Bodies are those of the stream, so a field
//! that a later version adds has its default when an older file is read.

use std::sync::Arc;

use prost::Message;

use crate::{
    Configuration, Disassembler, Kind, Resource, Scope, Snapshot, proto::config as message,
    resource::digest,
};

const MAGIC: &[u8; 12] = b"weft-tables\n";
const FORM: u16 = 1;

/// Why saved bytes cannot be used. Whoever reads them starts without a configuration and waits for
/// the control plane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// They are no configuration.
    #[error("the saved configuration does not begin like one; delete the file")]
    Foreign,
    /// They were written by a newer version.
    #[error(
        "the saved configuration has form {0}, this version reads form {FORM}; delete the file"
    )]
    Newer(u16),
    /// They were not written to the end, or changed since.
    #[error("the saved configuration is damaged; delete the file")]
    Damaged,
    /// A resource has no type or name that this version knows.
    #[error("the saved configuration holds {kind} {name}: {message}; delete the file")]
    Resource {
        /// Type of the resource.
        kind: String,
        /// Name of the resource.
        name: String,
        /// What is wrong.
        message: String,
    },
}

/// The resources of a snapshot that may be written to disk: all but certificates, since keys are
/// never saved. Equal snapshots give equal bytes.
pub fn save(snapshot: &Snapshot) -> Vec<u8> {
    let persistable = |resource: &&Arc<Resource>| resource.key().kind.is_persistable();
    let mut resources: Vec<&Arc<Resource>> = snapshot.iter().filter(persistable).collect();
    resources.sort_by_key(|resource| resource.key());
    let saved = message::Saved {
        resources: resources.into_iter().map(|it| it.to_message()).collect(),
    };
    let body = saved.encode_to_vec();
    let mut bytes = Vec::with_capacity(MAGIC.len() + 10 + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORM.to_be_bytes());
    bytes.extend_from_slice(&digest(&body).to_be_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// [`save`] of a whole configuration, as a receiver holds it.
pub fn save_configuration(configuration: &Configuration) -> Vec<u8> {
    save(Disassembler::new(Scope::Everything).update(configuration))
}

/// The snapshot that was saved; [`Assembler::load`](crate::Assembler::load) makes a configuration of
/// it.
///
/// # Errors
/// [`SavedError`]. A resource that cannot be decoded is no error here but a problem of its own, as in
/// the stream.
pub fn load(bytes: &[u8]) -> Result<Snapshot, SavedError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(SavedError::Foreign)?;
    let (form, rest) = rest.split_first_chunk().ok_or(SavedError::Damaged)?;
    match u16::from_be_bytes(*form) {
        FORM => {}
        newer => return Err(SavedError::Newer(newer)),
    }
    let (sum, body) = rest.split_first_chunk().ok_or(SavedError::Damaged)?;
    if u64::from_be_bytes(*sum) != digest(body) {
        return Err(SavedError::Damaged);
    }
    let saved = message::Saved::decode(body).map_err(|_| SavedError::Damaged)?;
    let mut snapshot = Snapshot::default();
    for saved in &saved.resources {
        match Resource::from_message(saved) {
            // Written by nobody who follows the rule above.
            Ok(resource) if resource.key().kind == Kind::Certificate => {}
            Ok(resource) => snapshot.put(Ok(resource)),
            Err(message) => {
                let (kind, name) = (saved.r#type.clone(), saved.name.clone());
                return Err(SavedError::Resource {
                    kind,
                    name,
                    message,
                });
            }
        }
    }
    Ok(snapshot)
}
