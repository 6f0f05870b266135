//! Metrics of the process as a whole: its configuration, its defects, its full queues.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::counters::{Key, KeyedCounters};
use super::histogram::{Histogram, HistogramTotals};

/// What is running, shown by `weft_build_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildInfo {
    /// Release version.
    pub version: &'static str,
    /// Commit the binary was built from; empty if unknown.
    pub commit: &'static str,
}

/// Object kind and condition reason of a refused object.
pub(super) type Rejection = (&'static str, &'static str);

impl Key for Rejection {
    const OVERFLOW: Self = ("other", "other");
}

/// Life of the configuration in the data path.
#[derive(Debug, Default)]
pub struct ConfigMetrics {
    generation: AtomicU64,
    apply: Histogram,
    translate: Histogram,
    rejected: KeyedCounters<Rejection>,
}

impl ConfigMetrics {
    /// Records that the data path now serves `generation`, `since_change` after the source changed.
    pub fn applied(&self, generation: u64, since_change: Duration) {
        self.generation.store(generation, Ordering::Relaxed);
        self.apply.observe(since_change);
    }

    /// Records how long one translation took.
    pub fn translated(&self, took: Duration) {
        self.translate.observe(took);
    }

    /// Counts an object that was refused or is served in part: its kind (`HTTPRoute`) and the
    /// condition reason (`UnsupportedValue`), both words of the API and not of the object.
    pub fn rejected(&self, kind: &'static str, reason: &'static str) {
        self.rejected.add((kind, reason), 1);
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(super) fn apply_totals(&self) -> HistogramTotals {
        totals(&self.apply)
    }

    pub(super) fn translate_totals(&self) -> HistogramTotals {
        totals(&self.translate)
    }

    pub(super) fn rejections(&self) -> BTreeMap<Rejection, u64> {
        self.rejected.totals()
    }
}

fn totals(histogram: &Histogram) -> HistogramTotals {
    let mut totals = HistogramTotals::default();
    totals.add(histogram);
    totals
}

/// Defects and full queues, by place in the program.
#[derive(Debug, Default)]
pub struct ProcessMetrics {
    panics: KeyedCounters<&'static str>,
    /// Zero where nobody says it.
    busy_us: AtomicU64,
    channels_full: KeyedCounters<&'static str>,
}

impl ProcessMetrics {
    /// Counts a panic that was caught in `place` (a stable word such as `connection`).
    pub fn panicked(&self, place: &'static str) {
        self.panics.add(place, 1);
    }

    /// Counts an item that was dropped because the queue at `place` was full.
    pub fn channel_full(&self, place: &'static str) {
        self.channels_full.add(place, 1);
    }

    /// Replaces how long the one thread of this worker was busy in all its life.
    pub fn busy(&self, spent: Duration) {
        let spent_us = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
        self.busy_us.store(spent_us, Ordering::Relaxed);
    }

    /// The same, where somebody has said it.
    pub(super) fn busy_seconds(&self) -> Option<f64> {
        let spent_us = self.busy_us.load(Ordering::Relaxed);
        (spent_us > 0).then(|| Duration::from_micros(spent_us).as_secs_f64())
    }

    pub(super) fn panics(&self) -> BTreeMap<&'static str, u64> {
        self.panics.totals()
    }

    pub(super) fn channels_full(&self) -> BTreeMap<&'static str, u64> {
        self.channels_full.totals()
    }
}
