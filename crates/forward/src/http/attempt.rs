//! Sending a request to endpoints until one answers or nothing is left to try.

mod ask;
mod held;
mod template;

use std::{net::SocketAddr, time::Duration};

use http::{Request, Response};
use tokio::time::{sleep, timeout, timeout_at};
use weft_balance::{Failure, Outcome};
use weft_telemetry::{Reason, metrics::RetryOutcome};

pub(super) use self::template::Template;
use self::{ask::ask, held::Held};
use super::job::Job;
use crate::{
    body::{Answered, RequestBody},
    exchange::outcome_of,
    limits,
    upstream::{Lease, SendError, UpstreamRef},
};

/// How sending ended.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are answers, and each is moved a few times only: a box costs more"
)]
pub(super) enum Sent {
    /// An endpoint answered.
    Answer(Response<Answered>, Lease),
    /// Nobody did: the status and reason for the client.
    Failed(u16, Reason),
}

/// How one attempt ended without an answer.
enum Failed {
    /// The endpoint did nothing about the request, which can go elsewhere.
    Unseen(SendError),
    /// The endpoint may have seen it.
    Lost(SendError),
    /// The attempt's time passed.
    Late,
}

/// What comes after an attempt.
enum Next {
    /// Nothing.
    Done(Sent),
    /// Another attempt, after this time.
    Again(Duration),
}

/// Sends the request. The request timeout covers everything, retries included (GEP-1742).
pub(super) async fn forward(job: &mut Job) -> Sent {
    let deadline = job.deadline;
    let now_ns = job.exchange.started_ns();
    let tries = Tries {
        job,
        tried: Vec::new(),
        connect_retries: 0,
        repeats: 0,
        retrying: None,
        held: None,
        now_ns,
    };
    match deadline {
        None => tries.run().await,
        // On the heap, so that requests without a timeout do not carry the room for it.
        Some(deadline) => match Box::pin(timeout_at(deadline, tries.run())).await {
            Ok(sent) => sent,
            Err(_elapsed) => Sent::Failed(504, Reason::TimeoutRequest),
        },
    }
}

/// One request's tries.
struct Tries<'a> {
    job: &'a mut Job,
    /// By address: an index means another endpoint once endpoints came or went.
    tried: Vec<SocketAddr>,
    connect_retries: u32,
    repeats: u32,
    /// Why the attempt under way is a retry.
    retrying: Option<Reason>,
    /// The answer that the client gets if no later attempt has one (GEP-1731).
    held: Option<Box<Held>>,
    /// The time, as of the last thing that took any.
    now_ns: u64,
}

