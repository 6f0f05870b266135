//! What protocol a client speaks, by its first bytes.
//!
//! [`detect`] is a pure function of the bytes received so far. Call it again with more whenever it
//! answers [`Detection::NeedMore`]; any other answer is final: more bytes never change it. It
//! never asks for more than [`MAX_PEEK_BYTES`]. How long to wait for bytes is the caller's affair,
//! silence being no evidence for any protocol.
//!
//! Detection is wider than validation on purpose. Whatever an HTTP server might take for a request
//! is called HTTP here, so that the strict layer behind refuses it with a 400; calling it opaque
//! would let it pass around the routes.

mod client_hello;
mod http;
mod reader;
#[cfg(test)]
mod tests;

pub use self::client_hello::{ClientHello, MAX_CLIENT_HELLO_BYTES};
pub use self::http::MAX_REQUEST_LINE_BYTES;

/// With this many bytes [`detect`] has always decided: a ClientHello of the greatest accepted size
/// cut into the smallest accepted records.
pub const MAX_PEEK_BYTES: usize = client_hello::MAX_STREAM_BYTES;

/// What the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detection {
    /// Not decided; no answer but this one ever changes.
    NeedMore,
    /// TLS, with a complete and well-formed ClientHello.
    Tls(ClientHello),
    /// HTTP/1, or something so close to it that it must be refused as such.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// None of these.
    Opaque,
}

/// Decides what `received`, all bytes of a connection so far, are the start of.
///
/// Allocates only while a ClientHello is read. Sources: RFC 9113 §3.4 (preface), RFC 9112 §3
/// (request line), RFC 8446 §4.1.2 and §5.1 (ClientHello and records).
#[must_use]
pub fn detect(received: &[u8]) -> Detection {
    match received.first() {
        None => Detection::NeedMore,
        // No HTTP message starts with this byte, so the two readings cannot meet.
        Some(&client_hello::HANDSHAKE_RECORD) => client_hello::detect(received),
        Some(_) => http::detect(received),
    }
}
