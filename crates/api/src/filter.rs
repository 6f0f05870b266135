//! Filters of HTTPRoute and GRPCRoute, on rules and on backends: one `Filter` for all four
//! places. GRPCRoute allows a subset of the types; the schema is otherwise the same.

use crate::reference::{BackendRef, ObjectReference, PortNumber};
use crate::schema::{open_enum, schema};

open_enum! {
    /// Which field of a [`Filter`] is meant.
    pub enum FilterType {
        RequestHeaderModifier = "RequestHeaderModifier",
        ResponseHeaderModifier = "ResponseHeaderModifier",
        RequestMirror = "RequestMirror",
        RequestRedirect = "RequestRedirect",
        UrlRewrite = "URLRewrite",
        ExtensionRef = "ExtensionRef",
        Cors = "CORS",
        ExternalAuth = "ExternalAuth",
    }

    /// How the path of a request is replaced.
    pub enum PathModifierType {
        ReplaceFullPath = "ReplaceFullPath",
        ReplacePrefixMatch = "ReplacePrefixMatch",
    }

    /// Scheme of a redirect's `Location`.
    pub enum RedirectScheme {
        Http = "http",
        Https = "https",
    }

    /// Protocol spoken with an external authorisation server.
    pub enum ExternalAuthProtocol {
        Http = "HTTP",
        Grpc = "GRPC",
    }
}

schema! {
    /// One step of request or response processing. Exactly the field named by `type_` should be
    /// set; anything else is an invalid filter, never a filter to skip. The fields are boxed
    /// because most routes have no filter and most filters use one field.
    pub struct Filter {
        /// Which of the following fields applies.
        #[serde(rename = "type")]
        pub type_: FilterType,
        /// Changes to request headers.
        pub request_header_modifier: Option<Box<HeaderModifier>>,
        /// Changes to response headers.
        pub response_header_modifier: Option<Box<HeaderModifier>>,
        /// A copy of each request for another backend.
        pub request_mirror: Option<Box<RequestMirror>>,
        /// An answer that sends the client elsewhere.
        pub request_redirect: Option<Box<RequestRedirect>>,
        /// Changes to host and path before the request is sent.
        pub url_rewrite: Option<Box<UrlRewrite>>,
        /// Cross-origin rules (GEP-1767).
        pub cors: Option<Box<Cors>>,
        /// Authorisation by another service (experimental, GEP-1494).
        pub external_auth: Option<Box<ExternalAuth>>,
        /// An implementation's own filter.
        pub extension_ref: Option<Box<ObjectReference>>,
    }

    /// Header changes; names compare without case.
    pub struct HeaderModifier {
        /// Headers whose value is replaced.
        pub set: Vec<Header>,
        /// Headers that get a further value.
        pub add: Vec<Header>,
        /// Names of headers that are removed.
        pub remove: Vec<String>,
    }

    /// A header with its value.
    pub struct Header {
        /// Name, compared without case.
        pub name: String,
        /// Value.
        pub value: String,
    }

    /// Where copies of requests go; their answers are ignored.
    pub struct RequestMirror {
        /// Target of the copies.
        pub backend_ref: BackendRef,
        /// Share of requests in percent, 0 to 100; absent, with `fraction` absent, means all.
        pub percent: Option<i32>,
        /// Share of requests as a fraction; excludes `percent`.
        pub fraction: Option<Fraction>,
    }

    /// A share written as numerator over denominator.
    pub struct Fraction {
        /// At least 0, at most the denominator.
        pub numerator: i32,
        /// At least 1; absent means 100.
        pub denominator: Option<i32>,
    }

    /// Parts of the `Location` that differ from the request.
    pub struct RequestRedirect {
        /// Scheme; absent keeps that of the request.
        pub scheme: Option<RedirectScheme>,
        /// Host name without wildcard; absent keeps that of the request.
        pub hostname: Option<String>,
        /// Change of path; absent keeps the path.
        pub path: Option<PathModifier>,
        /// Port; absent means the well-known port of a given scheme, else the listener's.
        pub port: Option<PortNumber>,
        /// 301, 302, 303, 307 or 308; absent means 302.
        pub status_code: Option<i32>,
    }

    /// Changes to the request sent to the backend.
    pub struct UrlRewrite {
        /// Host name without wildcard that replaces the request's.
        pub hostname: Option<String>,
        /// Change of path.
        pub path: Option<PathModifier>,
    }

    /// A change of path.
    pub struct PathModifier {
        /// Which of the following fields applies.
        #[serde(rename = "type")]
        pub type_: PathModifierType,
        /// The whole new path.
        pub replace_full_path: Option<String>,
        /// What takes the place of the matched prefix.
        pub replace_prefix_match: Option<String>,
    }

    /// Cross-origin rules of the Fetch standard.
    pub struct Cors {
        /// Origins, `*`, or origins with a `*` in the host.
        pub allow_origins: Vec<String>,
        /// Whether credentials are allowed; absent means no.
        pub allow_credentials: Option<bool>,
        /// Methods, or the single `*`.
        pub allow_methods: Vec<String>,
        /// Request headers, or the single `*`.
        pub allow_headers: Vec<String>,
        /// Response headers scripts may read, or the single `*`.
        pub expose_headers: Vec<String>,
        /// Seconds a preflight answer may be cached; absent means 5.
        pub max_age: Option<i32>,
    }

    /// Asks another service whether a request may pass (experimental, GEP-1494).
    pub struct ExternalAuth {
        /// Protocol of the authorisation server.
        pub protocol: ExternalAuthProtocol,
        /// The authorisation server.
        pub backend_ref: BackendRef,
        /// Settings of the gRPC protocol.
        pub grpc: Option<GrpcAuthConfig>,
        /// Settings of the HTTP protocol.
        pub http: Option<HttpAuthConfig>,
        /// Whether and how much of the body is sent along.
        pub forward_body: Option<ForwardBodyConfig>,
    }

    /// Settings of external authorisation over gRPC.
    pub struct GrpcAuthConfig {
        /// Request headers sent to the authorisation server.
        pub allowed_headers: Vec<String>,
    }

    /// Settings of external authorisation over HTTP.
    pub struct HttpAuthConfig {
        /// Prefix put before the request's path; absent means none.
        pub path: Option<String>,
        /// Request headers sent in addition to the fixed set.
        pub allowed_headers: Vec<String>,
        /// Headers of the answer that are copied to the request.
        pub allowed_response_headers: Vec<String>,
    }

    /// How much of a body external authorisation sees.
    pub struct ForwardBodyConfig {
        /// Largest body in bytes, at most 65,535; 0 or absent means bodies are not sent.
        pub max_size: i64,
    }
}

impl Fraction {
    /// The denominator with its default applied.
    #[must_use]
    pub fn denominator(&self) -> i32 {
        self.denominator.unwrap_or(100)
    }
}

impl RequestRedirect {
    /// The status code with its default applied.
    #[must_use]
    pub fn status_code(&self) -> i32 {
        self.status_code.unwrap_or(302)
    }
}

impl Cors {
    /// The cache time in seconds with its default applied.
    #[must_use]
    pub fn max_age(&self) -> i32 {
        self.max_age.unwrap_or(5)
    }
}
