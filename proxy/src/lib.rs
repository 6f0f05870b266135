//! The data path assembled: worker threads, listening sockets, configuration swaps, the admin
//! endpoint and the drain.
//!
//! The room decides nothing about requests; it owns the sockets and the order in which things start
//! and stop. [`standalone`] is the data path of one process, which `weft run` uses as it is, and
//! [`loopback`] the mesh of such a process. [`gateway`] and [`worker`] are two processes: one keeps the
//! sockets and talks to the control plane ([`control`]), the other is the data path. [`node`] and [`shard`] are those
//! of the pods of a node, and [`init`] is the first process there, which outlives supervisors.

pub mod admin;
mod answer;
mod answering;
mod backoff;
mod chance;
mod channel;
mod child;
pub mod control;
mod dump;
pub mod gateway;
mod identity;
pub mod init;
mod listen;
pub mod loopback;
pub mod node;
pub mod open_files;
pub mod shard;
mod signals;
pub mod standalone;
mod stubs;
pub mod worker;

pub use self::{
    listen::{Bind, BindError},
    signals::Signals,
};
