//! What need not be judged again: documents of a file that stand in its new version as they stood
//! in the one before, wherever that is.

use std::collections::HashMap;

use weft_api::AnyObject;

use super::file::{File, Foreign, Mark};
use crate::admit::Verdict;

/// The documents of a file that hold one object and nothing to complain about.
///
/// Findings quote lines and name other documents, so a document that has some is judged again, as
/// are lists.
#[derive(Default)]
pub(super) struct Known<'a> {
    objects: HashMap<Mark, &'a AnyObject>,
    foreign: HashMap<Mark, &'a Foreign>,
}

impl<'a> Known<'a> {
    /// What is known from the last version of a file. An object that is kept for a broken document
    /// is known by the document it was read from.
    pub(super) fn of(file: &'a File) -> Self {
        let single = file
            .entries
            .values()
            .filter(|entry| entry.at.item.is_none());
        let foreign = file.foreign.iter().filter(|one| one.at.item.is_none());
        Self {
            objects: single
                .filter_map(|entry| Some((entry.mark, entry.object.as_ref()?)))
                .collect(),
            foreign: foreign.map(|one| (one.mark, one)).collect(),
        }
    }

    /// What became of the document with this mark.
    pub(super) fn verdict(&self, mark: Mark) -> Option<Verdict> {
        if let Some(&object) = self.objects.get(&mark) {
            return Some(Verdict::Good(object.clone()));
        }
        let foreign = self.foreign.get(&mark)?;
        Some(Verdict::Foreign {
            api_version: foreign.api_version.clone(),
            kind: foreign.kind.clone(),
        })
    }
}
