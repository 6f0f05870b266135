//! The endpoints of one Service.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use weft_ir::{Endpoint, EndpointSet};

use super::{Decoded, read};
use crate::{Key, Resource, ResourceError};

/// The endpoints of a Service, by port.
pub(crate) type Ports = BTreeMap<u16, Arc<EndpointSet>>;

/// Members of the mesh stand apart from the others: a reader that does not know of them, and would
/// speak plaintext to them, does not see them, and answers that there is no endpoint.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    ports: BTreeMap<u16, Cow<'a, EndpointSet>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    members: BTreeMap<u16, Cow<'a, EndpointSet>>,
}

pub(crate) fn encode_endpoints(
    key: Key,
    ports: &BTreeMap<u16, &Arc<EndpointSet>>,
) -> Result<Resource, ResourceError> {
    let mut body = Body {
        ports: BTreeMap::new(),
        members: BTreeMap::new(),
    };
    for (&port, set) in ports {
        if !set.has_members() {
            body.ports.insert(port, Cow::Borrowed(set.as_ref()));
            continue;
        }
        let all = set.all().iter().cloned();
        let (members, others): (Vec<Endpoint>, _) = all.partition(|it| it.member.is_some());
        body.ports
            .insert(port, Cow::Owned(EndpointSet::new(others)));
        body.members
            .insert(port, Cow::Owned(EndpointSet::new(members)));
    }
    Resource::encode(key, &body)
}

/// The same as somebody has to take them who is outside of the mesh: nobody is a member.
pub(crate) fn encode_endpoints_outside(
    key: Key,
    ports: &BTreeMap<u16, &Arc<EndpointSet>>,
) -> Result<Resource, ResourceError> {
    let outside = |endpoint: &Endpoint| Endpoint {
        member: None,
        ..endpoint.clone()
    };
    let sets = ports.iter().map(|(&port, &set)| {
        let set = match set.has_members() {
            true => Arc::new(EndpointSet::new(set.all().iter().map(outside).collect())),
            false => Arc::clone(set),
        };
        (port, set)
    });
    let sets: BTreeMap<u16, Arc<EndpointSet>> = sets.collect();
    encode_endpoints(key, &sets.iter().map(|(port, set)| (*port, set)).collect())
}

pub(crate) fn decode_endpoints(body: &[u8]) -> Result<Decoded<Ports>, String> {
    let Body { ports, mut members } = read(body)?;
    let both = |(port, set): (u16, Cow<'_, EndpointSet>)| {
        let set = match members.remove(&port) {
            None => set.into_owned(),
            Some(members) => {
                let all = set.all().iter().chain(members.all());
                EndpointSet::new(all.cloned().collect())
            }
        };
        (port, Arc::new(set))
    };
    Ok(Decoded::whole(ports.into_iter().map(both).collect()))
}
