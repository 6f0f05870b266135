//! RFC 3339 timestamps in UTC.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;

/// `time` as `2006-01-02T15:04:05Z`, as Kubernetes writes it. Times before 1970 are shown as 1970.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let mut text = Vec::new();
    write_rfc3339(&mut text, time);
    // Digits and letters.
    let mut text = String::from_utf8_lossy(&text).into_owned();
    // Microseconds have six digits.
    text.truncate(text.len() - ".000000Z".len());
    text + "Z"
}

/// Appends `time` as `2006-01-02T15:04:05.000000Z`. Times before 1970 are shown as 1970: they can
/// only come from a machine whose clock was never set.
pub(crate) fn write_rfc3339(out: &mut Vec<u8>, time: SystemTime) {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_from_days(seconds / SECONDS_PER_DAY);
    let of_day = seconds % SECONDS_PER_DAY;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let micros = since_epoch.subsec_micros();
    write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
    )
    .expect("writing to a Vec cannot fail");
}

/// Year, month and day of a day number since 1970-01-01 in the proleptic Gregorian calendar.
///
/// Counts in years that start in March, so that the leap day is the last of its year.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_0000_03_01: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let days = days + DAYS_TO_0000_03_01;
    let era = days / DAYS_PER_ERA;
    let of_era = days % DAYS_PER_ERA;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::write_rfc3339;

    #[test]
    fn known_instants() {
        let rows = [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000Z"),
            (1_709_164_800, 0, "2024-02-29T00:00:00.000000Z"),
            (1_735_689_599, 1, "2024-12-31T23:59:59.000001Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ];
        for (seconds, micros, expected) in rows {
            let mut out = Vec::new();
            let time = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
            write_rfc3339(&mut out, time);
            assert_eq!(
                String::from_utf8_lossy(&out),
                expected,
                "{seconds} s after 1970"
            );
        }
    }
}
