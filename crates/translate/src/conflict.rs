//! Listeners of one Gateway that cannot be told apart, or only by their hostnames behind TLS.

use std::collections::BTreeMap;

use weft_api::Reason;
use weft_ir::{Hostname, PortProtocol};

use crate::{
    listener::ListenerPlan,
    notes::{self, Findings},
    route::Rejection,
};

#[cfg(test)]
mod tests;

/// Marks every listener that is not distinct. All of them lose; there is never one winner
/// (`GatewaySpec.listeners`, "Handling indistinct Listeners"). Listeners that are refused for what
/// they hold take no part, as the specification says of protocols that are not served: they are not
/// configured, so nothing can be confused with them.
pub(crate) fn mark_conflicts(listeners: &mut [ListenerPlan], findings: &mut Findings) {
    let mut ports: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (at, listener) in listeners.iter().enumerate() {
        if listener.accepted.is_ok() {
            ports.entry(listener.port).or_default().push(at);
        }
    }
    for sharing in ports.values() {
        let conflicts: Vec<_> = sharing
            .iter()
            .filter_map(|&at| conflict(listeners, at, sharing).map(|conflict| (at, conflict)))
            .collect();
        for (at, conflict) in conflicts {
            let field = format!("spec.listeners[{}]", listeners[at].index);
            findings.add(&notes::LISTENER_CONFLICT, field, conflict.message.clone());
            listeners[at].conflict = Some(conflict);
        }
    }
}

/// Marks HTTPS listeners of one port whose hostnames overlap: a client may send requests for one
/// over a connection made for the other (GEP-3567).
pub(crate) fn mark_overlaps(listeners: &mut [ListenerPlan], findings: &mut Findings) {
    let overlaps: Vec<_> = (0..listeners.len())
        .filter_map(|at| overlap(listeners, at).map(|overlap| (at, overlap)))
        .collect();
    for (at, overlap) in overlaps {
        let field = format!("spec.listeners[{}].hostname", listeners[at].index);
        findings.add(&notes::OVERLAPPING_TLS, field, overlap.message.clone());
        listeners[at].overlap = Some(overlap);
    }
}

fn conflict(listeners: &[ListenerPlan], at: usize, sharing: &[usize]) -> Option<Rejection> {
    let own = listeners.get(at)?;
    let others = || {
        sharing
            .iter()
            .filter(|other| **other != at)
            .filter_map(|o| listeners.get(*o))
    };
    let protocol = others().find(|other| other.protocol != own.protocol);
    if let Some(other) = protocol {
        let message = format!(
            "listeners {:?} and {:?} use port {} with different protocols",
            own.name, other.name, own.port
        );
        return Some(Rejection::new(Reason::ProtocolConflict.as_str(), message));
    }
    let other = others().find(|other| other.hostname == own.hostname)?;
    let host = own
        .hostname
        .as_ref()
        .map_or_else(|| "every host".to_owned(), Hostname::to_string);
    let message = format!(
        "listeners {:?} and {:?} both take {host} on port {}",
        own.name, other.name, own.port
    );
    Some(Rejection::new(Reason::HostnameConflict.as_str(), message))
}

fn overlap(listeners: &[ListenerPlan], at: usize) -> Option<Rejection> {
    let own = listeners.get(at).filter(|own| is_tls(own))?;
    let others = listeners
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != at);
    let overlapping: Vec<_> = others
        .map(|(_, other)| other)
        .filter(|other| is_tls(other) && other.port == own.port)
        .filter(|other| have_common_hosts(own.hostname.as_ref(), other.hostname.as_ref()))
        .map(|other| format!("{:?}", other.name))
        .collect();
    if overlapping.is_empty() {
        return None;
    }
    let message = format!(
        "hosts of this listener are also hosts of {}",
        overlapping.join(", ")
    );
    Some(Rejection::new(
        Reason::OverlappingHostnames.as_str(),
        message,
    ))
}

fn is_tls(listener: &ListenerPlan) -> bool {
    listener.protocol == Some(PortProtocol::Https) && listener.in_tables()
}

fn have_common_hosts(left: Option<&Hostname>, right: Option<&Hostname>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => left.intersect(right).is_some(),
        _ => true,
    }
}
