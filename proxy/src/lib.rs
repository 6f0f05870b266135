//! The data path assembled: worker threads, listening sockets, configuration swaps, the admin
//! endpoint and the drain.
//!
//! The room decides nothing about requests; it owns the sockets and the order in which things start
//! and stop. [`standalone`] is the entry that `weft run` uses.

pub mod admin;
mod listen;
pub mod standalone;

pub use self::listen::{Bind, BindError};
