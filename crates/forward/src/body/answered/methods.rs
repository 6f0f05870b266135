//! What a worker has seen of the answers of gRPC methods.
//!
//! A unary answer cannot be told from the beginning of a stream: nothing on the wire says which it is.
//! But a method is one or the other for ever, so its earlier answers tell.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Methods that are remembered; those that share a place displace each other.
const PLACES: usize = 256;
const OFTEN: u64 = 1;
/// Set in whatever is remembered, so that it differs from an empty place.
const TAKEN: u64 = 2;

/// The methods of one worker. Two that collide in all bits cost a wait or a repeat, never an answer.
#[derive(Debug)]
pub(crate) struct Methods([AtomicU64; PLACES]);

/// A method by its path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method(u64);

/// How many messages the answers of a method have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// One, as far as was seen.
    Once,
    /// More than one, at least at times.
    Often,
}

impl Default for Methods {
    fn default() -> Self {
        Self(std::array::from_fn(|_place| AtomicU64::new(0)))
    }
}

impl Method {
    pub(super) fn at(path: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(path.as_bytes());
        Self((hasher.finish() & !OFTEN) | TAKEN)
    }
}

impl Methods {
    fn place(&self, method: Method) -> &AtomicU64 {
        // The upper bits: none of them is a flag.
        &self.0[(method.0 >> 32) as usize % PLACES]
    }

    /// What is known of the method.
    pub(super) fn answers(&self, method: Method) -> Option<Answers> {
        let seen = self.place(method).load(Relaxed);
        match seen {
            seen if seen == method.0 => Some(Answers::Once),
            seen if seen == method.0 | OFTEN => Some(Answers::Often),
            _ => None,
        }
    }

    /// An answer was seen. One message proves nothing about a method that has sent more.
    pub(super) fn learn(&self, method: Method, answers: Answers) {
        match (answers, self.answers(method)) {
            (Answers::Once, None) => self.place(method).store(method.0, Relaxed),
            (Answers::Once, Some(_)) => {}
            (Answers::Often, _) => self.place(method).store(method.0 | OFTEN, Relaxed),
        }
    }

    /// What was known of the method is in doubt.
    pub(super) fn forget(&self, method: Method) {
        if self.answers(method) == Some(Answers::Once) {
            self.place(method).store(0, Relaxed);
        }
    }
}
