//! The result of an open-loop run, as the line one process prints and the other reads.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, anyhow};

use crate::bench::figures::quantile;
use crate::bench::output::Failures;

/// What an open-loop run saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Median latency from the due time.
    pub(crate) p50_us: u32,
    /// Latency that one request in a hundred exceeds.
    pub(crate) p99_us: u32,
    /// Answers, right or wrong.
    pub(crate) answers: u64,
    pub(crate) failures: Failures,
}

impl Outcome {
    pub(super) fn new(sorted_us: &[u32], answers: u64, failures: Failures) -> Self {
        Self {
            p50_us: quantile(sorted_us, 0.5).unwrap_or(0),
            p99_us: quantile(sorted_us, 0.99).unwrap_or(0),
            answers,
            failures,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failures {
            refused,
            reset,
            timeout,
            wrong_status,
            wrong_body,
        } = self.failures;
        write!(
            f,
            "{} {} {} {refused} {reset} {timeout} {wrong_status} {wrong_body}",
            self.p50_us, self.p99_us, self.answers
        )
    }
}

impl FromStr for Outcome {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let numbers: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
        let numbers = numbers.with_context(|| format!("not a result of bench-latency: {line}"))?;
        let [
            p50,
            p99,
            answers,
            refused,
            reset,
            timeout,
            wrong_status,
            wrong_body,
        ] = numbers[..]
        else {
            return Err(anyhow!("not a result of bench-latency: {line}"));
        };
        Ok(Self {
            p50_us: u32::try_from(p50)?,
            p99_us: u32::try_from(p99)?,
            answers,
            failures: Failures {
                refused,
                reset,
                timeout,
                wrong_status,
                wrong_body,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;
    use crate::bench::output::Failures;

    #[test]
    fn what_is_printed_is_read_back() {
        let failures = Failures {
            refused: 1,
            reset: 2,
            timeout: 3,
            wrong_status: 4,
            wrong_body: 5,
        };
        let outcome = Outcome::new(&[100, 200, 300], 9, failures);
        assert_eq!((outcome.p50_us, outcome.p99_us), (200, 300));
        let read: Outcome = outcome.to_string().parse().expect("its own line");
        assert_eq!(read, outcome);
        assert!("1 2 3".parse::<Outcome>().is_err(), "columns are missing");
        assert!("".parse::<Outcome>().is_err(), "nothing was printed");
    }
}
