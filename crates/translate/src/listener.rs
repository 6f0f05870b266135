//! One listener of a Gateway: what it asks for and whether that can be served.

use std::sync::Arc;

use weft_api::{
    GATEWAY_GROUP, Gateway, Reason,
    gateway::{FromNamespaces, FrontendTlsConfig, Listener, ListenerTls, ProtocolType, TlsMode},
    meta::{LabelSelector, selects},
    reference::RouteGroupKind,
};
use weft_ir::{Hostname, Name, PortProtocol, RouteKind};

use crate::{
    Input,
    notes::{self, Findings},
    route::Rejection,
};

pub(crate) mod certificate;
#[cfg(test)]
mod tests;

/// The kinds of route that HTTP and HTTPS listeners take.
const HTTP_KINDS: [RouteKind; 2] = [RouteKind::Http, RouteKind::Grpc];

/// A listener, judged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListenerPlan {
    /// Position in `spec.listeners`.
    pub(crate) index: usize,
    /// `spec.listeners[].name`
    pub(crate) name: Arc<str>,
    /// Its port; 0 when the object has none that exists.
    pub(crate) port: u16,
    /// `None` takes every host.
    pub(crate) hostname: Option<Hostname>,
    /// `None` when the protocol is not served.
    pub(crate) protocol: Option<PortProtocol>,
    /// Kinds of route that may attach.
    pub(crate) kinds: Vec<RouteKind>,
    /// Namespaces whose routes may attach.
    pub(crate) namespaces: NamespaceRule,
    /// Secrets with usable certificates, in list order.
    pub(crate) certificates: Vec<Name>,
    /// `Accepted`, apart from conflicts.
    pub(crate) accepted: Result<(), Rejection>,
    /// `ResolvedRefs`
    pub(crate) resolved_refs: Result<(), Rejection>,
    /// `Conflicted`, when it is true.
    pub(crate) conflict: Option<Rejection>,
    /// `OverlappingTLSConfig`, when it is true.
    pub(crate) overlap: Option<Rejection>,
}

/// Namespaces whose routes may attach to a listener.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NamespaceRule {
    /// Every namespace.
    All,
    /// That of the Gateway.
    Same,
    /// Those with matching labels.
    Selector(LabelSelector),
    /// None: the field holds a value that cannot be used.
    Nobody,
}

impl ListenerPlan {
    /// Whether the listener stands in the tables. One whose certificates cannot be used does: were
    /// it left out, its hosts would fall to a less specific listener of the port. It refuses
    /// handshakes instead.
    pub(crate) fn in_tables(&self) -> bool {
        self.protocol.is_some() && self.accepted.is_ok() && self.conflict.is_none()
    }

    /// Whether it can serve requests: an HTTPS listener needs a certificate.
    pub(crate) fn serves(&self) -> bool {
        let presentable =
            self.protocol != Some(PortProtocol::Https) || !self.certificates.is_empty();
        self.in_tables() && presentable
    }

    /// `status.listeners[].supportedKinds`
    pub(crate) fn supported_kinds(&self) -> Vec<RouteGroupKind> {
        let group = || Some(GATEWAY_GROUP.to_owned());
        let kind = |kind: &RouteKind| RouteGroupKind {
            group: group(),
            kind: kind.to_string(),
        };
        self.kinds.iter().map(kind).collect()
    }
}

/// Judges one listener by itself; conflicts with its neighbours come later.
pub(crate) fn plan(
    input: Input<'_>,
    gateway: &Gateway,
    index: usize,
    findings: &mut Findings,
) -> ListenerPlan {
    let listener = &gateway.spec.listeners[index];
    let mut judge = Judge {
        input,
        gateway,
        listener,
        index,
        findings,
        accepted: Ok(()),
    };
    let protocol = judge.protocol();
    let port = judge.port();
    let hostname = judge.hostname();
    let namespaces = judge.namespaces();
    let mut references = Vec::new();
    let certificates = match (protocol, &listener.tls) {
        (Some(PortProtocol::Https), Some(tls)) => {
            judge.tls(tls);
            judge.client_validation();
            judge.certificates(tls, &mut references)
        }
        (Some(PortProtocol::Https), None) => {
            judge.refuse("tls", "an HTTPS listener needs tls.certificateRefs");
            Vec::new()
        }
        (Some(PortProtocol::Http), Some(_)) => {
            judge.refuse("tls", "an HTTP listener has no tls; use protocol HTTPS");
            Vec::new()
        }
        _ => Vec::new(),
    };
    let kinds = judge.kinds(protocol, &mut references);
    let accepted = judge.accepted;
    ListenerPlan {
        index,
        name: listener.name.as_str().into(),
        port,
        hostname,
        protocol,
        kinds,
        namespaces,
        certificates,
        accepted,
        resolved_refs: certificate::worst(references),
        conflict: None,
        overlap: None,
    }
}

