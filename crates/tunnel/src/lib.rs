//! HBONE, the mesh's wire between nodes: TCP streams as HTTP/2 `CONNECT` in mutual TLS.
//!
//! **The client side**
//! - A [`Pool`] keeps connections to other nodes. [`Pool::open`] finds one for a [`Source`] (whose
//!   identity, from whose address) and a [`Target`] (which endpoint, who has to answer there), or
//!   makes one, and opens a [`Stream`] on it.
//! - [`Dial`] is where sockets come from; the pool opens none.
//!
//! **The server side**
//! - A [`Server`] accepts TLS, verifies who calls, judges each `CONNECT` by the rules of [`judge`] and
//!   what the caller's [`Inbound`] knows, and hands over an [`Incoming`].
//! - [`Incoming::accept`] sends 200. It is called when the application has been reached, and not before.
//!
//! **Both**
//! - A [`Stream`] reads and writes like a TCP connection: the end of one direction is `END_STREAM`, an
//!   abort is `RST_STREAM` (RFC 9113 section 8.5), and neither is ever mistaken for the other.
//! - [`relay()`] passes bytes between a local connection and a stream.
//! - [`wire`] holds every figure of the wire.
//!
//! Whoever calls is known by a certificate. What a peer *says* in headers is [`Metadata`], for logs and
//! metrics, and reaches no application. Every refusal and failure has a stable `reason()`.

mod ahead;
mod error;
mod head;
pub mod judge;
mod keep_alive;
mod key;
mod line;
mod pool;
mod relay;
mod server;
mod shared;
mod stream;
mod tap;
mod term;
mod window;
pub mod wire;

#[cfg(test)]
mod tests;

pub use self::{
    error::{ConnectFailure, Lost, OpenError, ServeError, StreamError},
    head::{Connect, Metadata},
    judge::{Place, Refusal},
    key::{Key, Source, Target},
    line::{Dial, Handshakes, Opened},
    pool::{Census, Pool},
    relay::{Ended, Relayed, relay},
    server::{Inbound, Incoming, Served, Server},
    stream::Stream,
    wire::Timing,
};
