//! What a resource, a message and a change may measure.
//!
//! Nothing above a limit is dropped in silence: what a sender cannot send stands in
//! [`Snapshot::refused`](crate::Snapshot::refused), what a receiver cannot take in its `Nack`, or
//! ends the stream with an error.

/// Largest body of one resource, in bytes. The API allows 16 rules of 64 matches, whose values have
/// up to 4 KiB each; a Service of 10,000 endpoints has about a quarter of this.
pub const RESOURCE_BYTES: usize = 4 << 20;

/// Deepest nesting of a body. Those of this version stay below 20.
pub const DEPTH: usize = 64;

/// Size at which a delta is closed and the rest goes into the next one, in bytes. One resource may
/// take it beyond that.
pub const DELTA_BYTES: usize = 1 << 20;

/// Largest message of either side, in bytes: what transports have to let through.
pub const MESSAGE_BYTES: usize = 8 << 20;

/// Most bytes of bodies a receiver gathers for one change.
pub const CHANGE_BYTES: usize = 256 << 20;

/// Most resources a `Hello` lists. A client that holds more asks for everything.
pub const HAVE: usize = 100_000;

/// Most errors of one `Nack`; the others are counted.
pub const ERRORS: usize = 1_000;

/// Longest message of one error, in bytes.
pub const ERROR_BYTES: usize = 512;
