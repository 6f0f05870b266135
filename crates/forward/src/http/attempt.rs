//! Sending a request to endpoints until one answers or nothing is left to try.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, Request, Response, Uri, Version, request::Parts};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use weft_balance::{Failure, Outcome};
use weft_ir::Retry;
use weft_telemetry::{Reason, metrics::RetryOutcome};

use super::{Pipeline, upgrade::ClientUpgrade};
use crate::{
    body::{Replay, RequestBody},
    exchange::outcome_of,
    limits,
    upstream::{Cluster, Lease, SendError, SendFailure, UpstreamRef, send},
};

/// Everything that was decided about sending.
pub(super) struct Plan {
    pub(super) cluster: Arc<Cluster>,
    pub(super) http2: bool,
    pub(super) retry: Option<Retry>,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) deadline: Option<Instant>,
    pub(super) client_upgrade: Option<ClientUpgrade>,
}

/// How sending ended.
pub(super) enum Sent {
    /// An endpoint answered.
    Answer(Response<Incoming>, Lease),
    /// Nobody did: the status and reason for the client.
    Failed(u16, Reason),
}

/// How one attempt ended.
enum Tried {
    Answer(Response<Incoming>, Lease),
    /// No answer. The request is there if the endpoint did not see it: it can go elsewhere as it is.
    Failed(SendFailure),
    /// The attempt's time passed.
    Late,
}

/// A request that can be made again.
struct Template {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    version: Version,
    body: TemplateBody,
}

enum TemplateBody {
    Empty,
    Replay(Replay),
}

impl Template {
    fn request(&self) -> Request<RequestBody> {
        let mut request = Request::new(match &self.body {
            TemplateBody::Empty => RequestBody::Empty,
            TemplateBody::Replay(replay) => RequestBody::Replay(replay.attempt()),
        });
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        *request.version_mut() = self.version;
        request
    }

    fn can_repeat(&self) -> bool {
        match &self.body {
            TemplateBody::Empty => true,
            TemplateBody::Replay(replay) => replay.can_repeat(),
        }
    }
}

/// One request's tries.
struct Tries<'a> {
    pipeline: &'a mut Pipeline,
    plan: &'a Plan,
    template: Option<Template>,
    tried: Vec<usize>,
    connect_retries: u32,
    repeats: u32,
    /// Why the attempt under way is a retry.
    retrying: Option<Reason>,
}

/// Sends the request. The request timeout covers everything, retries included (GEP-1742).
pub(super) async fn forward(
    pipeline: &mut Pipeline,
    plan: &Plan,
    parts: Parts,
    body: RequestBody,
) -> Sent {
    let (request, template) = prepare(plan, parts, body);
    let tries = Tries {
        pipeline,
        plan,
        template,
        tried: Vec::new(),
        connect_retries: 0,
        repeats: 0,
        retrying: None,
    };
    match plan.deadline {
        None => tries.run(request).await,
        Some(deadline) => match timeout_at(deadline, tries.run(request)).await {
            Ok(sent) => sent,
            Err(_elapsed) => Sent::Failed(504, Reason::TimeoutRequest),
        },
    }
}

/// The first request, and how to make another one if that may become necessary: a retry stanza, or
/// an idempotent request without a body, which a closing keep-alive connection must not cost
/// (RFC 9110 section 9.2.2).
fn prepare(
    plan: &Plan,
    mut parts: Parts,
    body: RequestBody,
) -> (Request<RequestBody>, Option<Template>) {
    if let Some(upgrade) = &plan.client_upgrade {
        upgrade.offer(&mut parts.headers);
    }
    parts.extensions.clear();
    let empty = matches!(body, RequestBody::Empty);
    let repeatable = plan.client_upgrade.is_none()
        && (plan.retry.is_some() || (empty && parts.method.is_idempotent()));
    parts.version = Version::HTTP_11;
    if !repeatable {
        return (Request::from_parts(parts, body), None);
    }
    let template = Template {
        method: parts.method.clone(),
        uri: parts.uri.clone(),
        headers: parts.headers.clone(),
        version: parts.version,
        body: match body {
            RequestBody::Stream(source) => TemplateBody::Replay(Replay::new(source)),
            RequestBody::Empty => TemplateBody::Empty,
            other => return (Request::from_parts(parts, other), None),
        },
    };
    let body = match &template.body {
        TemplateBody::Empty => RequestBody::Empty,
        TemplateBody::Replay(replay) => RequestBody::Replay(replay.attempt()),
    };
    (Request::from_parts(parts, body), Some(template))
}

