//! From configurations to snapshots, one after the other.

mod places;
mod pods;
mod uses;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_ir::{EndpointSet, Gateway, Name, RouteId, Service, ServicePort};

use self::{
    places::{Places, sets_of_gateway, sets_of_service},
    pods::PodsView,
    uses::{Referred, Uses},
};
use crate::{
    Configuration, Key, Kind, Pool, Scope, Snapshot,
    body::{self, RouteParts},
};

/// Takes one state of the configuration after the other apart into resources.
///
/// The snapshot is always that of a fresh disassembler; only the work differs. Parts that are shared
/// with the state before (`Arc` pointer equality) are not looked into: a changed route costs a look
/// at the pointers of the sets it is in, and its own encoding.
#[derive(Debug)]
pub struct Disassembler {
    scope: Scope,
    pods: PodsView,
    seen: Configuration,
    places: Places,
    uses: Uses,
    snapshot: Arc<Snapshot>,
}

/// What of an update concerns endpoints, certificates and authorities.
#[derive(Default)]
struct Touched {
    /// Services of which another selection of ports is in use, or whose endpoints changed.
    services: BTreeSet<Name>,
    /// Secrets that came into use or went out of it, or that changed.
    secrets: BTreeSet<Name>,
    /// ConfigMaps that came into use or went out of it, or that changed.
    config_maps: BTreeSet<Name>,
}

impl Disassembler {
    /// A disassembler that has seen the empty configuration.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            pods: PodsView::default(),
            seen: Configuration::default(),
            places: Places::default(),
            uses: Uses::default(),
            snapshot: Arc::default(),
        }
    }

    /// The same, which shares resources with the others of the pool.
    pub fn sharing(scope: Scope, pool: &Pool) -> Self {
        Self {
            snapshot: Arc::new(Snapshot::sharing(pool)),
            ..Self::new(scope)
        }
    }

    /// The scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The resources as of the last update.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Takes over a state of the configuration. The same snapshot comes back (the same `Arc`) if
    /// nothing of the scope changed. What cannot be encoded is in [`Snapshot::refused`], and stays as
    /// it last was.
    pub fn update(&mut self, now: &Configuration) -> &Arc<Snapshot> {
        let viewed;
        let now = match &self.scope {
            Scope::Node(node) => {
                viewed = self.pods.of_node(node, now);
                &viewed
            }
            Scope::Shard(namespace) => {
                viewed = self.pods.of_namespace(namespace, now);
                &viewed
            }
            Scope::Everything | Scope::Gateway(_) | Scope::GatewayOutside(_) => now,
        };
        let mut next = Snapshot::clone(&self.snapshot);
        let mut touched = Touched::default();
        let mut routes = BTreeSet::new();
        self.gateways(now, &mut next, (&mut routes, &mut touched));
        self.services(now, &mut next, (&mut routes, &mut touched));
        for route in &routes {
            self.route(route, &mut next, &mut touched);
        }
        self.endpoints(now, &mut next, touched.services);
        self.certificates(now, &mut next, touched.secrets);
        self.ca_bundles(now, &mut next, touched.config_maps);
        if self.scope.has_mesh() {
            pods::update(&self.seen, now, &mut next);
        }
        self.seen = now.clone();
        if !next.shares_all(&self.snapshot) {
            self.snapshot = Arc::new(next);
        }
        &self.snapshot
    }

    fn gateways(
        &mut self,
        now: &Configuration,
        next: &mut Snapshot,
        (routes, touched): (&mut BTreeSet<Arc<RouteId>>, &mut Touched),
    ) {
        let Self {
            scope,
            seen,
            places,
            uses,
            ..
        } = self;
        let (old, new) = (&seen.tables.gateways, &now.tables.gateways);
        for (name, before, after) in changed(old, new) {
            if !scope.has_gateway(name) {
                continue;
            }
            let sets = |gateway: Option<&Arc<Gateway>>| {
                gateway.map(|it| sets_of_gateway(it)).unwrap_or_default()
            };
            places.replace(sets(before), sets(after), routes);
            let certificates = |gateway: Option<&Arc<Gateway>>| -> Vec<Name> {
                let gateways = || gateway.into_iter();
                let listeners = gateways().flat_map(|gateway| &gateway.ports);
                let listeners = listeners.flat_map(|port| &port.listeners);
                let towards_clients = listeners.flat_map(|it| &it.certificates);
                let towards_backends = gateways().filter_map(|it| it.client_certificate.as_ref());
                towards_clients.chain(towards_backends).cloned().collect()
            };
            uses.replace_secrets(
                &certificates(before),
                &certificates(after),
                &mut touched.secrets,
            );
            match after {
                Some(gateway) => next.put(body::encode_gateway(gateway)),
                None => next.remove(&Key::new(Kind::Gateway, name.clone())),
            }
        }
    }

    fn services(
        &mut self,
        now: &Configuration,
        next: &mut Snapshot,
        (routes, touched): (&mut BTreeSet<Arc<RouteId>>, &mut Touched),
    ) {
        if !self.scope.has_mesh() {
            return;
        }
        let (old, new) = (&self.seen.tables.services, &now.tables.services);
        for (name, before, after) in changed(old, new) {
            let sets = |service: Option<&Arc<Service>>| {
                service.map(|it| sets_of_service(it)).unwrap_or_default()
            };
            self.places.replace(sets(before), sets(after), routes);
            let config_maps = |service: Option<&Arc<Service>>| -> Vec<Name> {
                let ports = service.into_iter().flat_map(|it| &it.ports);
                let settings = ports.filter_map(|port| port.tls.as_ref());
                let names = settings.flat_map(|tls| tls.config_maps());
                names.cloned().collect()
            };
            let (old, new) = (config_maps(before), config_maps(after));
            self.uses
                .replace_config_maps(&old, &new, &mut touched.config_maps);
            // What no route takes goes to the Service's own endpoints.
            let (old, new) = (ports_of(before), ports_of(after));
            self.uses.replace_ports(&old, &new, &mut touched.services);
            match after {
                Some(service) => next.put(body::encode_service(service)),
                None => next.remove(&Key::new(Kind::Service, name.clone())),
            }
        }
    }

    fn route(&mut self, id: &Arc<RouteId>, next: &mut Snapshot, touched: &mut Touched) {
        let attached = self.places.of(id);
        let rules = attached.iter().flat_map(|(_, entry)| &entry.rules);
        let referred = Referred::by(rules);
        if attached.is_empty() {
            next.remove(&Key::of_route(id));
        } else {
            let encoded = body::encode_route(&RouteParts { id, attached });
            let is_refused = encoded.is_err();
            next.put(encoded);
            if is_refused {
                // The version before stays, and what it sends to.
                return;
            }
        }
        self.uses.replace_route(id, referred, touched);
    }

    fn endpoints(&self, now: &Configuration, next: &mut Snapshot, mut services: BTreeSet<Name>) {
        let everything = self.scope.has_unreferenced();
        for (port, ..) in changed(&self.seen.endpoints, &now.endpoints) {
            if everything || self.uses.has_port(port) {
                services.insert(port.service.clone());
            }
        }
        for service in services {
            let key = |port| ServicePort {
                service: service.clone(),
                port,
            };
            let ports = now.endpoints.range(key(0)..=key(u16::MAX));
            let ports: BTreeMap<u16, &Arc<EndpointSet>> = ports
                .filter(|(port, _)| everything || self.uses.has_port(port))
                .map(|(port, set)| (port.port, set))
                .collect();
            let key = Key::new(Kind::Endpoints, service);
            if ports.is_empty() {
                next.remove(&key);
            } else {
                let encoded = match self.scope.has_members() {
                    true => body::encode_endpoints(key, &ports),
                    false => body::encode_endpoints_outside(key, &ports),
                };
                next.put(encoded);
            }
        }
    }

    fn certificates(&self, now: &Configuration, next: &mut Snapshot, mut secrets: BTreeSet<Name>) {
        let everything = self.scope.has_unreferenced();
        for (name, ..) in changed(&self.seen.certificates, &now.certificates) {
            secrets.insert(name.clone());
        }
        for name in secrets {
            let wanted = everything || self.uses.has_secret(&name);
            let certificate = now.certificates.get(&name).filter(|_| wanted);
            let key = Key::new(Kind::Certificate, name);
            match certificate {
                Some(certificate) => next.put(body::encode_certificate(key, certificate)),
                None => next.remove(&key),
            }
        }
    }

    fn ca_bundles(&self, now: &Configuration, next: &mut Snapshot, mut maps: BTreeSet<Name>) {
        let everything = self.scope.has_unreferenced();
        for (name, ..) in changed(&self.seen.ca_bundles, &now.ca_bundles) {
            maps.insert(name.clone());
        }
        for name in maps {
            let wanted = everything || self.uses.has_config_map(&name);
            let bundle = now.ca_bundles.get(&name).filter(|_| wanted);
            let key = Key::new(Kind::CaBundle, name);
            match bundle {
                Some(bundle) => next.put(body::encode_ca_bundle(key, bundle)),
                None => next.remove(&key),
            }
        }
    }
}

