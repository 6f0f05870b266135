//! Moments and delays.

use std::time::{Duration, UNIX_EPOCH};

use super::{Backoff, Due};
use crate::clock::Reading;

const HOUR: Duration = Duration::from_secs(3600);

fn at(wall_s: u64, monotonic_s: u64) -> Reading {
    Reading {
        wall: UNIX_EPOCH + Duration::from_secs(wall_s),
        monotonic: Duration::from_secs(monotonic_s),
    }
}

#[test]
fn half_of_the_life_give_or_take_a_tenth() {
    let issued = at(1_000_000, 50);
    let table = [
        (0.0, 9.6),
        (0.5, 12.0),
        (1.0, 14.4),
        (-3.0, 9.6),
        (f64::NAN, 12.0),
    ];
    for (chance, hours) in table {
        let due = Due::after(issued, 24 * HOUR, chance);
        let wait = due.wait(issued).as_secs_f64();
        assert!(
            (wait - hours * 3600.0).abs() < 1e-3,
            "chance {chance}: {wait} s instead of {hours} h"
        );
    }
}

#[test]
fn the_earlier_clock_counts() {
    let due = Due::after(at(1_000_000, 50), 2 * HOUR, 0.5);
    let rows = [
        ("both", at(1_003_600, 3650), true),
        ("neither", at(1_003_599, 3649), false),
        ("the wall clock was set forward", at(9_000_000, 60), true),
        ("the wall clock was set back", at(10, 3650), true),
        ("the machine slept", at(1_003_600, 60), true),
    ];
    for (name, now, expected) in rows {
        assert_eq!(due.is_due(now), expected, "{name}");
    }
}

#[test]
fn sooner_but_never_later() {
    let now = at(1_000_000, 50);
    let due = Due::after(now, 2 * HOUR, 0.5);
    let sooner = due.or_within(now, Duration::from_secs(60));
    assert_eq!(sooner.wait(now), Duration::from_secs(60), "within a minute");
    assert_eq!(due.or_within(now, 5 * HOUR), due, "not later than it was");
}

#[test]
fn delays_double_up_to_a_limit() {
    let mut backoff = Backoff::default();
    let limits = (0..11).map(|_| backoff.after_failure(1.0).as_millis());
    let expected = [
        500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 150_000, 150_000,
    ];
    assert!(limits.eq(expected), "0.5 s doubling to 150 s");
    assert_eq!(backoff.after_failure(0.0), Duration::ZERO, "full jitter");
    assert_eq!(backoff.failures(), 12, "failures are counted");
    backoff.reset();
    assert_eq!(
        backoff.after_failure(1.0),
        Duration::from_millis(500),
        "anew after success"
    );
}
