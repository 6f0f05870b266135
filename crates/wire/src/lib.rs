//! The tables over a network: keyed resources, their difference, the protocol that carries it, and
//! the form in which they are saved.
//!
//! ```text
//!  Configuration ──Disassembler──> Snapshot ──diff──> Difference ──Assembler──> Configuration
//!     (sender)                         └── Publisher ══ messages ══ Subscriber ──┘ (receiver)
//! ```
//!
//! The room is pure: no IO, no clock, no async runtime. Streams belong to `control` and `proxy`.
//!
//! # Rules of the encoding
//!
//! - A resource is what a user would call an object: a Gateway, a route, a Service, the endpoints of a
//!   Service, a certificate, the authorities of a ConfigMap, a pod of a node. Children point up to their
//!   parents, so that one edited route is one resource, and a pod that comes or goes resends no route.
//! - A body is the `ir` value in CBOR. Fields are added with `#[serde(default)]`; they are never
//!   renamed and never change their meaning. Readers ignore fields they do not know, so **an addition
//!   that must not be ignored** (a condition, a policy, a protection) is a new enum variant, or is
//!   announced in the `needs` of its part (`body/part.rs`).
//! - What a reader does not know fails closed, alone and by name: a rule with an unknown filter,
//!   match or policy answers 500, a port that is not understood is not served, a resource that cannot
//!   be read keeps its last good version. The `Nack` says so (invariant 6).
//! - Saved tables of every released version can be read (invariant 7).
//!
//! # Service stubs
//!
//! `proto/` holds the services too. The messages are generated here; a room that has an async runtime
//! generates the stubs alone, in its `build.rs`, and finds the messages by `extern_path`:
//!
//! ```text
//! let proto = "../wire/proto";
//! let files = protox::compile(["weft/config/v1/config.proto"], [proto])?;
//! tonic_prost_build::configure()
//!     .build_client(false)                               // or build_server(false) in the proxy
//!     .extern_path(".weft.config.v1", "::weft_wire::proto::config")
//!     .compile_fds(files)?;
//! println!("cargo:rerun-if-changed={proto}");
//! ```
//!
//! Both sides let messages of [`limits::MESSAGE_BYTES`] through.

mod assembler;
mod body;
mod configuration;
mod disassembler;
mod key;
pub mod limits;
mod pool;
pub mod proto;
mod publisher;
mod resource;
mod saved;
mod scope;
mod snapshot;
mod subscriber;
#[cfg(test)]
mod tests;

pub use crate::{
    assembler::{Applied, Assembler, Problem},
    configuration::{CaBundle, CaBundles, Certificate, Certificates, Configuration},
    disassembler::Disassembler,
    key::{Key, Kind},
    pool::Pool,
    publisher::{PROTOCOL_VERSION, Publisher, Session, Standing, SubscriberError},
    resource::{Resource, ResourceError},
    saved::{SavedError, load, save, save_configuration},
    scope::Scope,
    snapshot::{Difference, Snapshot, diff},
    subscriber::{Identity, PublisherError, Received, Subscriber},
};
