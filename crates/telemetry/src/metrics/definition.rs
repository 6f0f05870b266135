//! Every metric Weft exports: one slice, from which the reference page, the dashboards' allowed
//! names and the scrape itself are made.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit as EncoderUnit;

/// How a metric behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// A present value.
    Gauge,
    /// Durations by bucket; see [`super::DURATION_BOUNDS_US`].
    Histogram,
}

/// Base unit, which is also the last word of the name (before `_total`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// The spelling inside metric names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }
}

/// Labels that several metrics share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelGroup {
    /// Who reports, and which protocol is spoken.
    Side,
    /// The Gateway listener or Service port the traffic entered by.
    Parent,
    /// The matched rule.
    Route,
    /// The Service the rule sends to.
    Backend,
    /// The workload behind the endpoint.
    Destination,
    /// The calling workload.
    Source,
}

impl LabelGroup {
    /// The label names of the group. Those without a value are left out of a series.
    #[must_use]
    pub const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Side => &["reporter", "protocol"],
            Self::Parent => &[
                "parent_kind",
                "parent_name",
                "parent_namespace",
                "parent_port",
            ],
            Self::Route => &["route_kind", "route_name", "route_namespace", "rule"],
            Self::Backend => &["backend_name", "backend_namespace", "backend_port"],
            Self::Destination => &[
                "destination_workload",
                "destination_workload_namespace",
                "destination_pod_template_hash",
            ],
            Self::Source => &["source_workload", "source_workload_namespace"],
        }
    }
}

/// One metric as users see it.
#[derive(Debug, Clone, Copy)]
pub struct MetricDef {
    /// Full name, with unit and `_total`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Base unit, absent for plain counts.
    pub unit: Option<Unit>,
    /// One sentence, shown by Prometheus and the reference page.
    pub help: &'static str,
    /// Shared label groups.
    pub groups: &'static [LabelGroup],
    /// Labels of this metric alone.
    pub labels: &'static [&'static str],
}

impl MetricDef {
    const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self {
            name,
            kind,
            unit: None,
            help,
            groups: &[],
            labels: &[],
        }
    }

    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Counter, help)
    }

    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Gauge, help)
    }

    const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Histogram, help)
    }

    const fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    const fn groups(mut self, groups: &'static [LabelGroup]) -> Self {
        self.groups = groups;
        self
    }

    const fn labels(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    /// Every label a series of this metric may carry (a histogram's `le` apart).
    pub fn all_labels(&self) -> impl Iterator<Item = &'static str> {
        let shared = self.groups.iter().flat_map(|group| group.labels());
        shared.chain(self.labels).copied()
    }

    /// The name without `_total` and unit, which the encoder appends itself.
    pub(super) fn stem(&self) -> &'static str {
        let name = match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        };
        let Some(unit) = self.unit else { return name };
        name.strip_suffix(unit.as_str())
            .and_then(|stem| stem.strip_suffix('_'))
            .unwrap_or(name)
    }

    pub(super) fn encoder_unit(&self) -> Option<EncoderUnit> {
        self.unit.map(|unit| match unit {
            Unit::Seconds => EncoderUnit::Seconds,
            Unit::Bytes => EncoderUnit::Bytes,
        })
    }

    pub(super) fn encoder_type(&self) -> MetricType {
        match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        }
    }
}

/// Which process has a certificate, and whose it is.
const IDENTITY: &[&str] = &["holder", "identity"];
const REQUEST: &[LabelGroup] = &[
    LabelGroup::Side,
    LabelGroup::Parent,
    LabelGroup::Route,
    LabelGroup::Backend,
    LabelGroup::Destination,
    LabelGroup::Source,
];
const RULE: &[LabelGroup] = &[LabelGroup::Parent, LabelGroup::Route, LabelGroup::Backend];
const CONNECTION: &[LabelGroup] = &[LabelGroup::Side, LabelGroup::Parent];
const PARENT: &[LabelGroup] = &[LabelGroup::Parent];
const BACKEND: &[LabelGroup] = &[LabelGroup::Backend];

