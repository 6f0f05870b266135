//! The figures of a run are read from the runners' own lines and from nothing else.

use std::time::Duration;

use super::{Counts, human};

fn check(output: &str, passed: u64, failed: u64, skipped: u64) {
    let mut counts = Counts::default();
    output.lines().for_each(|line| counts.add_line(line));
    assert_eq!(
        counts,
        Counts {
            passed,
            failed,
            skipped
        },
        "figures read from:\n{output}"
    );
}

#[test]
fn sums_the_summaries_of_all_test_binaries() {
    check(
        "running 2 tests\n\
         test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s\n\
         test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        19,
        2,
        1,
    );
}

#[test]
fn a_test_that_prints_figures_is_not_a_summary() {
    check("test prints_12_passed ... ok\n12 passed; 3 failed", 0, 0, 0);
}

#[test]
fn durations_read_as_people_say_them() {
    for (duration, text) in [
        (Duration::from_millis(4_210), "4.2 s"),
        (Duration::from_millis(59_949), "59.9 s"),
        (Duration::from_secs(187), "3 min 07 s"),
    ] {
        assert_eq!(human(duration), text);
    }
}
