//! Where handles are made, shared between table generations, and forgotten.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::backend::BackendMetrics;
use super::connection::{ConnectionMetrics, TlsMetrics};
use super::encode::Snapshot;
use super::identity::{IdentityMetrics, IssuanceMetrics, TrustMetrics};
use super::labels::{
    Backend, ConnectionLabels, IdentityLabels, LabelGroups, Protocol, RequestLabels,
};
use super::lane::lane_count;
use super::process::{BuildInfo, ConfigMetrics, ProcessMetrics};
use super::request::RequestHandles;

/// All metrics of a process. Clones share the same storage.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    build: BuildInfo,
    groups: LabelGroups,
    lanes: usize,
    requests: Table<RequestLabels, RequestHandles>,
    connections: Table<ConnectionLabels, ConnectionMetrics>,
    backends: Table<Backend, BackendMetrics>,
    identities: Table<IdentityLabels, IdentityMetrics>,
    trust: Arc<TrustMetrics>,
    /// Only where there is an identity service.
    issuance: OnceLock<Arc<IssuanceMetrics>>,
    tls: Arc<TlsMetrics>,
    config: Arc<ConfigMetrics>,
    process: Arc<ProcessMetrics>,
}

impl Registry {
    /// An empty registry with one lane per core (at most eight).
    #[must_use]
    pub fn new(build: BuildInfo, groups: LabelGroups) -> Self {
        Self::with_lanes(build, groups, lane_count())
    }

    /// As [`Registry::new`] with a given number of lanes, at least one.
    pub(super) fn with_lanes(build: BuildInfo, groups: LabelGroups, lanes: usize) -> Self {
        let shared = Shared {
            build,
            groups,
            lanes,
            requests: Table::default(),
            connections: Table::default(),
            backends: Table::default(),
            identities: Table::default(),
            trust: Arc::default(),
            issuance: OnceLock::new(),
            tls: Arc::new(TlsMetrics::new(lanes)),
            config: Arc::default(),
            process: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The handles of one (rule, backend): those of the previous tables if the labels are the
    /// same, so that counters never jump at a swap. `expected` is the protocol the route kind or
    /// the port promises; its success and error series exist at 0 before the first request.
    ///
    /// For building tables, not for the request path: takes a lock and may allocate.
    #[must_use]
    pub fn request_handles(
        &self,
        labels: RequestLabels,
        expected: Protocol,
    ) -> Arc<RequestHandles> {
        let labels = self.shared.groups.keep(labels);
        let lanes = self.shared.lanes;
        let make = |labels| RequestHandles::new(labels, lanes);
        let handles = self.shared.requests.get_or_create(labels, make);
        handles.expect(expected);
        handles
    }

    /// The counters of one listener or Service port; shared and kept like request handles.
    #[must_use]
    pub fn connection_metrics(&self, labels: ConnectionLabels) -> Arc<ConnectionMetrics> {
        let lanes = self.shared.lanes;
        let make = |labels| ConnectionMetrics::new(labels, lanes);
        self.shared.connections.get_or_create(labels, make)
    }

    /// The gauges of one backend; shared and kept like request handles.
    #[must_use]
    pub fn backend_metrics(&self, backend: Backend) -> Arc<BackendMetrics> {
        self.shared
            .backends
            .get_or_create(backend, BackendMetrics::new)
    }

    /// The certificate of one identity; shared and kept like request handles.
    #[must_use]
    pub fn identity_metrics(&self, labels: IdentityLabels) -> Arc<IdentityMetrics> {
        self.shared
            .identities
            .get_or_create(labels, IdentityMetrics::new)
    }

    /// The roots that this process trusts.
    #[must_use]
    pub fn trust(&self) -> Arc<TrustMetrics> {
        Arc::clone(&self.shared.trust)
    }

    /// What the identity service of this process answers. Whoever asks for it is one; others show
    /// nothing of the kind.
    #[must_use]
    pub fn issuance(&self) -> Arc<IssuanceMetrics> {
        Arc::clone(self.shared.issuance.get_or_init(Arc::default))
    }

    /// TLS handshakes of this process.
    #[must_use]
    pub fn tls(&self) -> Arc<TlsMetrics> {
        Arc::clone(&self.shared.tls)
    }

    /// Configuration metrics of this process.
    #[must_use]
    pub fn config(&self) -> Arc<ConfigMetrics> {
        Arc::clone(&self.shared.config)
    }

    /// Panics and full queues of this process.
    #[must_use]
    pub fn process(&self) -> Arc<ProcessMetrics> {
        Arc::clone(&self.shared.process)
    }

    /// One scrape: OpenMetrics text, to be served as [`CONTENT_TYPE`](super::CONTENT_TYPE).
    ///
    /// Recording goes on meanwhile. It takes tens of milliseconds for 10,000 idle rules and ten
    /// times that for busy ones: call it where blocking is allowed. A handle nobody else holds any more is shown in one more
    /// scrape, which collects its last counts, and then forgotten.
    #[must_use]
    pub fn encode(&self) -> String {
        let shared = &self.shared;
        let snapshot = Snapshot {
            build: shared.build,
            requests: shared
                .requests
                .collect(|handles| Arc::clone(handles.labels())),
            connections: shared
                .connections
                .collect(|metrics| Arc::clone(metrics.labels())),
            backends: shared
                .backends
                .collect(|metrics| Arc::clone(metrics.labels())),
            identities: shared.identities.collect(|it| Arc::clone(it.labels())),
            trust: self.trust(),
            issuance: shared.issuance.get().cloned(),
            tls: self.tls(),
            config: self.config(),
            process: self.process(),
        };
        snapshot.into_text()
    }
}

/// Handles by labels.
///
/// A plain mutex: it is taken when tables are built and once per scrape, never while recording,
/// and nothing inside it can panic half-way (a poisoned lock still guards a valid map).
#[derive(Debug)]
struct Table<L, H> {
    entries: Mutex<HashMap<Arc<L>, Entry<H>>>,
}

#[derive(Debug)]
struct Entry<H> {
    handle: Arc<H>,
    /// Set by the scrape that found nobody else holding the handle.
    retired: bool,
}

impl<L, H> Default for Table<L, H> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
        }
    }
}

impl<L: Hash + Ord, H> Table<L, H> {
    fn get_or_create(&self, labels: L, make: impl FnOnce(Arc<L>) -> H) -> Arc<H> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(&labels) {
            entry.retired = false;
            return Arc::clone(&entry.handle);
        }
        let labels = Arc::new(labels);
        let handle = Arc::new(make(Arc::clone(&labels)));
        entries.insert(
            labels,
            Entry {
                handle: Arc::clone(&handle),
                retired: false,
            },
        );
        handle
    }

    /// The handles to show now, sorted by labels; forgets those already shown once after their
    /// last holder went.
    fn collect(&self, labels_of: impl Fn(&H) -> Arc<L>) -> Vec<Arc<H>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| {
            // Only this map hands out clones of a handle it alone holds, and it is locked.
            let unheld = Arc::strong_count(&entry.handle) == 1;
            let keep = !(unheld && entry.retired);
            entry.retired = unheld;
            keep
        });
        let mut handles: Vec<_> = entries
            .values()
            .map(|entry| Arc::clone(&entry.handle))
            .collect();
        drop(entries);
        handles.sort_by_cached_key(|handle| labels_of(handle));
        handles
    }
}