pub(super) const REQUESTS: MetricDef = MetricDef::counter(
    "weft_requests_total",
    "Requests that ended, by class and status",
)
.groups(REQUEST)
.labels(&["class", "status", "grpc_status"]);
pub(super) const REQUEST_DURATION: MetricDef = MetricDef::histogram(
    "weft_request_duration_seconds",
    "Time from the first byte of a request to the last byte of its answer",
)
.unit(Unit::Seconds)
.groups(REQUEST)
.labels(&["class"]);
pub(super) const FIRST_BYTE: MetricDef = MetricDef::histogram(
    "weft_response_first_byte_seconds",
    "Time from the first byte of a request to the head of its answer",
)
.unit(Unit::Seconds)
.groups(REQUEST);
pub(super) const REQUEST_BYTES: MetricDef =
    MetricDef::counter("weft_request_bytes_total", "Request body bytes passed on")
        .unit(Unit::Bytes)
        .groups(REQUEST);
pub(super) const RESPONSE_BYTES: MetricDef =
    MetricDef::counter("weft_response_bytes_total", "Response body bytes passed on")
        .unit(Unit::Bytes)
        .groups(REQUEST);
pub(super) const IN_FLIGHT: MetricDef =
    MetricDef::gauge("weft_requests_in_flight", "Requests being served now").groups(REQUEST);
pub(super) const RETRIES: MetricDef = MetricDef::counter(
    "weft_retries_total",
    "Retries, by what caused them and what came of it",
)
.groups(REQUEST)
.labels(&["reason", "outcome"]);
pub(super) const REQUEST_ERRORS: MetricDef = MetricDef::counter(
    "weft_request_errors_total",
    "Requests that Weft refused, answered itself or cut, by stable reason",
)
.groups(REQUEST)
.labels(&["error"]);
pub(super) const ROUTE_WEIGHT: MetricDef = MetricDef::gauge(
    "weft_route_weight",
    "Configured weight of a backend in its rule",
)
.groups(RULE);
pub(super) const CONNECTIONS_OPENED: MetricDef = MetricDef::counter(
    "weft_connections_opened_total",
    "Client connections accepted",
)
.groups(CONNECTION)
.labels(&["tls"]);
pub(super) const CONNECTIONS_CLOSED: MetricDef = MetricDef::counter(
    "weft_connections_closed_total",
    "Client connections closed, by reason",
)
.groups(CONNECTION)
.labels(&["reason", "tls"]);
pub(super) const CONNECTION_BYTES: MetricDef = MetricDef::counter(
    "weft_connection_bytes_total",
    "Bytes on client connections, received from and sent to the client",
)
.unit(Unit::Bytes)
.groups(CONNECTION)
.labels(&["direction"]);
pub(super) const DETECT: MetricDef = MetricDef::counter(
    "weft_detect_total",
    "Connections by the protocol their bytes showed",
)
.groups(PARENT)
.labels(&["protocol"]);
pub(super) const DETECT_DEADLINE: MetricDef = MetricDef::counter(
    "weft_detect_deadline_total",
    "Connections whose protocol was decided because time ran out",
)
.groups(PARENT)
.labels(&["protocol"]);
pub(super) const TLS_HANDSHAKES: MetricDef = MetricDef::counter(
    "weft_tls_handshakes_total",
    "TLS handshakes by side, key exchange group, version and result",
)
.labels(&["side", "group", "version", "result"]);
pub(super) const IDENTITY_EXPIRY: MetricDef = MetricDef::gauge(
    "weft_identity_cert_expiry_timestamp_seconds",
    "End of the certificate in use, in seconds since 1970",
)
.unit(Unit::Seconds)
.labels(IDENTITY);
pub(super) const IDENTITY_LIFE: MetricDef = MetricDef::gauge(
    "weft_identity_cert_life_seconds",
    "How long the certificate in use was good for when it came",
)
.unit(Unit::Seconds)
.labels(IDENTITY);
pub(super) const IDENTITY_RENEWALS: MetricDef = MetricDef::counter(
    "weft_identity_renewals_total",
    "Attempts to obtain or renew a certificate: ok, or the reason of the failure",
)
.labels(&["holder", "identity", "result"]);
pub(super) const IDENTITY_FAILURES: MetricDef = MetricDef::gauge(
    "weft_identity_renewal_failures",
    "Failed attempts since the last certificate, under the reason of the last one",
)
.labels(&["holder", "identity", "reason"]);
pub(super) const TRUST_ROOT_EXPIRY: MetricDef = MetricDef::gauge(
    "weft_trust_root_expiry_timestamp_seconds",
    "End of a root that is trusted, in seconds since 1970; the root by its SHA-256",
)
.unit(Unit::Seconds)
.labels(&["holder", "trust_domain", "root"]);
pub(super) const IDENTITY_ISSUED: MetricDef = MetricDef::counter(
    "weft_identity_issued_total",
    "Certificates that the identity service signed",
);
pub(super) const IDENTITY_REFUSED: MetricDef = MetricDef::counter(
    "weft_identity_refused_total",
    "Requests for certificates that the identity service refused, by reason",
)
.labels(&["reason"]);
pub(super) const ENDPOINTS: MetricDef =
    MetricDef::gauge("weft_endpoints", "Endpoints of a backend, by state")
        .groups(BACKEND)
        .labels(&["state"]);
