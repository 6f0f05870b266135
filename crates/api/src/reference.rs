//! References between objects: from routes to parents and backends, from listeners to Secrets,
//! from policies to targets. Defaults are those of the v1.6.1 schemas and are applied by the
//! accessors, so that a reference reads the same whether or not an API server filled it in.

use crate::GATEWAY_GROUP;
use crate::filter::Filter;
use crate::schema::schema;

/// A TCP or UDP port as the API writes it: valid from 1 to 65535, anything else is refused by
/// schema validation, not by parsing.
pub type PortNumber = i32;

schema! {
    /// What a route, policy status or `Backend` status is attached to: a Gateway, a ListenerSet
    /// or, for the mesh, a Service (which must then say `group: ""`).
    pub struct ParentReference {
        /// API group; absent means `gateway.networking.k8s.io`.
        pub group: Option<String>,
        /// Kind; absent means `Gateway`.
        pub kind: Option<String>,
        /// Namespace; absent means the namespace of the referring object.
        pub namespace: Option<String>,
        /// Name of the parent.
        pub name: String,
        /// A listener's name, or a Service port's name.
        pub section_name: Option<String>,
        /// A listener's port, or a Service's port.
        pub port: Option<PortNumber>,
    }

    /// Where traffic goes. One type for the backends of every route kind and for the targets of
    /// mirrors and external authorisation, which carry neither weight nor filters.
    pub struct BackendRef {
        /// API group; absent means the core group.
        pub group: Option<String>,
        /// Kind; absent means `Service`.
        pub kind: Option<String>,
        /// Name of the backend.
        pub name: String,
        /// Namespace; absent means the namespace of the route.
        pub namespace: Option<String>,
        /// Port of the backend; required when it is a Service.
        pub port: Option<PortNumber>,
        /// Share of the rule's traffic, 0 to 1,000,000, relative to the sum of all weights;
        /// absent means 1.
        pub weight: Option<i32>,
        /// Filters that run only for requests sent to this backend (HTTPRoute and GRPCRoute).
        pub filters: Vec<Filter>,
    }

    /// A certificate a listener or a client identity uses.
    pub struct SecretReference {
        /// API group; absent means the core group.
        pub group: Option<String>,
        /// Kind; absent means `Secret`.
        pub kind: Option<String>,
        /// Name of the Secret.
        pub name: String,
        /// Namespace; absent means the namespace of the referring object.
        pub namespace: Option<String>,
    }

    /// A reference that names group and kind in full: parameters of a class, CA certificates of
    /// a listener, filter extensions. Those the specification calls *local* have no namespace.
    pub struct ObjectReference {
        /// API group; empty means the core group.
        pub group: String,
        /// Kind.
        pub kind: String,
        /// Name.
        pub name: String,
        /// Namespace; absent means the namespace of the referring object, or a cluster-scoped
        /// target.
        pub namespace: Option<String>,
    }

    /// What a policy applies to, always in the policy's own namespace.
    pub struct PolicyTargetReference {
        /// API group; empty means the core group.
        pub group: String,
        /// Kind.
        pub kind: String,
        /// Name.
        pub name: String,
        /// Part of the target: a listener, a route rule or a Service port by name.
        pub section_name: Option<String>,
    }

    /// A kind of route, as listeners allow and report them.
    pub struct RouteGroupKind {
        /// API group; absent means `gateway.networking.k8s.io`.
        pub group: Option<String>,
        /// Kind.
        pub kind: String,
    }
}

impl ParentReference {
    /// The group with its default applied.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or(GATEWAY_GROUP)
    }

    /// The kind with its default applied.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("Gateway")
    }

    /// The namespace, given that of the referring object.
    #[must_use]
    pub fn namespace<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(own)
    }
}

impl BackendRef {
    /// The group with its default applied.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or("")
    }

    /// The kind with its default applied.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("Service")
    }

    /// The namespace, given that of the referring object.
    #[must_use]
    pub fn namespace<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(own)
    }

    /// The weight with its default applied.
    #[must_use]
    pub fn weight(&self) -> i32 {
        self.weight.unwrap_or(1)
    }
}

impl SecretReference {
    /// The group with its default applied.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or("")
    }

    /// The kind with its default applied.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("Secret")
    }

    /// The namespace, given that of the referring object.
    #[must_use]
    pub fn namespace<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(own)
    }
}

impl RouteGroupKind {
    /// The group with its default applied.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or(GATEWAY_GROUP)
    }
}
