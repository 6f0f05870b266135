//! The HTTP and gRPC pipeline: validate, match, filter, pick, send, answer.
//!
//! One pass, in this order, for gateway and mesh alike. Everything that needs to be decided is
//! decided before the first byte goes to an endpoint; what acts afterwards takes the decision and
//! nothing else.

mod answer;
mod attempt;
pub(crate) mod guard;
mod headers;
mod mirror;
mod reply;
mod upgrade;
mod validate;

use std::sync::Arc;

use http::{Request, Response, request::Parts};
use hyper::body::Incoming;
use tokio::time::Instant;
use weft_ir::{Captured, Effect, FilterContext, Filters, RequestView, host_of, is_grpc};
use weft_telemetry::{
    Reason,
    metrics::{Protocol, RequestHandles},
};

use self::{
    attempt::{Plan, forward},
    reply::own_answer,
};
use crate::{
    body::{ClientBody, RequestBody, ResponseBody},
    connection::Client,
    exchange::{Asked, Exchange},
    live::{Decision, LiveBackend, LiveRule, View},
    worker::Worker,
};

/// Answers one request of a client connection. Never fails: every problem is an answer.
pub(crate) async fn serve(
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let worker = Arc::clone(&client.worker);
    let started_ns = worker.clock.now_ns();
    client.request_started();
    worker.budget.on_request(started_ns);
    let (mut parts, body) = request.into_parts();
    let protocol = protocol_of(&parts);
    let grpc = protocol == Protocol::Grpc;
    let Some(view) = client.inlet.view() else {
        client.request_ended();
        return own_answer(503, Reason::Draining, grpc);
    };
    let refuse = |parts: &Parts, handles, status, reason| {
        let asked = asked(parts);
        let mut exchange =
            Exchange::begin(&worker, &client, handles, (protocol, started_ns), asked);
        exchange.own_answer(status, reply::grpc_status(status, grpc), Some(reason));
        own_answer(status, reason, grpc)
    };
    let canonical = match validate::canonicalise(&mut parts) {
        Ok(canonical) => canonical,
        Err(invalid) => {
            return refuse(
                &parts,
                &view.unrouted,
                invalid.status(),
                Reason::InvalidRequest,
            );
        }
    };
    let route = match route(&view, &client, &parts, &canonical) {
        Ok(route) => route,
        Err((status, reason)) => return refuse(&parts, &view.unrouted, status, reason),
    };
    let handles = Arc::clone(route.handles());
    let exchange = Exchange::begin(
        &worker,
        &client,
        &handles,
        (protocol, started_ns),
        asked(&parts),
    );
    Pipeline {
        client,
        worker,
        view,
        exchange: Box::new(exchange),
        grpc,
    }
    .run(route, parts, body)
    .await
}

fn protocol_of(parts: &Parts) -> Protocol {
    if is_grpc(&parts.headers) {
        Protocol::Grpc
    } else if parts.version == http::Version::HTTP_2 {
        Protocol::Http2
    } else {
        Protocol::Http1
    }
}

fn asked(parts: &Parts) -> Asked {
    Asked {
        method: parts.method.clone(),
        uri: parts.uri.clone(),
        host: parts.headers.get(http::header::HOST).cloned(),
    }
}

/// Where a request goes, with shares of the view it was decided on.
enum Route {
    Rule {
        rule: Arc<LiveRule>,
        backend: Option<usize>,
    },
    PassThrough(Arc<View>),
}

impl Route {
    /// The chosen backend; `None` when the rule has none with a weight.
    fn backend(&self) -> Option<&LiveBackend> {
        match self {
            Self::Rule { rule, backend } => rule.backends.get((*backend)?),
            Self::PassThrough(view) => view.service(),
        }
    }

    fn handles(&self) -> &Arc<RequestHandles> {
        match (self, self.backend()) {
            (Self::Rule { rule, .. }, _) if rule.rule.filters.is_terminal() => &rule.own,
            (_, Some(backend)) => &backend.handles,
            (Self::Rule { rule, .. }, None) => &rule.own,
            (Self::PassThrough(view), None) => &view.unrouted,
        }
    }

    fn filters(&self) -> Option<&Filters> {
        match self {
            Self::Rule { rule, .. } => Some(&rule.rule.filters),
            Self::PassThrough(_) => None,
        }
    }

    fn backend_filters(&self) -> Option<&Filters> {
        match self {
            Self::Rule { rule, backend } => rule
                .rule
                .backends
                .get((*backend)?)
                .map(|backend| &backend.filters),
            Self::PassThrough(_) => None,
        }
    }
}

