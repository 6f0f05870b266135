//! Label sets. Each is a struct whose values come from configuration, so a series count is bounded
//! by the objects a user wrote; there is no field a request could fill.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};

use super::identity::Holder;

/// Which hop of a call reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Reporter {
    /// The mesh node of the calling workload.
    #[default]
    Source,
    /// The mesh node of the called workload.
    Destination,
    /// A north/south gateway.
    Gateway,
}

impl Reporter {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Gateway => "gateway",
        }
    }
}

/// The protocol a client speaks with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2, other than gRPC.
    Http2,
    /// gRPC: HTTP/2 with content type `application/grpc*`.
    Grpc,
    /// TLS passed through.
    Tls,
    /// Opaque bytes.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Where traffic entered: a Gateway (or ListenerSet) listener port, or a Service port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Parent {
    /// `Gateway`, `ListenerSet` or `Service`.
    pub kind: Arc<str>,
    /// Object name.
    pub name: Arc<str>,
    /// Object namespace.
    pub namespace: Arc<str>,
    /// Listener or Service port; 0 leaves the label out.
    pub port: u16,
}

/// The rule that matched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Route {
    /// `HTTPRoute`, `GRPCRoute` …; empty where no route applies.
    pub kind: Arc<str>,
    /// Object name.
    pub name: Arc<str>,
    /// Object namespace.
    pub namespace: Arc<str>,
    /// The rule's name, else its index.
    pub rule: Arc<str>,
}

/// The Service (or other backend object) a rule sends to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Backend {
    /// Object name; empty for answers without a backend (redirects, errors).
    pub name: Arc<str>,
    /// Object namespace.
    pub namespace: Arc<str>,
    /// Backend port; 0 leaves the label out.
    pub port: u16,
}

/// The workload that owns the endpoint, where it is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Destination {
    /// Owner name (Deployment, StatefulSet …).
    pub workload: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// `rollouts-pod-template-hash`, else `pod-template-hash`: tells a canary from the stable set.
    pub pod_template_hash: Arc<str>,
}

/// The calling workload, where it is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Source {
    /// Owner name.
    pub workload: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
}

/// Identifies the series of one (rule, backend).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RequestLabels {
    /// Which hop reports.
    pub reporter: Reporter,
    /// Where the traffic entered.
    pub parent: Parent,
    /// The matched rule.
    pub route: Route,
    /// The chosen backend.
    pub backend: Backend,
    /// The called workload.
    pub destination: Destination,
    /// The calling workload.
    pub source: Source,
}

/// Identifies the connection series of one listener or Service port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConnectionLabels {
    /// Which hop reports.
    pub reporter: Reporter,
    /// Where the connections enter.
    pub parent: Parent,
    /// The protocol the configuration declares; `None` where it is found out per connection.
    pub protocol: Option<Protocol>,
}

/// Identifies the series of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityLabels {
    /// Which process has it.
    pub holder: Holder,
    /// The SPIFFE ID.
    pub identity: Arc<str>,
}

/// Identifies one root that a process trusts. There are as many as bundles have: two of a trust domain
/// while its root is replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootLabels {
    /// Which process trusts it.
    pub holder: Holder,
    /// Whose members it vouches for.
    pub trust_domain: Arc<str>,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    pub root: Arc<str>,
}

/// Which shared groups are exported for requests. A group that is off is blanked before look-up,
/// so that rules differing only in it share their series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelGroups {
    /// Parent and route labels; off leaves one series set per backend.
    pub route: bool,
    /// Backend labels.
    pub backend: bool,
    /// Multiplies by the workloads behind a Service (a canary: 2).
    pub destination: bool,
    /// Multiplies by the workloads that call.
    pub source: bool,
}

impl Default for LabelGroups {
    fn default() -> Self {
        Self {
            route: true,
            backend: true,
            destination: true,
            source: true,
        }
    }
}

impl LabelGroups {
    /// `labels` without the groups that are off.
    pub(super) fn keep(self, mut labels: RequestLabels) -> RequestLabels {
        if !self.route {
            labels.parent = Parent::default();
            labels.route = Route::default();
        }
        if !self.backend {
            labels.backend = Backend::default();
        }
        if !self.destination {
            labels.destination = Destination::default();
        }
        if !self.source {
            labels.source = Source::default();
        }
        labels
    }
}

