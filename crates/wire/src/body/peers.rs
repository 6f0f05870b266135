//! Who can be reached through the tunnel, and which namespaces are of the mesh.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use weft_ir::{Namespaces, NodePeers};

use super::{Decoded, read};
use crate::{Key, Resource, ResourceError};

/// A reader that knows nothing of what a newer sender adds to a peer still has to meet the identity
/// that stands here, so nothing is lost by reading the rest.
#[derive(Serialize, Deserialize)]
struct OfNode<'a> {
    peers: Cow<'a, NodePeers>,
}

#[derive(Serialize, Deserialize)]
struct Enrolled<'a> {
    namespaces: Cow<'a, Namespaces>,
}

pub(crate) fn encode_peers(node: &Arc<str>, peers: &NodePeers) -> Result<Resource, ResourceError> {
    let peers = Cow::Borrowed(peers);
    Resource::encode(Key::of_peers(node), &OfNode { peers })
}

pub(crate) fn decode_peers(body: &[u8]) -> Result<Decoded<NodePeers>, String> {
    let OfNode { peers } = read(body)?;
    Ok(Decoded::whole(peers.into_owned()))
}

pub(crate) fn encode_namespaces(namespaces: &Namespaces) -> Result<Resource, ResourceError> {
    let namespaces = Cow::Borrowed(namespaces);
    Resource::encode(Key::of_namespaces(), &Enrolled { namespaces })
}

pub(crate) fn decode_namespaces(body: &[u8]) -> Result<Decoded<Namespaces>, String> {
    let Enrolled { namespaces } = read(body)?;
    Ok(Decoded::whole(namespaces.into_owned()))
}
