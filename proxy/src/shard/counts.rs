//! What is counted of connections to the pods of this worker.
//!
//! Labels say which end reports and nothing about a pod: their number does not grow with the pods.

use std::sync::Arc;

use weft_certs::Handshake;
use weft_forward::handshake::{completed, of_identities, unfinished};
use weft_telemetry::{
    Reason,
    metrics::{
        CloseReason, ConnectionLabels, ConnectionMetrics, Parent, ProcessMetrics, Protocol,
        Registry, Reporter, TlsMetrics, TlsResult, TlsSide,
    },
};
use weft_tunnel::{Refusal, ServeError};

/// The counters of a worker.
#[derive(Debug)]
pub(super) struct Counts {
    inbound: Arc<ConnectionMetrics>,
    tls: Arc<TlsMetrics>,
    process: Arc<ProcessMetrics>,
}

/// A connection that was counted as opened. Dropped without a word it was cut by a drain.
#[derive(Debug)]
pub(super) struct Opened {
    counts: Arc<Counts>,
    is_tunnelled: bool,
    why: CloseReason,
}

impl Counts {
    pub(super) fn new(registry: &Registry) -> Self {
        let labels = ConnectionLabels {
            reporter: Reporter::Destination,
            parent: Parent::default(),
            protocol: Some(Protocol::Tcp),
        };
        Self {
            inbound: registry.connection_metrics(labels),
            tls: registry.tls(),
            process: registry.process(),
        }
    }

    /// A connection for an application of a pod: tunnelled, or in plaintext.
    pub(super) fn opened(self: &Arc<Self>, is_tunnelled: bool) -> Opened {
        self.inbound.opened(is_tunnelled);
        Opened {
            counts: Arc::clone(self),
            is_tunnelled,
            why: CloseReason::Drain,
        }
    }

    /// A `CONNECT` that came to nothing.
    pub(super) fn refused(self: &Arc<Self>, refusal: &Refusal) {
        self.opened(true).ends(CloseReason::Cut(reason(refusal)));
    }

    /// A client has proved who it is.
    pub(super) fn connected(&self, handshake: &Handshake) {
        self.tls.handshake(completed(TlsSide::Server, handshake));
    }

    /// The connection of a client has ended; only what is about its handshake counts here.
    pub(super) fn failed(&self, error: &ServeError) {
        self.tls.handshake(match error {
            ServeError::TlsTimeout => unfinished(TlsSide::Server, TlsResult::Timeout),
            ServeError::Tls(error) => of_identities(TlsSide::Server, error),
            // The handshake was over by then, and has been counted.
            _ => return,
        });
    }

    pub(super) fn panicked(&self) {
        self.process.panicked("inbound");
    }
}

impl Opened {
    /// So many bytes came from who dialled, and so many went there.
    pub(super) fn passed(&self, received: u64, sent: u64) {
        self.counts.inbound.add_bytes(received, sent);
    }

    /// The connection is over.
    pub(super) fn ends(mut self, why: CloseReason) {
        self.why = why;
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.counts.inbound.closed(self.why, self.is_tunnelled);
    }
}

/// The reason of a refusal as connections have it.
pub(super) fn reason(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::NotConnect(_) => Reason::Unsupported,
        Refusal::NotLocal(_) | Refusal::NotBacked(_) | Refusal::OwnPort(_) => Reason::Misdirected,
        Refusal::Denied { .. } => Reason::PolicyDenied,
        Refusal::AppRefused(_) => Reason::UpstreamConnectRefused,
        Refusal::AppTimeout(_) => Reason::UpstreamConnectTimeout,
        Refusal::AppUnreachable(_) => Reason::UpstreamUnreachable,
        Refusal::OverLimit(_) => Reason::OverLimit,
        Refusal::Draining(_) => Reason::Draining,
        // No destination could be made of it.
        _ => Reason::InvalidRequest,
    }
}
