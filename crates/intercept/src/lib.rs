//! Sockets that one process of Weft hands to another.
//!
//! A parent that parses nothing owns listening sockets and gives duplicates to the worker that
//! serves them, so that the sockets outlive every worker. The bytes that go with them are the
//! business of the two processes.

mod descriptors;
#[cfg(test)]
mod tests;

pub use self::descriptors::{MAX_DESCRIPTORS, receive, send};
