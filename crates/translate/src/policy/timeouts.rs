//! `timeouts` of an HTTPRoute rule (GEP-1742).

use weft_api::route::HttpTimeouts;
use weft_ir::Timeouts;

use super::duration;
use crate::{
    field::Field,
    notes,
    verdict::{Judge, Refusal},
};

/// Compiles the time limits of a rule. `0s` switches a limit off.
pub(crate) fn timeouts(
    judge: &mut Judge<'_, '_>,
    timeouts: Option<&HttpTimeouts>,
    at: &Field<'_>,
) -> Timeouts {
    let Some(timeouts) = timeouts else {
        return Timeouts::default();
    };
    let request = duration(judge, timeouts.request.as_deref(), &at.key("request"));
    let backend_at = at.key("backendRequest");
    let backend_request = duration(judge, timeouts.backend_request.as_deref(), &backend_at);
    // A request limit of 0s is none, so nothing can exceed it (CEL rule of HTTPRouteTimeouts).
    let request = request.filter(|limit| !limit.is_zero());
    if let (Some(request), Some(backend)) = (request, backend_request)
        && backend > request
    {
        let message = format!("{backend:?} is longer than timeouts.request, {request:?}");
        judge.drop_rule(
            Refusal::UnsupportedValue,
            &notes::OUT_OF_RANGE,
            &backend_at,
            message,
        );
    }
    Timeouts {
        request,
        backend_request: backend_request.filter(|limit| !limit.is_zero()),
    }
}
