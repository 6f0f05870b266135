//! The Kubernetes API as Weft reads it: Gateway API v1.6.1, both channels, and the few core kinds
//! routing needs. Types are written once per concept, never fail on values added by later
//! versions, and carry no behaviour beyond defaults and comparison.
//!
//! [`AnyObject::parse`] is the way in; [`Kind`] knows the names of kinds; [`conditions`] holds
//! what Weft says in statuses; [`crds`] the upstream schemas the types are compared with.

pub mod conditions;
pub mod config;
#[cfg(feature = "crds")]
pub mod crds;
pub mod duration;
pub mod filter;
pub mod gateway;
pub mod key;
pub mod mesh;
pub mod meta;
pub mod object;
pub mod policy;
pub mod reference;
pub mod route;
mod schema;
pub mod service;
pub mod workload;

pub use k8s_openapi::ByteString;

pub use conditions::{Condition, ConditionStatus, ConditionType, Reason};
pub use config::{ConfigMap, Secret};
pub use gateway::{Gateway, GatewayClass, ListenerSet};
pub use key::{ObjectKey, ObjectRef};
pub use mesh::{XBackend, XMesh};
pub use object::{AnyObject, Kind, Object, ParseError, Scope};
pub use policy::{BackendTlsPolicy, ReferenceGrant, XBackendTrafficPolicy};
pub use route::{GrpcRoute, HttpRoute, Route, TcpRoute, TlsRoute, UdpRoute};
pub use service::{EndpointSlice, Service};
pub use workload::{Namespace, Pod, ServiceAccount};

/// API group of Gateway API.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// API group of Gateway API's experimental kinds.
pub const EXPERIMENTAL_GROUP: &str = "gateway.networking.x-k8s.io";
/// API group of EndpointSlice.
pub const DISCOVERY_GROUP: &str = "discovery.k8s.io";
