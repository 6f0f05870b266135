//! `weft.dev/idempotent`: the owner of a route states that its requests may be made twice.
//!
//! Only the method tells a proxy that (RFC 9110 section 9.2.2), and neither a POST nor a gRPC call has
//! one that does. A `retry` stanza would, but HTTPRoute alone has it, in the experimental channel
//! (GEP-1731), and it says how often and on what as well.

use weft_api::{Object, route::IDEMPOTENT};

use crate::{
    field::{ANNOTATIONS, Quoted},
    notes,
    verdict::Judge,
};

/// Whether every request of the route may be made twice. A value that means nothing does not say so.
pub(crate) fn idempotent(judge: &mut Judge<'_, '_>, route: &impl Object) -> bool {
    match route.metadata().annotations.get(IDEMPOTENT) {
        Some("true") => true,
        None | Some("false") => false,
        Some(other) => {
            let message = format!("{} is neither true nor false", Quoted(other));
            judge.hint(&notes::ANNOTATION, &ANNOTATIONS.entry(IDEMPOTENT), message);
            false
        }
    }
}
