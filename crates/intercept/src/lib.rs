//! What Weft does to the network of a pod, and what its processes hand to each other.
//!
//! - [`capture`] redirects the connections of a pod to listeners of the proxy in the pod's own network
//!   namespace; [`sockets`] makes those listeners, and the sockets of connections the proxy opens from
//!   there; [`ports`] says which destinations would lead back into the mesh, and [`pods`] finds the
//!   namespaces of pods that run already. Linux only.
//! - [`handoff`] is what the CNI plugin and the supervisor say to each other.
//! - [`send`] and [`receive`] pass descriptors: a parent that parses nothing owns sockets and gives
//!   duplicates to the worker that serves them, so that the sockets outlive every worker.

#[cfg(feature = "capture")]
pub mod capture;
#[cfg(feature = "capture")]
mod connections;
mod descriptors;
#[cfg(feature = "handoff")]
pub mod handoff;
#[cfg(feature = "capture")]
mod netlink;
#[cfg(feature = "capture")]
mod netns;
#[cfg(feature = "capture")]
pub mod pods;
#[cfg(feature = "capture")]
pub mod ports;
#[cfg(feature = "capture")]
pub mod sockets;
#[cfg(feature = "capture")]
mod sys;
#[cfg(test)]
mod tests;

pub use self::descriptors::{MAX_DESCRIPTORS, receive, send};
#[cfg(feature = "capture")]
pub use self::netns::{Netns, NetnsError, NetnsId};
