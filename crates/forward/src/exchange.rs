//! The record of one request: what is counted and logged when its last byte is gone.

use std::{
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri, header::HeaderValue};
use http_body::Frame;
use weft_balance::{Failure, InFlight as AtEndpoint, Outcome};
use weft_certs::Identity;
use weft_telemetry::{
    Reason,
    access_log::{AccessLog, AccessRecord},
    metrics::{Protocol, RequestEnd, RequestHandles},
};
use weft_tunnel::Target;

use crate::{connection::Client, http::Route, upstream::UpstreamRef};

/// A request's part in the load of the endpoint it was sent to.
pub(crate) type AtUpstream = AtEndpoint<UpstreamRef>;

/// One request from its head to its end. Dropping it unfinished records that the client went away.
pub(crate) struct Exchange {
    client: Arc<Client>,
    route: Route,
    protocol: Protocol,
    started_ns: u64,
    first_byte_ns: Option<u64>,
    status: Option<u16>,
    grpc_status: Option<u16>,
    response_bytes: u64,
    attempts: u32,
    at_endpoint: Option<AtUpstream>,
    asked: Asked,
    recorded: bool,
}

/// What the access log says about the request; shared bytes, not copies.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) host: Option<HeaderValue>,
}

impl Exchange {
    /// Begins the record; from here on the request counts as in flight.
    pub(crate) fn begin(
        client: &Arc<Client>,
        route: Route,
        (protocol, started_ns): (Protocol, u64),
        asked: Asked,
    ) -> Self {
        route.handles().enter(protocol);
        Self {
            client: Arc::clone(client),
            route,
            protocol,
            started_ns,
            first_byte_ns: None,
            status: None,
            grpc_status: None,
            response_bytes: 0,
            attempts: 0,
            at_endpoint: None,
            asked,
            recorded: false,
        }
    }

    /// Waits until the client may be given more of its answer.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        self.client.activity.unsent.poll_room(cx)
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Where the request goes.
    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// The counters of whatever answers.
    pub(crate) fn handles(&self) -> &Arc<RequestHandles> {
        self.route.handles()
    }

    /// An attempt at an endpoint begins.
    pub(crate) fn attempt(&mut self, upstream: &UpstreamRef, now_ns: u64) {
        self.attempts += 1;
        self.at_endpoint = Some(AtEndpoint::begin(upstream.clone(), now_ns));
    }

    /// The attempt ended with `outcome` after `latency_ns`; tells health and load of the endpoint.
    pub(crate) fn attempt_ended(&mut self, outcome: Outcome, latency_ns: u64, now_ns: u64) {
        let (Some(at_endpoint), Some(cluster)) = (&mut self.at_endpoint, self.route.cluster())
        else {
            return;
        };
        let ejection = cluster
            .with_members(|members| at_endpoint.record(members, outcome, latency_ns, now_ns));
        if let Some(ejection) = ejection {
            cluster.ejected(at_endpoint.endpoint(), ejection);
        }
    }

    /// The answer of the last attempt is set aside for another attempt; it stays part of the load of
    /// its endpoint while the result lives.
    pub(crate) fn leave_endpoint(&mut self) -> Option<AtUpstream> {
        self.at_endpoint.take()
    }

    /// The answer that was set aside is the one the client gets.
    pub(crate) fn return_to(&mut self, at_endpoint: Option<AtUpstream>) {
        self.at_endpoint = at_endpoint;
    }

    /// When the request arrived.
    pub(crate) fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// The head of the answer that goes to the client arrived at `now_ns`.
    pub(crate) fn answered<B>(&mut self, answer: &Response<B>, now_ns: u64) {
        self.status = Some(answer.status().as_u16());
        self.first_byte_ns = Some(now_ns.saturating_sub(self.started_ns));
        self.take_grpc_status(answer.headers());
    }

