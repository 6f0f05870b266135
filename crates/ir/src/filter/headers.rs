//! `RequestHeaderModifier` and `ResponseHeaderModifier`: set, add and remove header fields.

use std::fmt;

use bytes::{BufMut, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{COOKIE, Entry, HOST, SET_COOKIE},
};
use serde::{Deserialize, Serialize};

use crate::serde_http;

/// `HTTPHeaderFilter`: one action per header name; the translator refuses more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderModifier {
    /// Replaces every existing value of the field.
    #[serde(
        default,
        with = "serde_http::headers",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Appends to the existing value with a comma, or creates the field.
    #[serde(
        default,
        with = "serde_http::headers",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Removes every value of the field.
    #[serde(
        default,
        with = "serde_http::header_names",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub remove: Vec<HeaderName>,
}

impl HeaderModifier {
    /// Applies set, then add, then remove.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            add(headers, name, value);
        }
        for name in &self.remove {
            headers.remove(name);
        }
    }
}

/// Appends `value` to the field: `foo` and `bar,baz` become `foo,bar,baz` (HTTPHeaderFilter.add).
fn add(headers: &mut HeaderMap, name: &HeaderName, value: &HeaderValue) {
    // The fields that are no comma-separated list. Two `set-cookie` stay two lines (RFC 6265
    // section 3), cookies are joined by "; " (RFC 9113 section 8.2.3), and a request has one host.
    let separator: &[u8] = match *name {
        SET_COOKIE => {
            headers.append(name, value.clone());
            return;
        }
        HOST => {
            headers.insert(name, value.clone());
            return;
        }
        COOKIE => b"; ",
        _ => b",",
    };
    match headers.entry(name) {
        Entry::Vacant(entry) => {
            entry.insert(value.clone());
        }
        Entry::Occupied(mut entry) => {
            // Of several lines the last one is extended: the lines are one list in order
            // (RFC 9110 section 5.3).
            let Some(last) = entry.iter_mut().next_back() else {
                return;
            };
            let mut joined = BytesMut::with_capacity(last.len() + separator.len() + value.len());
            joined.put_slice(last.as_bytes());
            if !last.is_empty() {
                joined.put_slice(separator);
            }
            joined.put_slice(value.as_bytes());
            // Two legal values joined by a separator are a legal value.
            if let Ok(mut joined) = HeaderValue::from_maybe_shared(joined.freeze()) {
                joined.set_sensitive(last.is_sensitive() || value.is_sensitive());
                *last = joined;
            }
        }
    }
}

impl fmt::Display for HeaderModifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (action, pairs) in [("set", &self.set), ("add", &self.add)] {
            for (name, value) in pairs {
                write!(
                    f,
                    "{gap}{action} {name}: {}",
                    String::from_utf8_lossy(value.as_bytes())
                )?;
                gap = ", ";
            }
        }
        for name in &self.remove {
            write!(f, "{gap}remove {name}")?;
            gap = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
