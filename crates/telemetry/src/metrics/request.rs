//! Golden metrics of one (rule, backend).
//!
//! Handles are resolved when the tables are built and kept with them; recording is a few relaxed
//! additions on the calling core's own block: no look-up, no lock, no formatting and, after the
//! first request of a kind, no allocation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::counters::{Key, KeyedCounters};
use super::histogram::{Histogram, HistogramTotals};
use super::labels::{Protocol, RequestLabels};
use super::lane::Lanes;
use crate::reason::{Fault, Reason};

/// Whether the backend served the request. Canary analysis divides one by the sum of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Served, also when the answer is 4xx: the client was wrong, or went away.
    Success,
    /// 5xx, a gRPC status that blames the server, or cut by anybody but the client.
    Error,
}

impl Class {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
        }
    }
}

/// How a request ended: when the last byte and the trailers are gone, or it was cut.
#[derive(Debug, Clone, Copy)]
pub struct RequestEnd {
    /// What the client spoke; Http1, Http2 or Grpc.
    pub protocol: Protocol,
    /// Status code sent to the client; `None` when it was cut before the head.
    pub status: Option<u16>,
    /// `grpc-status` from trailers or a trailers-only head.
    pub grpc_status: Option<u16>,
    /// Why Weft answered itself or cut the exchange; `None` when the backend's answer went through.
    pub reason: Option<Reason>,
    /// First byte of the request to last byte of the answer.
    pub duration: Duration,
    /// First byte of the request to the head of the answer.
    pub first_byte: Option<Duration>,
}

impl RequestEnd {
    /// The class this request is counted in.
    ///
    /// gRPC: the statuses for which the OpenTelemetry RPC conventions blame the server: UNKNOWN,
    /// DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
    #[must_use]
    pub fn class(&self) -> Class {
        let blames_server = matches!(self.grpc_status, Some(2 | 4 | 12..=15));
        let server_error = self.status.is_some_and(|status| status >= 500);
        let own_doing = self
            .reason
            .is_some_and(|reason| reason.fault() != Fault::Client);
        if own_doing || server_error || (blames_server && self.reason.is_none()) {
            Class::Error
        } else {
            Class::Success
        }
    }

    /// Whether the access log shows it by default: 5xx, and everything Weft refused, answered for
    /// the backend, or cut.
    #[must_use]
    pub fn is_notable(&self) -> bool {
        self.reason.is_some() || self.class() == Class::Error
    }
}

/// What came of a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetryOutcome {
    /// The next attempt gave an answer that was passed on.
    Success,
    /// The next attempt failed too.
    Failure,
    /// Not tried: the retry budget was used up.
    NoBudget,
    /// Not tried: the body was too long to keep, or no other endpoint was left.
    NotPossible,
}

impl RetryOutcome {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::NoBudget => "no_budget",
            Self::NotPossible => "not_possible",
        }
    }
}

/// Statuses of one finished request; valid values only, everything else is `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EndKey {
    pub(super) class: Class,
    status: u16,
    grpc_status: u8,
}

const STATUS_OTHER: u16 = 0;
const GRPC_NONE: u8 = u8::MAX;
const GRPC_OTHER: u8 = u8::MAX - 1;
/// UNAUTHENTICATED, the last code of the gRPC status list.
const GRPC_LAST: u16 = 16;

impl Key for EndKey {
    const OVERFLOW: Self = Self {
        class: Class::Error,
        status: STATUS_OTHER,
        grpc_status: GRPC_NONE,
    };
}

impl EndKey {
    fn of(end: &RequestEnd, class: Class) -> Self {
        let status = end
            .status
            .filter(|code| (100..=999).contains(code))
            .unwrap_or(STATUS_OTHER);
        let grpc_status = match end.grpc_status {
            None => GRPC_NONE,
            Some(code) if code <= GRPC_LAST => code as u8,
            Some(_) => GRPC_OTHER,
        };
        Self {
            class,
            status,
            grpc_status,
        }
    }

    /// The series that exist, at 0, before the first request: queries must find a vector.
    fn precreated(protocol: Protocol) -> [Self; 2] {
        let key = |class, status, grpc_status| Self {
            class,
            status,
            grpc_status,
        };
        match protocol {
            Protocol::Grpc => [key(Class::Success, 200, 0), key(Class::Error, 200, 14)],
            _ => [
                key(Class::Success, 200, GRPC_NONE),
                key(Class::Error, 503, GRPC_NONE),
            ],
        }
    }

    /// Label values of `status` and `grpc_status`; the latter empty outside gRPC.
    pub(super) fn statuses(self) -> (String, String) {
        let status = match self.status {
            STATUS_OTHER => "other".to_owned(),
            code => code.to_string(),
        };
        let grpc_status = match self.grpc_status {
            GRPC_NONE => String::new(),
            GRPC_OTHER => "other".to_owned(),
            code => code.to_string(),
        };
        (status, grpc_status)
    }
}

impl Key for Reason {
    const OVERFLOW: Self = Self::Panic;
}

impl Key for (Reason, RetryOutcome) {
    const OVERFLOW: Self = (Reason::OverLimit, RetryOutcome::NotPossible);
}

/// What one core records for one protocol of one (rule, backend).
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct RequestLane {
    ends: KeyedCounters<EndKey>,
    errors: KeyedCounters<Reason>,
    retries: KeyedCounters<(Reason, RetryOutcome)>,
    in_flight: AtomicI64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    success: Histogram,
    /// Errors are rare: most rules never pay for this one.
    error: OnceLock<Box<Histogram>>,
    first_byte: OnceLock<Box<Histogram>>,
}

/// The protocols requests come in; each is a row of the storage.
pub(super) const REQUEST_PROTOCOLS: [Protocol; 3] =
    [Protocol::Http1, Protocol::Http2, Protocol::Grpc];