    /// A frame of the answer's body passes.
    pub(crate) fn response_frame(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.response_bytes += data.len() as u64;
            self.client.activity.unsent.given(data.len());
        } else if let Some(trailers) = frame.trailers_ref() {
            self.take_grpc_status(trailers);
        }
    }

    fn take_grpc_status(&mut self, headers: &HeaderMap) {
        if self.protocol == Protocol::Grpc
            && let Some(status) = headers.get("grpc-status")
        {
            let text = std::str::from_utf8(status.as_bytes()).unwrap_or_default();
            self.grpc_status = Some(text.parse().unwrap_or(u16::MAX));
        }
    }

    /// The answer is complete.
    pub(crate) fn complete(mut self: Box<Self>) {
        let cut = self.protocol == Protocol::Grpc && self.grpc_status.is_none();
        self.record(cut.then_some(Reason::MissingGrpcStatus));
    }

    /// The endpoint cut its answer.
    pub(crate) fn upstream_cut(mut self: Box<Self>) {
        self.record(Some(Reason::UpstreamReset));
    }

    /// The rule's request timeout cut the answer.
    pub(crate) fn timed_out(mut self: Box<Self>) {
        self.record(Some(Reason::TimeoutRequest));
    }

    /// Weft answered by itself, with `reason` unless the configuration asked for it (a redirect).
    pub(crate) fn own_answer(&mut self, status: u16, grpc: Option<u16>, reason: Option<Reason>) {
        self.status = Some(status);
        self.grpc_status = grpc;
        self.record(reason);
    }

    /// Completes when the client's connection, or what has become of it, is cut.
    pub(crate) async fn cut(&self) {
        self.client.cut().await;
    }

    /// A tunnel after 101 ended.
    pub(crate) fn tunnel_ended(&mut self, response_bytes: u64) {
        self.response_bytes = response_bytes;
        self.record(None);
    }

    fn record(&mut self, reason: Option<Reason>) {
        if std::mem::replace(&mut self.recorded, true) {
            return;
        }
        let now_ns = self.client.worker.clock.now_ns();
        let end = RequestEnd {
            protocol: self.protocol,
            status: self.status,
            grpc_status: self.grpc_status,
            reason,
            duration: Duration::from_nanos(now_ns.saturating_sub(self.started_ns)),
            first_byte: self.first_byte_ns.map(Duration::from_nanos),
        };
        let handles = self.route.handles();
        handles.add_bytes(self.protocol, 0, self.response_bytes);
        handles.leave(self.protocol);
        handles.finish(&end);
        self.client.request_ended();
        let log = &self.client.access_log;
        if log.wants(end.is_notable()) {
            self.log(log, end);
        }
    }

    fn log(&self, log: &AccessLog, end: RequestEnd) {
        let source = self.client.sender().map(Identity::id);
        let record = AccessRecord {
            time: self.client.worker.clock.wall(),
            end,
            labels: self.route.handles().labels(),
            client: Some(self.client.peer),
            source_principal: source.as_ref(),
            destination_principal: self.answering().and_then(Target::peer),
            method: self.asked.method.as_str().as_bytes(),
            authority: self.asked.host.as_ref().map_or(b"", |host| host.as_bytes()),
            path: self.asked.uri.path().as_bytes(),
            endpoint: self.endpoint(),
            attempts: self.attempts,
            upstream_connect: None,
            request_bytes: 0,
            response_bytes: self.response_bytes,
            policy: None,
            trace_id: None,
        };
        log.write(&record, self.client.worker.clock.instant());
    }

    /// Who has answered, if that is a member of the mesh. One that has not may not have been reached.
    fn answering(&self) -> Option<&Target> {
        self.first_byte_ns?;
        self.at_endpoint.as_ref()?.endpoint().target()
    }

    fn endpoint(&self) -> Option<SocketAddr> {
        self.at_endpoint
            .as_ref()
            .map(|at_endpoint| at_endpoint.endpoint().address)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Nobody polls any more: the client closed or reset.
        self.record(Some(Reason::ClientAbort));
    }
}

/// How an answer's status counts for the endpoint's health.
pub(crate) fn outcome_of(status: u16) -> Outcome {
    if status >= 500 {
        Outcome::Failure(Failure::Status5xx)
    } else {
        Outcome::Success
    }
}
