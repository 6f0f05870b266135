//! Endpoints of one backend: how many are in which state, and how often one was ejected.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::counters::KeyedCounters;
use super::labels::Backend;

/// How many endpoints of a backend are in each state; an endpoint counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointCounts {
    /// May receive traffic.
    pub ready: u64,
    /// Going away; used only if nothing else is left.
    pub terminating: u64,
    /// Ready, but out of rotation for misbehaving.
    pub ejected: u64,
    /// Reported as not ready.
    pub unhealthy: u64,
}

impl EndpointCounts {
    pub(super) fn by_state(self) -> [(&'static str, u64); 4] {
        [
            ("ready", self.ready),
            ("terminating", self.terminating),
            ("ejected", self.ejected),
            ("unhealthy", self.unhealthy),
        ]
    }
}

/// Gauges and counters of one backend; its series stay as long as somebody holds it.
#[derive(Debug)]
pub struct BackendMetrics {
    labels: Arc<Backend>,
    ready: AtomicU64,
    terminating: AtomicU64,
    ejected: AtomicU64,
    unhealthy: AtomicU64,
    ejections: KeyedCounters<&'static str>,
}

impl BackendMetrics {
    pub(super) fn new(labels: Arc<Backend>) -> Self {
        Self {
            labels,
            ready: AtomicU64::new(0),
            terminating: AtomicU64::new(0),
            ejected: AtomicU64::new(0),
            unhealthy: AtomicU64::new(0),
            ejections: KeyedCounters::default(),
        }
    }

    /// The labels of these series.
    #[must_use]
    pub fn labels(&self) -> &Arc<Backend> {
        &self.labels
    }

    /// Replaces the endpoint counts.
    pub fn set_endpoints(&self, counts: EndpointCounts) {
        self.ready.store(counts.ready, Ordering::Relaxed);
        self.terminating
            .store(counts.terminating, Ordering::Relaxed);
        self.ejected.store(counts.ejected, Ordering::Relaxed);
        self.unhealthy.store(counts.unhealthy, Ordering::Relaxed);
    }

    /// Counts an ejection. `cause` is one of the balancer's own stable words.
    pub fn ejected(&self, cause: &'static str) {
        self.ejections.add(cause, 1);
    }

    pub(super) fn endpoints(&self) -> EndpointCounts {
        EndpointCounts {
            ready: self.ready.load(Ordering::Relaxed),
            terminating: self.terminating.load(Ordering::Relaxed),
            ejected: self.ejected.load(Ordering::Relaxed),
            unhealthy: self.unhealthy.load(Ordering::Relaxed),
        }
    }

    pub(super) fn ejections(&self) -> std::collections::BTreeMap<&'static str, u64> {
        self.ejections.totals()
    }
}
