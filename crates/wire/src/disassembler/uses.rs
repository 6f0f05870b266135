//! Which Service ports and Secrets are referred to, and how often.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_ir::{Name, RouteId, ServicePort};

/// References, counted.
#[derive(Debug, Default)]
pub(super) struct Uses {
    of_route: BTreeMap<Arc<RouteId>, Box<[ServicePort]>>,
    ports: BTreeMap<ServicePort, usize>,
    secrets: BTreeMap<Name, usize>,
}

impl Uses {
    /// Whether a route sends to the port.
    pub(super) fn has_port(&self, port: &ServicePort) -> bool {
        self.ports.contains_key(port)
    }

    /// Whether a listener uses the Secret.
    pub(super) fn has_secret(&self, name: &Name) -> bool {
        self.secrets.contains_key(name)
    }

    /// Takes over the ports of a route, without repeats. Adds Services of which a port came into use
    /// or went out of it to `touched`.
    pub(super) fn replace_ports(
        &mut self,
        route: &Arc<RouteId>,
        ports: Box<[ServicePort]>,
        touched: &mut BTreeSet<Name>,
    ) {
        let mut touch = |port: &ServicePort| {
            touched.insert(port.service.clone());
        };
        let before = self.of_route.remove(route).unwrap_or_default();
        if before == ports {
            if !ports.is_empty() {
                self.of_route.insert(route.clone(), before);
            }
            return;
        }
        ports
            .iter()
            .for_each(|port| add(&mut self.ports, port, &mut touch));
        before
            .iter()
            .for_each(|port| drop_one(&mut self.ports, port, &mut touch));
        if !ports.is_empty() {
            self.of_route.insert(route.clone(), ports);
        }
    }

    /// Takes over the Secrets of a Gateway; repeats count. Adds those that came into use or went out
    /// of it to `touched`.
    pub(super) fn replace_secrets(
        &mut self,
        before: &[Name],
        after: &[Name],
        touched: &mut BTreeSet<Name>,
    ) {
        let mut touch = |name: &Name| {
            touched.insert(name.clone());
        };
        after
            .iter()
            .for_each(|name| add(&mut self.secrets, name, &mut touch));
        before
            .iter()
            .for_each(|name| drop_one(&mut self.secrets, name, &mut touch));
    }
}

fn add<K: Ord + Clone>(counts: &mut BTreeMap<K, usize>, key: &K, first: &mut impl FnMut(&K)) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.clone(), 1);
            first(key);
        }
    }
}

fn drop_one<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K, last: &mut impl FnMut(&K)) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count -= 1,
        Some(_) => {
            counts.remove(key);
            last(key);
        }
        None => {}
    }
}
