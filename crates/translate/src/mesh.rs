//! Services as parents (GEP-1294): which of their ports take a route, and the frontends that come of
//! it.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use weft_api::{
    Reason, Service,
    reference::ParentReference,
    service::{ServicePort, ServiceType, Transport},
};
use weft_ir::{BackendFault, Frontend, FrontendProtocol, Name, RouteKind, RouteSet};
use weft_store::Store;

use crate::{
    Input,
    attach::{Detached, detached, wanted},
    group::Groups,
    notes,
    policy::backend_tls,
    service_protocol,
};

#[cfg(test)]
mod tests;

/// The ports of a Service that take a route of the kind, ascending.
pub(crate) fn ports(
    store: &Store,
    kind: RouteKind,
    name: &Name,
    reference: &ParentReference,
) -> Result<Vec<u16>, Detached> {
    let reason = Reason::NoMatchingParent;
    let Some(service) = store.service(&name.namespace, &name.name) else {
        let message = format!("Service {name} does not exist");
        return Err(detached(&notes::PARENT_NOT_FOUND, "name", reason, message));
    };
    if !has_frontend(service) {
        let message = format!("parent Service must have a ClusterIP, Service {name} has none");
        return Err(detached(
            &notes::PARENT_WITHOUT_CLUSTER_IP,
            "name",
            reason,
            message,
        ));
    }
    let named: BTreeMap<u16, &ServicePort> = dialled(service)
        .filter(|(_, port)| is_named(port, reference))
        .collect();
    if named.is_empty() {
        let has: Vec<String> = dialled(service).map(place).collect();
        let message = format!(
            "Service {name} has no TCP port with {}; it has {}",
            wanted(reference),
            if has.is_empty() {
                "none".to_owned()
            } else {
                has.join(", ")
            },
        );
        let field = if reference.port.is_some() {
            "port"
        } else {
            "sectionName"
        };
        return Err(detached(&notes::PARENT_SECTION, field, reason, message));
    }
    let parsed: Vec<u16> = named
        .iter()
        .filter(|(_, port)| !is_opaque(port, kind))
        .map(|(number, _)| *number)
        .collect();
    if parsed.is_empty() {
        let message = format!(
            "the appProtocol of Service {name} declares what cannot be read as HTTP on {}",
            list(named.keys())
        );
        let reason = Reason::UnsupportedValue;
        return Err(detached(&notes::OPAQUE_ROUTED, "", reason, message));
    }
    Ok(parsed)
}

/// A hint, when the protocol of some of the ports follows from the route alone.
pub(crate) fn undeclared(store: &Store, name: &Name, ports: &[u16]) -> Option<String> {
    let service = store.service(&name.namespace, &name.name)?;
    let silent: Vec<u16> = dialled(service)
        .filter(|(number, port)| ports.contains(number) && port.app_protocol.is_none())
        .map(|(number, _)| number)
        .collect();
    let message = || {
        format!(
            "Service {name} declares no appProtocol on {}",
            list(silent.iter())
        )
    };
    (!silent.is_empty()).then(message)
}

/// The Service as its mesh clients see it; `None` when they cannot see it. Parts that are as in
/// `old` are shared with it.
pub(crate) fn service(
    input: Input<'_>,
    name: &Name,
    groups: &Groups,
    old: Option<&Arc<weft_ir::Service>>,
) -> Option<Arc<weft_ir::Service>> {
    let service = input.store.service(&name.namespace, &name.name)?;
    if !has_frontend(service) {
        return None;
    }
    let ports: BTreeMap<u16, &ServicePort> = dialled(service).collect();
    let ports: Vec<_> = ports
        .into_iter()
        .map(|(number, port)| {
            let tls = backend_tls::of_port(input, name, port).transpose();
            let built = Frontend {
                fault: tls.is_err().then_some(BackendFault::BackendTls),
                tls: tls.unwrap_or_default(),
                ..frontend(name, number, port, groups)
            };
            let before = old.and_then(|old| old.port(number));
            match before.filter(|before| same_frontend(before, &built)) {
                Some(before) => before.clone(),
                None => Arc::new(built),
            }
        })
        .collect();
    let cluster_ips: Vec<IpAddr> = service.spec.addresses().collect();
    if let Some(old) = old
        && old.cluster_ips == cluster_ips
        && old.ports.len() == ports.len()
        && old
            .ports
            .iter()
            .zip(&ports)
            .all(|(old, new)| Arc::ptr_eq(old, new))
    {
        return Some(old.clone());
    }
    Some(Arc::new(weft_ir::Service {
        name: name.clone(),
        cluster_ips,
        ports,
    }))
}

