//! Peak-sensitive moving average of an endpoint's latency, in one atomic word.
//!
//! The estimate jumps to a slower sample at once and approaches faster samples with the time
//! constant [`DECAY_NS`] (the "peak EWMA" of Finagle). It also fades while nothing is sampled, so
//! that an endpoint that was slow once is eventually asked again.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::SECOND_NS;

/// Time constant of the average and of the fading of an idle estimate.
const DECAY_NS: f64 = 10.0 * SECOND_NS as f64;

/// Log2 of the resolution of time stamps: 8.4 ms. Within one such tick at most one sample that is
/// not a new peak is folded in, which bounds contention on the word to 120 exchanges a second;
/// 32 bits of ticks repeat after 417 days.
const TICK_SHIFT: u32 = 23;

/// Nanoseconds of one tick.
const TICK_NS: f64 = (1_u64 << TICK_SHIFT) as f64;

/// The shared estimate. The word holds a [`Reading`]; 0 means "never sampled".
#[derive(Debug, Default)]
pub(crate) struct Latency(AtomicU64);

/// One value of the word: `tick` in the upper half, the bits of `ewma_ns` in the lower.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    tick: u32,
    /// `f32` has 24 bits of precision, 0.00001 % of any latency.
    ewma_ns: f32,
}

impl Latency {
    /// Folds in the latency of a good answer.
    pub(crate) fn observe(&self, sample_ns: u64, now_ns: u64) {
        self.update(tick(now_ns), |reading, now| match reading {
            None => Some(Reading::first(sample_ns, now)),
            Some(old) => old
                .raised(sample_ns, now)
                .or_else(|| old.approaching(sample_ns, now)),
        });
    }

    /// Folds in the latency of a failure. It may raise the estimate but never lowers it: an
    /// endpoint that fails fast must not look fast. Without an estimate so far it counts as at
    /// least `least_ns`.
    pub(crate) fn observe_failure(&self, sample_ns: u64, least_ns: u64, now_ns: u64) {
        self.update(tick(now_ns), |reading, now| match reading {
            None => Some(Reading::first(sample_ns.max(least_ns), now)),
            Some(old) => old.raised(sample_ns, now),
        });
    }

    /// The estimate at `now_ns` in nanoseconds, faded by the time without samples; `None` when
    /// there is no sample since the start or since [`Latency::forget`].
    pub(crate) fn estimate_ns(&self, now_ns: u64) -> Option<f64> {
        let reading = Reading::unpack(self.0.load(Ordering::Relaxed))?;
        let elapsed = reading.elapsed(tick(now_ns));
        Some(f64::from(reading.ewma_ns) * fade(elapsed))
    }

    /// Drops the estimate: the endpoint counts as never sampled.
    pub(crate) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Replaces the reading by what `next` makes of it, unless that is nothing.
    fn update(&self, now: u32, next: impl Fn(Option<Reading>, u32) -> Option<Reading>) {
        // An `Err` is "nothing to change"; a lost race is tried again with the newer reading.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                next(Reading::unpack(word), now).map(Reading::pack)
            });
    }
}

impl Reading {
    fn first(sample_ns: u64, now: u32) -> Self {
        Self {
            tick: now,
            ewma_ns: sample_ns as f32,
        }
    }

    /// The estimate raised to a new peak.
    fn raised(self, sample_ns: u64, now: u32) -> Option<Self> {
        let tick = self.tick.wrapping_add(self.elapsed(now));
        let ewma_ns = sample_ns as f32;
        (ewma_ns > self.ewma_ns).then_some(Self { tick, ewma_ns })
    }

    /// The estimate moved towards a sample, the closer the longer ago it was made.
    fn approaching(self, sample_ns: u64, now: u32) -> Option<Self> {
        let elapsed = self.elapsed(now);
        let keep = fade(elapsed) as f32;
        let ewma_ns = self.ewma_ns * keep + sample_ns as f32 * (1.0 - keep);
        (elapsed > 0).then_some(Self { tick: now, ewma_ns })
    }

    /// Ticks since this reading; 0 when another thread's clock was read a little later than ours.
    fn elapsed(self, now: u32) -> u32 {
        let elapsed = now.wrapping_sub(self.tick);
        if elapsed > u32::MAX / 2 { 0 } else { elapsed }
    }

    fn pack(self) -> u64 {
        // 0 ns in tick 0 would read as "never sampled".
        let ewma_ns = self.ewma_ns.max(1.0);
        u64::from(self.tick) << 32 | u64::from(ewma_ns.to_bits())
    }

    fn unpack(word: u64) -> Option<Self> {
        let ewma_ns = f32::from_bits(word as u32);
        (word != 0).then_some(Self {
            tick: (word >> 32) as u32,
            ewma_ns,
        })
    }
}

fn tick(now_ns: u64) -> u32 {
    (now_ns >> TICK_SHIFT) as u32
}

/// The share of the old estimate that is left after `ticks`.
fn fade(ticks: u32) -> f64 {
    if ticks == 0 {
        1.0
    } else {
        (-f64::from(ticks) * TICK_NS / DECAY_NS).exp()
    }
}

#[cfg(test)]
mod tests;
