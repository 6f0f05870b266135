//! How many retries are affordable: a share of the recent requests and a small constant rate.
//!
//! Retries on top of an overload are what turns a slow backend into a dead one, so their number
//! is bound to the number of requests, not to how many fail. The rule: 20 % of the requests of
//! the last ten seconds plus ten per second, counted per shard.
//!
//! tower's `TpsBudget` computes the same, but reads the clock itself and takes a mutex for each
//! request; here time is an argument and a request is one atomic addition.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::SECOND_NS;

/// Seconds that are looked back on; one slot each.
const WINDOW_S: u64 = 10;

/// Share of the requests that may be retried.
const PERCENT: u64 = 20;

/// Retries per second that are allowed on top, so that `attempts: 2` works on an idle shard.
const FLOOR_PER_S: u64 = 10;

/// The retry budget of one shard.
///
/// Lock-free and shared by all its threads. The first second of the window counts as a whole, so
/// an idle shard may spend the floor of ten seconds, 100 retries, at once.
#[derive(Debug, Default)]
pub struct RetryBudget {
    /// The second `s` is counted in slot `s % WINDOW_S`, packed as [`Slot`].
    slots: [AtomicU64; WINDOW_S as usize],
}

/// Requests and retries of one second: `second` (24 bits, repeats after 194 days), `requests`
/// (24), `retries` (16), from the top.
#[derive(Clone, Copy)]
struct Slot {
    second: u64,
    requests: u64,
    retries: u64,
}

const RETRY_BITS: u32 = 16;
const REQUEST_BITS: u32 = 24;
const SECOND_BITS: u32 = 24;
const MAX_RETRIES: u64 = (1 << RETRY_BITS) - 1;
const MAX_REQUESTS: u64 = (1 << REQUEST_BITS) - 1;
const MAX_SECOND: u64 = (1 << SECOND_BITS) - 1;

/// What one more request adds to a packed slot.
const ONE_REQUEST: u64 = 1 << RETRY_BITS;

impl RetryBudget {
    /// A budget that has seen no request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a request; call it once per client request, not per attempt.
    #[inline]
    pub fn on_request(&self, now_ns: u64) {
        let second = now_ns / SECOND_NS;
        let slot = self.slot(second);
        let word = slot.load(Ordering::Relaxed);
        let seen = Slot::unpack(word);
        if seen.is_of(second) {
            // Beyond 16 million requests a second more of them would not change the answer.
            if seen.requests < MAX_REQUESTS / 2 {
                slot.fetch_add(ONE_REQUEST, Ordering::Relaxed);
            }
            return;
        }
        let first = Slot {
            second: second & MAX_SECOND,
            requests: 1,
            retries: 0,
        };
        if slot
            .compare_exchange(word, first.pack(), Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
        {
            // Another thread has opened this second.
            slot.fetch_add(ONE_REQUEST, Ordering::Relaxed);
        }
    }

    /// Takes one retry from the budget; false when it is spent and the answer at hand has to do.
    ///
    /// At most 65,535 retries are granted in one second, whatever the number of requests.
    #[must_use]
    pub fn try_retry(&self, now_ns: u64) -> bool {
        let second = now_ns / SECOND_NS;
        let slot = self.slot(second);
        loop {
            let word = slot.load(Ordering::Relaxed);
            let mut current = Slot::unpack(word);
            if !current.is_of(second) {
                current = Slot {
                    second: second & MAX_SECOND,
                    requests: 0,
                    retries: 0,
                };
            }
            let (requests, retries) = self.earlier(second);
            let allowed = (requests + current.requests) * PERCENT / 100 + FLOOR_PER_S * WINDOW_S;
            if retries + current.retries >= allowed || current.retries == MAX_RETRIES {
                return false;
            }
            current.retries += 1;
            // Lost to a request or a retry of another thread: both change the sum.
            if slot
                .compare_exchange_weak(word, current.pack(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
            {
                return true;
            }
        }
    }

    /// Requests and retries of the window without the current second.
    fn earlier(&self, second: u64) -> (u64, u64) {
        (1..WINDOW_S.min(second + 1))
            .map(|age| (second - age, self.slot(second - age)))
            .map(|(second, slot)| (second, Slot::unpack(slot.load(Ordering::Relaxed))))
            .filter(|(second, slot)| slot.is_of(*second))
            .fold((0, 0), |sum, (_, slot)| {
                (sum.0 + slot.requests, sum.1 + slot.retries)
            })
    }

    fn slot(&self, second: u64) -> &AtomicU64 {
        &self.slots[(second % WINDOW_S) as usize]
    }
}

impl Slot {
    fn is_of(self, second: u64) -> bool {
        self.second == second & MAX_SECOND
    }

    fn pack(self) -> u64 {
        self.second << (RETRY_BITS + REQUEST_BITS) | self.requests << RETRY_BITS | self.retries
    }

    fn unpack(word: u64) -> Self {
        Self {
            second: word >> (RETRY_BITS + REQUEST_BITS),
            requests: (word >> RETRY_BITS) & MAX_REQUESTS,
            retries: word & MAX_RETRIES,
        }
    }
}

#[cfg(test)]
mod tests;
