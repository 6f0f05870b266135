//! What is watched and how patiently.

use std::time::Duration;

use weft_api::Kind;

use super::pace::{Jitter, Retry};

/// The kinds that are watched as a whole. Secrets and ConfigMaps are not among them: those are
/// read one by one, when something refers to them.
pub const WATCHED_KINDS: &[Kind] = &[
    Kind::Namespace,
    Kind::Service,
    Kind::EndpointSlice,
    Kind::GatewayClass,
    Kind::Gateway,
    Kind::ListenerSet,
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::TlsRoute,
    Kind::TcpRoute,
    Kind::UdpRoute,
    Kind::ReferenceGrant,
    Kind::BackendTlsPolicy,
    Kind::XMesh,
    Kind::XBackend,
    Kind::XBackendTrafficPolicy,
];

/// How to watch.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Kinds to watch as a whole; see [`WATCHED_KINDS`].
    pub kinds: Vec<Kind>,
    /// Objects per page of a list.
    pub page_size: u32,
    /// So long one answer may take that is not a watch.
    pub request_timeout: Duration,
    /// After so long the API server is asked to end a watch, which then goes on in a new request.
    /// Whole seconds.
    pub watch_timeout: Duration,
    /// So much later a watch that did not end counts as dead. Together with `watch_timeout` this
    /// bounds how long a silent connection goes unnoticed.
    pub watch_grace: Duration,
    /// Time between two looks at which kinds are served.
    pub discovery_interval: Duration,
    /// Time between two looks at an object that was referred to and cannot be watched.
    pub reference_interval: Duration,
    /// Most objects that were referred to and are watched, each with a connection of its own. The
    /// others are looked at every `reference_interval`.
    pub reference_watches_max: usize,
    /// A list that must be repeated begins at some moment within this time, so that not all kinds
    /// of all replicas are listed at once.
    pub relist_spread: Duration,
    /// Waits between attempts.
    pub retry: Retry,
    /// Spreads the waits.
    pub jitter: Jitter,
}

impl WatchOptions {
    /// The usual patience; a silent watch is noticed within 58 seconds.
    #[must_use]
    pub fn new(jitter: Jitter) -> Self {
        Self {
            kinds: WATCHED_KINDS.to_vec(),
            page_size: 500,
            request_timeout: Duration::from_secs(30),
            watch_timeout: Duration::from_secs(50),
            watch_grace: Duration::from_secs(8),
            discovery_interval: Duration::from_secs(5),
            reference_interval: Duration::from_secs(5),
            reference_watches_max: 64,
            relist_spread: Duration::from_millis(500),
            retry: Retry::default(),
            jitter,
        }
    }
}
