//! Weighted choice among the backends of a rule, without locks and without lumps.
//!
//! Independent random draws would need thousands of requests before the observed shares settle;
//! here the n-th request takes the n-th point of a Weyl sequence with the golden ratio, the
//! one-dimensional sequence of lowest discrepancy that one atomic addition can produce. After 500
//! requests the shares are within two points of the weights, where the rule asks for five
//! (Gateway API conformance, `HTTPRouteWeight`; GEP-1426 for weights in a mesh).

use std::sync::atomic::{AtomicU64, Ordering};

/// 2^64 divided by the golden ratio, rounded to odd so that the sequence visits every `u64`.
const GOLDEN_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The weights of a rule's backends, compiled for choosing.
///
/// Shared by all threads; [`WeightedSplit::next`] is one atomic addition and a binary search.
/// Build a new one when the weights change: the old one keeps serving requests that hold it.
#[derive(Debug)]
pub struct WeightedSplit(Split);

#[derive(Debug)]
enum Split {
    /// No backend, or every weight 0.
    Nobody,
    /// Exactly one backend with a weight above 0: no shared state to touch.
    Only(usize),
    Many {
        /// `upper[i]` is the sum of the weights up to and including `i`: backend `i` owns the
        /// points from `upper[i - 1]` up to but excluding `upper[i]`, none when its weight is 0.
        upper: Box<[u64]>,
        total: u64,
        position: AtomicU64,
    },
}

impl WeightedSplit {
    /// Compiles `weights`, in the order of the backends they belong to.
    ///
    /// `start` is any number, best a random one: it decides where in the sequence this split
    /// begins, so that many proxies with the same rule do not send their first requests to the
    /// same backend. Any `u32` weight works (the API allows 0 to 1,000,000); only proportions to
    /// the sum count.
    #[must_use]
    pub fn new(weights: &[u32], start: u64) -> Self {
        let mut positive = weights
            .iter()
            .enumerate()
            .filter(|&(_, &weight)| weight > 0);
        let split = match (positive.next(), positive.next()) {
            (None, _) => Split::Nobody,
            (Some((index, _)), None) => Split::Only(index),
            _ => {
                let mut total = 0;
                let upper = weights
                    .iter()
                    .map(|&weight| {
                        total += u64::from(weight);
                        total
                    })
                    .collect();
                Split::Many {
                    upper,
                    total,
                    position: AtomicU64::new(start),
                }
            }
        };
        Self(split)
    }

    /// The index of the backend for the next request or connection, or `None` when there is no
    /// backend with a weight above 0 (the answer is then 500).
    ///
    /// A backend of weight 0 is never returned. Concurrent callers share one sequence.
    #[inline]
    pub fn next(&self) -> Option<usize> {
        match &self.0 {
            Split::Nobody => None,
            Split::Only(index) => Some(*index),
            Split::Many {
                upper,
                total,
                position,
            } => {
                // Relaxed: the point handed out matters, not its order with other memory.
                let turn = position.fetch_add(GOLDEN_STEP, Ordering::Relaxed);
                let point = scale(turn, *total);
                Some(upper.partition_point(|&bound| bound <= point))
            }
        }
    }
}

/// Maps `fraction` of 2^64 to `0..range`, proportionally (Lemire's multiply-shift).
#[inline]
pub(crate) fn scale(fraction: u64, range: u64) -> u64 {
    ((u128::from(fraction) * u128::from(range)) >> 64) as u64
}

#[cfg(test)]
mod tests;
