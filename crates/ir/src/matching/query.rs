//! Conditions on query parameters (`HTTPQueryParamMatch`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{StringMatch, Unmet};
use crate::path::escaped_byte;

/// One query parameter condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryMatch {
    /// Parameter name, compared exactly after decoding.
    pub name: Box<str>,
    /// Condition on the decoded value of the parameter's first occurrence.
    #[serde(flatten)]
    pub value: StringMatch,
}

impl QueryMatch {
    /// Whether the condition holds for a raw query. Parameters are separated by `&`; one without `=`
    /// has an empty value. Names and values are percent-decoded once and compared as bytes; `+`
    /// stays a plus sign and a malformed escape stays as it is. Of a repeated parameter the first
    /// value counts. An absent parameter never matches. Allocates only for a regular expression
    /// over an escaped value.
    pub fn matches(&self, query: Option<&str>) -> bool {
        let Some(value) = query.and_then(|query| first_value(query, &self.name)) else {
            return false;
        };
        match &self.value {
            StringMatch::Exact(wanted) => decoded_is(value, wanted),
            StringMatch::Regex(regex) => regex.is_match(&decode(value)),
        }
    }
}

/// The raw value of the first parameter called `name`.
fn first_value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query
        .split('&')
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .find(|(raw_name, _)| decoded_is(raw_name, name))
        .map(|(_, value)| value)
}

/// Whether `raw` decodes to `wanted`.
fn decoded_is(raw: &str, wanted: &str) -> bool {
    if raw.contains('%') {
        decoded(raw).eq(wanted.bytes())
    } else {
        raw == wanted
    }
}

/// `raw` decoded, borrowed if nothing is escaped.
fn decode(raw: &str) -> Cow<'_, [u8]> {
    if raw.contains('%') {
        Cow::Owned(decoded(raw).collect())
    } else {
        Cow::Borrowed(raw.as_bytes())
    }
}

/// The bytes of `raw`, percent-decoded once.
fn decoded(raw: &str) -> impl Iterator<Item = u8> {
    let mut rest = raw.as_bytes();
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        if let [b'%', high, low, tail @ ..] = rest
            && let Some(byte) = escaped_byte(*high, *low)
        {
            rest = tail;
            return Some(byte);
        }
        rest = tail;
        Some(first)
    })
}

/// The first of `conditions` that does not hold.
#[inline]
pub(super) fn check<'m>(
    conditions: &'m [QueryMatch],
    query: Option<&str>,
) -> Result<(), Unmet<'m>> {
    match conditions
        .iter()
        .find(|condition| !condition.matches(query))
    {
        Some(condition) => Err(Unmet::Query(&condition.name)),
        None => Ok(()),
    }
}

/// Drops the conditions on a name that an earlier one has.
pub(super) fn distinct(conditions: Vec<QueryMatch>) -> Vec<QueryMatch> {
    let mut kept: Vec<QueryMatch> = Vec::with_capacity(conditions.len());
    for condition in conditions {
        if kept.iter().all(|earlier| earlier.name != condition.name) {
            kept.push(condition);
        }
    }
    kept
}