/// The ports of a Service that mesh clients see.
fn ports_of(service: Option<&Arc<Service>>) -> Vec<ServicePort> {
    let ports = service.into_iter().flat_map(|service| {
        let port = |port: u16| ServicePort {
            service: service.name.clone(),
            port,
        };
        service.ports.iter().map(move |it| port(it.port))
    });
    ports.collect()
}

/// A key, and its values in the old and the new map.
type Change<'a, K, V> = (&'a K, Option<&'a Arc<V>>, Option<&'a Arc<V>>);

/// The entries that two maps do not share, in order. Costs a comparison of keys and pointers per
/// entry.
fn changed<'a, K: Ord, V>(
    old: &'a BTreeMap<K, Arc<V>>,
    new: &'a BTreeMap<K, Arc<V>>,
) -> Vec<Change<'a, K, V>> {
    let mut changed = Vec::new();
    if std::ptr::eq(old, new) {
        return changed;
    }
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some((before, _)), Some((after, _))) => before.cmp(after),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => break,
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        match (before, after) {
            (Some((_, before)), Some((_, after))) if Arc::ptr_eq(before, after) => {}
            (Some((key, before)), after) => {
                changed.push((key, Some(before), after.map(|(_, after)| after)));
            }
            (None, Some((key, after))) => changed.push((key, None, Some(after))),
            (None, None) => break,
        }
    }
    changed
}
