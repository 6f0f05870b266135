//! Findings: what is wrong with a document, where it stands and what to do about it.

mod render;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Serialize, Serializer};
use weft_api::ObjectRef;

use crate::place::Place;
use crate::yaml::Part;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// Works, but probably not as intended.
    Warning,
    /// Something that was written has no effect.
    Error,
}

impl Severity {
    /// The word used in text and JSON output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A kind of finding. Ids are shared with the findings of translation and never reused.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `WA###`
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, as a heading.
    pub subject: &'static str,
    /// What to do, in one line.
    pub cure: &'static str,
}

macro_rules! codes {
    ($($name:ident = $id:literal, $severity:ident, $subject:literal, $cure:literal;)+) => {
        $(
            #[doc = concat!("`", $id, "`: ", $subject, ".")]
            pub(crate) static $name: Code = Code {
                id: $id,
                severity: Severity::$severity,
                subject: $subject,
                cure: $cure,
            };
        )+

        /// Every code of this room, in ascending order.
        pub static CODES: &[&Code] = &[$(&$name),+];
    };
}

codes! {
    INVALID_OBJECT = "WA100", Error, "the object does not satisfy its schema", "correct the field; until then the object is refused, as an API server would";
    UNKNOWN_FIELD = "WA101", Error, "unknown field", "remove the field or correct its spelling";
    SYNTAX = "WA120", Error, "the file is not YAML", "correct the syntax";
    UNREADABLE = "WA121", Error, "the file cannot be read", "correct its permissions or remove it";
    NOT_AN_OBJECT = "WA122", Error, "the document is not a Kubernetes object", "write apiVersion, kind and metadata.name";
    NOT_SERVED = "WA123", Error, "kind or version that is not served", "write a version that is served";
    DEFINED_TWICE = "WA124", Warning, "the object is defined twice", "remove one of the two; the first in the order of paths counts";
    FOREIGN_KIND = "WA125", Info, "kind that is not read", "nothing, if other software reads it";
    POLLING = "WA126", Warning, "changes are found by polling", "raise fs.inotify.max_user_watches, or use a local directory";
    TOO_LARGE = "WA127", Error, "the document is over a limit", "split it, or write it with fewer aliases and levels";
    NO_DOCUMENTS = "WA128", Warning, "there is nothing to read", "name a directory that holds *.yaml, *.yml or *.json";
    NO_OBJECTS = "WA129", Info, "file without an object", "nothing, if the file is meant to be empty";
    UNWATCHED = "WA130", Error, "a kind cannot be read from the API server", "look whether the API server is well; what was read before stays in force";
}

/// One finding: about an object, or about a file when no object can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// `WA###`
    pub code: &'static str,
    /// The object it is about, as far as known.
    #[serde(serialize_with = "object_as_text")]
    pub object: Option<ObjectRef>,
    /// Path from the object's root, for example `spec.rules[2].filters[0]`; empty for the whole.
    pub field: String,
    /// What is wrong, with the names involved.
    pub message: String,
    /// What to do.
    pub cure: String,
    /// Where it is written; absent for findings about no file.
    pub place: Option<Place>,
}

fn object_as_text<S: Serializer>(
    object: &Option<ObjectRef>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match object {
        Some(object) => serializer.collect_str(object),
        None => serializer.serialize_none(),
    }
}

impl Finding {
    /// A finding with the severity and the cure of its code, about nothing in particular yet.
    pub(crate) fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self {
            severity: code.severity,
            code: code.id,
            object: None,
            field: String::new(),
            message: message.into(),
            cure: code.cure.to_owned(),
            place: None,
        }
    }

    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    pub(crate) fn object(mut self, object: Option<ObjectRef>) -> Self {
        self.object = object;
        self
    }

    pub(crate) fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = cure.into();
        self
    }

    /// The part of the field that a reader would correct.
    pub(crate) fn part(&self) -> Part {
        if self.code == UNKNOWN_FIELD.id {
            Part::Key
        } else {
            Part::Value
        }
    }

    pub(crate) fn place(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// The finding with its snippet, as people read it. `colour` adds ANSI colours.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        render::text(self, colour)
    }
}

/// One line without snippet: `error WA101 HTTPRoute shop/web spec.rule: … → remove …`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.severity, self.code)?;
        if let Some(object) = &self.object {
            write!(f, " {object}")?;
        }
        if !self.field.is_empty() {
            write!(f, " {}", self.field)?;
        }
        write!(f, ": {} → {}", self.message, self.cure)
    }
}
