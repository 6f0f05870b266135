//! Backends of a rule: where requests go, and what answers when they cannot.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Filters, ServicePort};

mod tls;

pub use self::tls::{Authorities, BackendTls, SubjectAltName};

/// One `backendRef` of a rule.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Backend {
    /// Share of the requests, in proportion to the sum over the rule. 0 means none at all.
    pub weight: u32,
    /// Filters of this backend; they run after the rule's own and only for requests sent here.
    #[serde(default)]
    pub filters: Filters,
    /// The destination.
    pub target: Target,
}

/// A destination, already checked against the specification's rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// The endpoints of a Service port.
    Service {
        /// Key into the endpoint table.
        port: ServicePort,
        /// What the endpoints speak.
        protocol: UpstreamProtocol,
        /// TLS below that; `None` sends in plaintext.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls: Option<Arc<BackendTls>>,
    },
    /// The reference cannot be used: its share of the requests answers 500 (gRPC: UNAVAILABLE).
    Fault {
        /// Why.
        fault: BackendFault,
        /// The reference as written (`Service shop/web:80`), for messages and metric labels.
        reference: String,
    },
}

/// What the endpoints of a Service port speak (`appProtocol`, then the route's kind).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1, with upgrades (`http` at a gateway, `kubernetes.io/ws`, or nothing declared). The
    /// gRPC calls of HTTP/2 clients still go as HTTP/2: there is no other way to make them.
    Http1,
    /// HTTP/2 with prior knowledge (`kubernetes.io/h2c`, `grpc`, every GRPCRoute).
    Http2,
    /// Whatever the client speaks: mesh traffic whose Service declares nothing or `http`.
    AsClient,
}

/// Why a `backendRef` cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BackendFault {
    /// The Service or its port does not exist, or the port is missing in the reference.
    BackendNotFound,
    /// Unknown group or kind.
    InvalidKind,
    /// Another namespace, and no ReferenceGrant permits it.
    RefNotPermitted,
    /// The `appProtocol` of the port cannot be served by this kind of route.
    UnsupportedProtocol,
    /// A BackendTLSPolicy targets the port and cannot be honoured: plaintext is never sent instead.
    BackendTls,
    /// An invalid filter on the backend: it is never served without it.
    InvalidFilter,
}

impl BackendFault {
    /// The condition reason, without the Go prefix.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackendNotFound => "BackendNotFound",
            Self::InvalidKind => "InvalidKind",
            Self::RefNotPermitted => "RefNotPermitted",
            Self::UnsupportedProtocol => "UnsupportedProtocol",
            Self::BackendTls => "BackendTLSPolicy",
            Self::InvalidFilter => "InvalidFilter",
        }
    }
}