/// Whether the Service has, or will get, an address of its own.
fn has_frontend(service: &Service) -> bool {
    *service.spec.type_() != ServiceType::ExternalName && !service.spec.is_headless()
}

/// The ports that mesh clients dial at an address of the Service.
pub(crate) fn dialled(service: &Service) -> impl Iterator<Item = (u16, &ServicePort)> {
    let visible = has_frontend(service);
    let tcp = service
        .spec
        .ports
        .iter()
        .filter(move |port| visible && *port.protocol() == Transport::Tcp);
    tcp.filter_map(|port| Some((u16::try_from(port.port).ok().filter(|it| *it != 0)?, port)))
}

/// A port as messages name it.
fn place((number, port): (u16, &ServicePort)) -> String {
    match &port.name {
        Some(name) => format!("{name:?} on port {number}"),
        None => format!("port {number}"),
    }
}

/// `sectionName` is a port name here; with `port` both must be of the same port.
fn is_named(port: &ServicePort, reference: &ParentReference) -> bool {
    let section = reference
        .section_name
        .as_deref()
        .filter(|name| !name.is_empty());
    section.is_none_or(|name| port.name.as_deref() == Some(name))
        && reference.port.is_none_or(|number| number == port.port)
}

fn is_opaque(port: &ServicePort, kind: RouteKind) -> bool {
    let protocol = service_protocol::frontend(port.app_protocol.as_deref(), Some(kind));
    protocol == FrontendProtocol::Opaque
}

fn frontend(name: &Name, number: u16, port: &ServicePort, groups: &Groups) -> Frontend {
    let mut producer = None;
    let mut consumers: BTreeMap<Arc<str>, Arc<RouteSet>> = BTreeMap::new();
    let mut routed: Option<RouteKind> = None;
    for (namespace, group) in groups.of_frontend(name, number) {
        // HTTPRoutes of one group and GRPCRoutes of another share the port: reading it as for
        // HTTPRoutes takes HTTP/2 as well.
        routed = [routed, group.winner()].into_iter().flatten().min();
        let routes = group.routes().clone();
        if *namespace == name.namespace {
            producer = Some(routes);
        } else {
            consumers.insert(namespace.clone(), routes);
        }
    }
    let app_protocol = port.app_protocol.as_deref();
    Frontend {
        port: number,
        protocol: service_protocol::frontend(app_protocol, routed),
        upstream: service_protocol::pass_through(app_protocol),
        tls: None,
        fault: None,
        producer,
        consumers,
    }
}

/// Equality by pointer where a deep look would cost the size of the tables.
fn same_frontend(old: &Frontend, new: &Frontend) -> bool {
    let same = |(left, right): (&Arc<RouteSet>, &Arc<RouteSet>)| Arc::ptr_eq(left, right);
    let producer = match (&old.producer, &new.producer) {
        (None, None) => true,
        (Some(old), Some(new)) => same((old, new)),
        _ => false,
    };
    producer
        && (old.port, old.protocol) == (new.port, new.protocol)
        && (old.upstream, &old.tls, old.fault) == (new.upstream, &new.tls, new.fault)
        && old.consumers.keys().eq(new.consumers.keys())
        && old.consumers.values().zip(new.consumers.values()).all(same)
}

pub(crate) fn list<'n>(numbers: impl Iterator<Item = &'n u16>) -> String {
    let numbers: Vec<_> = numbers.map(u16::to_string).collect();
    let word = if numbers.len() == 1 { "port" } else { "ports" };
    format!("{word} {}", numbers.join(", "))
}
