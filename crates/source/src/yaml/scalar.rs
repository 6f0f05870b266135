//! What a scalar means: the resolution of go-yaml v2, which `kubectl` and every other Kubernetes
//! client use, followed by their conversion to JSON.

use serde_json::{Number, Value};
use serde_saphyr::granit_parser::{ScalarStyle, Tag};

/// The value of a scalar; an error says why it has none.
pub(super) fn resolve(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Value, &'static str> {
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => plain(text),
            _ => Ok(Value::String(text.to_owned())),
        };
    };
    let suffix = tag.core_suffix();
    match suffix {
        Some("str") => Ok(Value::String(text.to_owned())),
        Some("null" | "bool" | "int" | "float") => plain(text),
        _ => Err("tag that has no meaning in a Kubernetes object"),
    }
}

/// The value of a scalar without quotes and without tag.
fn plain(text: &str) -> Result<Value, &'static str> {
    let first = text.bytes().next().unwrap_or(b'~');
    let number_like = first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.');
    if number_like {
        return match text {
            ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
            | "-.inf" | "-.Inf" | "-.INF" => Err("number that JSON cannot express"),
            _ => Ok(number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)),
        };
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        _ => Value::String(text.to_owned()),
    })
}

fn number(text: &str) -> Option<Number> {
    let plain: String;
    let text = if text.contains('_') {
        plain = text.replace('_', "");
        &plain
    } else {
        text
    };
    integer(text).or_else(|| float(text))
}

/// Go's `strconv.ParseInt(text, 0, 64)`: `0x`, `0o` and `0b` prefixes, and octal by a leading 0.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // `from_str_radix` would take a second sign.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        0_i64.checked_sub_unsigned(size).map(Number::from)
    } else {
        Some(Number::from(size))
    }
}

/// Decimal numbers with point or exponent. Whole ones become integers, as they do in Go's JSON.
fn float(text: &str) -> Option<Number> {
    // Rust's parser takes words such as `infinity` too.
    let shape = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    if !text.chars().all(shape) || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    /// Below this every whole number has an exact float.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT_MAX {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and below 2^53, so the integer is exact"
        )]
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}