impl Tries<'_> {
    async fn run(mut self) -> Sent {
        loop {
            let Some(upstream) = self.pick() else {
                return self.last_answer(Sent::Failed(503, Reason::NoReadyEndpoint));
            };
            let ended = self.attempt(&upstream).await;
            self.tried.push(upstream.address);
            let next = match ended {
                Ok((response, lease)) => self.judge(response, lease),
                Err(failed) => self.after(failed),
            };
            match next {
                Next::Done(sent) => return self.last_answer(sent),
                Next::Again(backoff) if backoff.is_zero() => {}
                Next::Again(backoff) => {
                    sleep(backoff).await;
                    self.now_ns = self.job.client.worker.clock.now_ns();
                }
            }
        }
    }

    /// An answer ends the matter, or is held while the request is made again.
    fn judge(&mut self, response: Response<Answered>, lease: Lease) -> Next {
        if let Some(earlier) = self.held.take() {
            earlier.let_go();
        }
        let again = if self.asks_for_another(response.status().as_u16()) {
            self.repeat(Reason::UpstreamStatus, RepeatFor::Status)
        } else {
            None
        };
        let Some(backoff) = again else {
            return Next::Done(Sent::Answer(response, lease));
        };
        let held = Held::new(response, lease, &mut self.job.exchange);
        self.held = Some(Box::new(held));
        Next::Again(backoff)
    }

    fn after(&mut self, failed: Failed) -> Next {
        let (again, sent) = match failed {
            Failed::Unseen(error) => (self.elsewhere(error.reason()), failure(&error)),
            Failed::Lost(error) => (
                self.repeat(error.reason(), RepeatFor::Loss),
                failure(&error),
            ),
            Failed::Late => (
                self.repeat(Reason::TimeoutBackend, RepeatFor::Loss),
                Sent::Failed(504, Reason::TimeoutBackend),
            ),
        };
        again.map_or(Next::Done(sent), Next::Again)
    }

    /// The end: a failure gives way to the last answer that a backend gave, unless it was the
    /// client that failed.
    fn last_answer(mut self, sent: Sent) -> Sent {
        let sent = match (sent, self.held.take()) {
            (Sent::Failed(_, reason), Some(held)) if reason != Reason::ClientAbort => {
                held.give(&mut self.job.exchange)
            }
            (sent, _) => sent,
        };
        if let Some(template) = self.job.template.take() {
            template.let_go();
        }
        if let Sent::Answer(response, _) = &sent {
            self.job.exchange.answered(response, self.now_ns);
        }
        sent
    }

    /// An endpoint that was not tried yet; any endpoint once all were.
    fn pick(&self) -> Option<UpstreamRef> {
        let worker = &self.job.client.worker;
        let (now_ns, random) = (self.now_ns, worker.random());
        self.job.route().cluster()?.with_members(|members| {
            let position = |tried| members.iter().position(|member| member.address == tried);
            let tried: Vec<usize> = self.tried.iter().copied().filter_map(position).collect();
            let index = weft_balance::pick(members, now_ns, random, &tried)
                .or_else(|| weft_balance::pick(members, now_ns, random, &[]))?;
            members.get(index).cloned()
        })
    }

    async fn attempt(
        &mut self,
        upstream: &UpstreamRef,
    ) -> Result<(Response<Answered>, Lease), Failed> {
        let limit = self.job.route().timeouts().backend_request;
        let can_be_repeated = self
            .allows(Reason::UpstreamReset, RepeatFor::Loss)
            .is_some();
        let started_ns = self.now_ns;
        self.job.exchange.attempt(upstream, started_ns);
        let answer = ask(self.job, upstream, can_be_repeated);
        let result = match limit {
            None => Some(answer.await),
            Some(limit) => Box::pin(timeout(limit, answer)).await.ok(),
        };
        self.now_ns = self.job.client.worker.clock.now_ns();
        self.ended(result, started_ns)
    }

    /// Reports how an attempt went to the balancer and the retry counters.
    fn ended(
        &mut self,
        result: Option<Result<(Response<Answered>, Lease), SendError>>,
        started_ns: u64,
    ) -> Result<(Response<Answered>, Lease), Failed> {
        let outcome = match &result {
            Some(Ok((response, _))) => Some(outcome_of(response.status().as_u16())),
            // Says nothing about the endpoint; else clients could eject endpoints.
            Some(Err(SendError::ClientBody(_) | SendError::Authority)) => None,
            Some(Err(SendError::Connect(error))) if !error.is_of_endpoint() => None,
            Some(Err(SendError::Connect(_))) => Some(Outcome::Failure(Failure::Connect)),
            Some(Err(_)) | None => Some(Outcome::Failure(Failure::NoAnswer)),
        };
        if let Some(reason) = self.retrying.take() {
            let answered = matches!(result, Some(Ok(_)));
            self.count(
                reason,
                if answered {
                    RetryOutcome::Success
                } else {
                    RetryOutcome::Failure
                },
            );
        }
        let now_ns = self.now_ns;
        let latency_ns = now_ns.saturating_sub(started_ns);
        if let Some(outcome) = outcome {
            let exchange = &mut self.job.exchange;
            exchange.attempt_ended(outcome, latency_ns, now_ns);
        }
        match result {
            Some(Ok(answered)) => Ok(answered),
            Some(Err(error)) => {
                tracing::debug!(%error, "an attempt got no answer");
                Err(if error.is_unseen() {
                    Failed::Unseen(error)
                } else {
                    Failed::Lost(error)
                })
            }
            None => {
                self.job.request = None;
                Err(Failed::Late)
            }
        }
    }

    fn asks_for_another(&self, status: u16) -> bool {
        self.job
            .route()
            .retry()
            .is_some_and(|retry| retry.codes.contains(&status))
    }

    /// Whether a request that nobody has seen goes to another endpoint, within the budget. Endpoints
    /// that were not tried get more chances than those that were.
    fn elsewhere(&mut self, reason: Reason) -> Option<Duration> {
        let attempts = self.job.route().retry().map_or(0, |retry| retry.attempts);
        let limit = if self.tried_all() {
            limits::SAME_RETRIES
        } else {
            limits::CONNECT_RETRIES
        };
        if self.connect_retries >= limit.max(attempts) {
            return None;
        }
        if self.job.request.is_none() {
            self.job.request = Some(self.made_again(reason)?);
        }
        if !self.within_budget(reason) {
            return None;
        }
        self.connect_retries += 1;
        Some(Duration::ZERO)
    }

    /// Whether no endpoint is left that was not tried.
    fn tried_all(&self) -> bool {
        self.job.route().cluster().is_none_or(|cluster| {
            cluster.with_members(|members| {
                let mut members = members.iter();
                members.all(|member| self.tried.contains(&member.address))
            })
        })
    }

    /// The request once more, if its body is still there.
    fn made_again(&self, reason: Reason) -> Option<Request<RequestBody>> {
        let template = self.job.template.as_ref()?;
        if !template.can_repeat() {
            self.count(reason, RetryOutcome::NotPossible);
            return None;
        }
        Some(template.request())
    }

    /// Whether one more repeat would be within the limits, but for the budget, and how long to wait
    /// first.
    fn allows(&self, reason: Reason, why: RepeatFor) -> Option<Duration> {
        let (limit, backoff) = match (self.job.route().retry(), why) {
            _ if reason == Reason::ClientAbort => return None,
            // What was agreed with the client is the upgrade of this one handshake.
            (_, RepeatFor::Status) if self.job.upgrade.is_some() => return None,
            (Some(retry), _) => (retry.attempts, retry.backoff),
            (None, RepeatFor::Loss) if self.is_lost_idempotent(reason) => (1, Duration::ZERO),
            (None, _) => return None,
        };
        (self.repeats < limit).then_some(backoff)
    }

    /// Whether the request is made once more after an endpoint saw it; fills the slot. The answer
    /// is how long to wait first.
    fn repeat(&mut self, reason: Reason, why: RepeatFor) -> Option<Duration> {
        let backoff = self.allows(reason, why)?;
        let request = self.made_again(reason)?;
        if !self.within_budget(reason) {
            return None;
        }
        self.repeats += 1;
        self.job.request = Some(request);
        Some(backoff)
    }

    fn is_lost_idempotent(&self, reason: Reason) -> bool {
        let template = self.job.template.as_ref();
        reason == Reason::UpstreamReset && template.is_some_and(Template::is_idempotent)
    }

    fn within_budget(&mut self, reason: Reason) -> bool {
        let worker = &self.job.client.worker;
        let allowed = worker.budget.try_retry(self.now_ns);
        if allowed {
            self.retrying = Some(reason);
        } else {
            self.count(reason, RetryOutcome::NoBudget);
        }
        allowed
    }

    fn count(&self, reason: Reason, outcome: RetryOutcome) {
        let exchange = &self.job.exchange;
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

fn failure(error: &SendError) -> Sent {
    let reason = error.reason();
    let status = match reason {
        Reason::ClientAbort => 400,
        Reason::PolicyDenied => 403,
        Reason::FilterFailed | Reason::BackendInvalid => 500,
        Reason::UpstreamMalformed | Reason::UpstreamTls => 502,
        _ => 503,
    };
    Sent::Failed(status, reason)
}
