//! What a resource is called.

use std::{fmt, sync::Arc};

use weft_ir::{Name, RouteId, RouteKind};

/// The types of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A Gateway: ports and listeners, without their routes.
    Gateway,
    /// A Service: addresses and ports, without their routes.
    Service,
    /// A route object with all of its rules, and the parents it hangs below.
    Route(RouteKind),
    /// The endpoints of the ports of one Service.
    Endpoints,
    /// Certificate and key of a listener (a Secret). Never written to disk.
    Certificate,
    /// Certification authorities that backends are verified by (a ConfigMap).
    CaBundle,
    /// A pod, as the proxy of its node has to know it.
    Workload,
    /// The members of the mesh on one node that can be reached through the tunnel.
    Peers,
    /// The namespaces that are of the mesh; there is one.
    Namespaces,
}

impl Kind {
    /// The type as messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "Gateway",
            Self::Service => "Service",
            Self::Route(kind) => kind.as_str(),
            Self::Endpoints => "Endpoints",
            Self::Certificate => "Certificate",
            Self::CaBundle => "CaBundle",
            Self::Workload => "Workload",
            Self::Peers => "Peers",
            Self::Namespaces => "Namespaces",
        }
    }

    /// The type of that name; `None` for one this version does not know.
    pub fn parse(text: &str) -> Option<Self> {
        let routes = RouteKind::ALL.iter().copied().map(Self::Route);
        [
            Self::Gateway,
            Self::Service,
            Self::Endpoints,
            Self::Certificate,
            Self::CaBundle,
            Self::Workload,
            Self::Peers,
            Self::Namespaces,
        ]
        .into_iter()
        .chain(routes)
        .find(|kind| kind.as_str() == text)
    }

    /// Whether resources of the type may be written to disk.
    pub fn is_persistable(self) -> bool {
        self != Self::Certificate
    }
}

/// Type and name of a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its type.
    pub kind: Kind,
    /// Namespace and name of the object.
    pub name: Name,
}

impl Key {
    /// A key from its parts.
    pub fn new(kind: Kind, name: Name) -> Self {
        Self { kind, name }
    }

    /// The key of a route.
    pub fn of_route(route: &RouteId) -> Self {
        Self::new(Kind::Route(route.kind), route.name.clone())
    }

    /// The key of the members on a node. Nodes have no namespace, and keys have one.
    pub(crate) fn of_peers(node: &Arc<str>) -> Self {
        Self::new(Kind::Peers, Name::new("nodes", Arc::clone(node)))
    }

    /// The key of the namespaces of the mesh.
    pub(crate) fn of_namespaces() -> Self {
        Self::new(Kind::Namespaces, Name::new("mesh", "enrolled"))
    }

    /// The key a message names.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(kind: &str, name: &str) -> Result<Self, String> {
        let Some(known) = Kind::parse(kind) else {
            return Err("resources of this type are not known here; they are ignored".to_owned());
        };
        match name.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self::new(known, Name::new(namespace, name)))
            }
            _ => Err("the name is not of the form namespace/name".to_owned()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}
