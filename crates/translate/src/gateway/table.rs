//! The part of the tables that one Gateway makes.

use std::{collections::BTreeMap, sync::Arc};

use weft_ir::{Gateway, Listener, Port};

use super::GatewayPlan;
use crate::{
    group::{GroupKey, Groups},
    listener::ListenerPlan,
};

/// The Gateway as the data path reads it; `None` when nothing of it is served. Parts that are as in
/// `old` are shared with it.
pub(crate) fn build(
    plan: &GatewayPlan,
    groups: &Groups,
    old: Option<&Arc<Gateway>>,
) -> Option<Arc<Gateway>> {
    let mut ports: BTreeMap<u16, Vec<&ListenerPlan>> = BTreeMap::new();
    for listener in plan.in_tables() {
        ports.entry(listener.port).or_default().push(listener);
    }
    let old_ports = old.map(|old| old.ports.as_slice()).unwrap_or_default();
    let ports: Vec<Arc<Port>> = ports
        .into_iter()
        .filter_map(|(number, listeners)| {
            let before = old_ports.iter().find(|port| port.port == number);
            port(plan, listeners, groups, before)
        })
        .collect();
    if ports.is_empty() {
        return None;
    }
    let client_certificate = plan.client_certificate.clone().and_then(Result::ok);
    match old {
        Some(old) if same(&old.ports, &ports) && old.client_certificate == client_certificate => {
            Some(old.clone())
        }
        _ => Some(Arc::new(Gateway {
            name: plan.name.clone(),
            ports,
            client_certificate,
        })),
    }
}

fn port(
    plan: &GatewayPlan,
    listeners: Vec<&ListenerPlan>,
    groups: &Groups,
    old: Option<&Arc<Port>>,
) -> Option<Arc<Port>> {
    let first = listeners.first()?;
    let (number, protocol) = (first.port, first.protocol?);
    let before = old.filter(|old| old.protocol == protocol);
    let old_listeners = before
        .map(|old| old.listeners.as_slice())
        .unwrap_or_default();
    let listeners = listeners.into_iter().map(|listener| {
        let before = old_listeners
            .iter()
            .find(|before| before.name == listener.name);
        self::listener(plan, listener, groups, before)
    });
    let port = Port::new(number, protocol, listeners.collect());
    match before {
        Some(old) if same(&old.listeners, &port.listeners) => Some(old.clone()),
        _ => Some(Arc::new(port)),
    }
}

fn listener(
    plan: &GatewayPlan,
    listener: &ListenerPlan,
    groups: &Groups,
    old: Option<&Arc<Listener>>,
) -> Arc<Listener> {
    let (gateway, name) = (plan.name.clone(), listener.name.clone());
    let group = groups.get(&GroupKey::Listener {
        gateway,
        listener: name.clone(),
    });
    let routes = match (group, old) {
        (Some(group), _) => group.routes().clone(),
        (None, Some(old)) if old.routes.is_empty() => old.routes.clone(),
        (None, _) => Arc::default(),
    };
    let unchanged = |old: &&Arc<Listener>| {
        old.hostname == listener.hostname
            && old.certificates == listener.certificates
            && Arc::ptr_eq(&old.routes, &routes)
    };
    match old.filter(unchanged) {
        Some(old) => old.clone(),
        None => Arc::new(Listener {
            name,
            hostname: listener.hostname.clone(),
            certificates: listener.certificates.clone(),
            routes,
        }),
    }
}

fn same<T>(old: &[Arc<T>], new: &[Arc<T>]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| Arc::ptr_eq(old, new))
}
