//! Endpoints as the data path keeps them: load, health and connection pools, across table swaps.

mod connect;
mod gate;
mod lease;
mod line;
mod pool;
mod stream;
mod transport;
mod wire;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwap;
use weft_balance::{Ejection, EndpointState};
use weft_ir::{EndpointSet, EndpointState as Readiness, ServicePort};
use weft_telemetry::metrics::{BackendMetrics, EndpointCounts};

pub(crate) use self::{
    connect::{ConnectError, Dialer, dial_patiently},
    lease::{How, Lease, SendError, send},
    pool::Pool,
    transport::{Connectors, From, Speaks, Transport, connect, connect_opaque},
    wire::UpstreamIo,
};
use crate::{
    caller::Caller,
    members::{Members as Mesh, Way},
};

/// The endpoints of one Service port, reached in one way. Rules hold it; endpoint churn and new
/// certificates only swap its members.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The Service port.
    pub(crate) key: ServicePort,
    /// Its gauges and ejection counters.
    pub(crate) metrics: Arc<BackendMetrics>,
    /// Whether requests get TLS, or nothing.
    pub(crate) is_secured: bool,
    members: ArcSwap<Members>,
}

/// The endpoints of a Service port at one moment.
#[derive(Debug)]
pub(crate) struct Members {
    /// Those that take new requests.
    eligible: Box<[UpstreamRef]>,
    transport: Transport,
    ready: usize,
    terminating: usize,
}

/// One endpoint. It lives as long as a member list, a request or a pooled connection names it.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Address and target port.
    pub(crate) address: SocketAddr,
    /// How connections to it are secured; with another way it is another endpoint.
    transport: Transport,
    /// How it is reached; by another way it is another endpoint as well.
    way: Way,
    state: EndpointState,
    /// One pool per worker thread, made at the first request.
    pools: Box<[OnceLock<Box<Pool>>]>,
}

/// A shared endpoint.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamRef(pub(crate) Arc<Upstream>);

impl std::ops::Deref for UpstreamRef {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.0
    }
}

impl AsRef<EndpointState> for UpstreamRef {
    fn as_ref(&self) -> &EndpointState {
        &self.0.state
    }
}

impl Upstream {
    fn new((address, way): (SocketAddr, Way), transport: Transport, workers: usize) -> Self {
        let pools = (0..workers).map(|_| OnceLock::new()).collect();
        Self {
            address,
            transport,
            way,
            state: EndpointState::new(),
            pools,
        }
    }

    /// The pool of a worker; `fresh` is told when it has just been made.
    pub(crate) fn pool(&self, worker: usize, fresh: impl FnOnce()) -> &Pool {
        self.pools[worker].get_or_init(|| {
            fresh();
            Box::default()
        })
    }

    /// Closes what a worker has of a caller that has gone.
    pub(crate) fn forget(&self, worker: usize, caller: &Arc<Caller>) {
        if let Some(pool) = self.existing_pool(worker) {
            pool.forget(caller);
        }
    }

    /// The pool of a worker, if it was ever used.
    pub(crate) fn existing_pool(&self, worker: usize) -> Option<&Pool> {
        self.pools.get(worker)?.get().map(Box::as_ref)
    }
}

impl Cluster {
    /// A Service port without endpoints.
    pub(crate) fn new(
        key: ServicePort,
        metrics: Arc<BackendMetrics>,
        transport: Transport,
    ) -> Self {
        let is_secured = transport.is_secure();
        let members = Members {
            eligible: Box::default(),
            transport,
            ready: 0,
            terminating: 0,
        };
        Self {
            key,
            metrics,
            is_secured,
            members: ArcSwap::from_pointee(members),
        }
    }

    /// Whether its endpoints can be connected to, as far as that is up to us.
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_secured || !matches!(self.members.load().transport, Transport::Unusable)
    }

    /// Secures connections in another way from now on. Requests under way finish on theirs; no new
    /// one gets a connection that was made before.
    pub(crate) fn set_transport(&self, transport: Transport, workers: usize) {
        let old = self.members.load_full();
        let upstream = |old: &UpstreamRef| {
            let place = (old.address, old.way.clone());
            let fresh = Upstream::new(place, transport.clone(), workers);
            UpstreamRef(Arc::new(fresh))
        };
        self.members.store(Arc::new(Members {
            eligible: old.eligible.iter().map(upstream).collect(),
            transport: transport.clone(),
            ready: old.ready,
            terminating: old.terminating,
        }));
        self.publish();
    }

    /// Calls `f` with the endpoints that take new requests now.
    pub(crate) fn with_members<T>(&self, f: impl FnOnce(&[UpstreamRef]) -> T) -> T {
        f(&self.members.load().eligible)
    }

    /// An endpoint left rotation.
    pub(crate) fn ejected(&self, upstream: &Upstream, ejection: Ejection) {
        tracing::info!(
            service = %self.key, endpoint = %upstream.address, cause = ejection.cause.as_str(),
            level = ejection.level, "endpoint ejected"
        );
        self.metrics.ejected(ejection.cause.as_str());
        self.publish();
    }

    /// Brings the endpoint gauges up to date.
    pub(crate) fn publish(&self) {
        let members = self.members.load();
        let ejected = members
            .eligible
            .iter()
            .filter(|u| u.state.is_ejected())
            .count();
        self.metrics.set_endpoints(EndpointCounts {
            ready: members.ready.saturating_sub(ejected) as u64,
            terminating: members.terminating as u64,
            ejected: ejected as u64,
            unhealthy: 0,
        });
    }

    /// Takes over a new endpoint set; endpoints that stay, and are reached as before, keep their load,
    /// health and connections.
    pub(crate) fn set_endpoints(&self, set: &EndpointSet, mesh: &Mesh, workers: usize) {
        let old = self.members.load_full();
        let known: HashMap<SocketAddr, &UpstreamRef> = old
            .eligible
            .iter()
            .map(|upstream| (upstream.address, upstream))
            .collect();
        let eligible = set
            .eligible()
            .map(|endpoint| {
                let (address, way) = (endpoint.address, Way::to(endpoint, mesh));
                match known.get(&address) {
                    Some(upstream) if upstream.way.is(&way) => UpstreamRef::clone(upstream),
                    _ => {
                        let transport = old.transport.clone();
                        let fresh = Upstream::new((address, way), transport, workers);
                        UpstreamRef(Arc::new(fresh))
                    }
                }
            })
            .collect();
        let ready = set
            .all()
            .iter()
            .filter(|e| e.state == Readiness::Ready)
            .count();
        let terminating = set.all().len() - ready;
        self.members.store(Arc::new(Members {
            eligible,
            transport: old.transport.clone(),
            ready,
            terminating,
        }));
        self.publish();
    }
}
