//! Where a request goes: the one decision, with what it needs of the view it was made on.

use std::sync::Arc;

use http::{Version, header::HOST, request::Parts};
use weft_ir::{Filters, RequestView, Retry, Timeouts, UpstreamProtocol, host_of};
use weft_telemetry::{Reason, metrics::RequestHandles};

use super::validate::Canonical;
use crate::{
    live::{Decision, LiveBackend, LiveRule, View},
    upstream::Cluster,
};

/// The route of a request. It shares one thing with other cores, the rule (or the Service), and
/// everything else is reached through that.
pub(crate) enum Route {
    /// A rule took it; `backend` is the index of the chosen one, `None` when no backend of the rule
    /// has a weight.
    Rule {
        rule: Arc<LiveRule>,
        backend: Option<usize>,
    },
    /// To the Service itself.
    PassThrough(Arc<LiveBackend>),
    /// Nowhere: the handles count the refusal.
    Refused(Arc<RequestHandles>),
}

/// Decides where a request in canonical form goes, or what refuses it.
pub(super) fn route(
    view: &View,
    sni: Option<&str>,
    parts: &Parts,
    canonical: &Canonical,
) -> Result<Route, (u16, Reason)> {
    let authority = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let sent = host_of(authority.unwrap_or_default());
    let lowered;
    let host = if sent.bytes().any(|byte| byte.is_ascii_uppercase()) {
        lowered = sent.to_ascii_lowercase();
        lowered.as_str()
    } else {
        sent
    };
    let request = RequestView::new(parts, host);
    match view.decide(sni, &request, canonical.encoded_separator) {
        Decision::Rule(rule) => Ok(Route::Rule {
            rule: Arc::clone(rule),
            backend: rule.split.next(),
        }),
        Decision::PassThrough(service) => Ok(Route::PassThrough(Arc::clone(service))),
        Decision::Refuse(status, reason) => Err((status, reason)),
    }
}

/// Whether a request goes to its backend in HTTP/2. A gateway speaks HTTP/1.1 to a port that
/// declares nothing, but not for gRPC: a call needs what only HTTP/2 has, and a client that made it
/// in HTTP/2 means a server that speaks it ("gRPC over HTTP/2").
pub(super) fn goes_as_http2(backend: UpstreamProtocol, version: Version, grpc: bool) -> bool {
    match backend {
        UpstreamProtocol::Http1 => grpc && version == Version::HTTP_2,
        UpstreamProtocol::Http2 => true,
        UpstreamProtocol::AsClient => version == Version::HTTP_2,
    }
}

impl Route {
    /// The chosen backend.
    pub(super) fn backend(&self) -> Option<&LiveBackend> {
        match self {
            Self::Rule { rule, backend } => rule.backends.get((*backend)?),
            Self::PassThrough(service) => Some(service),
            Self::Refused(_) => None,
        }
    }

    /// The endpoints of the chosen backend; `None` for a reference that cannot be used.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.backend()?.cluster.as_deref()
    }

    /// The counters of whatever answers.
    pub(crate) fn handles(&self) -> &Arc<RequestHandles> {
        match self {
            Self::Rule { rule, .. } if rule.rule.filters.is_terminal() => &rule.own,
            Self::Rule { rule, .. } => match self.backend() {
                Some(backend) => &backend.handles,
                None => &rule.own,
            },
            Self::PassThrough(service) => &service.handles,
            Self::Refused(handles) => handles,
        }
    }

    /// The filters of the rule.
    pub(super) fn filters(&self) -> Option<&Filters> {
        match self {
            Self::Rule { rule, .. } => Some(&rule.rule.filters),
            Self::PassThrough(_) | Self::Refused(_) => None,
        }
    }

    /// The filters of the chosen backend.
    pub(super) fn backend_filters(&self) -> Option<&Filters> {
        match self {
            Self::Rule { rule, backend } => rule
                .rule
                .backends
                .get((*backend)?)
                .map(|backend| &backend.filters),
            Self::PassThrough(_) | Self::Refused(_) => None,
        }
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        match self {
            Self::Rule { rule, .. } => rule.rule.timeouts,
            Self::PassThrough(_) | Self::Refused(_) => Timeouts::default(),
        }
    }

    /// Whether the owner of the route says that its requests may be made twice.
    pub(super) fn is_idempotent(&self) -> bool {
        match self {
            Self::Rule { rule, .. } => rule.rule.idempotent,
            Self::PassThrough(_) | Self::Refused(_) => false,
        }
    }

    pub(super) fn retry(&self) -> Option<&Retry> {
        match self {
            Self::Rule { rule, .. } => rule.rule.retry.as_ref(),
            Self::PassThrough(_) | Self::Refused(_) => None,
        }
    }
}
