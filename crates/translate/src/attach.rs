//! Attachment of a route to its parents: which listeners of a Gateway and which ports of a Service
//! take it, or why none does.

use std::sync::Arc;

use weft_api::{GATEWAY_GROUP, Kind, ObjectKey, Reason, reference::ParentReference};
use weft_ir::{Hostname, Name, RouteKind};

use crate::{
    Input,
    context::ParentMode,
    gateway::Plans,
    mesh,
    notes::{self, Code, Findings},
    refused,
    route::Rejection,
    scope::ClassPolicy,
};

mod sieve;
#[cfg(test)]
mod tests;

/// What attachment needs to know of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attaching<'a> {
    /// Kind of the route.
    pub(crate) kind: RouteKind,
    /// Namespace of the route.
    pub(crate) namespace: &'a str,
    /// Its hostnames.
    pub(crate) hosts: &'a Hosts,
}

/// `spec.hostnames` of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// None are given.
    Any,
    /// Those that are hostnames. Possibly none is, and then no host is the route's.
    Only(Vec<Hostname>),
}

/// What one `parentRef` leads to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parent {
    /// Nothing of ours: no status is written.
    Foreign,
    /// A Gateway of ours, with the listeners that take the route.
    Gateway(Name, Result<Vec<Attachment>, Rejection>),
    /// A Service, with the ports that take the route.
    Service(Name, Result<Vec<u16>, Rejection>),
    /// A kind of parent that is not built.
    NotBuilt(Rejection),
}

/// A listener that takes the route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Name of the listener.
    pub(crate) listener: Arc<str>,
    /// Hostnames that both serve; empty means every host.
    pub(crate) hostnames: Vec<Hostname>,
    /// Whether the listener can serve; one without certificate cannot.
    pub(crate) serves: bool,
}

/// Why a parent does not take a route: the condition, the finding, and the field that is to blame,
/// of the parentRef unless it begins with `spec.`.
pub(crate) struct Detached {
    pub(crate) code: &'static Code,
    pub(crate) field: &'static str,
    pub(crate) rejection: Rejection,
}

impl Parent {
    /// The mode in which rules for this parent are compiled.
    pub(crate) fn mode(&self) -> Option<ParentMode> {
        match self {
            Self::Gateway(..) | Self::NotBuilt(_) => Some(ParentMode::Gateway),
            Self::Service(..) => Some(ParentMode::Mesh),
            Self::Foreign => None,
        }
    }
}

impl Hosts {
    /// Reads `spec.hostnames`. What is not a hostname is a finding and takes no request.
    pub(crate) fn new(hostnames: &[String], findings: &mut Findings) -> Self {
        if hostnames.is_empty() {
            return Self::Any;
        }
        let mut parsed = Vec::with_capacity(hostnames.len());
        for (at, text) in hostnames.iter().enumerate() {
            match Hostname::parse(text) {
                Some(hostname) => parsed.push(hostname),
                None => {
                    let message = format!("{text:?} is not a hostname; it takes no request");
                    findings.add(
                        &notes::BAD_HOSTNAME,
                        format!("spec.hostnames[{at}]"),
                        message,
                    );
                }
            }
        }
        parsed.sort();
        parsed.dedup();
        Self::Only(parsed)
    }

    /// The hosts that the route and a listener have in common; `None` if there is none. A route
    /// without hostnames takes those of the listener.
    fn within(&self, listener: Option<&Hostname>) -> Option<Vec<Hostname>> {
        match (self, listener) {
            (Self::Any, None) => Some(Vec::new()),
            (Self::Any, Some(hostname)) => Some(vec![hostname.clone()]),
            (Self::Only(own), _) => {
                let common = |own: &Hostname| match listener {
                    Some(listener) => own.intersect(listener),
                    None => Some(own.clone()),
                };
                let mut hostnames: Vec<_> = own.iter().filter_map(common).collect();
                hostnames.sort();
                hostnames.dedup();
                hostnames.shrink_to_fit();
                Some(hostnames).filter(|hostnames| !hostnames.is_empty())
            }
        }
    }
}