/// A label set that can be written; labels without a value are left out.
pub(super) trait Labels {
    fn write(&self, out: &mut LabelWriter<'_, '_>) -> fmt::Result;
}

/// Writes the labels of one series.
pub(super) struct LabelWriter<'a, 'b>(&'a mut LabelSetEncoder<'b>);

impl LabelWriter<'_, '_> {
    pub(super) fn text(&mut self, name: &'static str, value: &str) -> fmt::Result {
        if value.is_empty() {
            return Ok(());
        }
        (name, value).encode(self.0.encode_label())
    }

    pub(super) fn port(&mut self, name: &'static str, port: u16) -> fmt::Result {
        if port == 0 {
            return Ok(());
        }
        (name, port).encode(self.0.encode_label())
    }
}

/// A label set and the labels of one of its series, the extra ones in order.
pub(super) struct Series<'a> {
    pub(super) labels: &'a dyn Labels,
    pub(super) extra: &'a [(&'static str, &'a str)],
}

impl EncodeLabelSet for Series<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let mut out = LabelWriter(encoder);
        self.labels.write(&mut out)?;
        self.extra
            .iter()
            .try_for_each(|(name, value)| out.text(name, value))
    }
}

/// No shared labels.
pub(super) struct NoLabels;

impl Labels for NoLabels {
    fn write(&self, _out: &mut LabelWriter<'_, '_>) -> fmt::Result {
        Ok(())
    }
}

impl Labels for Parent {
    fn write(&self, out: &mut LabelWriter<'_, '_>) -> fmt::Result {
        out.text("parent_kind", &self.kind)?;
        out.text("parent_name", &self.name)?;
        out.text("parent_namespace", &self.namespace)?;
        out.port("parent_port", self.port)
    }
}

impl Labels for Route {
    fn write(&self, out: &mut LabelWriter<'_, '_>) -> fmt::Result {
        out.text("route_kind", &self.kind)?;
        out.text("route_name", &self.name)?;
        out.text("route_namespace", &self.namespace)?;
        out.text("rule", &self.rule)
    }
}

impl Labels for Backend {
    fn write(&self, out: &mut LabelWriter<'_, '_>) -> fmt::Result {
        out.text("backend_name", &self.name)?;
        out.text("backend_namespace", &self.namespace)?;
        out.port("backend_port", self.port)
    }
}

impl Labels for RequestLabels {
    fn write(&self, out: &mut LabelWriter<'_, '_>) -> fmt::Result {
        out.text("reporter", self.reporter.as_str())?;
        self.parent.write(out)?;
        self.route.write(out)?;
        self.backend.write(out)?;
        out.text("destination_workload", &self.destination.workload)?;
        out.text(
            "destination_workload_namespace",
            &self.destination.namespace,
        )?;
        out.text(
            "destination_pod_template_hash",
            &self.destination.pod_template_hash,
        )?;
        out.text("source_workload", &self.source.workload)?;
        out.text("source_workload_namespace", &self.source.namespace)
    }
}

/// The labels of a rule's configured weight: no side and no workloads.
pub(super) struct RuleLabels<'a>(pub(super) &'a RequestLabels);

impl Labels for RuleLabels<'_> {
    fn write(&self, out: &mut LabelWriter<'_, '_>) -> fmt::Result {
        self.0.parent.write(out)?;
        self.0.route.write(out)?;
        self.0.backend.write(out)
    }
}

impl Labels for ConnectionLabels {
    fn write(&self, out: &mut LabelWriter<'_, '_>) -> fmt::Result {
        out.text("reporter", self.reporter.as_str())?;
        out.text("protocol", self.protocol.map_or("", Protocol::as_str))?;
        self.parent.write(out)
    }
}

impl Labels for RootLabels {
    fn write(&self, out: &mut LabelWriter<'_, '_>) -> fmt::Result {
        out.text("holder", self.holder.as_str())?;
        out.text("trust_domain", &self.trust_domain)?;
        out.text("root", &self.root)
    }
}

impl Labels for IdentityLabels {
    fn write(&self, out: &mut LabelWriter<'_, '_>) -> fmt::Result {
        out.text("holder", self.holder.as_str())?;
        out.text("identity", &self.identity)
    }
}
