//! Limits of the data path: what a client or an upstream may take before it is cut off.

use std::time::Duration;

/// Time for a complete request head once its first byte arrived; 408 after it.
pub const REQUEST_HEAD: Duration = Duration::from_secs(10);
/// Time without progress in a request body or a response write.
pub const BODY_IDLE: Duration = Duration::from_secs(60);
/// Time for a TLS handshake.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// Time a client connection may stay without a request.
pub const CLIENT_IDLE: Duration = Duration::from_secs(300);
/// Time for an endpoint to accept a connection. A packet that got lost is sent again after a second and
/// can be answered; an address that a pod has just left is given up while the client is still patient.
pub const DIAL: Duration = Duration::from_millis(1500);
/// Time for a handshake on an upstream connection.
pub const CONNECT: Duration = Duration::from_secs(5);
/// Time an upstream connection is kept without a request. Shorter than the keep-alive of common
/// servers (Node 5 s is the exception: its early close is caught by the safe retry).
pub const UPSTREAM_IDLE: Duration = Duration::from_secs(55);
/// Idle connections kept per endpoint and worker.
pub const UPSTREAM_IDLE_MAX: usize = 1024;
/// Largest request head (RFC 9112 leaves the bound to the recipient): 431 above it.
pub const HEAD_BYTES: usize = 64 * 1024;
/// Longest line of a request head: 414 for the request line, 431 for a field.
pub const HEAD_LINE: usize = 8 * 1024;
/// Largest number of header fields: 431 above it.
pub const HEAD_FIELDS: usize = 100;
/// Largest request body that is kept for a retry; above it the first answer stands.
pub const REPLAY_BYTES: usize = 64 * 1024;
/// Time the head of a gRPC answer may wait for its first message or its end while the call could still
/// be made again. A client that takes the head for a sign of life hardly notices it, and a server that
/// makes them one after the other is through with it even when it has to wait for its processor.
pub const CALL_HELD: Duration = Duration::from_millis(50);
/// Body bytes that may wait for a mirror; a slower mirror loses its copy.
pub const MIRROR_CHUNKS: usize = 16;
/// Attempts at other endpoints for a request that no endpoint has seen: with half of a set gone at
/// once, one request in sixty would meet nobody; after the first few of them the gone are ejected.
pub const CONNECT_RETRIES: u32 = 5;
/// The same when every endpoint was tried already.
pub const SAME_RETRIES: u32 = 2;
/// Streams one HTTP/2 client connection may have open at once.
pub const H2_STREAMS: u32 = 256;
/// Opaque connections and tunnels are closed after this time without a byte in either direction.
pub const OPAQUE_IDLE: Duration = Duration::from_secs(3600);
/// Without client bytes for this long, an upstream connection is opened speculatively so that
/// server-first protocols work on routed ports.
pub const SPECULATIVE_CONNECT: Duration = Duration::from_millis(50);
/// How long a client's connection waits, all in all, for the identity that members of the mesh are
/// reached with: certificates of a new service account are being signed. Clients that share a caller
/// share the time.
pub const NO_IDENTITY: Duration = Duration::from_secs(10);
/// Time for what a client has sent before it could know that it should have connected elsewhere.
pub const FAREWELL: Duration = Duration::from_secs(1);
