//! What one line tells.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use weft_spiffe::SpiffeId;

use super::json::Object;
use crate::metrics::{RequestEnd, RequestLabels};
use crate::timestamp::write_rfc3339;

/// A policy decision.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// Which policy decided, as `namespace/name`.
    pub name: &'a str,
    /// What it said, such as `denied`.
    pub verdict: &'static str,
}

/// One request (or, with an empty method, one connection) that ended. Borrows everything.
///
/// Field names in the line are those of the metric labels where both exist.
#[derive(Debug, Clone, Copy)]
pub struct AccessRecord<'a> {
    /// When it ended, by the wall clock.
    pub time: SystemTime,
    /// How it ended: protocol, statuses, reason, durations.
    pub end: RequestEnd,
    /// Names of the parent, route, rule, backend and workloads involved.
    pub labels: &'a RequestLabels,
    /// The peer of the client connection.
    pub client: Option<SocketAddr>,
    /// Proven identity of the caller.
    pub source_principal: Option<&'a SpiffeId>,
    /// Proven identity of the called workload.
    pub destination_principal: Option<&'a SpiffeId>,
    /// Request method as received; empty for a connection.
    pub method: &'a [u8],
    /// Authority as received.
    pub authority: &'a [u8],
    /// Request target as received; a query or fragment in it is not written.
    pub path: &'a [u8],
    /// The endpoint of the last attempt.
    pub endpoint: Option<SocketAddr>,
    /// Attempts made; 0 if nothing was sent upstream.
    pub attempts: u32,
    /// Time to connect upstream in the last attempt; `None` on a reused connection.
    pub upstream_connect: Option<Duration>,
    /// Request body bytes.
    pub request_bytes: u64,
    /// Response body bytes.
    pub response_bytes: u64,
    /// The policy that decided, if one applied.
    pub policy: Option<Policy<'a>>,
    /// Trace ID, 32 lower-case hexadecimal digits.
    pub trace_id: Option<&'a str>,
}

impl AccessRecord<'_> {
    /// The record as one line of JSON. `suppressed` lines before it were not written.
    pub(super) fn to_line(self, suppressed: u64) -> Vec<u8> {
        let mut line = Object::new();
        line.plain("time", |out| write_rfc3339(out, self.time));
        line.text("reporter", self.labels.reporter.as_str());
        line.text("protocol", self.end.protocol.as_str());
        self.request(&mut line);
        self.objects(&mut line);
        self.attempt(&mut line);
        line.text("trace_id", self.trace_id.unwrap_or_default());
        if suppressed > 0 {
            line.number("suppressed", suppressed);
        }
        line.into_line()
    }

    fn request(&self, line: &mut Object) {
        address(line, "client", self.client);
        line.text("method", self.method);
        line.text("authority", self.authority);
        line.text("path", without_query(self.path));
        if let Some(status) = self.end.status {
            line.number("status", status.into());
        }
        if let Some(grpc_status) = self.end.grpc_status {
            line.number("grpc_status", grpc_status.into());
        }
        line.text(
            "reason",
            self.end.reason.map_or("", |reason| reason.as_str()),
        );
        line.seconds("duration_seconds", self.end.duration);
        if let Some(first_byte) = self.end.first_byte {
            line.seconds("first_byte_seconds", first_byte);
        }
        line.number("request_bytes", self.request_bytes);
        line.number("response_bytes", self.response_bytes);
    }

    fn objects(&self, line: &mut Object) {
        let RequestLabels {
            parent,
            route,
            backend,
            destination,
            source,
            ..
        } = self.labels;
        line.text("parent_kind", &*parent.kind);
        line.text("parent_namespace", &*parent.namespace);
        line.text("parent_name", &*parent.name);
        port(line, "parent_port", parent.port);
        line.text("route_kind", &*route.kind);
        line.text("route_namespace", &*route.namespace);
        line.text("route_name", &*route.name);
        line.text("rule", &*route.rule);
        line.text("backend_namespace", &*backend.namespace);
        line.text("backend_name", &*backend.name);
        port(line, "backend_port", backend.port);
        line.text("source_workload", &*source.workload);
        line.text("source_workload_namespace", &*source.namespace);
        line.text("destination_workload", &*destination.workload);
        line.text("destination_workload_namespace", &*destination.namespace);
        line.text(
            "source_principal",
            self.source_principal.map_or("", SpiffeId::as_str),
        );
        line.text(
            "destination_principal",
            self.destination_principal.map_or("", SpiffeId::as_str),
        );
    }

    fn attempt(&self, line: &mut Object) {
        address(line, "endpoint", self.endpoint);
        line.number("attempts", self.attempts.into());
        if let Some(connect) = self.upstream_connect {
            line.seconds("upstream_connect_seconds", connect);
        }
        if let Some(policy) = self.policy {
            line.text("policy", policy.name);
            line.text("verdict", policy.verdict);
        }
    }
}

fn address(line: &mut Object, name: &'static str, address: Option<SocketAddr>) {
    if let Some(address) = address {
        line.plain(name, |out| {
            write!(out, "{address}").expect("writing to a Vec cannot fail")
        });
    }
}

fn port(line: &mut Object, name: &'static str, port: u16) {
    if port > 0 {
        line.number(name, port.into());
    }
}

/// Queries carry tokens and personal data; they are never written.
fn without_query(path: &[u8]) -> &[u8] {
    let end = path
        .iter()
        .position(|byte| matches!(byte, b'?' | b'#'))
        .unwrap_or(path.len());
    &path[..end]
}
