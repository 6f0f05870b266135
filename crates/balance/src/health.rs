//! The passive health of an endpoint as a value, and the atomic word that holds it.
//!
//! ```text
//!              threshold of failures, at most half of the set
//!   Healthy ─────────────────────────────────────────────────> Ejected(until, level)
//!      ^                                                          │        ^
//!      │ success                                    time is over, │        │ failure: level + 1
//!      │                                            next request  v        │
//!      └────────────────────────────────────────────────────── Trial ──────┘
//! ```
//!
//! Transitions are pure functions on [`Health`]; [`HealthCell`] applies them by compare and
//! exchange, so that every transition is made, and reported, by exactly one caller.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::SECOND_NS;

/// Length of a first ejection: 5 s. Short, because it ends with one request on trial and not with
/// the return of the full share, and because a restarting container is usually back by then.
pub const EJECTION_BASE_NS: u64 = 5 * SECOND_NS;

/// Longest ejection: 60 s. A broken endpoint then costs one trial a minute, and one that recovers
/// waits for at most a minute; longer outages are the business of readiness probes.
pub const EJECTION_CAP_NS: u64 = 60 * SECOND_NS;

/// An endpoint that stayed in service for this long after an ejection starts at the base again.
const FORGIVEN_AFTER_NS: u64 = 300 * SECOND_NS;

const PHASE_BITS: u32 = 2;
const LEVEL_BITS: u32 = 6;
const MAX_LEVEL: u64 = (1 << LEVEL_BITS) - 1;
/// Times are kept in microseconds: 56 bits of them are 2,283 years.
const NS_PER_US: u64 = 1_000;

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// In regular rotation.
    Healthy,
    /// Out of rotation until a time; after it, one request is let through on trial.
    Ejected,
    /// The request on trial is on its way; nothing else is sent.
    Trial,
}

/// Phase, end of the latest ejection and how many ejections led here, packed into one word:
/// `until_us` (56 bits), `level` (6), `phase` (2). The zero word is a healthy endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) phase: Phase,
    /// Number of ejections in a row, 0 for an endpoint that never was.
    pub(crate) level: u64,
    until_us: u64,
}

impl Health {
    /// Whether regular traffic, or a request on trial, may be sent at `now_ns`.
    pub(crate) fn admits(self, now_ns: u64) -> bool {
        match self.phase {
            Phase::Healthy => true,
            Phase::Ejected => now_ns >= self.until_ns(),
            Phase::Trial => false,
        }
    }

    /// End of the latest ejection in nanoseconds of the caller's clock.
    pub(crate) fn until_ns(self) -> u64 {
        self.until_us * NS_PER_US
    }

    /// The same endpoint, ejected from `now_ns` on, for longer if it was ejected lately.
    pub(crate) fn ejected(self, now_ns: u64) -> Self {
        let forgiven = self.phase == Phase::Healthy
            && now_ns.saturating_sub(self.until_ns()) > FORGIVEN_AFTER_NS;
        let level = if forgiven {
            1
        } else {
            (self.level + 1).min(MAX_LEVEL)
        };
        let until_us = now_ns.saturating_add(ejection_ns(level)) / NS_PER_US;
        Self {
            phase: Phase::Ejected,
            level,
            until_us,
        }
    }

    /// The same endpoint in another phase; level and end of the latest ejection stay known.
    pub(crate) fn in_phase(self, phase: Phase) -> Self {
        Self { phase, ..self }
    }

    fn pack(self) -> u64 {
        let phase = match self.phase {
            Phase::Healthy => 0,
            Phase::Ejected => 1,
            Phase::Trial => 2,
        };
        self.until_us << (PHASE_BITS + LEVEL_BITS) | self.level << PHASE_BITS | phase
    }

    fn unpack(word: u64) -> Self {
        let phase = match word & ((1 << PHASE_BITS) - 1) {
            0 => Phase::Healthy,
            1 => Phase::Ejected,
            _ => Phase::Trial,
        };
        let level = (word >> PHASE_BITS) & MAX_LEVEL;
        Self {
            phase,
            level,
            until_us: word >> (PHASE_BITS + LEVEL_BITS),
        }
    }
}

/// Length of the `level`-th ejection in a row: the base doubled each time, up to the cap.
fn ejection_ns(level: u64) -> u64 {
    let doublings = level.saturating_sub(1).min(16) as u32;
    (EJECTION_BASE_NS << doublings).min(EJECTION_CAP_NS)
}

/// A [`Health`] shared by threads.
#[derive(Debug, Default)]
pub(crate) struct HealthCell(AtomicU64);

impl HealthCell {
    // Relaxed throughout: the word is the whole state, nothing else is published through it.
    pub(crate) fn load(&self) -> Health {
        Health::unpack(self.0.load(Ordering::Relaxed))
    }

    /// Replaces `from` by `to`; false when another thread has changed it since it was loaded.
    pub(crate) fn replace(&self, from: Health, to: Health) -> bool {
        self.0
            .compare_exchange(from.pack(), to.pack(), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
mod tests;
