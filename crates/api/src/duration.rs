//! Durations as Gateway API writes them (GEP-2257): a strict subset of Go's, such as `1h30m`.

use std::time::Duration;

use thiserror::Error;

#[cfg(test)]
mod tests;

/// Most components a duration may have.
const MAX_COMPONENTS: usize = 4;
/// Most digits a component may have.
const MAX_DIGITS: usize = 5;

/// Why a text is not a GEP-2257 duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not a duration: write one to four of 1 to 5 digits with a unit h, m, s or ms, \
     for example 1h30m or 500ms"
)]
pub struct DurationError {
    /// The text as written.
    pub text: String,
}

/// Reads `^([0-9]{1,5}(h|m|s|ms)){1,4}$` (GEP-2257). Units may come in any order and repeat;
/// their values add up.
///
/// # Errors
///
/// When the text does not match the expression: negative, fractional, without unit, empty, with
/// a unit smaller than a millisecond, or too long.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let fail = || DurationError {
        text: text.to_owned(),
    };
    let mut rest = text;
    let mut total = Duration::ZERO;
    for _ in 0..MAX_COMPONENTS {
        let (component, tail) = component(rest).ok_or_else(fail)?;
        total += component;
        rest = tail;
        if rest.is_empty() {
            return Ok(total);
        }
    }
    Err(fail())
}

/// Splits the first component from the text.
fn component(text: &str) -> Option<(Duration, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=MAX_DIGITS).contains(&digits) {
        return None;
    }
    let (number, rest) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    // `ms` before `m`: after an `m` a component cannot start with `s`.
    let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    units.into_iter().find_map(|(unit, millis)| {
        let rest = rest.strip_prefix(unit)?;
        Some((Duration::from_millis(number * millis), rest))
    })
}