fn row(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Grpc => 2,
        Protocol::Http2 => 1,
        _ => 0,
    }
}

const NO_WEIGHT: i64 = -1;

/// Counters, histograms and gauges of one (rule, backend). Get one from
/// [`Registry::request_handles`](super::Registry::request_handles) and keep it with the tables:
/// its series stay as long as somebody holds it.
#[derive(Debug)]
pub struct RequestHandles {
    labels: Arc<RequestLabels>,
    lanes: Lanes<RequestLane>,
    /// Bit per protocol row whose series exist before the first request.
    expected: AtomicU8,
    weight: AtomicI64,
}

impl RequestHandles {
    pub(super) fn new(labels: Arc<RequestLabels>, lanes: usize) -> Self {
        Self {
            labels,
            lanes: Lanes::new(REQUEST_PROTOCOLS.len(), lanes),
            expected: AtomicU8::new(0),
            weight: AtomicI64::new(NO_WEIGHT),
        }
    }

    pub(super) fn expect(&self, protocol: Protocol) {
        self.expected
            .fetch_or(1 << row(protocol), Ordering::Relaxed);
    }

    /// The labels of these series; the access log names its objects from them too.
    #[must_use]
    pub fn labels(&self) -> &Arc<RequestLabels> {
        &self.labels
    }

    /// Records the configured weight of this backend in its rule.
    pub fn set_weight(&self, weight: u32) {
        self.weight.store(i64::from(weight), Ordering::Relaxed);
    }

    /// Counts a request in flight. Every call is followed by one of [`leave`](Self::leave).
    ///
    /// Not a guard: one that kept these handles alive would share a reference count between all
    /// cores, which costs more than everything else that is recorded for a request.
    pub fn enter(&self, protocol: Protocol) {
        self.lane(protocol)
            .in_flight
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request out that [`enter`](Self::enter) counted in.
    pub fn leave(&self, protocol: Protocol) {
        // Possibly another lane than at the start: only the sum over lanes has a meaning.
        self.lane(protocol)
            .in_flight
            .fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts body bytes as they pass; a long stream shows while it lasts.
    pub fn add_bytes(&self, protocol: Protocol, request: u64, response: u64) {
        let lane = self.lane(protocol);
        if request > 0 {
            lane.request_bytes.fetch_add(request, Ordering::Relaxed);
        }
        if response > 0 {
            lane.response_bytes.fetch_add(response, Ordering::Relaxed);
        }
    }

    /// Counts a request that ended.
    pub fn finish(&self, end: &RequestEnd) {
        let lane = self.lane(end.protocol);
        let class = end.class();
        lane.ends.add(EndKey::of(end, class), 1);
        let durations = match class {
            Class::Success => &lane.success,
            Class::Error => lane.error.get_or_init(Box::default),
        };
        durations.observe(end.duration);
        if let Some(first_byte) = end.first_byte {
            lane.first_byte
                .get_or_init(Box::default)
                .observe(first_byte);
        }
        if let Some(reason) = end.reason {
            lane.errors.add(reason, 1);
        }
    }

    /// Counts a retry: what made it necessary, and what came of it.
    pub fn retry(&self, protocol: Protocol, reason: Reason, outcome: RetryOutcome) {
        self.lane(protocol).retries.add((reason, outcome), 1);
    }

    fn lane(&self, protocol: Protocol) -> &RequestLane {
        self.lanes.own(row(protocol))
    }

    /// Protocols with series: those expected and those seen.
    pub(super) fn protocols(&self) -> impl Iterator<Item = Protocol> {
        let expected = self.expected.load(Ordering::Relaxed);
        REQUEST_PROTOCOLS.into_iter().filter(move |&protocol| {
            expected & (1 << row(protocol)) != 0 || self.lanes.row(row(protocol)).next().is_some()
        })
    }

    pub(super) fn weight(&self) -> Option<u64> {
        u64::try_from(self.weight.load(Ordering::Relaxed)).ok()
    }

    /// The sum of all lanes of `protocol` now.
    pub(super) fn totals(&self, protocol: Protocol) -> RequestTotals {
        let mut totals = RequestTotals::default();
        if self.expected.load(Ordering::Relaxed) & (1 << row(protocol)) != 0 {
            totals
                .ends
                .extend(EndKey::precreated(protocol).map(|key| (key, 0)));
        }
        for lane in self.lanes.row(row(protocol)) {
            totals.used = true;
            lane.ends.sum_into(&mut totals.ends);
            lane.errors.sum_into(&mut totals.errors);
            lane.retries.sum_into(&mut totals.retries);
            totals.in_flight += lane.in_flight.load(Ordering::Relaxed);
            totals.request_bytes += lane.request_bytes.load(Ordering::Relaxed);
            totals.response_bytes += lane.response_bytes.load(Ordering::Relaxed);
            totals.success.add(&lane.success);
            if let Some(error) = lane.error.get() {
                totals.error.add(error);
            }
            if let Some(first_byte) = lane.first_byte.get() {
                totals.first_byte.add(first_byte);
            }
        }
        totals
    }
}

/// Everything recorded for one protocol of one (rule, backend) at one moment.
#[derive(Debug, Default)]
pub(super) struct RequestTotals {
    /// Whether any request has been recorded; an idle rule exports only its pre-created series.
    pub(super) used: bool,
    pub(super) ends: BTreeMap<EndKey, u64>,
    pub(super) errors: BTreeMap<Reason, u64>,
    pub(super) retries: BTreeMap<(Reason, RetryOutcome), u64>,
    pub(super) in_flight: i64,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) success: HistogramTotals,
    pub(super) error: HistogramTotals,
    pub(super) first_byte: HistogramTotals,
}
