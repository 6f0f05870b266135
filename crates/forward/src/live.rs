//! The tables as the data path holds them: every rule with its counters, its split and its
//! clusters at hand, so that a request looks nothing up by name.
//!
//! An [`Inlet`] is one place where connections come in: a port of a Gateway, or a port of a Service
//! as the clients of one namespace see it. Its current [`View`] is swapped whole; a request takes it
//! once and keeps it to its last byte.

mod build;
mod cluster_key;
mod state;

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use arc_swap::ArcSwapOption;
use tokio_util::sync::CancellationToken;
use weft_balance::WeightedSplit;
use weft_certs::Acceptor;
use weft_ir::{
    Frontend, ListenerChoice, Name, NoRecord, Port, RequestView, RouteKind, RouteSet, Rule, Scheme,
    Target, UpstreamProtocol,
};
use weft_telemetry::{
    Reason,
    metrics::{ConnectionMetrics, RequestHandles},
};

pub use self::{
    cluster_key::Roots,
    state::{Configuration, InletKey, Live},
};
use crate::{caller::Caller, upstream::Cluster};

/// One place where connections come in.
#[derive(Debug)]
pub struct Inlet {
    /// What it is.
    pub key: Arc<InletKey>,
    view: ArcSwapOption<View>,
    acceptor: ArcSwapOption<Acceptor>,
    /// In whose name its traffic reaches members of the mesh.
    caller: ArcSwapOption<Caller>,
    active: AtomicBool,
    draining: AtomicBool,
    /// Made for the first connection: most inlets never have one.
    closed: OnceLock<CancellationToken>,
}

impl Inlet {
    fn new(key: Arc<InletKey>) -> Self {
        Self {
            key,
            view: ArcSwapOption::empty(),
            acceptor: ArcSwapOption::empty(),
            caller: ArcSwapOption::empty(),
            active: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            closed: OnceLock::new(),
        }
    }

    /// A connection has come in: the inlet gets a view whatever it is for.
    fn activate(&self) {
        self.active.store(true, Relaxed);
    }

    /// Whether no connection has needed a view so far.
    fn may_wait(&self) -> bool {
        !self.active.load(Relaxed)
    }

    /// From now on answers ask their client to connect elsewhere: `connection: close`, GOAWAY.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Ends connections that are idle or opaque. Requests in flight still finish.
    pub fn close(&self) {
        self.drain();
        self.closed.get_or_init(CancellationToken::new).cancel();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Completes when the inlet is closed.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + '_ {
        self.closed.get_or_init(CancellationToken::new).cancelled()
    }

    /// The TLS side of an HTTPS port.
    pub(crate) fn acceptor(&self) -> Option<Arc<Acceptor>> {
        self.acceptor.load_full()
    }

    /// In whose name its traffic reaches members of the mesh; `None` where nobody's name is to be had.
    pub(crate) fn caller(&self) -> Option<Arc<Caller>> {
        self.caller.load_full()
    }

    /// What applies now; `None` once the object behind the inlet is gone.
    pub(crate) fn view(&self) -> Option<Arc<View>> {
        self.view.load_full()
    }

    /// What applies now, by way of what a connection `held` for its last request. A view is shared
    /// by all cores; its reference count is touched when it changes, not for every request.
    pub(crate) fn view_by_way_of(&self, held: &Mutex<Option<Arc<Held>>>) -> Option<Arc<Held>> {
        let current = self.view.load();
        let current = current.as_ref()?;
        // Never contended: only the tasks of one connection use it, and they share a thread.
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(held) if Arc::ptr_eq(&held.0, current) => Some(Arc::clone(held)),
            _ => {
                let fresh = Arc::new(Held(Arc::clone(current)));
                *held = Some(Arc::clone(&fresh));
                Some(fresh)
            }
        }
    }
}

/// A connection's own share of a view.
pub(crate) struct Held(Arc<View>);

impl std::ops::Deref for Held {
    type Target = View;

    fn deref(&self) -> &View {
        &self.0
    }
}

/// What one inlet does with requests and connections, at one moment.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) kind: ViewKind,
    pub(crate) connections: Arc<ConnectionMetrics>,
    /// Counts requests that no rule took.
    pub(crate) unrouted: Arc<RequestHandles>,
}

/// The two kinds of inlet.
#[derive(Debug)]
pub(crate) enum ViewKind {
    /// A Gateway's port, with the live routes of each of its listeners.
    Gateway {
        port: Arc<Port>,
        /// Secret with the certificate that backends are shown.
        client_certificate: Option<Name>,
        listeners: Vec<Arc<LiveRoutes>>,
    },
    /// A Service's port for clients of one namespace.
    Mesh {
        frontend: Arc<Frontend>,
        /// The one group that applies; `None` passes everything through to the Service.
        routes: Option<Arc<LiveRoutes>>,
        /// The Service itself; without a cluster when the frontend has a fault.
        service: Arc<LiveBackend>,
    },
}

