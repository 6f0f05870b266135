//! What is known of one kind, and what a list or a line of a watch changes about it. Pure: it
//! decides, others talk to the API server.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use weft_api::{AnyObject, Kind, ObjectKey, ObjectRef, ParseError};

use super::item::{Item, Line, Page, Version};
use crate::finding::{Finding, INVALID_OBJECT};

/// So many lists in a row that are older than what was seen are taken for replicas that lag; after
/// them, for a cluster that was restored from a backup.
const STALE_LISTS_MAX: u32 = 5;

/// A change, on its way to whoever assembles them.
#[derive(Debug)]
pub(crate) enum Delta {
    /// A good version of an object.
    Apply(AnyObject),
    /// The object is gone.
    Delete(ObjectRef),
    /// The object has a version that cannot be read; its last good one stays.
    Bad(ObjectRef, Finding),
    /// The whole kind was listed, or is known not to be served.
    Settled(Kind),
    /// What keeps a kind from being read, or from being known at all; `None` once it is over.
    Trouble(Option<Kind>, Option<Finding>),
    /// Everything that was referred to in this set of references was looked up.
    Referred(u64),
}

/// Why a watch cannot go on from where it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Disorder;

/// A list that is older than what was seen before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stale;

/// The objects of a kind by key, with the version they were last seen in.
#[derive(Debug)]
pub(crate) struct Known {
    kind: Kind,
    versions: HashMap<ObjectKey, Version>,
    /// Where a watch goes on; empty before the first list.
    resume: String,
    /// The newest version seen.
    newest: Option<Version>,
    stale_lists: u32,
}

/// Keys seen by a list that is not complete yet.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    seen: HashSet<ObjectKey>,
    is_accepted: bool,
}

impl Known {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            versions: HashMap::new(),
            resume: String::new(),
            newest: None,
            stale_lists: 0,
        }
    }

    /// Where a watch goes on.
    pub(crate) fn resume(&self) -> &str {
        &self.resume
    }

    /// Takes a page: what is on it and was not known. All or nothing.
    pub(crate) fn page(&mut self, listing: &mut Listing, page: Page) -> Result<Vec<Delta>, Stale> {
        let version = Version::new(&page.version);
        if !listing.is_accepted {
            let is_stale = self.newest.is_some_and(|newest| version.is_before(newest));
            if is_stale && self.stale_lists < STALE_LISTS_MAX {
                self.stale_lists += 1;
                return Err(Stale);
            }
            listing.is_accepted = true;
        }
        let mut deltas = Vec::with_capacity(page.items.len());
        for item in page.items {
            if let Some(reference) = &item.reference {
                listing.seen.insert(reference.key.clone());
            }
            deltas.extend(self.changed(item));
        }
        if page.next.is_none() {
            deltas.extend(self.complete(listing, page.version));
        }
        Ok(deltas)
    }

    /// The list is complete: what was not on it is gone.
    fn complete(&mut self, listing: &mut Listing, version: String) -> Vec<Delta> {
        let kind = self.kind;
        let seen = std::mem::take(&mut listing.seen);
        let gone = self.versions.extract_if(|key, _| !seen.contains(key));
        let mut deltas: Vec<_> = gone
            .map(|(key, _)| Delta::Delete(ObjectRef::new(kind, key)))
            .collect();
        deltas.push(Delta::Settled(kind));
        self.newest = Some(Version::new(&version));
        self.resume = version;
        self.stale_lists = 0;
        deltas
    }

    /// Takes an event of a watch. `None` is one that is known already.
    ///
    /// A stream shows versions in ascending order. One that does not cannot be believed about
    /// deletions either, so that everything has to be listed again.
    pub(crate) fn event(&mut self, line: Line) -> Result<Option<Delta>, Disorder> {
        match line {
            Line::Bookmark(version) => {
                self.advance(&version)?;
                Ok(None)
            }
            Line::Changed(item) => {
                let is_repeated = item.reference.as_ref().is_some_and(|reference| {
                    self.versions.get(&reference.key) == Some(&Version::new(&item.version))
                });
                if is_repeated {
                    return Ok(None);
                }
                self.advance(&item.version)?;
                Ok(self.changed(item))
            }
            Line::Deleted(item) => {
                let Some(reference) = item.reference else {
                    return Ok(None);
                };
                if !self.versions.contains_key(&reference.key) {
                    // Deleted between list and watch, or told twice.
                    return self.advance(&item.version).map(|()| None).or(Ok(None));
                }
                self.advance(&item.version)?;
                self.versions.remove(&reference.key);
                Ok(Some(Delta::Delete(reference)))
            }
            Line::Error(_) | Line::Unknown => Ok(None),
        }
    }

    /// Forgets everything: the kind is gone.
    pub(crate) fn clear(&mut self) -> Vec<Delta> {
        let kind = self.kind;
        self.resume.clear();
        self.newest = None;
        self.versions
            .drain()
            .map(|(key, _)| Delta::Delete(ObjectRef::new(kind, key)))
            .collect()
    }

    /// An object that was listed or changed; `None` when it is the one that is known.
    fn changed(&mut self, item: Item) -> Option<Delta> {
        let Some(reference) = item.reference else {
            // No API server has objects without names.
            tracing::warn!(kind = %self.kind, "the API server sent an object without a name");
            return None;
        };
        let version = Version::new(&item.version);
        if self.versions.insert(reference.key.clone(), version) == Some(version) {
            return None;
        }
        Some(match item.object {
            Ok(object) => Delta::Apply(object),
            Err(error) => Delta::Bad(reference.clone(), unreadable(reference, error)),
        })
    }

    /// A watch has come to a version; disorder when it was there already and beyond.
    fn advance(&mut self, text: &str) -> Result<(), Disorder> {
        if text.is_empty() {
            return Ok(());
        }
        let version = Version::new(text);
        if self.newest.is_some_and(|newest| version.is_before(newest)) {
            return Err(Disorder);
        }
        self.newest = Some(version);
        text.clone_into(&mut self.resume);
        Ok(())
    }
}

/// What is wrong with an object the API server admitted and we cannot read.
pub(super) fn unreadable(reference: ObjectRef, error: ParseError) -> Finding {
    let (field, message) = match error {
        ParseError::InvalidField { path, source, .. } => (path, source.to_string()),
        other => (String::new(), other.to_string()),
    };
    let cure = "correct the field; until then the last version that could be read stays in force";
    Finding::new(&INVALID_OBJECT, message)
        .field(field)
        .object(Some(reference))
        .cure(cure)
}
