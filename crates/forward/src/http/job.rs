//! A request that has been routed, from its filters to its answer.

use std::sync::Arc;

use http::{Request, Response, Version, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;
use weft_ir::{Captured, Effect, FilterContext, Filters};
use weft_telemetry::{Reason, metrics::Protocol};

use super::{
    Next, attempt, headers, mirror,
    reply::{grpc_status, own_answer},
    route::{Route, goes_as_http2},
    upgrade::{self, ClientUpgrade},
};
use crate::{
    body::{ClientBody, RequestBody, ResponseBody},
    clock,
    connection::Client,
    exchange::Exchange,
    live::Held,
};

/// Everything about one request. It is made once, on the heap, and only referred to from then on.
pub(super) struct Job {
    pub(super) client: Arc<Client>,
    pub(super) exchange: Box<Exchange>,
    pub(super) captured: CapturedBoth,
    /// The request to be sent next; empty while it is on its way.
    pub(super) request: Option<Request<RequestBody>>,
    /// How to make the request again.
    pub(super) template: Option<attempt::Template>,
    pub(super) http2: bool,
    pub(super) deadline: Option<Instant>,
    pub(super) upgrade: Option<ClientUpgrade>,
    /// The client speaks HTTP/1.1 and takes trailers.
    pub(super) trailers: bool,
    /// A gRPC call of a client that can be told its status at any time, as HTTP/2 allows.
    pub(super) call: bool,
    view: Arc<Held>,
}

/// What the filter lists of rule and backend need to know in the response phase.
#[derive(Default)]
pub(super) struct CapturedBoth {
    pub(super) rule: Captured,
    pub(super) backend: Captured,
}

impl Job {
    pub(super) fn plan(client: Arc<Client>, view: Arc<Held>, exchange: Box<Exchange>) -> Box<Self> {
        Box::new(Self {
            client,
            exchange,
            captured: CapturedBoth::default(),
            request: None,
            template: None,
            http2: false,
            deadline: None,
            upgrade: None,
            trailers: false,
            call: false,
            view,
        })
    }

    /// Where the request goes.
    pub(super) fn route(&self) -> &Route {
        self.exchange.route()
    }

    pub(super) fn is_grpc(&self) -> bool {
        self.exchange.protocol() == Protocol::Grpc
    }

    /// Runs the filters and settles where and how to send.
    pub(super) fn prepare(mut self: Box<Self>, mut parts: Parts, body: Incoming) -> Next {
        let capture = |filters: Option<&Filters>, parts: &Parts| {
            filters
                .map(|filters| filters.capture(parts))
                .unwrap_or_default()
        };
        self.captured.rule = capture(self.route().filters(), &parts);
        self.captured.backend = capture(self.route().backend_filters(), &parts);
        self.upgrade = upgrade::asked_for(&mut parts, || self.client.worker.random());
        self.trailers =
            parts.version == Version::HTTP_11 && headers::takes_trailers(&parts.headers);
        self.call = parts.version == Version::HTTP_2 && self.is_grpc();
        headers::to_upstream(&mut parts.headers, &self.client, self.view.is_gateway());
        let mut mirrors = Vec::new();
        if let Err(early) = self.filter_all(&mut parts, &mut mirrors) {
            return Next::now(self.early(*early));
        }
        if let Err((status, reason)) = self.choose(parts.version) {
            return Next::now(self.own(status, reason));
        }
        let body = mirror::start(&self.client, mirrors, self.request_body(body));
        if !self.http2 {
            headers::to_http1(&mut parts.headers, self.upgrade.as_ref());
        }
        self.load(parts, body);
        Next::Send(self)
    }

    /// Runs the request half of both filter lists, the rule's first; `Err` is an answer.
    fn filter_all(
        &self,
        parts: &mut Parts,
        mirrors: &mut Vec<mirror::Copy>,
    ) -> Result<(), Box<http::response::Parts>> {
        let lists = [self.route().filters(), self.route().backend_filters()];
        lists
            .into_iter()
            .flatten()
            .try_for_each(|filters| self.filter(filters, parts, mirrors))
    }

    /// Runs the request half of a filter list; `Err` is an answer.
    fn filter(
        &self,
        filters: &Filters,
        parts: &mut Parts,
        mirrors: &mut Vec<mirror::Copy>,
    ) -> Result<(), Box<http::response::Parts>> {
        let context = FilterContext {
            scheme: self.view.scheme(),
            port: self.view.port(),
        };
        for filter in filters {
            match filter.apply_request(parts, &context) {
                Effect::Continue => {}
                Effect::Respond(answer) => return Err(answer),
                Effect::Mirror(mirror) => {
                    if mirror.fraction.hit(self.client.worker.random())
                        && let Route::Rule { rule, .. } = self.route()
                        && let Some((cluster, protocol)) = rule.mirror(&mirror.target)
                    {
                        let http2 = goes_as_http2(protocol, parts.version, self.is_grpc());
                        mirrors.push(mirror::Copy::new(cluster, http2, parts));
                    }
                }
            }
        }
        Ok(())
    }

    /// Settles the cluster, or what answers when the backend cannot be used (routing section 7).
    fn choose(&mut self, version: Version) -> Result<(), (u16, Reason)> {
        let backend = self.route().backend().ok_or((500, Reason::NoBackend))?;
        if !backend.cluster.as_ref().is_some_and(|it| it.is_usable()) {
            return Err((500, Reason::BackendInvalid));
        }
        // An upgrade is a matter of HTTP/1.1, whatever the client speaks otherwise.
        let version = match self.upgrade {
            Some(_) => Version::HTTP_11,
            None => version,
        };
        self.http2 = goes_as_http2(backend.protocol, version, self.is_grpc());
        if self.http2 && self.upgrade.take_if(|it| it.is_extended()).is_some() {
            return Err((501, Reason::Unsupported));
        }
        self.deadline = self.route().timeouts().request.map(clock::deadline);
        Ok(())
    }

    fn request_body(&self, body: Incoming) -> RequestBody {
        if body.is_end_stream() {
            return RequestBody::Empty;
        }
        let counted = (
            Arc::clone(self.exchange.handles()),
            self.exchange.protocol(),
        );
        RequestBody::Stream(ClientBody::new(
            body,
            Arc::clone(&self.client.activity),
            counted,
        ))
    }

    /// Sends, and answers with what came of it.
    pub(super) async fn run(mut self: Box<Self>) -> Response<ResponseBody> {
        let sent = attempt::forward(&mut self).await;
        self.answer(sent)
    }

    /// An answer of Weft's own because something is wrong.
    pub(super) fn own(mut self: Box<Self>, status: u16, reason: Reason) -> Response<ResponseBody> {
        let grpc = self.is_grpc();
        self.exchange
            .own_answer(status, grpc_status(status, grpc), Some(reason));
        own_answer(status, reason, grpc)
    }
}
