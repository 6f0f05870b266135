//! Structural schemas as an API server has them: what a field may hold, what it holds when it is
//! absent, and the rules that go with it. Compiled once, asked by many threads.

mod check;
mod compile;
mod oracle;
mod proof;
mod suggest;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use regex_automata::meta::Regex;
use serde_json::Value;

pub(crate) use check::Fault;
pub(crate) use compile::compile;
pub(crate) use oracle::Oracle;
use proof::Proof;
pub(crate) use suggest::closest;

/// What one field may hold.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// Its type; `None` allows any.
    kind: Option<Type>,
    /// The value it has when it is absent.
    default: Option<Value>,
    /// Fields of an object.
    properties: BTreeMap<Box<str>, Node>,
    required: Box<[Box<str>]>,
    /// Values of a map.
    values: Option<Box<Node>>,
    /// Whether fields that are not declared are kept.
    open: bool,
    /// Items of a list.
    items: Option<Box<Node>>,
    list: ListType,
    bounds: Bounds,
    enumeration: Box<[Value]>,
    pattern: Option<Arc<Pattern>>,
    format: Option<Format>,
    /// `oneOf`, the one junctor that Gateway API uses, as written.
    one_of: Box<[Value]>,
    /// The rules in CEL, each as a proof that it holds; `None` when only the oracle can tell.
    rules: Box<[Option<Proof>]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

/// Which items of a list are the same to an API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum ListType {
    /// All may be alike.
    #[default]
    Atomic,
    /// Equal ones.
    Set,
    /// Those with equal values of some fields.
    Map(Box<[Box<str>]>),
}

/// A regular expression and how it is written. Unanchored, as in an API server.
#[derive(Debug)]
struct Pattern {
    text: Box<str>,
    regex: Regex,
}

/// Numbers a value is held against: characters of a text, items of a list, fields of an object, or
/// the value of a number.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    least_size: Option<usize>,
    greatest_size: Option<usize>,
    minimum: Option<f64>,
    maximum: Option<f64>,
}

/// Formats that API servers check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Int32,
    Int64,
    DateTime,
    Byte,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "a map",
            Self::Array => "a list",
            Self::String => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::IntOrString => "a whole number or a text",
        })
    }
}
