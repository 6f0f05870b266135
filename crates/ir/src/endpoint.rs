//! Endpoints of Service ports. They live beside the tables, not in them: pod churn costs no route
//! work.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::ServicePort;

/// Whether an endpoint takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndpointState {
    /// Takes new requests.
    Ready,
    /// Shutting down but still serving: takes requests only if no endpoint is ready
    /// (`serving && terminating`, KEP-1669).
    Terminating,
}

/// One address that serves a Service port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// Address and target port.
    pub address: SocketAddr,
    /// Readiness. Endpoints that serve nothing are left out by the translator.
    pub state: EndpointState,
    /// Pod behind the address, if the slice names one.
    #[serde(default)]
    pub pod: Option<Arc<str>>,
    /// Zone of the endpoint.
    #[serde(default)]
    pub zone: Option<Arc<str>>,
    /// SPIFFE ID of a member of the mesh. Such an endpoint is reached through the tunnel, where this
    /// identity has to answer, and never in plaintext; a text that is no SPIFFE ID is never reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Arc<str>>,
}

/// All endpoints of one Service port, sorted by address, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSet {
    endpoints: Vec<Endpoint>,
}

impl EndpointSet {
    /// A set from endpoints in any order. Of several entries for one address a ready one wins; it is a
    /// member of the mesh if any of them is.
    pub fn new(mut endpoints: Vec<Endpoint>) -> Self {
        endpoints.sort();
        endpoints.dedup_by(|other, kept| {
            let is_same = other.address == kept.address;
            if is_same && kept.member.is_none() {
                kept.member = other.member.take();
            }
            is_same
        });
        endpoints.shrink_to_fit();
        Self { endpoints }
    }

    /// Whether any endpoint is a member of the mesh.
    pub fn has_members(&self) -> bool {
        self.endpoints.iter().any(|it| it.member.is_some())
    }

    /// Every endpoint, ready or terminating.
    pub fn all(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The endpoints that take new requests: the ready ones, or the terminating ones if none is.
    pub fn eligible(&self) -> impl Iterator<Item = &Endpoint> {
        let any_ready = self
            .endpoints
            .iter()
            .any(|e| e.state == EndpointState::Ready);
        let wanted = if any_ready {
            EndpointState::Ready
        } else {
            EndpointState::Terminating
        };
        self.endpoints
            .iter()
            .filter(move |endpoint| endpoint.state == wanted)
    }
}

/// The endpoint table: Service port to endpoints.
pub type Endpoints = BTreeMap<ServicePort, Arc<EndpointSet>>;
