//! Pods of nodes.

use ciborium::Value;
use weft_ir::{Name, Workload};

use super::{Decoded, part::Part, read};
use crate::{Key, Kind, Resource, ResourceError};

pub(crate) fn encode_workload(workload: &Workload) -> Result<Resource, ResourceError> {
    let key = Key::new(Kind::Workload, workload.name.clone());
    Resource::encode(key, &Part::new(workload))
}

/// One that needs what is not known here is an error: the last good version of it stays in force, and
/// of a pod that was never understood its node knows nothing, so that it does not start.
pub(crate) fn decode_workload(name: &Name, body: &[u8]) -> Result<Decoded<Workload>, String> {
    let part: Part<Value> = read(body)?;
    let workload = Workload {
        name: name.clone(),
        ..part.read()?
    };
    Ok(Decoded::whole(workload))
}
