//! Lists of methods and header names of a CORS filter, joined once for use as header values.

use std::fmt;

use http::HeaderValue;
use serde::{Deserialize, Serialize};

/// `allowMethods`, `allowHeaders` or `exposeHeaders`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub enum AllowList {
    /// The list is empty: only what browsers always allow.
    #[default]
    Safelisted,
    /// `*`
    Any,
    /// The names, joined by `, `.
    Listed(HeaderValue),
}

/// A name of the list is not a token (RFC 9110 section 5.6.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a method or header name nor \"*\"; use letters, digits and -_.~!#$%&'^`|+"
)]
pub struct AllowListError(Box<str>);

impl AllowList {
    /// A list from its entries. `*` anywhere means everything.
    ///
    /// # Errors
    /// An entry is not a token.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, AllowListError> {
        let mut joined = String::new();
        let mut any = false;
        for name in names {
            // Methods and header names are both tokens.
            if http::Method::from_bytes(name.as_bytes()).is_err() {
                return Err(AllowListError(name.into()));
            }
            any |= name == "*";
            if !joined.is_empty() {
                joined.push_str(", ");
            }
            joined.push_str(name);
        }
        if any {
            return Ok(Self::Any);
        }
        if joined.is_empty() {
            return Ok(Self::Safelisted);
        }
        let value = HeaderValue::try_from(joined.as_str())
            .map_err(|_| AllowListError(joined.into_boxed_str()))?;
        Ok(Self::Listed(value))
    }

    /// The value that answers a preflight which asked for `asked`: the list if there is one. `*`
    /// echoes what was asked for, with and without credentials, and says nothing if nothing was.
    pub(super) fn answer<'a>(&'a self, asked: Option<&'a HeaderValue>) -> Option<&'a HeaderValue> {
        match self {
            Self::Safelisted => None,
            Self::Any => asked,
            Self::Listed(names) => Some(names),
        }
    }
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Safelisted => f.write_str("safelisted"),
            Self::Any => f.write_str("*"),
            Self::Listed(names) => f.write_str(&String::from_utf8_lossy(names.as_bytes())),
        }
    }
}

impl From<AllowList> for Vec<String> {
    fn from(list: AllowList) -> Self {
        match list {
            AllowList::Safelisted => Self::new(),
            AllowList::Any | AllowList::Listed(_) => {
                list.to_string().split(", ").map(str::to_owned).collect()
            }
        }
    }
}

impl TryFrom<Vec<String>> for AllowList {
    type Error = AllowListError;

    fn try_from(names: Vec<String>) -> Result<Self, Self::Error> {
        Self::new(names.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests;
