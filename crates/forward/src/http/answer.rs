//! Turning what an endpoint (or a filter) answered into what the client gets.

use http::{Response, StatusCode, header::UPGRADE, response};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use weft_telemetry::Reason;

use super::{
    CapturedBoth, Pipeline, Route,
    attempt::{Plan, Sent},
    headers, upgrade,
};
use crate::{
    body::{ResponseBody, UpstreamBody},
    upstream::Lease,
};

impl Pipeline {
    /// The answer of a filter: a redirect, a CORS preflight, or the refusal of a filter that cannot
    /// be applied. The response filters of the rule act on it as on any other answer.
    pub(super) fn early(
        mut self,
        answer: Box<response::Parts>,
        route: &Route,
        captured: &CapturedBoth,
    ) -> Response<ResponseBody> {
        let status = answer.status;
        if status.is_server_error() || (self.grpc && !status.is_success()) {
            return self.own(status.as_u16(), Reason::FilterFailed);
        }
        let mut response = Response::from_parts(*answer, ResponseBody::Empty);
        if let Some(filters) = route.filters() {
            filters.apply_response(&captured.rule, response.headers_mut());
        }
        self.exchange.own_answer(status.as_u16(), None, None);
        response
    }

    /// The answer to the client after sending ended one way or another.
    pub(super) fn answer(
        mut self,
        sent: Sent,
        plan: Plan,
        route: &Route,
        captured: &CapturedBoth,
    ) -> Response<ResponseBody> {
        match sent {
            Sent::Failed(status, reason) => {
                let mut response = self.own(status, reason);
                if let Some(filters) = route.filters() {
                    filters.apply_response(&captured.rule, response.headers_mut());
                }
                response
            }
            Sent::Answer(answer, lease) => {
                let now_ns = self.worker.clock.now_ns();
                let (mut parts, body) = answer.into_parts();
                self.exchange
                    .answered(parts.status.as_u16(), &parts.headers, now_ns);
                if parts.status == StatusCode::SWITCHING_PROTOCOLS {
                    return self.switch(parts, plan);
                }
                headers::to_client(&mut parts.headers);
                if let Some(filters) = route.backend_filters() {
                    filters.apply_response(&captured.backend, &mut parts.headers);
                }
                if let Some(filters) = route.filters() {
                    filters.apply_response(&captured.rule, &mut parts.headers);
                }
                self.stream(parts, body, lease, plan)
            }
        }
    }

    fn stream(
        self,
        parts: response::Parts,
        body: Incoming,
        lease: Lease,
        plan: Plan,
    ) -> Response<ResponseBody> {
        let body = UpstreamBody::new(body, lease, self.exchange, plan.deadline);
        let mut response = Response::new(ResponseBody::Stream(body));
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        response
    }

    /// 101: the connection stops being HTTP on both sides.
    fn switch(self, mut parts: response::Parts, plan: Plan) -> Response<ResponseBody> {
        let upstream = parts.extensions.remove::<OnUpgrade>();
        let (Some(client), Some(upstream)) = (plan.client_upgrade, upstream) else {
            // A 101 that nobody asked for (RFC 9110 section 15.2.2 forbids it).
            return self.own(502, Reason::UpstreamMalformed);
        };
        let protocol = parts.headers.get(UPGRADE).cloned();
        headers::to_client(&mut parts.headers);
        upgrade::confirm(&mut parts.headers, protocol);
        self.client.activity.tunnel();
        client.tunnel(upstream, self.exchange);
        let mut response = Response::new(ResponseBody::Empty);
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        response
    }
}
