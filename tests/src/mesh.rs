//! The rules of the mesh as data: manifests and rows in YAML, and one runner for every form of a mesh.
//!
//! A file of `tests/mesh` is a stream of documents in the style of the official suite's manifests.
//! Documents up to one of kind `Rows` are the world that its rows are about; what comes after it is
//! a change of that world, followed by rows again. Two more kinds are the runner's own: a `Pod` is
//! made by it, and serves the same ports everywhere ([`pods`]); `Delete` takes objects away.
//!
//! Each row says who asks what of which address, and everything that comes of it: what arrives at
//! which pod, with path, query and Host, and what the client sees. What a row does not mention has to
//! be as if nobody had touched it: the request arrives unchanged, nobody else gets anything, there
//! is no `Location`. Statuses are as complete: parents that no row names are accepted and resolved.

pub mod client;
mod judge;
pub mod manifests;
pub mod node;
pub mod pods;
pub mod row;
pub mod runner;
pub mod standalone;
pub mod suite;

use std::{io, net::SocketAddr};

use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;

use self::manifests::Manifests;
use crate::rawclient::Stream;

/// An address family.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    IPv4,
    /// IPv6.
    IPv6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        match address.is_ipv4() {
            true => Self::IPv4,
            false => Self::IPv6,
        }
    }
}

/// A stream as a client of the mesh has it.
pub type Dialled = Box<dyn Stream>;

/// A mesh, whatever it is made of. What a kernel, an API server and nodes do in a cluster is behind
/// these five functions; everything else of the suite is the same everywhere.
pub trait Mesh {
    /// A socket on which `pod` (`namespace/name`) listens in that family.
    fn listen(&self, pod: &str, family: Family) -> impl Future<Output = TcpListener>;

    /// An address of `pod` at which nobody listens.
    fn nobody(&self, pod: &str, family: Family) -> SocketAddr;

    /// Takes over manifests whose pods and EndpointSlices are complete. They act when this returns.
    fn apply(&self, manifests: &Manifests) -> impl Future<Output = ()>;

    /// Connects to an address, that of a Service or that of a pod, as a client in `namespace` does.
    fn dial(
        &self,
        namespace: &str,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Dialled>>;

    /// The `status` of an object, by its reference (`Kind namespace/name`).
    fn status(&self, object: &str) -> impl Future<Output = Option<Value>>;
}
