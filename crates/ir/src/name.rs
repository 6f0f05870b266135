//! Names of the objects a table was compiled from.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Namespace and name of a namespaced object. Cloning is two reference counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// Namespace of the object.
    pub namespace: Arc<str>,
    /// `metadata.name` of the object.
    pub name: Arc<str>,
}

impl Name {
    /// A name from its two parts.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The kinds of route a rule can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RouteKind {
    /// `HTTPRoute`
    #[serde(rename = "HTTPRoute")]
    Http,
    /// `GRPCRoute`
    #[serde(rename = "GRPCRoute")]
    Grpc,
}

impl RouteKind {
    /// Every kind, in order.
    pub const ALL: &[Self] = &[Self::Http, Self::Grpc];

    /// The Kubernetes kind, as written in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
        }
    }
}

impl fmt::Display for RouteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The route object a rule was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RouteId {
    /// Kind of the route.
    pub kind: RouteKind,
    /// Namespace and name of the route.
    #[serde(flatten)]
    pub name: Name,
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// One port of one Service: the key of the endpoint table and of mesh frontends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServicePort {
    /// The Service.
    #[serde(flatten)]
    pub service: Name,
    /// `spec.ports[].port`, never the target port.
    pub port: u16,
}

impl fmt::Display for ServicePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.port)
    }
}
