//! Whose proxies: those of a Gateway, those of a node, and those of all nodes together.
//!
//! All go by a [`Name`], as in the protocol: a node has no namespace, and sorts before every Gateway.

use std::sync::Arc;

use weft_ir::Name;
use weft_wire::Scope;

/// The name that the proxies of a node go by.
pub(crate) fn node(name: &str) -> Name {
    Name::new("", name)
}

/// The name that a Service goes by as the parent of a route: every node acts for its clients.
pub(crate) fn mesh() -> Name {
    Name::new("", "")
}

pub(super) fn is_mesh(name: &Name) -> bool {
    name.namespace.is_empty() && name.name.is_empty()
}

pub(crate) fn is_node(name: &Name) -> bool {
    name.namespace.is_empty() && !name.name.is_empty()
}

/// What these proxies are sent, if they reach members of the mesh through the tunnel, or not.
pub(super) fn scope(name: &Name, tunnels: bool) -> Scope {
    match is_node(name) {
        true => Scope::Node(Arc::clone(&name.name)),
        false if tunnels => Scope::Gateway(name.clone()),
        false => Scope::GatewayOutside(name.clone()),
    }
}

/// For people.
pub(crate) fn shown(name: &Name) -> String {
    match is_node(name) {
        true => format!("node {}", name.name),
        false => format!("Gateway {name}"),
    }
}
