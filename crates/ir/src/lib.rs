//! The intermediate representation of Weft: compiled, immutable tables and their behaviour.
//!
//! `translate` builds these values, the data path walks them, the command line explains them. The
//! room is pure: no IO, no clock, no randomness, no Kubernetes type. Types own their meaning
//! (`RouteSet::find`, `Filters::apply_request`, `Port::listener_for`), so that the data path only
//! moves bytes and every reader of a decision reads the same code.

mod backend;
mod endpoint;
mod explain;
mod filter;
#[cfg(test)]
mod fixture;
mod host;
mod listener;
mod matching;
mod name;
mod path;
mod policy;
mod regex;
mod request;
mod route;
mod rule;
mod serde_http;
mod service;
mod tables;
mod workload;

pub use crate::backend::{
    Authorities, Backend, BackendFault, BackendTls, SubjectAltName, Target, UpstreamProtocol,
};
pub use crate::endpoint::{Endpoint, EndpointSet, EndpointState, Endpoints};
pub use crate::explain::{Explanation, Miss, NoRecord, Outcome, Recorder, Tried};
pub use crate::filter::{
    AllowList, AllowListError, Captured, Cors, Effect, Fail, Filter, FilterContext, Filters,
    Fraction, HeaderModifier, Mirror, OriginError, OriginHost, OriginPattern, PathModifier,
    Redirect, Rewrite,
};
pub use crate::host::{Hostname, host_of};
pub use crate::listener::{Gateway, Listener, ListenerChoice, Port, PortProtocol};
pub use crate::matching::{
    GrpcMatch, GrpcMethodMatch, HeaderMatch, HttpMatch, PathMatch, QueryMatch, StringMatch,
};
pub use crate::name::{Name, RouteId, RouteKind, ServicePort};
pub use crate::path::{Normalised, PathError, normalise};
pub use crate::policy::{Retry, Timeouts};
pub use crate::regex::{Regex, RegexError};
pub use crate::request::{RequestView, Scheme, is_grpc};
pub use crate::route::{RouteEntry, RouteSet, Step, Winner};
pub use crate::rule::{Matches, Rule};
pub use crate::service::{Frontend, FrontendProtocol, Group, Service};
pub use crate::tables::Tables;
pub use crate::workload::{Cidr, Namespaces, NodePeers, NodeWorkloads, Peers, Workload, Workloads};
