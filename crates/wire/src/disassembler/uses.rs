//! Which Service ports, Secrets and ConfigMaps are referred to, and how often.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_ir::{Name, RouteId, Rule, ServicePort};

use super::Touched;

/// References, counted.
#[derive(Debug, Default)]
pub(super) struct Uses {
    of_route: BTreeMap<Arc<RouteId>, Referred>,
    ports: BTreeMap<ServicePort, usize>,
    secrets: BTreeMap<Name, usize>,
    config_maps: BTreeMap<Name, usize>,
}

/// What the rules of a route refer to, ascending and without repeats.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Referred {
    ports: Box<[ServicePort]>,
    config_maps: Box<[Name]>,
}

impl Referred {
    /// What these rules refer to, all of one route.
    pub(super) fn by<'r>(rules: impl Iterator<Item = &'r Arc<Rule>> + Clone) -> Self {
        let ports = rules.clone().flat_map(|rule| rule.service_ports());
        let ports: BTreeSet<&ServicePort> = ports.collect();
        let config_maps = rules.flat_map(|rule| rule.backend_tls());
        let config_maps = config_maps.flat_map(|tls| tls.config_maps());
        let config_maps: BTreeSet<&Name> = config_maps.collect();
        Self {
            ports: ports.into_iter().cloned().collect(),
            config_maps: config_maps.into_iter().cloned().collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.config_maps.is_empty()
    }
}

impl Uses {
    /// Whether a route or a Service that mesh clients see sends to the port.
    pub(super) fn has_port(&self, port: &ServicePort) -> bool {
        self.ports.contains_key(port)
    }

    /// Whether a listener uses the Secret.
    pub(super) fn has_secret(&self, name: &Name) -> bool {
        self.secrets.contains_key(name)
    }

    /// Whether a backend is verified by the ConfigMap.
    pub(super) fn has_config_map(&self, name: &Name) -> bool {
        self.config_maps.contains_key(name)
    }

    /// Takes over what a route refers to. Adds the Services of which a port came into use or went out
    /// of it, and the ConfigMaps that did, to `touched`.
    pub(super) fn replace_route(
        &mut self,
        route: &Arc<RouteId>,
        referred: Referred,
        touched: &mut Touched,
    ) {
        let before = self.of_route.remove(route).unwrap_or_default();
        if before != referred {
            self.replace_ports(&before.ports, &referred.ports, &mut touched.services);
            let (before, after) = (&before.config_maps, &referred.config_maps);
            self.replace_config_maps(before, after, &mut touched.config_maps);
        }
        if !referred.is_empty() {
            self.of_route.insert(route.clone(), referred);
        }
    }

    /// Takes over the ports of a Service, as [`Uses::replace_secrets`] does.
    pub(super) fn replace_ports(
        &mut self,
        before: &[ServicePort],
        after: &[ServicePort],
        touched: &mut BTreeSet<Name>,
    ) {
        let mut touch = |port: &ServicePort| {
            touched.insert(port.service.clone());
        };
        replace(&mut self.ports, (before, after), &mut touch);
    }

    /// Takes over the Secrets of a Gateway; repeats count. Adds those that came into use or went out
    /// of it to `touched`.
    pub(super) fn replace_secrets(
        &mut self,
        before: &[Name],
        after: &[Name],
        touched: &mut BTreeSet<Name>,
    ) {
        replace(&mut self.secrets, (before, after), &mut |name: &Name| {
            touched.insert(name.clone());
        });
    }

    /// Takes over the ConfigMaps of a route or a Service, as [`Uses::replace_secrets`] does.
    pub(super) fn replace_config_maps(
        &mut self,
        before: &[Name],
        after: &[Name],
        touched: &mut BTreeSet<Name>,
    ) {
        replace(
            &mut self.config_maps,
            (before, after),
            &mut |name: &Name| {
                touched.insert(name.clone());
            },
        );
    }
}

/// What is in both is never out of use.
fn replace<K: Ord + Clone>(
    counts: &mut BTreeMap<K, usize>,
    (before, after): (&[K], &[K]),
    touch: &mut impl FnMut(&K),
) {
    after.iter().for_each(|key| add(counts, key, touch));
    before.iter().for_each(|key| drop_one(counts, key, touch));
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
