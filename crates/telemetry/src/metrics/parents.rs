//! What processes that start workers say beside them: metrics that are written as they are asked for, and
//! counted nowhere here.

use super::definition::MetricDef;

/// These metrics, whose labels name pods, faults and shards. No worker may have one of the same name.
pub const BY_PARENTS: &[MetricDef] = &[
    MetricDef::gauge(
        "weft_pod_captured",
        "Whether the pod, which is a member, is captured as it should be.",
    ),
    MetricDef::counter(
        "weft_capture_repairs_total",
        "Captures that were damaged from outside and repaired.",
    ),
    MetricDef::counter(
        "weft_shard_restarts_total",
        "Workers that ended unasked and were replaced.",
    ),
    MetricDef::counter(
        "weft_worker_ends_total",
        "Worker processes that ended unasked and were replaced.",
    ),
    MetricDef::counter(
        "weft_config_nacks_total",
        "Changes that were not put in force whole; the control plane was told.",
    ),
    MetricDef::gauge(
        "weft_control_plane_connected",
        "Whether a configuration stream is open.",
    ),
];
