//! Where objects and their fields are written, found when somebody asks.

use std::fs;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use weft_api::{Kind, ObjectRef};

use super::book::Book;
use super::file::{At, Content};
use crate::place::{Place, Snippet};
use crate::yaml::{self, Part, Span};

/// Finds where objects are written. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Places {
    /// Shared with the loader, which holds the lock for writing only while it commits a batch.
    book: Arc<RwLock<Book>>,
}

/// Where an object is written, and the text to find its fields in.
pub(super) struct Origin {
    pub(super) path: Arc<Path>,
    pub(super) content: Content,
    pub(super) text: Option<Arc<str>>,
    pub(super) at: At,
}

impl Places {
    pub(super) fn new(book: Arc<RwLock<Book>>) -> Self {
        Self { book }
    }

    /// The place of a field, for example `spec.rules[2].filters[0]`, or of the nearest part of its
    /// path that is written; an empty path means the object. `None` for objects of no file.
    ///
    /// Reads the file again. When it changed since it was loaded, only the line in which the
    /// object's document began is given, without a snippet.
    #[must_use]
    pub fn locate(&self, object: &ObjectRef, field: &str) -> Option<Place> {
        let origin = {
            let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
            book.origin(object)?
        };
        Some(origin.locate(object.kind, field))
    }

    /// The places of many fields, in the order in which they are asked for. Each file is read once,
    /// whatever the number of its fields.
    #[must_use]
    pub fn locate_all(&self, wanted: &[(&ObjectRef, &str)]) -> Vec<Option<Place>> {
        let mut origins: Vec<(usize, Origin)> = {
            let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
            let origins = wanted.iter().enumerate();
            origins
                .filter_map(|(at, (object, _))| Some((at, book.origin(object)?)))
                .collect()
        };
        origins.sort_by(|(_, a), (_, b)| a.path.cmp(&b.path));
        let mut places = vec![None; wanted.len()];
        for of_file in origins.chunk_by(|(_, a), (_, b)| a.path == b.path) {
            let text = of_file.first().and_then(|(_, origin)| origin.read());
            for (at, origin) in of_file {
                let (object, field) = wanted[*at];
                places[*at] = Some(origin.locate_in(text.as_deref(), object.kind, field));
            }
        }
        places
    }
}

impl Origin {
    pub(super) fn locate(&self, kind: Kind, field: &str) -> Place {
        self.locate_in(self.read().as_deref(), kind, field)
    }

    /// The text of the file, if it is still the one that was loaded.
    fn read(&self) -> Option<Arc<str>> {
        self.text.clone().or_else(|| {
            let bytes = fs::read(&self.path).ok()?;
            let same = Content::of(&bytes) == self.content;
            let text = String::from_utf8(bytes).ok().filter(|_| same)?;
            Some(text.into())
        })
    }

    fn locate_in(&self, text: Option<&str>, kind: Kind, field: &str) -> Place {
        let about = (Some(kind), field, Part::Value);
        let place = text.and_then(|text| place_in(&self.path, text, &self.at, about));
        place.unwrap_or_else(|| Place {
            file: Arc::clone(&self.path),
            document: self.at.document,
            line: self.at.lines_before + 1,
            column: 1,
            snippet: None,
        })
    }
}

/// The place of a field of an object in the text of its file; the kind is `None` when the document
/// does not say which object it is.
pub(super) fn place_in(
    path: &Arc<Path>,
    text: &str,
    at: &At,
    (kind, field, part): (Option<Kind>, &str, Part),
) -> Option<Place> {
    let document = document(text, at)?;
    let span = yaml::locate(document, &at.path(field), part)?;
    Some(place(path, document, (at, kind), span))
}

/// The place of a line and column of a document.
pub(super) fn place_of_line(
    path: &Arc<Path>,
    text: &str,
    at: &At,
    (line, column): (u32, u32),
) -> Place {
    let span = Span {
        line,
        column,
        length: 0,
    };
    place(
        path,
        document(text, at).unwrap_or_default(),
        (at, None),
        span,
    )
}

fn document<'a>(text: &'a str, at: &At) -> Option<&'a str> {
    text.get(at.range()).filter(|document| !document.is_empty())
}

fn place(path: &Arc<Path>, document: &str, (at, kind): (&At, Option<Kind>), span: Span) -> Place {
    let line = document.lines().nth((span.line as usize).saturating_sub(1));
    let start = (span.column as usize).saturating_sub(1);
    // Values of a Secret are not repeated. One may stand in the same line of a list, and a document
    // of which nothing is known may be one.
    let confidential = match kind {
        Some(kind) if at.item.is_none() => kind == Kind::Secret,
        _ => document.contains("Secret"),
    };
    Place {
        file: Arc::clone(path),
        document: at.document,
        line: at.lines_before + span.line,
        column: span.column,
        snippet: line
            .filter(|_| !confidential)
            .map(|line| Snippet::new(line, start, span.length as usize)),
    }
}
