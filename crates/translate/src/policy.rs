//! Policies: the time limits and retries of an HTTPRoute's rules, what a route says of its requests,
//! and the policies on Services.

pub(crate) mod backend_tls;
mod idempotent;
mod retry;
mod timeouts;

pub(crate) use self::{idempotent::idempotent, retry::retry, timeouts::timeouts};

use std::time::Duration;

use weft_api::duration;

use crate::{
    field::Field,
    notes,
    verdict::{Judge, Refusal},
};

/// A GEP-2257 duration. `None` when the field is absent, or is none, which drops the rule.
fn duration(judge: &mut Judge<'_, '_>, text: Option<&str>, at: &Field<'_>) -> Option<Duration> {
    match duration::parse(text?) {
        Ok(duration) => Some(duration),
        Err(error) => {
            judge.drop_rule(Refusal::UnsupportedValue, &notes::BAD_DURATION, at, error);
            None
        }
    }
}
