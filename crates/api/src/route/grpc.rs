//! The rule of GRPCRoute.

use super::{SessionPersistence, ValueMatch, ValueMatchType};
use crate::filter::Filter;
use crate::reference::BackendRef;
use crate::schema::schema;

schema! {
    /// Matches, what is done to matching calls, and where they go.
    pub struct GrpcRule {
        /// Name, unique in the route.
        pub name: Option<String>,
        /// Any of these selects the rule; an empty list matches every call.
        pub matches: Vec<GrpcMatch>,
        /// Run in order before a backend is chosen.
        pub filters: Vec<Filter>,
        /// Where calls go, by weight.
        pub backend_refs: Vec<BackendRef>,
        /// Session persistence (experimental, GEP-1619).
        pub session_persistence: Option<Box<SessionPersistence>>,
    }

    /// Conditions that must all hold.
    pub struct GrpcMatch {
        /// Service and method; absent matches every call.
        pub method: Option<GrpcMethodMatch>,
        /// Headers; of entries with the same name only the first counts.
        pub headers: Vec<ValueMatch>,
    }

    /// A match on service and method; at least one of them should be set.
    pub struct GrpcMethodMatch {
        /// Comparison; absent means `Exact`.
        #[serde(rename = "type")]
        pub type_: Option<ValueMatchType>,
        /// Full name of the service, package included; absent matches every service.
        pub service: Option<String>,
        /// Name of the method; absent matches every method.
        pub method: Option<String>,
    }
}

impl GrpcMethodMatch {
    /// The comparison with its default applied.
    #[must_use]
    pub fn type_(&self) -> &ValueMatchType {
        self.type_.as_ref().unwrap_or(&ValueMatchType::Exact)
    }
}
