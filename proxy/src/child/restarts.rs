//! When a process that has ended is followed by the next.

use std::time::Duration;

use crate::backoff::Backoff;

/// Delays between the end of a process and the start of the next.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// A process that lived this long did not end because of how it started: with its end the count begins
/// anew. Whoever can kill a worker now and then must not be able to keep clients waiting, or the
/// readiness probe failing.
const A_LIFE: Duration = Duration::from_secs(1);
/// After so many ends in a row the next process is started at once. One that is killed twice is back as
/// soon as it can be; one that cannot start is tried twice for nothing, not for ever.
const AT_ONCE: u32 = 2;

/// Ends in a row, and what they cost the next process.
#[derive(Clone, Debug)]
pub(crate) struct Restarts {
    ends: u32,
    backoff: Backoff,
}

impl Restarts {
    pub(crate) fn new() -> Self {
        Self {
            ends: 0,
            backoff: Backoff::new(FIRST_DELAY, LONGEST_DELAY),
        }
    }

    /// How long to wait before the next process, after one that has lived so long.
    pub(crate) fn delay_after(&mut self, lived: Duration) -> Duration {
        if lived >= A_LIFE {
            *self = Self::new();
        }
        self.ends = self.ends.saturating_add(1);
        if self.ends <= AT_ONCE {
            Duration::ZERO
        } else {
            self.backoff.delay()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lives in milliseconds, and the delay after each.
    fn check(row: &str, lives: &[(u64, u64)]) {
        let mut restarts = Restarts::new();
        let delays = |(lived, _): &(u64, u64)| {
            let delay = restarts.delay_after(Duration::from_millis(*lived));
            u64::try_from(delay.as_millis()).expect("seconds at most")
        };
        let found: Vec<u64> = lives.iter().map(delays).collect();
        let expected: Vec<u64> = lives.iter().map(|(_, delay)| *delay).collect();
        assert_eq!(found, expected, "{row}");
    }

    #[test]
    fn the_first_two_ends_in_a_row_cost_nothing_and_no_loop_spins() {
        check("killed once", &[(60_000, 0)]);
        check("killed twice in a row", &[(60_000, 0), (10, 0)]);
        check(
            "killed three times in a row",
            &[(60_000, 0), (10, 0), (10, 100)],
        );
        check(
            "cannot start",
            &[
                (3, 0),
                (3, 0),
                (3, 100),
                (3, 200),
                (3, 400),
                (3, 800),
                (3, 1_600),
                (3, 3_200),
                (3, 5_000),
                (3, 5_000),
            ],
        );
        check(
            "killed as soon as it serves, again and again",
            &[(120, 0), (120, 0), (120, 100), (999, 200), (999, 400)],
        );
        check(
            "killed now and then",
            &[(1_000, 0), (1_000, 0), (1_000, 0), (1_000, 0)],
        );
        check(
            "lives after a loop, and is killed twice",
            &[
                (3, 0),
                (3, 0),
                (3, 100),
                (3, 200),
                (1_000, 0),
                (3, 0),
                (3, 100),
            ],
        );
    }
}
