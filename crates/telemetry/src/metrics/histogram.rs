//! Duration histograms with fixed buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the duration buckets in microseconds, inclusive; `+Inf` follows.
///
/// The first must be useful to a 1 ms service: histograms that start at 25 ms show nothing.
pub const DURATION_BOUNDS_US: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

const BUCKETS: usize = DURATION_BOUNDS_US.len() + 1;

/// Counts of durations by bucket, and their sum in microseconds.
///
/// Microseconds, because a nanosecond sum of 100,000 concurrent streams wraps within two days.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    #[inline]
    pub(crate) fn observe(&self, duration: Duration) {
        // Compared in nanoseconds: 1.0004 ms is above the 1 ms bound (`le` is inclusive).
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = DURATION_BOUNDS_US.partition_point(|&bound_us| bound_us * 1_000 < ns);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let rounded_us = ns.saturating_add(500) / 1_000;
        self.sum_us.fetch_add(rounded_us, Ordering::Relaxed);
    }
}

/// The sum of several [`Histogram`]s at one moment.
#[derive(Debug, Default, Clone)]
pub(crate) struct HistogramTotals {
    buckets: [u64; BUCKETS],
    sum_us: u64,
}

impl HistogramTotals {
    /// Adds one histogram.
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        for (total, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *total = total.wrapping_add(bucket.load(Ordering::Relaxed));
        }
        self.sum_us = self
            .sum_us
            .wrapping_add(histogram.sum_us.load(Ordering::Relaxed));
    }

    /// Observations in all buckets.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Sum of all observations.
    pub(crate) fn sum_seconds(&self) -> f64 {
        Duration::from_micros(self.sum_us).as_secs_f64()
    }

    /// Upper bound in seconds and own (not cumulative) count of each bucket.
    pub(crate) fn buckets(&self) -> [(f64, u64); BUCKETS] {
        std::array::from_fn(|index| {
            let bound = DURATION_BOUNDS_US
                .get(index)
                .map_or(f64::INFINITY, |&us| Duration::from_micros(us).as_secs_f64());
            (bound, self.buckets[index])
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BUCKETS, DURATION_BOUNDS_US, Histogram, HistogramTotals};

    fn bucket_of(duration: Duration) -> usize {
        let histogram = Histogram::default();
        histogram.observe(duration);
        let mut totals = HistogramTotals::default();
        totals.add(&histogram);
        totals
            .buckets()
            .iter()
            .position(|(_, count)| *count == 1)
            .unwrap_or(usize::MAX)
    }

    #[test]
    fn bounds_are_inclusive() {
        for (index, &bound) in DURATION_BOUNDS_US.iter().enumerate() {
            let bound = Duration::from_micros(bound);
            assert_eq!(
                bucket_of(bound),
                index,
                "{bound:?} belongs below its own bound"
            );
            assert_eq!(
                bucket_of(bound + Duration::from_nanos(1)),
                index + 1,
                "just above {bound:?}"
            );
        }
        assert_eq!(bucket_of(Duration::ZERO), 0, "zero");
        assert_eq!(
            bucket_of(Duration::MAX),
            BUCKETS - 1,
            "a duration beyond every bound"
        );
    }

    #[test]
    fn bounds_in_seconds_are_those_of_the_reference() {
        let seconds = HistogramTotals::default().buckets().map(|(bound, _)| bound);
        let expected = [
            0.0005,
            0.001,
            0.0025,
            0.005,
            0.01,
            0.025,
            0.05,
            0.1,
            0.25,
            0.5,
            1.0,
            2.5,
            5.0,
            10.0,
            30.0,
            60.0,
            f64::INFINITY,
        ];
        assert!(seconds == expected, "{seconds:?}");
    }

    #[test]
    fn sum_and_count_add_up() {
        let (one, two) = (Histogram::default(), Histogram::default());
        one.observe(Duration::from_millis(3));
        two.observe(Duration::from_nanos(1_500_499));
        let mut totals = HistogramTotals::default();
        totals.add(&one);
        totals.add(&two);
        assert_eq!(totals.count(), 2);
        assert!(
            (totals.sum_seconds() - 0.0045).abs() < 1e-12,
            "{}",
            totals.sum_seconds()
        );
    }
}
