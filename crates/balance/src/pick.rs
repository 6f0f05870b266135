//! Choosing an endpoint: two random candidates, the better one.
//!
//! Two choices are enough to keep the longest queue exponentially shorter than one random choice
//! does (Mitzenmacher 2001), and unlike "least of all" they need no scan and do not send every
//! client to the same endpoint at the same time.
//!
//! Better is the lower cost, latency estimate times requests in flight. Taken literally at low
//! load, where nothing is in flight, that would send everything to the endpoint that happens to
//! be fastest by a hair and leave its equals idle until their estimates have faded. So latency
//! counts by degrees: the more alike the two estimates are, the more often only the requests in
//! flight are compared. An endpoint 1.3 times as slow as the other one gets about 30 % of their
//! common requests, twice as slow 12 %, ten times as slow 0.5 %.

use crate::endpoint::{EndpointState, Load};
use crate::split::scale;

/// Random draws before an endpoint is searched for in order. With half of a large set ejected,
/// the most that passive ejection allows, one request in 256 gets that far.
const DRAWS: u32 = 8;

/// The index of the endpoint to use, or `None` when `exclude` leaves nothing.
///
/// - `random` is a fresh random number; the choice is a function of it and of the states.
/// - `exclude` lists endpoints this request has tried already (a handful at most); they are
///   never returned. A caller that would rather try the same one again calls without it.
/// - Ejected endpoints are skipped while any other endpoint is left, and used, ejected or not,
///   when none is: half of a set is the most that ejection takes (see
///   [`crate::InFlight::record`]), but a shrinking set may leave only ejected ones behind, and a
///   guess about health must never turn into an outage.
///
/// Constant expected time, no allocation.
#[inline]
pub fn pick<E: AsRef<EndpointState>>(
    endpoints: &[E],
    now_ns: u64,
    random: u64,
    exclude: &[usize],
) -> Option<usize> {
    match endpoints.len() {
        0 => None,
        1 => (!exclude.contains(&0)).then_some(0),
        _ => pick_from_many(endpoints, now_ns, random, exclude),
    }
}

fn pick_from_many<E: AsRef<EndpointState>>(
    endpoints: &[E],
    now_ns: u64,
    random: u64,
    exclude: &[usize],
) -> Option<usize> {
    let state = |index: usize| endpoints[index].as_ref();
    let mut draws = Draws {
        seed: random,
        range: endpoints.len(),
        previous: None,
    };
    let mut held = None;
    for _ in 0..DRAWS {
        let index = draws.next();
        if held == Some(index) || exclude.contains(&index) || !state(index).admits(now_ns) {
            continue;
        }
        match held {
            None => held = Some(index),
            Some(first) => {
                let loads = (state(first).load(now_ns), state(index).load(now_ns));
                let second = second_is_better(loads, draws.fraction());
                return Some(if second { index } else { first });
            }
        }
    }
    held.or_else(|| {
        search(endpoints, draws.next(), exclude, |state| {
            state.admits(now_ns)
        })
    })
    .or_else(|| search(endpoints, draws.next(), exclude, |_| true))
}

/// Whether the second of two candidates is better. On a tie the first one stays: it was drawn at
/// random. `fraction` is a random number below 1.
fn second_is_better((first, second): (Load, Load), fraction: f64) -> bool {
    let fast_ns = first.latency_ns.min(second.latency_ns);
    let slow_ns = first.latency_ns.max(second.latency_ns);
    // 0 / 0 for two untried endpoints: alike.
    let alike = if fast_ns < slow_ns {
        (fast_ns / slow_ns).powi(2)
    } else {
        1.0
    };
    if fraction < alike {
        second.in_flight < first.in_flight
    } else {
        second.cost() < first.cost()
    }
}

/// The first endpoint from `start` on, around the end, that is not excluded and `wanted`.
fn search<E: AsRef<EndpointState>>(
    endpoints: &[E],
    start: usize,
    exclude: &[usize],
    wanted: impl Fn(&EndpointState) -> bool,
) -> Option<usize> {
    (start..endpoints.len())
        .chain(0..start)
        .find(|index| !exclude.contains(index) && wanted(endpoints[*index].as_ref()))
}

/// Uniform indexes below `range` (at least 2) from one random number; no two in a row are equal.
struct Draws {
    seed: u64,
    range: usize,
    previous: Option<usize>,
}

impl Draws {
    fn next(&mut self) -> usize {
        let fraction = self.step();
        let index = match self.previous {
            None => scale(fraction, self.range as u64) as usize,
            Some(previous) => {
                let index = scale(fraction, self.range as u64 - 1) as usize;
                index + usize::from(index >= previous)
            }
        };
        self.previous = Some(index);
        index
    }

    /// A number from 0 up to but excluding 1, with the 53 bits an `f64` has.
    fn fraction(&mut self) -> f64 {
        (self.step() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One step of SplitMix64 (Steele, Lea, Flood 2014).
    fn step(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests;
