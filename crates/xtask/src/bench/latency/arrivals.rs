//! When the requests of an open loop are due.

use std::time::Duration;

/// Gaps of a Poisson process. The sequence is the same in every run, so that peers get the same
/// bursts.
pub(super) struct Arrivals {
    /// State of xorshift64*, never zero.
    state: u64,
    mean_secs: f64,
}

impl Arrivals {
    pub(super) fn new(rate_per_second: f64) -> Self {
        Self {
            state: 0x9E37_79B9_7F4A_7C15,
            mean_secs: rate_per_second.recip(),
        }
    }

    pub(super) fn next_gap(&mut self) -> Duration {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let word = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D);
        // 53 bits make a number in (0, 1], whose logarithm is finite.
        let uniform = ((word >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-uniform.ln() * self.mean_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::Arrivals;

    #[test]
    fn gaps_have_the_mean_and_the_spread_of_a_poisson_process() {
        let (rate, count) = (5_000.0, 100_000);
        let mut arrivals = Arrivals::new(rate);
        let gaps: Vec<f64> = (0..count)
            .map(|_| arrivals.next_gap().as_secs_f64() * rate)
            .collect();
        let mean = gaps.iter().sum::<f64>() / f64::from(count);
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / f64::from(count);
        assert!((mean - 1.0).abs() < 0.02, "mean gap is {mean} of 1/rate");
        assert!(
            (variance - 1.0).abs() < 0.05,
            "variance is {variance} of 1/rate²"
        );
    }
}
