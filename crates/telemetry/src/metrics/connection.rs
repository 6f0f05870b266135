//! Connections of one listener or Service port, protocol detection, and TLS handshakes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::counters::{Key, KeyedCounters};
use super::labels::ConnectionLabels;
use super::lane::Lanes;
use crate::reason::Reason;

/// Why a client connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseReason {
    /// The client closed in order.
    Client,
    /// The upstream closed in order (opaque connections), or asked for it.
    Upstream,
    /// Nothing happened for the idle time.
    Idle,
    /// The listener or process drained.
    Drain,
    /// It was cut.
    Cut(Reason),
}

impl CloseReason {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Idle => "idle",
            Self::Drain => "drain",
            Self::Cut(reason) => reason.as_str(),
        }
    }
}

impl Key for (CloseReason, bool) {
    const OVERFLOW: Self = (CloseReason::Cut(Reason::Panic), false);
}

/// What the first bytes of a connection showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detected {
    /// A TLS ClientHello.
    Tls,
    /// An HTTP/1 request line.
    Http1,
    /// The HTTP/2 preface.
    Http2,
    /// Anything else, or the server spoke first.
    Opaque,
}

impl Detected {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Opaque => "opaque",
        }
    }
}

impl Key for Detected {
    const OVERFLOW: Self = Self::Opaque;
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct ConnectionLane {
    opened_plain: AtomicU64,
    opened_tls: AtomicU64,
    closed: KeyedCounters<(CloseReason, bool)>,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    detected: KeyedCounters<Detected>,
    deadlines: KeyedCounters<Detected>,
}

/// Counters of one listener or Service port; its series stay as long as somebody holds it.
#[derive(Debug)]
pub struct ConnectionMetrics {
    labels: Arc<ConnectionLabels>,
    lanes: Lanes<ConnectionLane>,
}

impl ConnectionMetrics {
    pub(super) fn new(labels: Arc<ConnectionLabels>, lanes: usize) -> Self {
        Self {
            labels,
            lanes: Lanes::new(1, lanes),
        }
    }

    /// The labels of these series.
    #[must_use]
    pub fn labels(&self) -> &Arc<ConnectionLabels> {
        &self.labels
    }

    /// Counts an accepted connection; `tls` where Weft terminates TLS on it.
    pub fn opened(&self, tls: bool) {
        let lane = self.lanes.own(0);
        let counter = if tls {
            &lane.opened_tls
        } else {
            &lane.opened_plain
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a connection that was counted as opened.
    pub fn closed(&self, reason: CloseReason, tls: bool) {
        self.lanes.own(0).closed.add((reason, tls), 1);
    }

    /// Counts bytes as they pass.
    pub fn add_bytes(&self, received: u64, sent: u64) {
        let lane = self.lanes.own(0);
        lane.received_bytes.fetch_add(received, Ordering::Relaxed);
        lane.sent_bytes.fetch_add(sent, Ordering::Relaxed);
    }

    /// Counts what the bytes of a connection showed.
    pub fn detected(&self, protocol: Detected) {
        self.lanes.own(0).detected.add(protocol, 1);
    }

    /// Counts a decision forced by the clock: what the connection was then taken for.
    pub fn detect_deadline(&self, protocol: Detected) {
        self.lanes.own(0).deadlines.add(protocol, 1);
    }

    pub(super) fn totals(&self) -> ConnectionTotals {
        let mut totals = ConnectionTotals::default();
        for lane in self.lanes.row(0) {
            totals.opened_plain += lane.opened_plain.load(Ordering::Relaxed);
            totals.opened_tls += lane.opened_tls.load(Ordering::Relaxed);
            totals.received_bytes += lane.received_bytes.load(Ordering::Relaxed);
            totals.sent_bytes += lane.sent_bytes.load(Ordering::Relaxed);
            lane.closed.sum_into(&mut totals.closed);
            lane.detected.sum_into(&mut totals.detected);
            lane.deadlines.sum_into(&mut totals.deadlines);
        }
        totals
    }
}

/// Everything recorded for one listener or Service port at one moment.
#[derive(Debug, Default)]
pub(super) struct ConnectionTotals {
    pub(super) opened_plain: u64,
    pub(super) opened_tls: u64,
    pub(super) closed: BTreeMap<(CloseReason, bool), u64>,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    pub(super) detected: BTreeMap<Detected, u64>,
    pub(super) deadlines: BTreeMap<Detected, u64>,
}

/// Which end of a TLS connection Weft was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsSide {
    /// Towards a client: a listener terminating TLS.
    Server,
    /// Towards a backend.
    Client,
}

/// Key exchange group of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsGroup {
    /// X25519 with ML-KEM-768, the post-quantum hybrid.
    X25519MlKem768,
    /// X25519.
    X25519,
    /// NIST P-256.
    Secp256r1,
    /// NIST P-384.
    Secp384r1,
    /// Another group, or the handshake failed before one was chosen.
    Other,
}

/// Protocol version of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
    /// The handshake failed before a version was chosen.
    None,
}

