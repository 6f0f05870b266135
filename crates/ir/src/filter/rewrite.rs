//! `URLRewrite`, and the path modifier it shares with `RequestRedirect`.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri, header::HOST, uri::PathAndQuery};
use serde::{Deserialize, Serialize};

/// `HTTPURLRewriteFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    /// Replaces the `host` header.
    #[serde(default)]
    pub hostname: Option<Box<str>>,
    /// Changes the path; the query is kept.
    #[serde(default)]
    pub path: Option<PathModifier>,
}

/// `HTTPPathModifier`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathModifier {
    /// `ReplaceFullPath`: the new path.
    Full(Box<str>),
    /// `ReplacePrefixMatch`: acts on whole path elements.
    Prefix {
        /// Value of the PathPrefix match of the rule.
        prefix: Box<str>,
        /// What takes its place.
        replacement: Box<str>,
    },
}

/// Why a rewritten request cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RewriteRefused {
    /// The hostname of the filter is no header value; only a damaged table holds one.
    Hostname,
    /// The rewritten target exceeds what a URI may hold (64 KiB).
    TooLong,
}

impl RewriteRefused {
    /// Status of the answer to the client.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Hostname => StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
            Self::TooLong => StatusCode::URI_TOO_LONG.as_u16(),
        }
    }
}

impl Rewrite {
    /// Rewrites host and path of a request in canonical form.
    pub(super) fn apply(&self, parts: &mut http::request::Parts) -> Result<(), RewriteRefused> {
        if let Some(hostname) = &self.hostname {
            let value = HeaderValue::from_str(hostname).map_err(|_| RewriteRefused::Hostname)?;
            parts.headers.insert(HOST, value);
        }
        if let Some(path) = &self.path {
            let mut target = String::with_capacity(parts.uri.path().len() + 64);
            path.write(parts.uri.path(), &mut target);
            if let Some(query) = parts.uri.query() {
                target.push('?');
                target.push_str(query);
            }
            let target = PathAndQuery::from_maybe_shared(Bytes::from(target))
                .map_err(|_| RewriteRefused::TooLong)?;
            parts.uri = Uri::from(target);
        }
        Ok(())
    }
}

impl PathModifier {
    /// The modified form of a normalised path. It starts with `/`; bytes of the replacement that a
    /// path cannot hold are percent-encoded.
    pub fn apply(&self, path: &str) -> String {
        let mut modified = String::with_capacity(path.len() + 16);
        self.write(path, &mut modified);
        modified
    }

    /// Appends the modified path to `out`.
    pub(super) fn write(&self, path: &str, out: &mut String) {
        match self {
            Self::Full(value) => {
                if !value.starts_with('/') {
                    out.push('/');
                }
                push_encoded(value, out);
            }
            Self::Prefix {
                prefix,
                replacement,
            } => match after_prefix(path, prefix) {
                Some(rest) => {
                    let start = out.len();
                    let replacement = replacement.trim_end_matches('/');
                    if !replacement.is_empty() && !replacement.starts_with('/') {
                        out.push('/');
                    }
                    push_encoded(replacement, out);
                    out.push_str(rest);
                    if out.len() == start {
                        out.push('/');
                    }
                }
                // A rewrite of the rule came first and took the prefix away.
                None => out.push_str(path),
            },
        }
    }
}

/// What follows the elements of `prefix` in `path`: empty or starting with `/`. `None` if `path`
/// does not start with these elements.
fn after_prefix<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// Appends `value`, percent-encoding what RFC 3986 section 3.3 does not allow in a path. Escapes
/// that are already there are kept.
fn push_encoded(value: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for (at, &byte) in value.as_bytes().iter().enumerate() {
        let legal = match byte {
            b'%' => {
                let digits = value.as_bytes().get(at + 1..at + 3);
                digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            }
            b'/' | b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'('
            | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if legal {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 0xf)]));
        }
    }
}

impl fmt::Display for PathModifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(value) => write!(f, "path {value}"),
            Self::Prefix {
                prefix,
                replacement,
            } => {
                let prefix = if prefix.is_empty() { "/" } else { prefix };
                write!(f, "prefix {prefix} -> {replacement:?}")
            }
        }
    }
}

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if self.hostname.is_some() && self.path.is_some() {
            " "
        } else {
            ""
        };
        if let Some(hostname) = &self.hostname {
            write!(f, "host {hostname}{gap}")?;
        }
        self.path.as_ref().map_or(Ok(()), |path| path.fmt(f))
    }
}

#[cfg(test)]
mod tests;
