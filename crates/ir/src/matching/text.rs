//! A condition on a string: equality, or a regular expression over all of it.

use serde::{Deserialize, Serialize};

use crate::Regex;

/// `HeaderMatchType` and `QueryParamMatchType` with their value. Compared as bytes, so that a value
/// that is not UTF-8 is judged like every other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
pub enum StringMatch {
    /// `Exact`: byte for byte.
    Exact(Box<str>),
    /// `RegularExpression`: the whole value.
    #[serde(rename = "RegularExpression")]
    Regex(Regex),
}

impl StringMatch {
    /// Whether the condition holds for `value`.
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(wanted) => wanted.as_bytes() == value,
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}