/// The judgement of one listener while it is made.
struct Judge<'a> {
    input: Input<'a>,
    gateway: &'a Gateway,
    listener: &'a Listener,
    index: usize,
    findings: &'a mut Findings,
    accepted: Result<(), Rejection>,
}

impl Judge<'_> {
    fn field(&self, field: &str) -> String {
        format!("spec.listeners[{}].{field}", self.index)
    }

    /// Refuses the listener for a value it holds. The first reason stands in the condition; findings
    /// have all of them.
    fn refuse(&mut self, field: &str, message: &str) {
        self.reject(
            &notes::UNSUPPORTED_VALUE,
            Reason::UnsupportedValue,
            field,
            message,
        );
    }

    fn reject(&mut self, code: &'static notes::Code, reason: Reason, field: &str, message: &str) {
        let at = self.field(field);
        if self.accepted.is_ok() {
            self.accepted = Err(Rejection::new(reason.as_str(), format!("{at}: {message}")));
        }
        self.findings.add(code, at, message);
    }

    fn protocol(&mut self) -> Option<PortProtocol> {
        match &self.listener.protocol {
            ProtocolType::Http => Some(PortProtocol::Http),
            ProtocolType::Https => Some(PortProtocol::Https),
            other => {
                let message = format!("protocol {:?} is not served", other.as_str());
                let (code, reason) = (&notes::LISTENER_PROTOCOL, Reason::UnsupportedProtocol);
                self.reject(code, reason, "protocol", &message);
                None
            }
        }
    }

    fn port(&mut self) -> u16 {
        match u16::try_from(self.listener.port) {
            Ok(port @ 1..) => {
                if let Some(why) = self.input.scope.reserved_ports.get(&port) {
                    let message = format!("port {port} cannot be opened: {why}");
                    let (code, reason) = (&notes::PORT_UNAVAILABLE, Reason::PortUnavailable);
                    self.reject(code, reason, "port", &message);
                }
                port
            }
            _ => {
                let message = format!("{} is not a port", self.listener.port);
                self.refuse("port", &message);
                0
            }
        }
    }

    fn hostname(&mut self) -> Option<Hostname> {
        let text = self
            .listener
            .hostname
            .as_deref()
            .filter(|text| !text.is_empty())?;
        let hostname = Hostname::parse(text);
        if hostname.is_none() {
            self.refuse("hostname", &format!("{text:?} is not a hostname"));
        }
        hostname
    }

    fn namespaces(&mut self) -> NamespaceRule {
        let Some(allowed) = &self.listener.allowed_routes else {
            return NamespaceRule::Same;
        };
        let selector = allowed
            .namespaces
            .as_ref()
            .and_then(|filter| filter.selector.as_deref());
        match (allowed.from(), selector) {
            (FromNamespaces::All, _) => NamespaceRule::All,
            (FromNamespaces::Same, _) => NamespaceRule::Same,
            (FromNamespaces::Selector, Some(selector)) => match selects(selector, None) {
                Ok(_) => NamespaceRule::Selector(selector.clone()),
                Err(error) => {
                    self.refuse("allowedRoutes.namespaces.selector", &error.to_string());
                    NamespaceRule::Nobody
                }
            },
            (FromNamespaces::Selector, None) => {
                self.refuse("allowedRoutes.namespaces", "from Selector needs a selector");
                NamespaceRule::Nobody
            }
            (other, _) => {
                let message = format!("{:?} is not All, Same or Selector", other.as_str());
                self.refuse("allowedRoutes.namespaces.from", &message);
                NamespaceRule::Nobody
            }
        }
    }

    fn tls(&mut self, tls: &ListenerTls) {
        if *tls.mode() != TlsMode::Terminate {
            let message = format!("mode {:?} is not Terminate", tls.mode().as_str());
            self.refuse("tls.mode", &message);
        }
        if let Some(option) = tls.options.keys().next() {
            self.refuse("tls.options", &format!("option {option:?} is not known"));
        }
        if tls.certificate_refs.is_empty() {
            self.refuse(
                "tls.certificateRefs",
                "an HTTPS listener needs a certificate",
            );
        }
    }

    /// A port that was to check client certificates is not served without the check.
    fn client_validation(&mut self) {
        let tls = self.gateway.spec.tls.as_deref();
        let Some(frontend) = tls.and_then(|tls| tls.frontend.as_ref()) else {
            return;
        };
        let own = frontend
            .per_port
            .iter()
            .position(|entry| entry.port == self.listener.port);
        let (config, at): (&FrontendTlsConfig, String) = match own {
            Some(at) => (&frontend.per_port[at].tls, format!("perPort[{at}].tls")),
            None => (&frontend.default, "default".to_owned()),
        };
        if config.validation.is_none() {
            return;
        }
        let at = format!("spec.tls.frontend.{at}.validation");
        let message = "client certificates are not checked by this version, so that the listener \
                       is not served";
        if self.accepted.is_ok() {
            let reason = Reason::UnsupportedValue.as_str();
            self.accepted = Err(Rejection::new(reason, format!("{at}: {message}")));
        }
        self.findings.add(&notes::CLIENT_VALIDATION, at, message);
    }

    /// The Secrets that can be used; the others end up in `problems`.
    fn certificates(&mut self, tls: &ListenerTls, problems: &mut Vec<Rejection>) -> Vec<Name> {
        let mut usable = Vec::new();
        for (at, reference) in tls.certificate_refs.iter().enumerate() {
            match certificate::resolve(self.input, self.gateway, reference) {
                Ok(name) => usable.push(name),
                Err(problem) => {
                    let field = self.field(&format!("tls.certificateRefs[{at}]"));
                    problems.push(Rejection::new(
                        problem.reason,
                        format!("{field}: {}", problem.message),
                    ));
                    let code = match problem.reason {
                        "RefNotPermitted" => &notes::REF_NOT_PERMITTED,
                        _ => &notes::CERTIFICATE_REF,
                    };
                    self.findings.add(code, field, problem.message);
                }
            }
        }
        usable
    }

    /// The kinds of route that may attach: those of the protocol, or of them the ones asked for.
    fn kinds(
        &mut self,
        protocol: Option<PortProtocol>,
        problems: &mut Vec<Rejection>,
    ) -> Vec<RouteKind> {
        let served: &[RouteKind] = if protocol.is_some() { &HTTP_KINDS } else { &[] };
        let asked = self
            .listener
            .allowed_routes
            .as_ref()
            .map(|allowed| allowed.kinds.as_slice());
        let asked = asked.unwrap_or_default();
        if asked.is_empty() {
            return served.to_vec();
        }
        let mut kinds = Vec::new();
        for (at, kind) in asked.iter().enumerate() {
            let is_kind =
                |served: &RouteKind| kind.group() == GATEWAY_GROUP && kind.kind == served.as_str();
            match served.iter().copied().find(is_kind) {
                Some(kind) if kinds.contains(&kind) => {}
                Some(kind) => kinds.push(kind),
                None => {
                    let field = self.field(&format!("allowedRoutes.kinds[{at}]"));
                    let protocol = self.listener.protocol.as_str();
                    let message = format!(
                        "{} of group {:?} cannot attach to a listener of protocol {protocol}",
                        kind.kind,
                        kind.group(),
                    );
                    let reason = Reason::InvalidRouteKinds.as_str();
                    problems.push(Rejection::new(reason, format!("{field}: {message}")));
                    self.findings
                        .add(&notes::LISTENER_ROUTE_KINDS, field, message);
                }
            }
        }
        kinds
    }
}
