//! Certificates: until when each identity of a process has one and how renewing it goes, and what an
//! identity service has signed and refused.
//!
//! An identity is a service account that has pods here, or that of the process itself: there are as
//! many series as somebody configured accounts. Ends are points in time and not seconds that are left,
//! so that a scrape does not age; the share that is left follows from the life beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};

use super::counters::KeyedCounters;
use super::definition as def;
use super::labels::{IdentityLabels, NoLabels, RootLabels, Series};
use super::writer::Writer;

/// Which process of a proxy has an identity. Parent and worker of a Gateway have the same one, with
/// keys and certificates of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// The control plane.
    Controller,
    /// The supervisor of a node, or the parent of a Gateway's worker.
    Parent,
    /// Whoever carries traffic.
    Worker,
}

impl Holder {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Parent => "parent",
            Self::Worker => "worker",
        }
    }
}

/// How it goes with the certificate of one identity, from its beginning until now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityState {
    /// The last second of the certificate in use, since 1970; `None` before there is one.
    pub not_after_unix_s: Option<i64>,
    /// How long that certificate was good for when it came.
    pub life: Duration,
    /// Certificates obtained, the first one included.
    pub renewals: u64,
    /// Attempts that failed, by stable reason.
    pub failed: BTreeMap<&'static str, u64>,
    /// Failures since the last certificate, and the reason of the last of them.
    pub failing: Option<(&'static str, u32)>,
}

/// The certificate of one identity of this process; its series stay as long as somebody holds it.
#[derive(Debug)]
pub struct IdentityMetrics {
    labels: Arc<IdentityLabels>,
    /// Replaced at each renewal and read by scrapes; nothing inside it can panic half-way.
    state: Mutex<IdentityState>,
}

impl IdentityMetrics {
    pub(super) fn new(labels: Arc<IdentityLabels>) -> Self {
        Self {
            labels,
            state: Mutex::default(),
        }
    }

    /// The labels of these series.
    #[must_use]
    pub fn labels(&self) -> &Arc<IdentityLabels> {
        &self.labels
    }

    /// Replaces what is shown.
    pub fn set(&self, state: IdentityState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(super) fn state(&self) -> IdentityState {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }
}

/// The roots that a process trusts.
#[derive(Debug, Default)]
pub struct TrustMetrics {
    /// Their last seconds, since 1970. Replaced whenever the bundle is; nothing inside it can panic
    /// half-way.
    roots: Mutex<BTreeMap<RootLabels, i64>>,
}

impl TrustMetrics {
    /// Replaces what is shown: every root with its last second, since 1970.
    pub fn set(&self, roots: BTreeMap<RootLabels, i64>) {
        *self.lock() = roots;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RootLabels, i64>> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the roots of a process.
pub(super) fn roots(trust: &TrustMetrics, out: &mut Writer<'_>) -> fmt::Result {
    out.family(&def::TRUST_ROOT_EXPIRY, |family| {
        let extra = &[];
        trust
            .lock()
            .iter()
            .try_for_each(|(labels, not_after)| family.gauge(&Series { labels, extra }, *not_after))
    })
}

/// What an identity service has answered.
#[derive(Debug, Default)]
pub struct IssuanceMetrics {
    issued: AtomicU64,
    refused: KeyedCounters<&'static str>,
}

impl IssuanceMetrics {
    /// Counts a certificate that was signed.
    pub fn issued(&self) {
        self.issued.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that was refused, by the stable reason that the audit log has.
    pub fn refused(&self, reason: &'static str) {
        self.refused.add(reason, 1);
    }
}

/// The identities of a process that has no [`Registry`](super::Registry), as OpenMetrics text without
/// its end.
#[must_use]
pub fn identity_text(identities: Vec<(IdentityLabels, IdentityState)>) -> String {
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register_collector(Box::new(Alone(identities)));
    let mut out = String::new();
    // Writing to a string does not fail.
    let _written = text::encode(&mut out, &registry);
    let end = out.strip_suffix("# EOF\n").map_or(out.len(), str::len);
    out.truncate(end);
    out
}

#[derive(Debug)]
struct Alone(Vec<(IdentityLabels, IdentityState)>);

impl Collector for Alone {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shown: Vec<_> = self
            .0
            .iter()
            .map(|(labels, state)| (labels, state))
            .collect();
        certificates(&shown, &mut Writer::new(encoder))
    }
}

/// Writes the certificates of a process.
pub(super) fn certificates(
    shown: &[(&IdentityLabels, &IdentityState)],
    out: &mut Writer<'_>,
) -> fmt::Result {
    let bare = |labels| Series { labels, extra: &[] };
    out.family(&def::IDENTITY_EXPIRY, |family| {
        shown.iter().try_for_each(|(labels, state)| {
            let Some(not_after) = state.not_after_unix_s else {
                return Ok(());
            };
            family.gauge(&bare(*labels), not_after)
        })
    })?;
    out.family(&def::IDENTITY_LIFE, |family| {
        shown.iter().try_for_each(|(labels, state)| {
            if state.not_after_unix_s.is_none() {
                return Ok(());
            }
            family.gauge(&bare(*labels), state.life.as_secs_f64())
        })
    })?;
    out.family(&def::IDENTITY_RENEWALS, |family| {
        shown.iter().try_for_each(|(labels, state)| {
            let failed = state.failed.iter().map(|(reason, count)| (*reason, *count));
            let results = std::iter::once(("ok", state.renewals)).chain(failed);
            family.counters("result", *labels, results)
        })
    })?;
    out.family(&def::IDENTITY_FAILURES, |family| {
        shown.iter().try_for_each(|(labels, state)| {
            let reasons = state.failed.keys();
            // Those of before are shown at zero, or an alert would never end.
            reasons.copied().try_for_each(|reason| {
                let is_last = state.failing.filter(|(last, _)| *last == reason);
                let count = is_last.map_or(0, |(_, count)| u64::from(count));
                let extra = [("reason", reason)];
                let series = Series {
                    labels: *labels,
                    extra: &extra,
                };
                family.gauge(&series, count)
            })
        })
    })
}

/// Writes what was signed, and what was not.
pub(super) fn issuance(issuance: Option<&IssuanceMetrics>, out: &mut Writer<'_>) -> fmt::Result {
    out.family(&def::IDENTITY_ISSUED, |family| {
        let Some(issuance) = issuance else {
            return Ok(());
        };
        let bare = Series {
            labels: &NoLabels,
            extra: &[],
        };
        family.counter(&bare, issuance.issued.load(Ordering::Relaxed))
    })?;
    out.family(&def::IDENTITY_REFUSED, |family| {
        let refused = issuance.map(|it| it.refused.totals()).unwrap_or_default();
        family.counters("reason", &NoLabels, refused)
    })
}
