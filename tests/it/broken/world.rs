//! The good world of the isolation tests, and what is to stay the same in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use weft_api::ObjectRef;
use weft_ir::{EndpointSet, Name, RouteSet, Rule, Service, ServicePort, Tables};
use weft_store::Store;
use weft_tests::{answer::answer, fixture::Fixture};
use weft_translate::{EndpointTable, Note, Output, Status};

/// The Service that broken routes of the mesh attach to.
const VICTIM: &str = "victim";

/// Files that hold the good world, under the names the loader finds them by: first.
pub(super) fn files() -> [(&'static str, &'static str); 2] {
    [
        ("a-base.yaml", include_str!("../../golden/base.yaml")),
        ("a-good.yaml", include_str!("good.yaml")),
    ]
}

/// The good objects, what they are asked for, and the surroundings.
pub(super) fn good() -> (Fixture, BTreeSet<ObjectRef>) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (base, path) = ("golden/base.yaml", "it/broken/good.yaml");
    let fixture = Fixture::load(&tests.join(base), &tests.join(path)).expect("the good world");
    let names = fixture.objects.iter().map(weft_api::AnyObject::reference);
    let names = names.collect();
    (fixture, names)
}

/// Everything a translation says about the good objects.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    statuses: BTreeMap<ObjectRef, Arc<Status>>,
    notes: BTreeMap<ObjectRef, Arc<[Note]>>,
    services: BTreeMap<Name, Arc<Service>>,
    /// By the place they are served at.
    rules: BTreeMap<String, Arc<Rule>>,
    endpoints: BTreeMap<ServicePort, Arc<EndpointSet>>,
    answers: Vec<String>,
}

impl Picture {
    /// What `output` says about the good objects of the fixture.
    pub(super) fn new(
        (fixture, good): (&Fixture, &BTreeSet<ObjectRef>),
        store: &Store,
        output: &Output,
    ) -> Self {
        let statuses = output.statuses.iter();
        let statuses = statuses.filter(|(object, _)| good.contains(object));
        let notes = output.notes.iter();
        let notes = notes.filter(|(object, _)| good.contains(object));
        let is_victim = |name: &Name| &*name.name == VICTIM || &*name.namespace != "shop";
        let services = output.tables.services.iter();
        let services = services.filter(|(name, _)| !is_victim(name) && is_good(good, name));
        let mut table = EndpointTable::default();
        table.update(store);
        let endpoints = table.table().iter();
        let endpoints =
            endpoints.filter(|(port, _)| !is_victim(&port.service) && is_good(good, &port.service));
        let answers = fixture.asks.iter();
        Self {
            statuses: statuses
                .map(|(object, status)| (object.clone(), without_counts(status)))
                .collect(),
            notes: notes
                .map(|(object, notes)| (object.clone(), Arc::clone(notes)))
                .collect(),
            services: services
                .map(|(name, service)| (name.clone(), Arc::clone(service)))
                .collect(),
            rules: rules(&output.tables, good),
            endpoints: endpoints
                .map(|(port, set)| (port.clone(), Arc::clone(set)))
                .collect(),
            answers: answers
                .map(|ask| format!("{}\n{}", ask.text, answer(&output.tables, ask)))
                .collect(),
        }
    }

    /// The first thing that is not as it was in `before`.
    pub(super) fn difference(&self, before: &Self) -> Option<String> {
        if self == before {
            return None;
        }
        for (found, wanted) in self.answers.iter().zip(&before.answers) {
            if found != wanted {
                return Some(format!("answer was {wanted}\n  is {found}"));
            }
        }
        let parts = [
            first_difference("status", &self.statuses, &before.statuses),
            first_difference("findings", &self.notes, &before.notes),
            first_difference("Service", &self.services, &before.services),
            first_difference("rule", &self.rules, &before.rules),
            first_difference("endpoints", &self.endpoints, &before.endpoints),
        ];
        parts.into_iter().flatten().next()
    }

    /// The first compiled part that is another object than in `before`, though it says the same.
    pub(super) fn recompiled(&self, before: &Self) -> Option<String> {
        let rule = moved(&self.rules, &before.rules);
        rule.or_else(|| moved(&self.services, &before.services))
    }

    /// How many things are looked at, so that an empty picture is not taken for a good one.
    pub(super) fn size(&self) -> [usize; 5] {
        let Self {
            statuses,
            services,
            rules,
            endpoints,
            answers,
            ..
        } = self;
        [
            statuses.len(),
            services.len(),
            rules.len(),
            endpoints.len(),
            answers.len(),
        ]
    }
}

fn is_good(good: &BTreeSet<ObjectRef>, service: &Name) -> bool {
    let key = weft_api::ObjectKey::new(Arc::clone(&service.namespace), Arc::clone(&service.name));
    good.contains(&ObjectRef::new(weft_api::Kind::Service, key))
}

/// Routes that are accepted at a Gateway count there, which is nobody's harm.
fn without_counts(status: &Arc<Status>) -> Arc<Status> {
    let Status::Gateway(gateway) = &**status else {
        return Arc::clone(status);
    };
    let mut gateway = gateway.clone();
    for listener in &mut gateway.listeners {
        listener.attached_routes = 0;
    }
    gateway.attached_listener_sets = None;
    Arc::new(Status::Gateway(gateway))
}

/// Rules of good routes, wherever they are served.
fn rules(tables: &Tables, good: &BTreeSet<ObjectRef>) -> BTreeMap<String, Arc<Rule>> {
    let names: BTreeSet<String> = good.iter().map(ToString::to_string).collect();
    let mut found = BTreeMap::new();
    let mut add = |place: String, routes: &RouteSet| {
        for entry in routes.entries() {
            for rule in &entry.rules {
                if names.contains(&rule.route.to_string()) {
                    let hosts = &entry.hostnames;
                    let key = format!("{place} {} rule {} for {hosts:?}", rule.route, rule.index);
                    found.insert(key, Arc::clone(rule));
                }
            }
        }
    };
    for gateway in tables.gateways.values() {
        for port in &gateway.ports {
            for listener in &port.listeners {
                let place = format!("{} {} {}", gateway.name, port.port, listener.name);
                add(place, &listener.routes);
            }
        }
    }
    for service in tables.services.values() {
        for port in &service.ports {
            let groups = port.producer.iter().chain(port.consumers.values());
            for routes in groups {
                add(format!("{}:{}", service.name, port.port), routes);
            }
        }
    }
    found
}

fn first_difference<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
) -> Option<String> {
    let keys: BTreeSet<&K> = found.keys().chain(wanted.keys()).collect();
    let key = keys
        .into_iter()
        .find(|key| found.get(key) != wanted.get(key))?;
    let (found, wanted) = (found.get(key), wanted.get(key));
    Some(format!("{what} of {key:?} was {wanted:?}\n  is {found:?}"))
}

fn moved<K: Ord + std::fmt::Debug, V>(
    found: &BTreeMap<K, Arc<V>>,
    before: &BTreeMap<K, Arc<V>>,
) -> Option<String> {
    let same = |(key, old): &(&K, &Arc<V>)| {
        let new = found.get(*key);
        new.is_some_and(|new| Arc::ptr_eq(new, old))
    };
    let other = before.iter().find(|entry| !same(entry));
    other.map(|(key, _)| format!("{key:?}"))
}