pub(super) const ENDPOINT_EJECTIONS: MetricDef = MetricDef::counter(
    "weft_endpoint_ejections_total",
    "Endpoints taken out of rotation for misbehaving, by cause",
)
.groups(BACKEND)
.labels(&["cause"]);
pub(super) const CONFIG_GENERATION: MetricDef = MetricDef::gauge(
    "weft_config_generation",
    "Generation of the tables the data path serves from",
);
pub(super) const CONFIG_APPLY: MetricDef = MetricDef::histogram(
    "weft_config_apply_seconds",
    "Time from a change of the source to the data path serving it",
)
.unit(Unit::Seconds);
pub(super) const CONFIG_REJECTED: MetricDef = MetricDef::counter(
    "weft_config_rejected_total",
    "Objects that were refused or served in part, by kind and condition reason",
)
.labels(&["kind", "reason"]);
pub(super) const TRANSLATE: MetricDef = MetricDef::histogram(
    "weft_translate_seconds",
    "Time one translation of all objects took",
)
.unit(Unit::Seconds);
pub(super) const SHARD_BUSY: MetricDef = MetricDef::counter(
    "weft_shard_busy_seconds_total",
    "Time for which the one thread of a worker of pods was busy; the proxy of the node adds the shard",
)
.unit(Unit::Seconds);
pub(super) const PANICS: MetricDef =
    MetricDef::counter("weft_panics_total", "Defects that ended one task, by place")
        .labels(&["where"]);
pub(super) const CHANNEL_FULL: MetricDef = MetricDef::counter(
    "weft_channel_full_total",
    "Items dropped because a queue was full",
)
.labels(&["where"]);
pub(super) const BUILD_INFO: MetricDef = MetricDef::gauge(
    "weft_build_info",
    "Always 1; the labels say what is running",
)
.labels(&["version", "commit"]);

/// Every metric, in the order of the scrape and of the reference page.
pub const ALL: &[MetricDef] = &[
    REQUESTS,
    REQUEST_DURATION,
    FIRST_BYTE,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    IN_FLIGHT,
    RETRIES,
    REQUEST_ERRORS,
    ROUTE_WEIGHT,
    CONNECTIONS_OPENED,
    CONNECTIONS_CLOSED,
    CONNECTION_BYTES,
    DETECT,
    DETECT_DEADLINE,
    TLS_HANDSHAKES,
    IDENTITY_EXPIRY,
    IDENTITY_LIFE,
    IDENTITY_RENEWALS,
    IDENTITY_FAILURES,
    TRUST_ROOT_EXPIRY,
    IDENTITY_ISSUED,
    IDENTITY_REFUSED,
    ENDPOINTS,
    ENDPOINT_EJECTIONS,
    CONFIG_GENERATION,
    CONFIG_APPLY,
    CONFIG_REJECTED,
    TRANSLATE,
    SHARD_BUSY,
    PANICS,
    CHANNEL_FULL,
    BUILD_INFO,
];
