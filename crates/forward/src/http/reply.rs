//! Answers of Weft's own: refusals and errors, in the form the client understands.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use weft_telemetry::Reason;

use crate::body::ResponseBody;

/// gRPC status of an HTTP status that Weft answers with (routing section 7; gRPC status codes).
/// `None` for HTTP requests.
pub(crate) fn grpc_status(status: u16, grpc: bool) -> Option<u16> {
    grpc.then_some(match status {
        400 | 408 | 413 | 431 => 13,
        404 | 421 => 12,
        403 => 7,
        504 => 4,
        _ => 14,
    })
}

/// The answer for `status`. HTTP gets a one-line body; gRPC gets a trailers-only answer with HTTP
/// status 200 (gRPC over HTTP/2, "Responses").
pub(crate) fn own_answer(status: u16, reason: Reason, grpc: bool) -> Response<ResponseBody> {
    if let Some(code) = grpc_status(status, grpc) {
        return grpc_answer(code, reason);
    }
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = format!(
        "{} {}: {}\n",
        status,
        code.canonical_reason().unwrap_or("Error"),
        reason
    );
    let mut response = Response::new(ResponseBody::Full(Some(Bytes::from(text))));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if matches!(reason, Reason::OverLimit | Reason::Draining) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn grpc_answer(code: u16, reason: Reason) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Empty);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    say(headers, code, reason);
    response
}

fn say(headers: &mut HeaderMap, code: u16, reason: Reason) {
    headers.insert("grpc-status", HeaderValue::from(code));
    headers.insert("grpc-message", HeaderValue::from_static(reason.as_str()));
}

/// The trailers that end the answer of a gRPC call whose end is missing, for whatever reason.
pub(crate) fn status_of_cut(reason: Reason) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let code = match reason {
        Reason::TimeoutRequest => 4,
        _ => 14,
    };
    say(&mut trailers, code, reason);
    trailers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_errors_are_trailers_only() {
        let rows = [
            (404, Reason::NoRoute, "12"),
            (500, Reason::BackendInvalid, "14"),
            (503, Reason::NoReadyEndpoint, "14"),
            (504, Reason::TimeoutRequest, "4"),
        ];
        for (status, reason, expected) in rows {
            let answer = own_answer(status, reason, true);
            assert_eq!(answer.status(), 200, "gRPC answers {status} with HTTP 200");
            assert_eq!(
                answer.headers()["grpc-status"],
                expected,
                "gRPC status for {status}"
            );
        }
    }

    #[test]
    fn http_errors_name_their_reason_and_nothing_inside() {
        let answer = own_answer(503, Reason::NoReadyEndpoint, false);
        assert_eq!(answer.status(), 503);
        let ResponseBody::Full(Some(text)) = answer.body() else {
            panic!("a body is expected")
        };
        assert_eq!(
            text.as_ref(),
            b"503 Service Unavailable: no_ready_endpoint\n"
        );
    }
}
