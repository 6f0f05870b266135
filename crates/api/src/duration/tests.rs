//! One row per clause of GEP-2257.

use std::time::Duration;

use super::parse;

#[track_caller]
fn check(rows: &[(&str, &str, Option<u64>)]) {
    for (name, text, millis) in rows {
        assert_eq!(
            parse(text).ok(),
            millis.map(Duration::from_millis),
            "{name}: duration {text:?} is read wrongly"
        );
    }
}

#[test]
fn valid_durations_add_up() {
    check(&[
        ("zero", "0h", Some(0)),
        ("zero in any unit", "0s", Some(0)),
        ("hours", "1h", Some(3_600_000)),
        ("minutes", "30m", Some(1_800_000)),
        ("seconds", "10s", Some(10_000)),
        ("milliseconds", "500ms", Some(500)),
        ("minutes then seconds", "1m5s", Some(65_000)),
        ("all units", "2h20m10s5ms", Some(8_410_005)),
        ("any order", "1s1h", Some(3_601_000)),
        ("repeated units", "1h1h", Some(7_200_000)),
        ("five digits", "99999h", Some(99_999 * 3_600_000)),
        (
            "the largest of all",
            "99999h99999h99999h99999h",
            Some(4 * 99_999 * 3_600_000),
        ),
        ("leading zeros", "00010s", Some(10_000)),
    ]);
}

#[test]
fn everything_else_is_refused() {
    check(&[
        ("empty", "", None),
        ("no unit", "1", None),
        ("no unit at the end", "1h1", None),
        ("no number", "h", None),
        ("negative", "-1h", None),
        ("signed", "+1h", None),
        ("fractional", "1.5h", None),
        ("six digits", "100000s", None),
        ("five components", "1h1m1s1ms1h", None),
        ("microseconds", "1us", None),
        ("nanoseconds", "1ns", None),
        ("days", "1d", None),
        ("upper case", "1H", None),
        ("space inside", "1h 30m", None),
        ("space around", " 1h", None),
        ("bare s after m", "1ms1", None),
        ("non-ASCII digits", "१s", None),
        ("non-ASCII after digits", "1é", None),
    ]);
}
