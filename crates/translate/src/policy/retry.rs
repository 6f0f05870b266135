//! `retry` of an HTTPRoute rule (experimental, GEP-1731).

use std::{fmt, time::Duration};

use weft_ir::Retry;

use super::duration;
use crate::{
    field::Field,
    notes,
    verdict::{Judge, Refusal},
};

/// Retries when `attempts` is absent, which the specification leaves to us. One hides the loss of
/// one endpoint; more multiply load where load may be the cause.
const DEFAULT_ATTEMPTS: u32 = 1;
/// Shortest wait when `backoff` is absent. A first retry goes to another endpoint, so it only has to
/// outlast a blip.
const DEFAULT_BACKOFF: Duration = Duration::from_millis(25);

/// Compiles the retry stanza of a rule. Without `codes` only connection errors are retried.
pub(crate) fn retry(
    judge: &mut Judge<'_, '_>,
    retry: Option<&weft_api::route::Retry>,
    at: &Field<'_>,
) -> Option<Retry> {
    let retry = retry?;
    let codes_at = at.key("codes");
    let mut codes = Vec::with_capacity(retry.codes.len());
    for (index, &code) in retry.codes.iter().enumerate() {
        match u16::try_from(code) {
            Ok(code @ 400..=599) => codes.push(code),
            _ => out_of_range(judge, &codes_at.index(index), code, "400 to 599"),
        }
    }
    codes.sort_unstable();
    codes.dedup();
    let attempts = match retry
        .attempts
        .map(|attempts| (attempts, u32::try_from(attempts)))
    {
        None => DEFAULT_ATTEMPTS,
        Some((_, Ok(attempts @ 1..))) => attempts,
        Some((attempts, _)) => {
            out_of_range(judge, &at.key("attempts"), attempts, "1 or more");
            return None;
        }
    };
    let backoff = duration(judge, retry.backoff.as_deref(), &at.key("backoff"));
    Some(Retry {
        codes,
        attempts,
        backoff: backoff.unwrap_or(DEFAULT_BACKOFF),
    })
}

fn out_of_range(judge: &mut Judge<'_, '_>, at: &Field<'_>, value: impl fmt::Display, range: &str) {
    let message = format!("{value} is not {range}");
    judge.drop_rule(Refusal::UnsupportedValue, &notes::OUT_OF_RANGE, at, message);
}
