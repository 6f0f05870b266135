//! Which part of the configuration a subscriber is sent.

use std::sync::Arc;

use weft_ir::Name;

/// What one subscriber needs of everything there is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Everything: what a configuration is saved and compared by.
    Everything,
    /// One Gateway, its routes, and the endpoints, certificates and authorities these refer to.
    Gateway(Name),
    /// The same for a proxy that reaches nobody through the tunnel: its endpoints are no members. What
    /// it sends them in plaintext, their own nodes take or refuse by the policy of their namespaces.
    GatewayOutside(Name),
    /// What the pods of one node need: these pods, and which namespaces are of the mesh; and if any of
    /// them is of the mesh, or still leaves it, Services as mesh clients of the namespaces of those see
    /// them, with routes, endpoints and authorities, and whom all nodes reach through the tunnel. Never
    /// the pods of other nodes, consumer routes of other namespaces, Gateways or certificates.
    Node(Arc<str>),
    /// Of a configuration with the scope of a node, what the members of one namespace need: these
    /// pods, and the Services and peers as above. Never other pods, what other namespaces consume, or
    /// which namespaces are of the mesh. Services do not depend on the pods, because connections
    /// outlive those.
    Shard(Arc<str>),
}

impl Scope {
    /// Whether a Gateway belongs to it.
    pub(crate) fn has_gateway(&self, name: &Name) -> bool {
        match self {
            Self::Everything => true,
            Self::Gateway(wanted) | Self::GatewayOutside(wanted) => wanted == name,
            Self::Node(_) | Self::Shard(_) => false,
        }
    }

    /// Whether pods, and Services as mesh clients see them, belong to it.
    pub(crate) fn has_mesh(&self) -> bool {
        matches!(self, Self::Everything | Self::Node(_) | Self::Shard(_))
    }

    /// Whether endpoints can be members of the mesh.
    pub(crate) fn has_members(&self) -> bool {
        !matches!(self, Self::GatewayOutside(_))
    }

    /// Whether endpoints, certificates and authorities belong to it that nothing refers to.
    pub(crate) fn has_unreferenced(&self) -> bool {
        *self == Self::Everything
    }
}
