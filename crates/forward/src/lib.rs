//! The data path: client connections, the HTTP and gRPC pipeline, connection pools, opaque relay.
//!
//! The room acts on tables and decides nothing of its own: what to do with a request comes from
//! `ir`, where to send it from `balance`. It knows neither Kubernetes nor where the tables came
//! from, and it opens no listening socket; `proxy` hands it accepted connections.

mod body;
mod caller;
mod clock;
mod connection;
mod exchange;
pub mod handshake;
mod http;
pub mod limits;
mod live;
mod members;
mod relay;
mod turns;
mod upstream;
mod worker;

pub use self::{
    caller::{Awaited, Caller, Sockets, Unopened},
    clock::Clock,
    connection::{Shared, accept, serve},
    live::{Configuration, Inlet, InletKey, Live, Roots},
    members::{Answering, Members, Sender},
    turns::{Rounds, Share, Turned},
    worker::{Dispatch, WorkerHandle, Workers},
};