/// The one decision about a request.
fn route(
    view: &Arc<View>,
    client: &Client,
    parts: &Parts,
    canonical: &validate::Canonical,
) -> Result<Route, (u16, Reason)> {
    let authority = parts
        .headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok());
    let sent = host_of(authority.unwrap_or_default());
    let lowered;
    let host = if sent.bytes().any(|byte| byte.is_ascii_uppercase()) {
        lowered = sent.to_ascii_lowercase();
        lowered.as_str()
    } else {
        sent
    };
    let request = RequestView::new(parts, host);
    match view.decide(client.sni.as_deref(), &request, canonical.encoded_separator) {
        Decision::Rule(rule) => {
            let backend = rule.split.next();
            Ok(Route::Rule {
                rule: Arc::clone(rule),
                backend,
            })
        }
        Decision::PassThrough => Ok(Route::PassThrough(Arc::clone(view))),
        Decision::Refuse(status, reason) => Err((status, reason)),
    }
}

/// A request that has been routed.
struct Pipeline {
    client: Arc<Client>,
    worker: Arc<Worker>,
    view: Arc<View>,
    exchange: Box<Exchange>,
    grpc: bool,
}

/// What both filter lists need to know in the response phase.
struct CapturedBoth {
    rule: Captured,
    backend: Captured,
}

impl Pipeline {
    async fn run(
        mut self,
        route: Route,
        mut parts: Parts,
        body: Incoming,
    ) -> Response<ResponseBody> {
        let captured = CapturedBoth {
            rule: route
                .filters()
                .map(|filters| filters.capture(&parts))
                .unwrap_or_default(),
            backend: route
                .backend_filters()
                .map(|f| f.capture(&parts))
                .unwrap_or_default(),
        };
        let upgrade = upgrade::asked_for(&mut parts);
        headers::to_upstream(&mut parts.headers, &self.client, self.view.is_gateway());
        let mut mirrors = Vec::new();
        for filters in [route.filters(), route.backend_filters()]
            .into_iter()
            .flatten()
        {
            match self.filter(filters, &route, &mut parts, &mut mirrors) {
                Ok(()) => {}
                Err(early) => return self.early(early, &route, &captured),
            }
        }
        let (backend, cluster) = match self.backend(&route) {
            Ok(found) => found,
            Err((status, reason)) => return self.own(status, reason),
        };
        let timeouts = match &route {
            Route::Rule { rule, .. } => rule.rule.timeouts,
            Route::PassThrough(_) => weft_ir::Timeouts::default(),
        };
        let http2 = match backend.protocol {
            weft_ir::UpstreamProtocol::Http1 => false,
            weft_ir::UpstreamProtocol::Http2 => true,
            weft_ir::UpstreamProtocol::AsClient => parts.version == http::Version::HTTP_2,
        };
        let retry = match &route {
            Route::Rule { rule, .. } => rule.rule.retry.clone(),
            Route::PassThrough(_) => None,
        };
        let plan = Plan {
            cluster,
            http2,
            retry,
            attempt_timeout: timeouts.backend_request,
            deadline: timeouts.request.map(|limit| Instant::now() + limit),
            client_upgrade: upgrade,
        };
        let body = self.request_body(body);
        let body = mirror::start(&self.worker, mirrors, body);
        let sent = forward(&mut self, &plan, parts, body).await;
        self.answer(sent, plan, &route, &captured)
    }

    fn request_body(&self, body: Incoming) -> RequestBody {
        use http_body::Body as _;
        if body.is_end_stream() {
            return RequestBody::Empty;
        }
        RequestBody::Stream(ClientBody::new(
            body,
            Arc::clone(&self.client.activity),
            (
                Arc::clone(self.exchange.handles()),
                self.exchange.protocol(),
            ),
        ))
    }

    /// Runs the request half of a filter list.
    fn filter(
        &self,
        filters: &Filters,
        route: &Route,
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
                    if mirror.fraction.hit(self.worker.random())
                        && let Route::Rule { rule, .. } = route
                        && let Some((cluster, protocol)) = rule.mirror(&mirror.target)
                    {
                        mirrors.push(mirror::Copy::new(cluster, protocol, parts));
                    }
                }
            }
        }
        Ok(())
    }

    /// The backend of the route, or the answer when it cannot be used (routing section 7).
    fn backend<'r>(
        &self,
        route: &'r Route,
    ) -> Result<(&'r LiveBackend, Arc<crate::upstream::Cluster>), (u16, Reason)> {
        let backend = route.backend().ok_or((500, Reason::NoBackend))?;
        let cluster = backend
            .cluster
            .as_ref()
            .ok_or((500, Reason::BackendInvalid))?;
        Ok((backend, Arc::clone(cluster)))
    }

    /// An answer of Weft's own because something is wrong.
    fn own(mut self, status: u16, reason: Reason) -> Response<ResponseBody> {
        self.exchange
            .own_answer(status, reply::grpc_status(status, self.grpc), Some(reason));
        own_answer(status, reason, self.grpc)
    }
}
