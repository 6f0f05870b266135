//! Quantities of Kubernetes resources, as far as parameters may write them: enough to refuse here
//! what the API server would refuse later, where only a log would say so.

/// An amount in thousandths of its unit: milli-CPUs, or thousandths of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Thousandths(u128);

/// Suffixes and what they multiply by, in thousandths
/// (`k8s.io/apimachinery/pkg/api/resource`, without exponents and without what is finer than `m`).
const SUFFIXES: &[(&str, u128)] = &[
    ("Ki", 1000 << 10),
    ("Mi", 1000 << 20),
    ("Gi", 1000 << 30),
    ("Ti", 1000 << 40),
    ("m", 1),
    ("k", 1000 * 1000),
    ("M", 1000 * 1000_u128.pow(2)),
    ("G", 1000 * 1000_u128.pow(3)),
    ("T", 1000 * 1000_u128.pow(4)),
    ("", 1000),
];

/// Reads a quantity such as `250m`, `1.5` or `64Mi`; `None` when it is none, negative, zero or
/// finer than a thousandth.
pub(super) fn parse(text: &str) -> Option<Thousandths> {
    // The empty suffix is the last one and always fits.
    let (number, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let has_dot_for_digits = fraction.is_empty() != number.contains('.');
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || !has_dot_for_digits {
        return None;
    }
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(factor)?;
    let is_exact = scaled.is_multiple_of(scale);
    (is_exact && scaled > 0).then(|| Thousandths(scaled / scale))
}

#[cfg(test)]
mod tests {
    use super::{Thousandths, parse};

    const CASES: &[(&str, Option<u128>)] = &[
        ("1", Some(1000)),
        ("250m", Some(250)),
        ("1.5", Some(1500)),
        ("0.25", Some(250)),
        ("64Mi", Some(64 * 1_048_576_000)),
        ("1.5Gi", Some(1_610_612_736_000)),
        ("2k", Some(2_000_000)),
        ("", None),
        ("0", None),
        ("-1", None),
        ("+1", None),
        ("1.", None),
        (".5", None),
        ("1.2.3", None),
        ("1e3", None),
        ("1 Gi", None),
        ("1GB", None),
        ("0.0001", None),
        ("99999999999999999999999999999999999999Ti", None),
    ];

    #[test]
    fn quantities_are_read_exactly_or_not_at_all() {
        for (text, expected) in CASES {
            assert_eq!(parse(text), expected.map(Thousandths), "quantity {text:?}");
        }
    }
}
