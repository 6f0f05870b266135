//! Mesh frontends: Services whose ClusterIP traffic is routed.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{BackendFault, BackendTls, Name, RouteSet, UpstreamProtocol};

/// A Service with a ClusterIP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// The Service.
    pub name: Name,
    /// Every ClusterIP; all of them key the same frontends.
    pub cluster_ips: Vec<IpAddr>,
    /// Its TCP ports, in ascending order.
    pub ports: Vec<Arc<Frontend>>,
}

/// One port of a Service as its mesh clients see it.
///
/// The key of a mesh connection is (client namespace, original ClusterIP, port); host, SNI and path
/// are not looked at before [`Frontend::group`] has chosen the group (GEP-1294, GEP-1324).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Frontend {
    /// `spec.ports[].port`.
    pub port: u16,
    /// How the first bytes of a connection are treated.
    pub protocol: FrontendProtocol,
    /// What the Service's own endpoints speak, for requests that are passed through.
    pub upstream: UpstreamProtocol,
    /// TLS below that for what no route takes; a client that speaks TLS itself is passed through as
    /// it is. `None` passes everything through as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Arc<BackendTls>>,
    /// Why the endpoints cannot be reached by what no route takes, which is refused then: requests
    /// with 500 (gRPC: UNAVAILABLE), connections that are not HTTP with a reset. `None` passes it
    /// through. Rules are not concerned: the targets of their backends say the same for themselves.
    #[serde(default)]
    pub fault: Option<BackendFault>,
    /// Routes of the Service's own namespace; they act for clients of every namespace.
    #[serde(default)]
    pub producer: Option<Arc<RouteSet>>,
    /// Routes of other namespaces, by namespace; each acts for clients of that namespace only and
    /// replaces the producer group for them.
    #[serde(default)]
    pub consumers: BTreeMap<Arc<str>, Arc<RouteSet>>,
}

/// How a frontend treats its connections (routing order: `appProtocol`, routes, well-known ports).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FrontendProtocol {
    /// Declared or routed HTTP/1: detect h1 or h2, wait up to 10 s for the first bytes.
    Http,
    /// HTTP/2 only (`grpc`, `kubernetes.io/h2c`, GRPCRoute).
    Http2,
    /// Never parsed.
    Opaque,
}

/// Which routes a mesh connection uses. Exactly one group, never a merge of two (GEP-1294).
#[derive(Clone, Copy, Debug)]
pub enum Group<'a> {
    /// The client namespace's own routes.
    Consumer(&'a Arc<RouteSet>),
    /// The routes of the Service's namespace.
    Producer(&'a Arc<RouteSet>),
    /// No route: balanced over the endpoints of the Service, unless it has a [`Frontend::fault`].
    PassThrough,
}

impl Service {
    /// The frontend of a port.
    pub fn port(&self, port: u16) -> Option<&Arc<Frontend>> {
        let at = self
            .ports
            .binary_search_by_key(&port, |frontend| frontend.port)
            .ok()?;
        self.ports.get(at)
    }
}

impl Frontend {
    /// The group that serves clients of `client_namespace`.
    pub fn group(&self, client_namespace: &str) -> Group<'_> {
        match (self.consumers.get(client_namespace), &self.producer) {
            (Some(routes), _) => Group::Consumer(routes),
            (None, Some(routes)) => Group::Producer(routes),
            (None, None) => Group::PassThrough,
        }
    }
}
