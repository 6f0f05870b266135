//! Turning what an endpoint (or a filter) answered into what the client gets.
//!
//! Interim answers (1xx) do not come this far. hyper's client half skips them or hands them to a
//! callback (`hyper::ext::on_informational`), but its server half can send none: it invites bodies
//! with `100 Continue` by itself and has no way to say `103 Early Hints`, over HTTP/1 or HTTP/2.
//! RFC 9110 section 15.2 asks proxies to pass them on; until hyper can, hints end here.

use http::{
    Response, StatusCode,
    header::{CONTENT_LENGTH, TRAILER},
    response,
};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use weft_ir::is_grpc;
use weft_telemetry::Reason;

use super::{attempt::Sent, headers, job::Job};
use crate::{
    body::{Answered, Cut, ResponseBody, UpstreamBody},
    upstream::Lease,
};

/// Whether this is the head of a gRPC server, whose status follows in trailers ("gRPC over HTTP/2",
/// Responses). What is not may come from a server that knows nothing of gRPC.
pub(super) fn is_begun_call(head: &response::Parts) -> bool {
    head.status == StatusCode::OK && is_grpc(&head.headers)
}

impl Job {
    /// The answer of a filter: a redirect, a CORS preflight, or the refusal of a filter that cannot
    /// be applied. The response filters of the rule act on it as on any other answer.
    pub(super) fn early(mut self: Box<Self>, answer: response::Parts) -> Response<ResponseBody> {
        let status = answer.status;
        if status.is_server_error() || (self.is_grpc() && !status.is_success()) {
            return self.own(status.as_u16(), Reason::FilterFailed);
        }
        let mut response = Response::from_parts(answer, ResponseBody::Empty);
        self.rule_filters(response.headers_mut());
        self.exchange.own_answer(status.as_u16(), None, None);
        response
    }

    fn rule_filters(&self, headers: &mut http::HeaderMap) {
        if let Some(filters) = self.route().filters() {
            filters.apply_response(&self.captured.rule, headers);
        }
    }

    /// The answer to the client after sending ended one way or another.
    pub(super) fn answer(self: Box<Self>, sent: Sent) -> Response<ResponseBody> {
        let (mut parts, body, lease) = match sent {
            Sent::Failed(status, reason) => {
                let mut headers = http::HeaderMap::new();
                self.rule_filters(&mut headers);
                let mut response = self.own(status, reason);
                response.headers_mut().extend(headers);
                return response;
            }
            Sent::Answer(answer, lease) => {
                let (parts, body) = answer.into_parts();
                (parts, body, lease)
            }
        };
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(parts);
        }
        if parts.status.is_success() && self.upgrade.as_ref().is_some_and(|it| it.is_extended()) {
            // The endpoint knows nothing of the upgrade, and its 2xx must not look like a tunnel.
            return self.own(502, Reason::UpstreamMalformed);
        }
        headers::to_client(&mut parts.headers);
        if let Some(filters) = self.route().backend_filters() {
            filters.apply_response(&self.captured.backend, &mut parts.headers);
        }
        self.rule_filters(&mut parts.headers);
        self.stream(parts, body, lease)
    }

    fn stream(
        self: Box<Self>,
        mut parts: response::Parts,
        body: Answered,
        lease: Lease,
    ) -> Response<ResponseBody> {
        let cut = if self.call && is_begun_call(&parts) && !body.is_end_stream() {
            parts.headers.remove(CONTENT_LENGTH);
            Cut::Status
        } else {
            Cut::Reset
        };
        let trailed = self.trailers && !body.is_end_stream() && parts.headers.contains_key(TRAILER);
        let body = UpstreamBody::new(body, lease, self.exchange, self.deadline, cut);
        let body = if trailed {
            // Behind content of a stated length HTTP/1.1 has no room for trailers.
            parts.headers.remove(CONTENT_LENGTH);
            ResponseBody::Trailed(Box::new(body))
        } else {
            ResponseBody::Stream(body)
        };
        let mut response = Response::new(body);
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        response
    }

    /// 101: the connection stops being HTTP on both sides.
    fn switch(mut self: Box<Self>, mut parts: response::Parts) -> Response<ResponseBody> {
        let upstream = parts.extensions.remove::<OnUpgrade>();
        let (Some(client), Some(upstream)) = (self.upgrade.take(), upstream) else {
            // A 101 that nobody asked for (RFC 9110 section 15.2.2 forbids it).
            return self.own(502, Reason::UpstreamMalformed);
        };
        if !client.confirm(&mut parts) {
            return self.own(502, Reason::UpstreamMalformed);
        }
        if !client.is_extended() {
            self.client.activity.tunnel();
        }
        client.tunnel(upstream, self.exchange);
        let mut response = Response::new(ResponseBody::Empty);
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        response
    }
}
