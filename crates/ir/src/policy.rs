//! Per-rule policies: timeouts and retries.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `HTTPRouteTimeouts`. `None` means no limit; `0s` in the manifest compiles to `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// The whole client transaction, retries included; 504 when it ends.
    #[serde(default)]
    pub request: Option<Duration>,
    /// One attempt at a backend; 504 when the last one ends so.
    #[serde(default)]
    pub backend_request: Option<Duration>,
}

/// `HTTPRouteRetry` (GEP-1731).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Status codes that are retried, sorted. Connection errors always are.
    pub codes: Vec<u16>,
    /// Retries beyond the first attempt.
    pub attempts: u32,
    /// Shortest wait before a retry.
    pub backoff: Duration,
}
