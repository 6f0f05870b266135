//! The matches of rules: which requests a rule takes.
//!
//! A match is a conjunction of conditions. Each condition has its own file; this one puts them
//! together and counts nothing twice: entries that repeat a name are dropped when a match is made,
//! because only the first counts (`HTTPHeaderMatch.name`, `HTTPQueryParamMatch.name`).

mod grpc;
mod header;
mod path;
mod query;
mod text;

use http::{HeaderName, Method};
use serde::{Deserialize, Serialize};

pub(crate) use self::grpc::call_of;
pub use self::{
    grpc::{GrpcMatch, GrpcMethodMatch},
    header::HeaderMatch,
    path::PathMatch,
    query::QueryMatch,
    text::StringMatch,
};
use crate::{RequestView, serde_http};

/// One `HTTPRouteMatch`: every condition has to hold. The default takes every request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HttpMatch {
    /// Condition on the path.
    pub path: PathMatch,
    /// Condition on the method, compared as a case-sensitive token (RFC 9110 section 9.1).
    #[serde(
        default,
        with = "serde_http::optional_method",
        skip_serializing_if = "Option::is_none"
    )]
    pub method: Option<Method>,
    /// Conditions on header fields, all of which have to hold; one per name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// Conditions on query parameters, all of which have to hold; one per name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<QueryMatch>,
    /// See [`HttpMatch::unsupported`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) unsupported: bool,
}

impl HttpMatch {
    /// A match of these conditions. Of several conditions on one name the first stays.
    pub fn new(
        path: PathMatch,
        method: Option<Method>,
        headers: Vec<HeaderMatch>,
        query: Vec<QueryMatch>,
    ) -> Self {
        Self {
            path,
            method,
            headers: header::distinct(headers),
            query: query::distinct(query),
            unsupported: false,
        }
    }

    /// In place of a match with conditions that a newer version wrote and this one does not know.
    /// Which requests it takes cannot be told, so it takes those that no other match of the set
    /// takes; the rule it belongs to answers them with an error ([`Rule::refusing`](crate::Rule)).
    pub fn unsupported() -> Self {
        Self {
            unsupported: true,
            ..Self::default()
        }
    }

    /// The first condition that `request` does not meet.
    pub(crate) fn check(&self, request: &RequestView<'_>) -> Result<(), Unmet<'_>> {
        if !self.path.matches(request.path) {
            return Err(Unmet::Path);
        }
        self.check_beyond_path(request)
    }

    /// The same for a request whose path is known to match.
    #[inline]
    pub(crate) fn check_beyond_path(&self, request: &RequestView<'_>) -> Result<(), Unmet<'_>> {
        if self
            .method
            .as_ref()
            .is_some_and(|method| method != request.method)
        {
            return Err(Unmet::Method);
        }
        header::check(&self.headers, request)?;
        query::check(&self.query, request.query)
    }
}

pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

/// The condition of a match that a request does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unmet<'a> {
    Path,
    Method,
    Call,
    Header(&'a HeaderName),
    Query(&'a str),
}

#[cfg(test)]
mod tests;
