//! The wire between two nodes, tested from both ends: frame by frame against a peer made by hand, and
//! pool against server.

mod client_wire;
mod frames;
mod handshakes;
pub(crate) mod node;
mod pool;
mod pool_ends;
mod server_streams;
mod server_wire;
