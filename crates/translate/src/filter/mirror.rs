//! `RequestMirror`.

use weft_api::filter::RequestMirror;
use weft_ir::{Fraction, Mirror};

use crate::{
    backend,
    field::Field,
    notes,
    verdict::{Judge, Refusal},
};

/// Compiles a mirror. One whose target cannot be used is dropped and requests are served without
/// it: "this BackendRef is invalid and must be dropped" (HTTPRequestMirrorFilter.backendRef).
pub(super) fn compile(
    judge: &mut Judge<'_, '_>,
    mirror: &RequestMirror,
    at: &Field<'_>,
) -> Option<Mirror> {
    let fraction = fraction(judge, mirror, at);
    let target = backend::mirror_target(judge, &mirror.backend_ref, &at.key("backendRef"));
    Some(Mirror {
        fraction: fraction?,
        target: target?,
    })
}

/// The mirrored share of requests; all of them unless something else is said.
fn fraction(judge: &mut Judge<'_, '_>, mirror: &RequestMirror, at: &Field<'_>) -> Option<Fraction> {
    let (problem, key) = match (mirror.percent, &mirror.fraction) {
        (None, None) => return Some(Fraction::ALL),
        (Some(_), Some(_)) => (
            "percent and fraction exclude each other".to_owned(),
            "fraction",
        ),
        (Some(percent), None) => match u32::try_from(percent) {
            Ok(percent @ 0..=100) => return Some(Fraction::percent(percent)),
            _ => (format!("{percent} is not 0 to 100"), "percent"),
        },
        (None, Some(fraction)) => {
            let (numerator, denominator) = (fraction.numerator, fraction.denominator());
            match (u32::try_from(numerator), u32::try_from(denominator)) {
                (Ok(numerator), Ok(denominator @ 1..)) if numerator <= denominator => {
                    return Some(Fraction {
                        numerator,
                        denominator,
                    });
                }
                _ => (
                    format!("{numerator}/{denominator} is not a share of 1"),
                    "fraction",
                ),
            }
        }
    };
    judge.drop_rule(
        Refusal::UnsupportedValue,
        &notes::OUT_OF_RANGE,
        &at.key(key),
        problem,
    );
    None
}
