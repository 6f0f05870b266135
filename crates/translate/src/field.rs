//! Where in an object something stands, as the path that findings and conditions show.
//!
//! Paths are built on the stack while the compiler descends and only become text when there is
//! something to say: a route without problems allocates none.

use std::fmt;

/// A path from the root of an object, such as `spec.rules[2].filters[0]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    parent: Option<&'a Field<'a>>,
    step: Step,
}

/// The last step of a path.
#[derive(Clone, Copy, Debug)]
enum Step {
    Key(&'static str),
    /// The entry of a map whose keys are not field names.
    Entry(&'static str),
    Index(usize),
}

/// `metadata.annotations`.
pub(crate) static ANNOTATIONS: Field<'static> = Field {
    parent: Some(&Field {
        parent: None,
        step: Step::Key("metadata"),
    }),
    step: Step::Key("annotations"),
};

/// `spec`, where every other path of a route begins.
pub(crate) static SPEC: Field<'static> = Field {
    parent: None,
    step: Step::Key("spec"),
};

impl Field<'_> {
    /// The field `key` of the object at this path.
    pub(crate) fn key(&self, key: &'static str) -> Field<'_> {
        Field {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    /// The entry `key` of the map at this path.
    pub(crate) fn entry(&self, key: &'static str) -> Field<'_> {
        Field {
            parent: Some(self),
            step: Step::Entry(key),
        }
    }

    /// The entry at `index` of the list at this path.
    pub(crate) fn index(&self, index: usize) -> Field<'_> {
        Field {
            parent: Some(self),
            step: Step::Index(index),
        }
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match (self.step, self.parent) {
            (Step::Key(key), None) => f.write_str(key),
            (Step::Key(key), Some(_)) => write!(f, ".{key}"),
            (Step::Entry(key), _) => write!(f, "[{key}]"),
            (Step::Index(index), _) => write!(f, "[{index}]"),
        }
    }
}

/// A value from a manifest inside a message: quoted, escaped, and cut where it gets long, because a
/// regular expression of 1,000 characters says no more than its beginning.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_CHARS: usize = 64;
        match self.0.char_indices().nth(SHOWN_CHARS) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
        }
    }
}