impl Tries<'_> {
    async fn run(mut self, mut request: Request<RequestBody>) -> Sent {
        loop {
            let Some((index, upstream)) = self.pick() else {
                return Sent::Failed(503, Reason::NoReadyEndpoint);
            };
            let next = match self.attempt(&upstream, request).await {
                Tried::Answer(response, lease) => match self.judge(response, lease).await {
                    Ok(sent) => return sent,
                    Err(next) => next,
                },
                Tried::Failed(SendFailure { error, unsent }) => {
                    let next = match unsent {
                        Some(unsent) => self.elsewhere(&error, unsent),
                        None => self.again(error.reason(), RepeatFor::Loss).await,
                    };
                    match next {
                        Some(next) => next,
                        None => return failed(&error),
                    }
                }
                Tried::Late => match self.again(Reason::TimeoutBackend, RepeatFor::Loss).await {
                    Some(next) => next,
                    None => return Sent::Failed(504, Reason::TimeoutBackend),
                },
            };
            self.tried.push(index);
            request = next;
        }
    }

    /// An endpoint that was not tried yet; any endpoint once all were.
    fn pick(&self) -> Option<(usize, UpstreamRef)> {
        let now_ns = self.pipeline.worker.clock.now_ns();
        let random = self.pipeline.worker.random();
        self.plan.cluster.with_members(|members| {
            let index = weft_balance::pick(members, now_ns, random, &self.tried)
                .or_else(|| weft_balance::pick(members, now_ns, random, &[]))?;
            Some((index, members.get(index)?.clone()))
        })
    }

    async fn attempt(&mut self, upstream: &UpstreamRef, request: Request<RequestBody>) -> Tried {
        let worker = Arc::clone(&self.pipeline.worker);
        let started_ns = worker.clock.now_ns();
        self.pipeline.exchange.attempt(upstream, started_ns);
        let sending = send(&worker, upstream, self.plan.http2, request);
        let result = match self.plan.attempt_timeout {
            None => Some(sending.await),
            Some(limit) => timeout(limit, sending).await.ok(),
        };
        let now_ns = worker.clock.now_ns();
        let (outcome, tried) = match result {
            Some(Ok((response, lease))) => (
                outcome_of(response.status().as_u16()),
                Tried::Answer(response, lease),
            ),
            Some(Err(failure)) => {
                tracing::debug!(endpoint = %upstream.address, error = %failure.error, "no answer");
                (outcome_of_failure(&failure.error), Tried::Failed(failure))
            }
            None => (Outcome::Failure(Failure::NoAnswer), Tried::Late),
        };
        if let Some(reason) = self.retrying.take() {
            let answered = matches!(tried, Tried::Answer(..));
            self.count(
                reason,
                if answered {
                    RetryOutcome::Success
                } else {
                    RetryOutcome::Failure
                },
            );
        }
        let latency_ns = now_ns.saturating_sub(started_ns);
        let cluster = &self.plan.cluster;
        self.pipeline
            .exchange
            .attempt_ended(cluster, outcome, latency_ns, now_ns);
        tried
    }

    /// Passes the answer on, or asks for another one if the rule says so.
    async fn judge(
        &mut self,
        response: Response<Incoming>,
        lease: Lease,
    ) -> Result<Sent, Request<RequestBody>> {
        let status = response.status().as_u16();
        let listed = self
            .plan
            .retry
            .as_ref()
            .is_some_and(|retry| retry.codes.contains(&status));
        if listed && let Some(next) = self.again(Reason::UpstreamStatus, RepeatFor::Status).await {
            return Err(next);
        }
        Ok(Sent::Answer(response, lease))
    }

    /// Another endpoint for a request that reached nobody: at most two more, within the budget.
    fn elsewhere(
        &mut self,
        error: &SendError,
        unsent: Box<Request<RequestBody>>,
    ) -> Option<Request<RequestBody>> {
        let limit = match &self.plan.retry {
            Some(retry) => limits::CONNECT_RETRIES.max(retry.attempts),
            None => limits::CONNECT_RETRIES,
        };
        if self.connect_retries >= limit || !self.within_budget(error.reason()) {
            return None;
        }
        self.connect_retries += 1;
        Some(*unsent)
    }

    /// The request once more, after an endpoint saw it.
    async fn again(&mut self, reason: Reason, why: RepeatFor) -> Option<Request<RequestBody>> {
        let template = self.template.as_ref()?;
        let (limit, backoff) = match (&self.plan.retry, why) {
            (Some(retry), _) => (retry.attempts, retry.backoff),
            (None, RepeatFor::Loss) if reason == Reason::UpstreamReset => (1, Duration::ZERO),
            (None, _) => return None,
        };
        if self.repeats >= limit {
            return None;
        }
        if !template.can_repeat() {
            self.count(reason, RetryOutcome::NotPossible);
            return None;
        }
        let request = template.request();
        if !self.within_budget(reason) {
            return None;
        }
        self.repeats += 1;
        if !backoff.is_zero() {
            sleep(backoff).await;
        }
        Some(request)
    }

    fn within_budget(&mut self, reason: Reason) -> bool {
        let worker = &self.pipeline.worker;
        let allowed = worker.budget.try_retry(worker.clock.now_ns());
        if allowed {
            self.retrying = Some(reason);
        } else {
            self.count(reason, RetryOutcome::NoBudget);
        }
        allowed
    }

    fn count(&self, reason: Reason, outcome: RetryOutcome) {
        let exchange = &self.pipeline.exchange;
        exchange
            .handles()
            .retry(exchange.protocol(), reason, outcome);
    }
}

/// What a repeat is for; without a stanza only a lost request is repeated.
#[derive(Clone, Copy)]
enum RepeatFor {
    Loss,
    Status,
}

fn outcome_of_failure(error: &SendError) -> Outcome {
    Outcome::Failure(match error {
        SendError::Connect(_) => Failure::Connect,
        _ => Failure::NoAnswer,
    })
}

fn failed(error: &SendError) -> Sent {
    let reason = error.reason();
    let status = if reason == Reason::UpstreamMalformed {
        502
    } else {
        503
    };
    Sent::Failed(status, reason)
}
