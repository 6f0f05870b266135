//! What is remembered of a file: the objects it holds and where, never their text.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use weft_api::{AnyObject, ObjectRef};

use super::walk::Stamp;
use crate::finding::Finding;

/// Tells contents of files apart without keeping them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    bytes: usize,
    hash: u64,
}

impl Content {
    /// The mark of a content.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self {
            bytes: bytes.len(),
            hash: hasher.finish(),
        }
    }
}

/// How much of a file could be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wholeness {
    /// All of it.
    #[default]
    Whole,
    /// Some document does not say which object it is.
    Nameless,
    /// It cannot be read, or some document is not YAML.
    Broken,
}

/// A file as it was read last.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) stamp: Stamp,
    pub(crate) content: Content,
    /// The text, kept only where it cannot be read again.
    pub(crate) text: Option<Arc<str>>,
    pub(crate) documents: u32,
    pub(crate) wholeness: Wholeness,
    pub(crate) entries: BTreeMap<ObjectRef, Entry>,
    pub(crate) foreign: Vec<Foreign>,
    pub(crate) findings: Vec<Finding>,
}

/// An object of a file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: At,
    /// The last good version; `None` when there never was one.
    pub(crate) object: Option<AnyObject>,
    /// Whether the version in the file was refused.
    pub(crate) refused: bool,
}

/// Which part of a file an object is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    /// Bytes of the file before the document.
    pub(crate) offset: usize,
    /// Bytes of the document; 0 when the file changed since and the document is gone.
    pub(crate) length: usize,
    /// Lines of the file before the document.
    pub(crate) lines_before: u32,
    /// Which document, from 1.
    pub(crate) document: u32,
    /// Which item of a list, from 0.
    pub(crate) item: Option<u32>,
}

/// A document of a kind Weft does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) at: At,
}

/// The same map without spare room: what grew in ascending order is half empty, what is made of a
/// sorted list is full.
pub(super) fn dense<K: Ord, V>(map: BTreeMap<K, V>) -> BTreeMap<K, V> {
    map.into_iter().collect()
}

impl At {
    /// The path of a field from the root of the document.
    pub(crate) fn path(&self, field: &str) -> String {
        match (self.item, field) {
            (None, field) => field.to_owned(),
            (Some(item), "") => format!("items[{item}]"),
            (Some(item), field) => format!("items[{item}].{field}"),
        }
    }
}
