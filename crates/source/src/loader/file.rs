//! What is remembered of a file: the objects it holds and where, never their text.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use weft_api::{AnyObject, ObjectRef};

use super::entries::Entries;
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

/// Tells texts of documents apart without keeping them: equal marks mean equal texts, wherever in
/// a file they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Mark(u64);

impl Mark {
    /// The mark of the text of a document.
    pub(crate) fn of(document: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        document.hash(&mut hasher);
        Self(hasher.finish())
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
    pub(crate) entries: Entries,
    pub(crate) foreign: Vec<Foreign>,
    pub(crate) findings: Vec<Finding>,
}

/// An object of a file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: At,
    /// The last good version; `None` when there never was one.
    pub(crate) object: Option<AnyObject>,
    /// Of the document that the last good version was read from.
    pub(crate) mark: Mark,
    /// Whether the version in the file was refused.
    pub(crate) refused: bool,
}

/// Which part of a file an object is. Files are far below four gigabytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    /// Bytes of the file before the document.
    pub(crate) offset: u32,
    /// Bytes of the document; 0 when the file changed since and the document is gone.
    pub(crate) length: u32,
    /// Lines of the file before the document.
    pub(crate) lines_before: u32,
    /// Which document, from 1.
    pub(crate) document: u32,
    /// Which item of a list, from 1; `None` when the document is the object.
    pub(crate) item: Option<NonZeroU32>,
}

/// A document of a kind Weft does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) at: At,
    pub(crate) mark: Mark,
}

/// The same map without spare room: what grew in ascending order is half empty, what is made of a
/// sorted list is full.
pub(super) fn dense<K: Ord, V>(map: BTreeMap<K, V>) -> BTreeMap<K, V> {
    map.into_iter().collect()
}

impl Entry {
    /// Whether another entry certainly holds the same version of the object: it was read from the
    /// same text.
    fn same_version(&self, other: &Self) -> bool {
        let is_good = self.object.is_some() && other.object.is_some();
        is_good && self.mark == other.mark && self.at.item == other.at.item
    }
}

/// The objects of either version of a file, before and after, without those that both hold in the
/// same version.
pub(super) fn differing<'a>(
    before: &'a Entries,
    after: &'a Entries,
) -> impl Iterator<Item = (&'a ObjectRef, Option<&'a Entry>, Option<&'a Entry>)> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let mut next = move || {
        let order = match (before.peek(), after.peek()) {
            (Some((one, _)), Some((other, _))) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let old = before.next_if(|_| order.is_le());
        let new = after.next_if(|_| order.is_ge());
        let (object, _) = old.or(new)?;
        Some((
            object,
            old.map(|(_, entry)| entry),
            new.map(|(_, entry)| entry),
        ))
    };
    std::iter::from_fn(move || {
        loop {
            match next()? {
                (_, Some(old), Some(new)) if old.same_version(new) => {}
                different => return Some(different),
            }
        }
    })
}

impl At {
    /// Which bytes of the file.
    pub(crate) fn range(&self) -> Range<usize> {
        let offset = self.offset as usize;
        offset..offset + self.length as usize
    }

    /// The path of a field from the root of the document.
    pub(crate) fn path(&self, field: &str) -> String {
        match (self.item.map(|item| item.get() - 1), field) {
            (None, field) => field.to_owned(),
            (Some(item), "") => format!("items[{item}]"),
            (Some(item), field) => format!("items[{item}].{field}"),
        }
    }
}
