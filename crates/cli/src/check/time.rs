//! Dates as API servers write them.

use std::time::{Duration, SystemTime};

use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};

/// A date of an object, as RFC 3339 has it; `None` when it is none.
pub(super) fn of_object(text: &str) -> Option<SystemTime> {
    let stamp: Timestamp = text.parse().ok()?;
    Some(stamp.into())
}

/// The `Date` of an answer (RFC 9110 section 5.6.7); `None` when it is none.
pub(super) fn of_answer(text: &str) -> Option<SystemTime> {
    let stamp = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(stamp.into())
}

/// How far two clocks are apart.
pub(super) fn apart(one: SystemTime, other: SystemTime) -> Duration {
    let later = one.duration_since(other);
    later.unwrap_or_else(|earlier| earlier.duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_dates_are_read() {
        let answer = of_answer("Sat, 21 Nov 2026 21:00:00 GMT").expect("a date of HTTP");
        let object = of_object("2026-11-21T21:00:07.123456Z").expect("a date of an object");
        assert_eq!(apart(answer, object).as_secs(), 7);
        assert_eq!(apart(object, answer).as_secs(), 7, "in either order");
        assert_eq!(of_answer("yesterday"), None);
        assert_eq!(of_object("yesterday"), None);
    }
}
