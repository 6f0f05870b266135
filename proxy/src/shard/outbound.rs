//! What the pods of this worker dial: to a Service by its routes, to a member of the mesh through the
//! tunnel, and to everybody else as it is.
//!
//! Whose traffic it is follows from the listener that a connection came by. What it is to be done with
//! follows from the address that was dialled, the client's namespace, and nothing that is said on it:
//! an address and port of a Service names the place of `forward` where those clients come in.

mod direct;
mod known;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::TcpStream, sync::SetOnce, time::timeout};
use weft_certs::CaRoots;
use weft_forward::{Caller, Clock, Dispatch, InletKey, Live, Shared, Workers};
use weft_intercept::ports::{self, Path};
use weft_ir::ServicePort;
use weft_telemetry::{
    access_log::AccessLog,
    metrics::{ConnectionLabels, ConnectionMetrics, Parent, Protocol, Registry, Reporter},
};
use weft_wire::{CaBundle, Kind, proto::config::ResourceError};

use self::known::{Known, Whose};
use super::passing::{Failure, end_in_order};
use crate::{
    answering::Answers,
    worker::{parsed::Parsed, platform},
};

/// How long connections wait for the first configuration. Before it has come, a Service is an address as
/// any other, and what is for a member of the mesh would leave in plaintext.
const UNCONFIGURED: Duration = Duration::from_secs(10);

/// How it runs.
pub(super) struct Config {
    /// The metrics of the worker.
    pub(super) registry: Registry,
    /// Where requests are logged.
    pub(super) access_log: AccessLog,
    /// Start of the random numbers that balance traffic.
    pub(super) seed: u64,
    /// The authorities of the platform, if it has any.
    pub(super) platform: Option<Arc<CaRoots>>,
}

/// Whose connections these are.
pub(super) struct Origin {
    /// The namespace of the pod: whose routes act for it beside those of a Service's own.
    pub(super) namespace: Arc<str>,
    /// Its addresses.
    pub(super) ips: Vec<IpAddr>,
    /// Its sockets, and who it is as soon as that is known.
    pub(super) caller: Arc<Caller>,
}

/// What pods dial. Cheap to clone.
#[derive(Clone)]
pub(super) struct Outbound(Arc<Inner>);

struct Inner {
    live: Arc<Live>,
    shared: Shared,
    dispatch: Dispatch,
    workers: Workers,
    /// Counts connections that no Service stands for.
    direct: Arc<ConnectionMetrics>,
    /// Whether there is a configuration.
    configured: SetOnce<()>,
    /// Look-ups and changes of the configuration; no await is inside, and all of it is one thread.
    state: Mutex<State>,
}

struct State {
    known: Known,
    answers: Answers,
    ca_bundles: Parsed<CaBundle, Arc<CaRoots>>,
    configuration: weft_forward::Configuration,
}

impl Outbound {
    /// Carries nothing before it has a configuration. It works on the thread it is started on,
    /// within its runtime.
    ///
    /// # Errors
    /// Outside of a runtime.
    pub(super) fn start(config: Config) -> io::Result<Self> {
        let Config {
            registry,
            access_log,
            seed,
            platform,
        } = config;
        let workers = Workers::here(Clock::start(), seed, &registry.tls())?;
        let live = Arc::new(Live::new(registry.clone(), 1, seed));
        let labels = ConnectionLabels {
            reporter: Reporter::Source,
            parent: Parent::default(),
            protocol: Some(Protocol::Tcp),
        };
        let configuration = weft_forward::Configuration {
            roots: Arc::new(weft_forward::Roots {
                platform,
                ..weft_forward::Roots::default()
            }),
            ..weft_forward::Configuration::default()
        };
        Ok(Self(Arc::new(Inner {
            shared: Shared::new(access_log, &registry, Arc::clone(&live)),
            live,
            dispatch: workers.dispatch(),
            workers,
            direct: registry.connection_metrics(labels),
            configured: SetOnce::new(),
            state: Mutex::new(State {
                known: Known::default(),
                answers: Answers::default(),
                ca_bundles: Parsed::new(Kind::CaBundle),
                configuration,
            }),
        })))
    }