/// A route set with its rules' live parts, by rule index.
#[derive(Debug)]
pub(crate) struct LiveRoutes {
    set: Arc<RouteSet>,
    rules: Vec<Arc<LiveRule>>,
}

/// A rule with everything a request needs of it.
#[derive(Debug)]
pub(crate) struct LiveRule {
    pub(crate) rule: Arc<Rule>,
    pub(crate) backends: Vec<LiveBackend>,
    pub(crate) split: WeightedSplit,
    /// Mirror targets of the rule and its backends.
    pub(crate) mirrors: Vec<LiveMirror>,
    /// Counts answers that involve no backend: redirects, refusals. Those of the first backend where
    /// a backend is always chosen, because series that stay at 0 cost as much as others.
    pub(crate) own: Arc<RequestHandles>,
}

/// A backend with its counters and endpoints.
#[derive(Debug)]
pub(crate) struct LiveBackend {
    pub(crate) handles: Arc<RequestHandles>,
    /// `None` for a reference that cannot be used.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) protocol: UpstreamProtocol,
}

/// The cluster of a mirror filter.
#[derive(Debug)]
pub(crate) struct LiveMirror {
    pub(crate) target: Target,
    pub(crate) cluster: Arc<Cluster>,
}

/// What a view decides for a request.
pub(crate) enum Decision<'a> {
    /// This rule takes it.
    Rule(&'a Arc<LiveRule>),
    /// No route on the port: to the Service itself.
    PassThrough(&'a Arc<LiveBackend>),
    /// Answer with this status.
    Refuse(u16, Reason),
}

impl LiveRoutes {
    /// `None` when nothing matches.
    fn find(&self, request: &RequestView<'_>) -> Option<&Arc<LiveRule>> {
        let winner = self.set.find(request, &mut NoRecord)?;
        self.rules.get(winner.rule as usize)
    }

    fn decide(&self, request: &RequestView<'_>, encoded_separator: bool) -> Decision<'_> {
        if encoded_separator && self.set.restricts_by_path() {
            return Decision::Refuse(400, Reason::InvalidRequest);
        }
        match self.find(request) {
            Some(rule) => Decision::Rule(rule),
            None if self.set.has(RouteKind::Grpc)
                && !self.set.has(RouteKind::Http)
                && !request.is_grpc() =>
            {
                Decision::Refuse(404, Reason::NotGrpc)
            }
            None => Decision::Refuse(404, Reason::NoRoute),
        }
    }
}

impl View {
    /// Decides where a request goes. `sni` is the name of the connection's TLS handshake;
    /// `encoded_separator` says that the path holds `%2f` or the like.
    pub(crate) fn decide(
        &self,
        sni: Option<&str>,
        request: &RequestView<'_>,
        encoded_separator: bool,
    ) -> Decision<'_> {
        match &self.kind {
            ViewKind::Gateway {
                port, listeners, ..
            } => match port.listener_for(sni, request.host) {
                ListenerChoice::Serve(index) => match listeners.get(index) {
                    Some(routes) => routes.decide(request, encoded_separator),
                    None => Decision::Refuse(404, Reason::NoRoute),
                },
                ListenerChoice::NotFound => Decision::Refuse(404, Reason::NoRoute),
                ListenerChoice::Misdirected => Decision::Refuse(421, Reason::Misdirected),
            },
            ViewKind::Mesh {
                routes: Some(routes),
                ..
            } => routes.decide(request, encoded_separator),
            ViewKind::Mesh {
                routes: None,
                service,
                ..
            } => Decision::PassThrough(service),
        }
    }

    /// The port that redirects without a port of their own name.
    pub(crate) fn port(&self) -> u16 {
        match &self.kind {
            ViewKind::Gateway { port, .. } => port.port,
            ViewKind::Mesh { frontend, .. } => frontend.port,
        }
    }

    /// The scheme of requests that come in here.
    pub(crate) fn scheme(&self) -> Scheme {
        match &self.kind {
            ViewKind::Gateway { port, .. } if port.protocol == weft_ir::PortProtocol::Https => {
                Scheme::Https
            }
            ViewKind::Gateway { .. } | ViewKind::Mesh { .. } => Scheme::Http,
        }
    }

    /// Whether this is a gateway: a trust boundary that rewrites forwarding headers.
    pub(crate) fn is_gateway(&self) -> bool {
        matches!(self.kind, ViewKind::Gateway { .. })
    }
}

impl LiveRule {
    /// The cluster of a mirror target.
    pub(crate) fn mirror(&self, target: &Target) -> Option<(&Arc<Cluster>, UpstreamProtocol)> {
        let Target::Service { protocol, .. } = target else {
            return None;
        };
        let mirror = self
            .mirrors
            .iter()
            .find(|mirror| mirror.target == *target)?;
        Some((&mirror.cluster, *protocol))
    }
}
