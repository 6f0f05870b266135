//! Conditions on the path (`HTTPPathMatch`).

use serde::{Deserialize, Serialize};

use crate::{PathError, Regex, RegexError, normalise};

/// `HTTPPathMatch`. Request paths are compared in normal form, case-sensitively, without the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
pub enum PathMatch {
    /// `Exact`: byte for byte; `/abc` is not `/abc/`.
    Exact(Box<str>),
    /// `PathPrefix`, element by element, without its trailing slash: `/abc` takes `/abc`, `/abc/`
    /// and `/abc/d`, not `/abcd`. Empty stands for `/` and takes every path.
    #[serde(rename = "PathPrefix")]
    Prefix(Box<str>),
    /// `RegularExpression`: the whole path.
    #[serde(rename = "RegularExpression")]
    Regex(Regex),
}

impl PathMatch {
    /// An `Exact` match of a value as a manifest writes it. The value is normalised like the request
    /// paths it is compared with: `/%7Eme` would match nothing otherwise.
    ///
    /// # Errors
    /// [`PathError`] if no request can have that path.
    pub fn exact(value: &str) -> Result<Self, PathError> {
        Ok(Self::Exact(normalise(value)?.path.into()))
    }

    /// A `PathPrefix` match of a value as a manifest writes it: normalised, and a trailing `/`
    /// ignored.
    ///
    /// # Errors
    /// [`PathError`] if no request can have that path.
    pub fn prefix(value: &str) -> Result<Self, PathError> {
        let path = normalise(value)?.path;
        Ok(Self::Prefix(path.strip_suffix('/').unwrap_or(&path).into()))
    }

    /// A `RegularExpression` match.
    ///
    /// # Errors
    /// [`RegexError`] if the pattern does not compile.
    pub fn regex(pattern: &str) -> Result<Self, RegexError> {
        Regex::new(pattern).map(Self::Regex)
    }

    /// Whether the condition holds for a normalised path.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *path,
            Self::Prefix(prefix) => match path.strip_prefix(&**prefix) {
                Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
                None => false,
            },
            Self::Regex(regex) => regex.is_match(path.as_bytes()),
        }
    }

    /// Whether the condition leaves out some path.
    pub(crate) fn restricts(&self) -> bool {
        !matches!(self, Self::Prefix(prefix) if prefix.is_empty())
    }
}

impl Default for PathMatch {
    /// `PathPrefix` of `/`.
    fn default() -> Self {
        Self::Prefix("".into())
    }
}
