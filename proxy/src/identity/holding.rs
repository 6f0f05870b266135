//! Whom a worker trusts and by whom its certificates are, for the control plane: a root is not taken back
//! while anybody holds a certificate that leads to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use weft_certs::RenewalStatus;
use weft_telemetry::metrics::Holder;
use weft_wire::proto::config::WorkerTrusts;

use super::{Shared, State};
use crate::control;

/// Time between two words of a worker, so that the start of many pods is said in a few.
const PACE: Duration = Duration::from_millis(100);
/// Issuers that a worker can have certificates of: those of two generations, and of renewals between.
const ISSUERS: usize = 8;
/// Length of a fingerprint.
const FINGERPRINT_BYTES: usize = 64;

impl Shared {
    /// Notices what is held now.
    pub(super) fn count(&self, state: &State) {
        let mut oldest = None;
        let mut held = WorkerTrusts::default();
        let mut roots = BTreeMap::new();
        for kept in state.kept.values().filter_map(Weak::upgrade) {
            if let Some(ready) = &*kept.ready.borrow() {
                let bundles = ready.identity.trust().bundles();
                let version = bundles.version();
                roots.extend(bundles.roots(Holder::Worker));
                oldest = Some(oldest.map_or(version, |oldest: u64| oldest.min(version)));
                let issuer = ready.identity.leaf().info().issuer.clone();
                *held.leaves.entry(issuer).or_default() += 1;
            }
        }
        // Who has nothing yet will begin with the latest.
        let latest = || state.trust.as_ref().map_or(0, |trust| trust.version);
        held.bundle_version = oldest.unwrap_or_else(latest);
        self.registry.trust().set(roots);
        control::say(&self.held, held);
    }
}

/// Notices what one identity does to what is held: whenever it has another certificate, and when it is
/// no more.
pub(super) struct Recount {
    shared: Arc<Shared>,
    status: watch::Receiver<RenewalStatus>,
}

impl Recount {
    pub(super) fn of(shared: &Arc<Shared>, status: watch::Receiver<RenewalStatus>) -> Self {
        Self {
            shared: Arc::clone(shared),
            status,
        }
    }

    /// Notices renewals, as long as there are any.
    pub(super) async fn run(mut self) {
        while self.status.changed().await.is_ok() {
            let state = self.shared.lock();
            self.shared.count(&state);
        }
    }
}

impl Drop for Recount {
    fn drop(&mut self) {
        let state = self.shared.lock();
        self.shared.count(&state);
    }
}

/// Says what is held, at once if that is anything and whenever it changes, as long as somebody listens.
pub(crate) async fn say<R: From<WorkerTrusts>>(
    mut held: watch::Receiver<WorkerTrusts>,
    reports: mpsc::Sender<R>,
) {
    loop {
        let now = held.borrow_and_update().clone();
        if now != WorkerTrusts::default() {
            if reports.send(now.into()).await.is_err() {
                return;
            }
            sleep(PACE).await;
        }
        if held.changed().await.is_err() {
            return;
        }
    }
}

/// What the worker of that name says, as far as it can be: it reads bytes of strangers, and what it says
/// is passed on.
pub(crate) fn plausible(name: &str, said: WorkerTrusts) -> WorkerTrusts {
    let leaves = said.leaves.into_iter();
    let leaves = leaves.filter(|(issuer, _)| issuer.len() == FINGERPRINT_BYTES);
    WorkerTrusts {
        name: name.to_owned(),
        bundle_version: said.bundle_version,
        leaves: leaves.take(ISSUERS).collect(),
    }
}
