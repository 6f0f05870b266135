//! What is remembered about one endpoint: latency, load and passive health.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::SECOND_NS;
use crate::health::{Health, HealthCell, Phase};
use crate::latency::Latency;

/// Failed answers in a row that eject an endpoint, the figure Envoy and Istio use: at an ordinary
/// error rate of 5 % five in a row happen once in three million requests, and a dead endpoint is
/// found out within five.
const ANSWER_FAILURES: u32 = 5;

/// Failed connection attempts in a row that eject an endpoint. One refused connection can be a
/// full backlog or a race with a restart; two with no success between them mean that nobody is
/// listening, and each further attempt may cost a client the whole connect timeout.
const CONNECT_FAILURES: u32 = 2;

/// Assumed latency of an endpoint that has requests in flight but has not answered any yet, so
/// that a new endpoint gets one request to prove itself and not all of them.
pub(crate) const UNKNOWN_LATENCY_NS: u64 = SECOND_NS;

/// Latencies below this are equal: on a local network the difference is scheduling noise.
const LATENCY_FLOOR_NS: f64 = 100_000.0;

/// How one attempt at an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint answered, with anything but a server error.
    Success,
    /// The endpoint did not do its work.
    Failure(Failure),
}

/// What an endpoint did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It answered with a status of 500 to 599, or the gRPC counterpart.
    Status5xx,
    /// It reset the stream or let the attempt time out before the head of an answer.
    NoAnswer,
    /// No connection could be made, TLS to the backend included.
    Connect,
}

/// Why an endpoint was ejected; its name is the label `cause` of `weft_endpoint_ejections_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Failed answers in a row, the last one a 5xx.
    Consecutive5xx,
    /// Failed answers in a row, the last one missing.
    NoAnswer,
    /// Failed connection attempts in a row.
    ConnectFailure,
}

/// The event of an endpoint leaving rotation, made for exactly one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// What led to it.
    pub cause: Cause,
    /// When a request will be let through on trial, in nanoseconds of the caller's clock.
    pub until_ns: u64,
    /// How many ejections in a row this is, 1 or more; the time out doubles with each.
    pub level: u64,
}

/// An endpoint as the dashboard and `explain` show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// Latency estimate in nanoseconds; `None` before the first answer.
    pub latency_ns: Option<u64>,
    /// Requests on their way.
    pub in_flight: u32,
    /// Standing in passive health checking.
    pub phase: Phase,
    /// Nanoseconds until a trial is due; 0 unless ejected.
    pub ejected_for_ns: u64,
}

/// Load and passive health of one endpoint, shared by all threads.
///
/// 32 bytes of atomics. Keep it behind an `Arc` keyed by what makes the endpoint the same one
/// across table swaps (pod UID and port), so that a route change does not forget what is known.
#[derive(Debug, Default)]
pub struct EndpointState {
    pub(crate) latency: Latency,
    pub(crate) health: HealthCell,
    pub(crate) in_flight: AtomicU32,
    answer_failures: AtomicU32,
    connect_failures: AtomicU32,
}

impl EndpointState {
    /// An endpoint nothing is known about.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How busy and how slow the endpoint is at `now_ns`.
    #[inline]
    pub(crate) fn load(&self, now_ns: u64) -> Load {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let latency_ns = match self.latency.estimate_ns(now_ns) {
            Some(estimate_ns) => estimate_ns.max(LATENCY_FLOOR_NS),
            None if in_flight == 0 => 0.0,
            None => UNKNOWN_LATENCY_NS as f64,
        };
        Load {
            latency_ns,
            in_flight,
        }
    }

    /// Whether [`crate::pick`] may choose this endpoint while others are left: it is in rotation,
    /// or its ejection is over and no request is on trial.
    #[inline]
    #[must_use]
    pub fn admits(&self, now_ns: u64) -> bool {
        self.health.load().admits(now_ns)
    }

    /// Whether the endpoint is out of regular rotation (gauge `weft_endpoints{state="ejected"}`).
    #[must_use]
    pub fn is_ejected(&self) -> bool {
        self.health.load().phase != Phase::Healthy
    }

    /// All figures at `now_ns`; each is read on its own, so they may be a few requests apart.
    #[must_use]
    pub fn snapshot(&self, now_ns: u64) -> Snapshot {
        let health = self.health.load();
        let ejected_for_ns = match health.phase {
            Phase::Ejected => health.until_ns().saturating_sub(now_ns),
            Phase::Healthy | Phase::Trial => 0,
        };
        Snapshot {
            latency_ns: self
                .latency
                .estimate_ns(now_ns)
                .map(|estimate| estimate as u64),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            phase: health.phase,
            ejected_for_ns,
        }
    }

    /// Counts a failure; true when it completes a row that asks for ejection. The row starts
    /// anew then, so that a set that may not lose more endpoints is not examined on each failure.
    pub(crate) fn count(&self, failure: Failure) -> bool {
        let (row, threshold) = match failure {
            Failure::Connect => (&self.connect_failures, CONNECT_FAILURES),
            Failure::Status5xx | Failure::NoAnswer => {
                // Something did accept the connection.
                clear(&self.connect_failures);
                (&self.answer_failures, ANSWER_FAILURES)
            }
        };
        let complete = row.fetch_add(1, Ordering::Relaxed) + 1 >= threshold;
        if complete {
            row.store(0, Ordering::Relaxed);
        }
        complete
    }

    pub(crate) fn clear_failures(&self) {
        clear(&self.answer_failures);
        clear(&self.connect_failures);
    }

    /// Takes the endpoint out of rotation if its health still is `from`.
    pub(crate) fn eject(&self, from: Health, failure: Failure, now_ns: u64) -> Option<Ejection> {
        let to = from.ejected(now_ns);
        if !self.health.replace(from, to) {
            return None;
        }
        // What is known about its speed is worthless by the time it returns; without an estimate
        // the trial comes as soon as it is drawn.
        self.latency.forget();
        self.clear_failures();
        Some(Ejection {
            cause: failure.into(),
            until_ns: to.until_ns(),
            level: to.level,
        })
    }
}

/// What [`crate::pick`] compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    /// 0 for an idle endpoint that was never sampled, which makes it the next choice.
    pub(crate) latency_ns: f64,
    pub(crate) in_flight: u32,
}

impl Load {
    /// The peak-EWMA cost of one more request: the latency estimate times the requests that
    /// would then be in flight.
    pub(crate) fn cost(self) -> f64 {
        self.latency_ns * (f64::from(self.in_flight) + 1.0)
    }
}

impl AsRef<EndpointState> for EndpointState {
    fn as_ref(&self) -> &EndpointState {
        self
    }
}

impl Cause {
    /// The value of the metric label `cause`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Consecutive5xx => "consecutive_5xx",
            Cause::NoAnswer => "no_answer",
            Cause::ConnectFailure => "connect_failure",
        }
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Status5xx => Cause::Consecutive5xx,
            Failure::NoAnswer => Cause::NoAnswer,
            Failure::Connect => Cause::ConnectFailure,
        }
    }
}

/// Writes only when there is something to clear: the line stays shared between cores otherwise.
fn clear(row: &AtomicU32) {
    if row.load(Ordering::Relaxed) != 0 {
        row.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
