//! The rule of HTTPRoute.

use super::{SessionPersistence, ValueMatch};
use crate::filter::Filter;
use crate::reference::BackendRef;
use crate::schema::{open_enum, schema};

open_enum! {
    /// How a path is compared.
    pub enum PathMatchType {
        Exact = "Exact",
        PathPrefix = "PathPrefix",
        RegularExpression = "RegularExpression",
    }

    /// A request method, compared with case.
    pub enum HttpMethod {
        Get = "GET",
        Head = "HEAD",
        Post = "POST",
        Put = "PUT",
        Delete = "DELETE",
        Connect = "CONNECT",
        Options = "OPTIONS",
        Trace = "TRACE",
        Patch = "PATCH",
    }
}

schema! {
    /// Matches, what is done to matching requests, and where they go.
    pub struct HttpRule {
        /// Name, unique in the route.
        pub name: Option<String>,
        /// Any of these selects the rule; an empty list matches every request.
        pub matches: Vec<HttpMatch>,
        /// Run in order before a backend is chosen.
        pub filters: Vec<Filter>,
        /// Where requests go, by weight.
        pub backend_refs: Vec<BackendRef>,
        /// Time limits.
        pub timeouts: Option<Box<HttpTimeouts>>,
        /// Retries (experimental, GEP-1731).
        pub retry: Option<Box<Retry>>,
        /// Session persistence (experimental, GEP-1619).
        pub session_persistence: Option<Box<SessionPersistence>>,
    }

    /// Conditions that must all hold.
    pub struct HttpMatch {
        /// Path; absent matches every path.
        pub path: Option<PathMatch>,
        /// Headers; of entries with the same name only the first counts.
        pub headers: Vec<ValueMatch>,
        /// Query parameters; of entries with the same name only the first counts.
        pub query_params: Vec<ValueMatch>,
        /// Method; absent matches every method.
        pub method: Option<HttpMethod>,
    }

    /// A match on the path.
    pub struct PathMatch {
        /// Comparison; absent means `PathPrefix`.
        #[serde(rename = "type")]
        pub type_: Option<PathMatchType>,
        /// Path, prefix or regular expression; absent means `/`.
        pub value: Option<String>,
    }

    /// Time limits as GEP-2257 durations; `0s` means no limit.
    pub struct HttpTimeouts {
        /// Of the whole transaction with the client, retries included.
        pub request: Option<String>,
        /// Of one attempt; not longer than `request`.
        pub backend_request: Option<String>,
    }

    /// When and how often a request is tried again.
    pub struct Retry {
        /// Status codes, 400 to 599, after which a request is tried again.
        pub codes: Vec<i32>,
        /// Attempts beyond the first.
        pub attempts: Option<i64>,
        /// GEP-2257 duration: least time between attempts.
        pub backoff: Option<String>,
    }
}

impl PathMatch {
    /// The comparison with its default applied.
    #[must_use]
    pub fn type_(&self) -> &PathMatchType {
        self.type_.as_ref().unwrap_or(&PathMatchType::PathPrefix)
    }

    /// The value with its default applied.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.as_deref().unwrap_or("/")
    }
}
