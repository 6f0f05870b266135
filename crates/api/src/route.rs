//! The five route kinds. They share one spec, generic over the rule, one status and one trait;
//! what differs is the rule.

mod grpc;
mod http;

pub use grpc::{GrpcMatch, GrpcMethodMatch, GrpcRule};
pub use http::{HttpMatch, HttpMethod, HttpRule, HttpTimeouts, PathMatch, PathMatchType, Retry};

use crate::conditions::Condition;
use crate::object::{Object, kind_struct};
use crate::reference::{BackendRef, ParentReference};
use crate::schema::{open_enum, schema};

/// Annotation of HTTPRoute and GRPCRoute: `"true"` states that every request of the route may be made
/// twice, whatever its method.
pub const IDEMPOTENT: &str = "weft.dev/idempotent";

kind_struct! {
    /// Routes HTTP requests by host, path, headers, query and method.
    pub struct HttpRoute { spec: RouteSpec<HttpRule>, status: RouteStatus }

    /// Routes gRPC calls by host, service, method and headers.
    pub struct GrpcRoute { spec: RouteSpec<GrpcRule>, status: RouteStatus }

    /// Routes TLS connections by the server name of their ClientHello.
    pub struct TlsRoute { spec: RouteSpec<StreamRule>, status: RouteStatus }

    /// Routes TCP connections of a whole listener or Service port.
    pub struct TcpRoute { spec: RouteSpec<StreamRule>, status: RouteStatus }

    /// Routes UDP flows of a whole listener or Service port.
    pub struct UdpRoute { spec: RouteSpec<StreamRule>, status: RouteStatus }
}

open_enum! {
    /// Which default Gateways something is for (experimental, GEP-3793).
    pub enum DefaultScope {
        All = "All",
        None = "None",
    }

    /// How a header or query parameter is compared.
    pub enum ValueMatchType {
        Exact = "Exact",
        RegularExpression = "RegularExpression",
    }

    /// Where a session is kept.
    pub enum SessionPersistenceType {
        Cookie = "Cookie",
        Header = "Header",
    }

    /// How long a session cookie lives.
    pub enum CookieLifetimeType {
        Permanent = "Permanent",
        Session = "Session",
    }
}

schema! {
    /// Attachment and rules of a route. TCPRoute and UDPRoute have no host names.
    pub struct RouteSpec<R> {
        /// What the route is attached to.
        pub parent_refs: Vec<ParentReference>,
        /// Attaches the route to the default Gateways of a scope; absent means `None`.
        pub use_default_gateways: Option<DefaultScope>,
        /// Hosts or server names, `*.` allowed in front; empty means every host.
        pub hostnames: Vec<String>,
        /// What is matched and where it goes. An absent list is one rule that matches everything
        /// on an HTTPRoute, and no rule on the others.
        pub rules: Vec<R>,
    }

    /// The rule of TLSRoute, TCPRoute and UDPRoute, which match nothing themselves.
    pub struct StreamRule {
        /// Name, unique in the route.
        pub name: Option<String>,
        /// Where connections go, by weight.
        pub backend_refs: Vec<BackendRef>,
    }

    /// A match on a request header or query parameter.
    pub struct ValueMatch {
        /// Comparison; absent means `Exact`.
        #[serde(rename = "type")]
        pub type_: Option<ValueMatchType>,
        /// Name: of a header, compared without case, or of a query parameter, compared exactly.
        pub name: String,
        /// Value or regular expression.
        pub value: String,
    }

    /// Keeps the requests of one session on one backend (experimental, GEP-1619).
    pub struct SessionPersistence {
        /// Name of the cookie or header; absent leaves it to the implementation.
        pub session_name: Option<String>,
        /// GEP-2257 duration after which the session ends, however active it is.
        pub absolute_timeout: Option<String>,
        /// Where the session is kept; absent means `Cookie`.
        #[serde(rename = "type")]
        pub type_: Option<SessionPersistenceType>,
        /// Settings of the cookie.
        pub cookie_config: Option<CookieConfig>,
    }

    /// Settings of a session cookie.
    pub struct CookieConfig {
        /// Life of the cookie; absent means `Session`.
        pub lifetime_type: Option<CookieLifetimeType>,
    }

    /// What one controller says about a route under one of its parents.
    pub struct ParentStatus {
        /// The parent, as the route wrote it.
        pub parent_ref: ParentReference,
        /// The controller that owns this entry.
        pub controller_name: String,
        /// Its verdicts.
        pub conditions: Vec<Condition>,
    }
}

/// Status of every route kind, and of `XBackend`. Entries of other controllers are kept as read.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct RouteStatus {
    /// One entry per parent and controller. Written even when empty: the schema requires it.
    pub parents: Vec<ParentStatus>,
}

impl ValueMatch {
    /// The comparison with its default applied.
    #[must_use]
    pub fn type_(&self) -> &ValueMatchType {
        self.type_.as_ref().unwrap_or(&ValueMatchType::Exact)
    }
}

/// What all five route kinds have in common.
pub trait Route: Object {
    /// The rule of this kind.
    type Rule;

    /// The spec.
    fn spec(&self) -> &RouteSpec<Self::Rule>;

    /// The status as last read.
    fn status(&self) -> &RouteStatus;
}

macro_rules! routes {
    ($($kind:ident: $rule:ty),+ $(,)?) => {$(
        impl Route for $kind {
            type Rule = $rule;

            fn spec(&self) -> &RouteSpec<Self::Rule> {
                &self.spec
            }

            fn status(&self) -> &RouteStatus {
                &self.status
            }
        }
    )+};
}

routes! {
    HttpRoute: HttpRule,
    GrpcRoute: GrpcRule,
    TlsRoute: StreamRule,
    TcpRoute: StreamRule,
    UdpRoute: StreamRule,
}
