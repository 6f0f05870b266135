//! The metrics registry: what is measured, where it is stored, and how it is scraped.
//!
//! Storage is Weft's own. A handle is resolved once, when tables are built, and recording is a few
//! relaxed additions on the calling core's block of atomics; prometheus-client only writes the
//! text. Label values come from configuration, never from requests, so the number of series is
//! bounded by the objects a user wrote.
//!
//! [`ALL`] lists every metric; nothing that is not in it is ever exported.

mod backend;
mod connection;
mod counters;
mod definition;
mod encode;
mod histogram;
mod identity;
mod labels;
mod lane;
mod parents;
mod process;
mod registry;
mod request;
#[cfg(test)]
mod tests;
mod writer;

pub use self::backend::{BackendMetrics, EndpointCounts};
pub use self::connection::{
    CloseReason, ConnectionMetrics, Detected, TlsGroup, TlsHandshake, TlsMetrics, TlsResult,
    TlsSide, TlsVersion,
};
pub use self::definition::{ALL, Kind, LabelGroup, MetricDef, Unit};
pub use self::encode::CONTENT_TYPE;
pub use self::histogram::DURATION_BOUNDS_US;
pub use self::identity::{
    Holder, IdentityMetrics, IdentityState, IssuanceMetrics, TrustMetrics, identity_text,
};
pub use self::labels::{
    Backend, ConnectionLabels, Destination, IdentityLabels, LabelGroups, Parent, Protocol,
    Reporter, RequestLabels, RootLabels, Route, Source,
};
pub use self::parents::BY_PARENTS;
pub use self::process::{BuildInfo, ConfigMetrics, ProcessMetrics};
pub use self::registry::Registry;
pub use self::request::{Class, RequestEnd, RequestHandles, RetryOutcome};