/// Judges a `parentRef`, the one at `index`.
pub(crate) fn parent(
    input: Input<'_>,
    plans: &Plans,
    route: Attaching<'_>,
    (index, reference): (usize, &ParentReference),
    findings: &mut Findings,
) -> Parent {
    let namespace = reference.namespace(route.namespace);
    let name = || Name::new(namespace, reference.name.as_str());
    let at = |field: &str| match field {
        "" => format!("spec.parentRefs[{index}]"),
        field if field.starts_with("spec.") => field.to_owned(),
        field => format!("spec.parentRefs[{index}].{field}"),
    };
    let report = |findings: &mut Findings, detached: Detached| reported(detached, &at, findings);
    match (reference.group(), reference.kind()) {
        (GATEWAY_GROUP, "Gateway") => {
            let plan = plans.get(&ObjectKey::new(namespace, reference.name.as_str()));
            match plan {
                Some(plan) => {
                    let taken = sieve::listeners(input.store, plan, route, reference);
                    let name = plan.name.clone();
                    Parent::Gateway(name, taken.map_err(|it| report(findings, it)))
                }
                None => missing_gateway(input, name(), |it| report(findings, it)),
            }
        }
        ("" | "core", "Service") => service(input, route, (reference, name()), &at, findings),
        (GATEWAY_GROUP, "ListenerSet") => {
            if !refused::is_our_set(input, plans, namespace, &reference.name) {
                return Parent::Foreign;
            }
            let message = refused::not_built(Kind::ListenerSet);
            let (code, reason) = (&notes::KIND_NOT_BUILT, Reason::UnsupportedValue);
            Parent::NotBuilt(report(findings, detached(code, "kind", reason, message)))
        }
        (GATEWAY_GROUP, "Service") => {
            let message = "group \"gateway.networking.k8s.io\" has no Service; the default group \
                           is not the core group";
            findings.add(&notes::PARENT_GROUP_DEFAULTED, at("group"), message);
            Parent::Foreign
        }
        (group, kind) => {
            let message = format!("{kind} of group {group:?} is not served by Weft");
            findings.add(&notes::FOREIGN_PARENT, at("kind"), message);
            Parent::Foreign
        }
    }
}

/// Judges a parentRef to a Service.
fn service(
    input: Input<'_>,
    route: Attaching<'_>,
    (reference, name): (&ParentReference, Name),
    at: &impl Fn(&str) -> String,
    findings: &mut Findings,
) -> Parent {
    if !input.scope.has_mesh {
        let message = format!("no mesh runs here, so that routes of Service {name} have no effect");
        findings.add(&notes::NO_MESH, at(""), message);
        return Parent::Foreign;
    }
    if reference.group() == "core" {
        let message = "group \"core\" is read as \"\"";
        findings.add(&notes::CORE_GROUP_ALIAS, at("group"), message);
    }
    let taken = mesh::ports(input.store, route.kind, &name, reference);
    if let Ok(ports) = &taken
        && let Some(hint) = mesh::undeclared(input.store, &name, ports)
    {
        findings.add(&notes::PROTOCOL_UNDECLARED, at(""), hint);
    }
    let taken = taken.map_err(|detached| reported(detached, at, findings));
    Parent::Service(name, taken)
}

/// Adds the finding; what is left is the rejection.
fn reported(
    detached: Detached,
    at: &impl Fn(&str) -> String,
    findings: &mut Findings,
) -> Rejection {
    let message = detached.rejection.message.as_str();
    findings.add(detached.code, at(detached.field), message);
    detached.rejection
}

/// Nobody can say whose a Gateway is that does not exist, unless there is only us.
fn missing_gateway(
    input: Input<'_>,
    name: Name,
    report: impl FnOnce(Detached) -> Rejection,
) -> Parent {
    if input
        .store
        .gateways()
        .get(&name.namespace, &name.name)
        .is_some()
    {
        return Parent::Foreign;
    }
    let message = format!("Gateway {name} does not exist");
    let (code, reason) = (&notes::PARENT_NOT_FOUND, Reason::NoMatchingParent);
    let rejection = report(detached(code, "name", reason, message));
    match input.scope.classes {
        ClassPolicy::Every => Parent::Gateway(name, Err(rejection)),
        ClassPolicy::Ours => Parent::Foreign,
    }
}

/// What a parentRef asks for, in words.
pub(crate) fn wanted(reference: &ParentReference) -> String {
    match (reference.section_name.as_deref(), reference.port) {
        (Some(name), Some(port)) => format!("name {name:?} and port {port}"),
        (Some(name), None) => format!("name {name:?}"),
        (None, Some(port)) => format!("port {port}"),
        (None, None) => "any name".to_owned(),
    }
}

pub(crate) fn detached(
    code: &'static Code,
    field: &'static str,
    reason: Reason,
    message: String,
) -> Detached {
    Detached {
        code,
        field,
        rejection: Rejection::new(reason.as_str(), message),
    }
}