    /// Puts a configuration in force; says what of it is not. Requests under way end as they began.
    pub(super) fn apply(&self, configuration: weft_wire::Configuration) -> Vec<ResourceError> {
        let live = &self.0.live;
        let mut state = self.0.lock();
        let problems = state.adopt(configuration);
        if let Err(error) = live.apply(state.configuration.clone()) {
            // Only ports of Gateways can do this, and there is none.
            tracing::error!(%error, "a port is not served");
        }
        // What is not there any more is found no more before it ends.
        let State {
            known,
            configuration,
            ..
        } = &mut *state;
        known.services.update(&configuration.tables);
        for inlet in live.inlets() {
            if let InletKey::Mesh { service, .. } = &*inlet.key
                && !known.services.has(service)
            {
                live.remove_inlet(&inlet.key);
            }
        }
        drop(state);
        // Only the first one is awaited.
        drop(self.0.configured.set(()));
        problems
    }

    /// Carries a connection that a pod has dialled to `wanted`, to its end; it is [settled](super::passing::settle).
    /// Refused and broken ones are reset; when this is dropped, it is cut.
    ///
    /// # Errors
    /// What became of a connection that no Service stands for; all others are counted and logged with
    /// their Service.
    pub(super) async fn serve(
        &self,
        origin: &Origin,
        stream: TcpStream,
        wanted: SocketAddr,
    ) -> Result<(), Failure> {
        let configured = timeout(UNCONFIGURED, self.0.configured.wait());
        configured
            .await
            .map_err(|_elapsed| Failure::Unconfigured(wanted))?;
        match self.0.whose(origin, wanted)? {
            Whose::Service(service) => self.service(origin, stream, (wanted, service)).await,
            Whose::Member(id) => direct::tunnel(&self.0, origin, stream, (wanted, id)).await,
            Whose::Other => direct::plain(&self.0, origin, stream, wanted).await,
        }
    }

    async fn service(
        &self,
        origin: &Origin,
        stream: TcpStream,
        (wanted, service): (SocketAddr, ServicePort),
    ) -> Result<(), Failure> {
        let key = Arc::new(InletKey::Mesh {
            service,
            client_namespace: Arc::clone(&origin.namespace),
        });
        let inlet = self.0.live.inlet(&key);
        let inlet = inlet.map_err(|error| Failure::Unreachable(wanted, io::Error::other(error)))?;
        // Whether its end is one in order is found out by those who know what is said on it.
        end_in_order(&stream);
        let handle = self.0.dispatch.least_loaded();
        let caller = Arc::clone(&origin.caller);
        weft_forward::serve(handle, &self.0.shared, inlet, (stream, caller)).await;
        Ok(())
    }

    /// Asks all clients to connect elsewhere: the worker ends.
    pub(super) fn drain(&self) {
        for inlet in self.0.live.inlets() {
            inlet.drain();
        }
    }

    /// Closes what is kept for a pod that has gone.
    pub(super) fn forget(&self, caller: &Arc<Caller>) {
        self.0.workers.forget(caller);
    }
}

impl Inner {
    /// Nothing that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose `wanted` is, unless nobody may go there.
    fn whose(&self, origin: &Origin, wanted: SocketAddr) -> Result<Whose, Failure> {
        let known = &self.lock().known;
        let is_pod = |address| known.peers.of(address).is_some();
        match ports::illegal(Path::Outbound, wanted, &origin.ips, is_pod) {
            Some(illegal) => Err(Failure::Illegal(wanted, illegal)),
            None => Ok(known.whose(origin, wanted)),
        }
    }

    /// The SPIFFE ID that has to answer at an address now.
    fn member_at(&self, address: IpAddr) -> Option<Arc<str>> {
        self.lock().known.peers.of(address.to_canonical()).cloned()
    }
}

impl State {
    /// Takes over everything but the Services that are found by their addresses.
    fn adopt(&mut self, new: weft_wire::Configuration) -> Vec<ResourceError> {
        let weft_wire::Configuration {
            tables,
            endpoints,
            ca_bundles,
            peers,
            // Listeners of Gateways, and what the supervisor alone has to know.
            certificates: _,
            workloads: _,
            namespaces: _,
        } = new;
        let mut problems = Vec::new();
        let parse = |it: &CaBundle| CaRoots::from_pem(&it.pem).map(Arc::new);
        let configuration = &mut self.configuration;
        if let Some(refused) = self.ca_bundles.update(ca_bundles, parse) {
            problems.extend(refused);
            configuration.roots = Arc::new(weft_forward::Roots {
                config_maps: self.ca_bundles.usable(),
                platform: configuration.roots.platform.clone(),
            });
        }
        if configuration.roots.platform.is_none() {
            problems.extend(platform::lacking(&tables));
        }
        configuration.members = self.answers.of(&endpoints);
        configuration.tables = tables;
        configuration.endpoints = endpoints;
        self.known.peers.update(peers);
        problems
    }
}