/// How a handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsResult {
    /// It completed.
    Ok,
    /// The peer's certificate was refused.
    BadCertificate,
    /// No certificate of ours fits the requested name.
    NoCertificate,
    /// No common version, suite or protocol; or bytes that are not TLS.
    Protocol,
    /// It took longer than the handshake limit.
    Timeout,
    /// The peer closed before the end.
    Closed,
}

/// One handshake, as counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsHandshake {
    /// Which end Weft was.
    pub side: TlsSide,
    /// Key exchange group.
    pub group: TlsGroup,
    /// Protocol version.
    pub version: TlsVersion,
    /// How it ended.
    pub result: TlsResult,
}

impl TlsHandshake {
    /// Label values of `side`, `group`, `version` and `result`.
    pub(super) const fn values(self) -> [&'static str; 4] {
        let side = match self.side {
            TlsSide::Server => "server",
            TlsSide::Client => "client",
        };
        let group = match self.group {
            TlsGroup::X25519MlKem768 => "X25519MLKEM768",
            TlsGroup::X25519 => "X25519",
            TlsGroup::Secp256r1 => "secp256r1",
            TlsGroup::Secp384r1 => "secp384r1",
            TlsGroup::Other => "other",
        };
        let version = match self.version {
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
            TlsVersion::None => "none",
        };
        let result = match self.result {
            TlsResult::Ok => "ok",
            TlsResult::BadCertificate => "bad_certificate",
            TlsResult::NoCertificate => "no_certificate",
            TlsResult::Protocol => "protocol",
            TlsResult::Timeout => "timeout",
            TlsResult::Closed => "closed",
        };
        [side, group, version, result]
    }
}

impl Key for TlsHandshake {
    const OVERFLOW: Self = Self {
        side: TlsSide::Server,
        group: TlsGroup::Other,
        version: TlsVersion::None,
        result: TlsResult::Protocol,
    };
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct TlsLane {
    handshakes: KeyedCounters<TlsHandshake>,
}

/// TLS handshakes of the whole process.
#[derive(Debug)]
pub struct TlsMetrics {
    lanes: Lanes<TlsLane>,
}

impl TlsMetrics {
    pub(super) fn new(lanes: usize) -> Self {
        Self {
            lanes: Lanes::new(1, lanes),
        }
    }

    /// Counts a handshake that ended.
    pub fn handshake(&self, handshake: TlsHandshake) {
        self.lanes.own(0).handshakes.add(handshake, 1);
    }

    pub(super) fn totals(&self) -> BTreeMap<TlsHandshake, u64> {
        let mut totals = BTreeMap::new();
        for lane in self.lanes.row(0) {
            lane.handshakes.sum_into(&mut totals);
        }
        totals
    }
}
