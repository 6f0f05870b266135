//! Choosing an endpoint: two random candidates, the cheaper one.
//!
//! Two choices are enough to keep the longest queue exponentially shorter than one random choice
//! does (Mitzenmacher 2001), and unlike "least of all" they need no scan and do not send every
//! client to the same endpoint at the same time.

use crate::endpoint::EndpointState;
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
            Some(first) => return Some(cheaper(endpoints, now_ns, first, index)),
        }
    }
    held.or_else(|| {
        search(endpoints, draws.next(), exclude, |state| {
            state.admits(now_ns)
        })
    })
    .or_else(|| search(endpoints, draws.next(), exclude, |_| true))
}

/// The cheaper of two endpoints, the first one on a tie: it was drawn at random.
fn cheaper<E: AsRef<EndpointState>>(
    endpoints: &[E],
    now_ns: u64,
    first: usize,
    second: usize,
) -> usize {
    let cost = |index: usize| endpoints[index].as_ref().cost(now_ns);
    if cost(second) < cost(first) {
        second
    } else {
        first
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
