//! Which kinds there are, what each asks, and what has to become of it.

use std::fmt;

/// Where the workloads are.
pub(super) const NAMESPACES: [&str; 3] = [KINDS, "weft-kinds-permissive", OUTSIDE];
/// Those of them that are of the mesh.
pub(super) const MEMBERS: [&str; 2] = [KINDS, NAMESPACES[1]];
const KINDS: &str = "weft-kinds";
const OUTSIDE: &str = "weft-kinds-outside";

/// A Job ends well, at the first attempt.
const ENDS: &str = "ended";
/// Every pod is ready.
const READY: &str = "ready";
/// A Job has not ended well.
pub(super) const FAILED: &str = "failed";

/// One kind of workload.
pub(super) struct Row {
    kind: &'static str,
    asked: &'static str,
    /// `kind/name`.
    pub(super) object: &'static str,
    pub(super) namespace: &'static str,
    pub(super) expected: &'static str,
}

const fn job(kind: &'static str, asked: &'static str, object: &'static str) -> Row {
    Row {
        kind,
        asked,
        object,
        namespace: KINDS,
        expected: ENDS,
    }
}

const fn ready(kind: &'static str, asked: &'static str, object: &'static str) -> Row {
    Row {
        expected: READY,
        ..job(kind, asked, object)
    }
}

pub(super) const ROWS: &[Row] = &[
    job(
        "a new pod",
        "its first request succeeds within 100 ms",
        "job/first-request",
    ),
    job(
        "init containers, native sidecars, Jobs",
        "each reaches a Service at once; the pod ends",
        "job/init",
    ),
    ready(
        "postStart hooks",
        "one dials a member, another is asked by the kubelet",
        "deployment/hooks",
    ),
    job(
        "a pod that ends",
        "its hook and its signal handler still reach a member",
        "job/ending",
    ),
    ready(
        "probes of a strict pod",
        "http by name, tcp, grpc, exec",
        "deployment/probes",
    ),
    job(
        "a member",
        "reaches host network, outside, permissive, the API server",
        "job/dials-strangers",
    ),
    Row {
        namespace: OUTSIDE,
        ..job(
            "a stranger",
            "is refused by strict members and by no others",
            "job/is-stranger",
        )
    },
    job(
        "a pod on the host network",
        "is a stranger",
        "job/is-on-host",
    ),
    job("a pod that stays out", "is a stranger", "job/stays-out"),
    job(
        "headless Services",
        "every pod answers, by name and by address",
        "job/headless",
    ),
    ready(
        "StatefulSets",
        "pods reach each other by name while they start",
        "statefulset/peers",
    ),
    job(
        "hairpin",
        "a pod reaches itself by Service, address and localhost",
        "job/itself",
    ),
    job("UDP", "passes", "job/udp"),
    job("servers that speak first", "are heard", "job/server-first"),
    job(
        "IPv4, IPv6",
        "HTTP by both, gRPC by the second",
        "job/both-families",
    ),
    job(
        "Redis",
        "pipelines, large values, blocking calls, messages",
        "job/redis",
    ),
    job(
        "PostgreSQL",
        "tables, copies both ways, notifications",
        "job/postgres",
    ),
];

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}: {}", self.kind, self.asked))
    }
}

impl Row {
    /// What kubectl is asked about it.
    pub(super) fn question(&self) -> [&'static str; 5] {
        let state = match self.expected {
            ENDS => "--output=jsonpath={.status.succeeded}/{.status.failed}",
            _ => "--output=jsonpath={.status.readyReplicas}/{.spec.replicas}",
        };
        ["get", self.object, "--namespace", self.namespace, state]
    }

    /// What the answer means.
    pub(super) fn state(&self, answer: &str) -> String {
        match (self.expected, answer.split_once('/')) {
            (ENDS, Some(("1", ""))) => ENDS.to_owned(),
            (ENDS, Some((_, "1"))) => FAILED.to_owned(),
            (ENDS, _) => "still runs".to_owned(),
            (_, Some((ready, wanted))) if ready == wanted => READY.to_owned(),
            _ => format!("{answer} ready"),
        }
    }
}
