//! Conditions on header fields (`HTTPHeaderMatch`, `GRPCHeaderMatch`).

use http::{
    HeaderName, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use serde::{Deserialize, Serialize};

use super::{StringMatch, Unmet};
use crate::{RequestView, serde_http};

/// One header condition. The name `host` is compared with the authority as the client sent it, port
/// included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderMatch {
    /// Field name; names have no case.
    #[serde(with = "serde_http::header_name")]
    pub name: HeaderName,
    /// Condition on the value.
    #[serde(flatten)]
    pub value: StringMatch,
}

impl HeaderMatch {
    /// Whether the condition holds. A field that is absent never matches, not even a regular
    /// expression that takes the empty string.
    ///
    /// Repeated fields count as one whose values are joined with `, ` (RFC 9110 section 5.3);
    /// `cookie` crumbs are joined with `; ` (RFC 9113 section 8.2.3). `set-cookie` cannot be joined:
    /// one of its values has to match. Allocates only for a regular expression over a repeated
    /// field.
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        let mut values = request.headers.get_all(&self.name).iter();
        let Some(first) = values.next() else {
            return false;
        };
        let Some(second) = values.next() else {
            return self.value.matches(first.as_bytes());
        };
        let values = [first, second].into_iter().chain(values);
        if self.name == SET_COOKIE {
            let mut values = values;
            return values.any(|value| self.value.matches(value.as_bytes()));
        }
        let separator: &[u8] = if self.name == COOKIE { b"; " } else { b", " };
        match &self.value {
            StringMatch::Exact(wanted) => is_joined(wanted.as_bytes(), values, separator),
            StringMatch::Regex(regex) => {
                let values: Vec<&[u8]> = values.map(HeaderValue::as_bytes).collect();
                regex.is_match(&values.join(separator))
            }
        }
    }
}

/// Whether `wanted` is what joining `values` with `separator` gives.
fn is_joined<'v>(
    wanted: &[u8],
    values: impl Iterator<Item = &'v HeaderValue>,
    separator: &[u8],
) -> bool {
    let mut rest = wanted;
    for (at, value) in values.enumerate() {
        let glue: &[u8] = if at == 0 { b"" } else { separator };
        match rest
            .strip_prefix(glue)
            .and_then(|rest| rest.strip_prefix(value.as_bytes()))
        {
            Some(tail) => rest = tail,
            None => return false,
        }
    }
    rest.is_empty()
}

/// The first of `conditions` that does not hold.
#[inline]
pub(super) fn check<'m>(
    conditions: &'m [HeaderMatch],
    request: &RequestView<'_>,
) -> Result<(), Unmet<'m>> {
    match conditions
        .iter()
        .find(|condition| !condition.matches(request))
    {
        Some(condition) => Err(Unmet::Header(&condition.name)),
        None => Ok(()),
    }
}

/// Drops the conditions on a name that an earlier one has.
pub(super) fn distinct(conditions: Vec<HeaderMatch>) -> Vec<HeaderMatch> {
    let mut kept: Vec<HeaderMatch> = Vec::with_capacity(conditions.len());
    for condition in conditions {
        if kept.iter().all(|earlier| earlier.name != condition.name) {
            kept.push(condition);
        }
    }
    kept
}
