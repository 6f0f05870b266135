//! From objects to a served configuration: store, translation, endpoints, certificates, sockets.
//!
//! One [`Assembly`] is owned by one thread. It takes changes of objects and says what came of them;
//! the work is that of what changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use weft_api::{AnyObject, ObjectRef};
use weft_control::deploy::deployed_name;
use weft_forward::{Configuration, Members, Sender};
use weft_ir::Name;
use weft_proxy::{
    loopback::Loopback,
    standalone::{DataPath, Update},
};
use weft_source::Event;
use weft_spiffe::TrustDomain;
use weft_store::Store;
use weft_telemetry::metrics::ConfigMetrics;
use weft_translate::{ClassPolicy, EndpointTable, Note, Output, Scope, Status, Translator};

use super::{
    authorities::Authorities,
    certificates::Certificates,
    sockets::{Sockets, asked_address},
};
use crate::clock;

/// How often other sockets are tried after the system refused some.
const ATTEMPTS: u32 = 8;

/// What came of some changes.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Statuses that are new, different or gone.
    pub(crate) statuses: Vec<(ObjectRef, Option<Arc<Status>>)>,
    /// Findings about objects that had none or others before.
    pub(crate) notes: Vec<Arc<[Note]>>,
    /// What users should know about addresses and ports.
    pub(crate) remarks: Vec<String>,
    /// Whether addresses, ports or sockets are others than before; true the first time.
    pub(crate) places_changed: bool,
    /// Generation that is served now.
    pub(crate) generation: u64,
}

/// Everything between the source of objects and the data path.
pub(crate) struct Assembly {
    store: Store,
    translator: Translator,
    endpoints: EndpointTable,
    certificates: Certificates,
    authorities: Authorities,
    sockets: Sockets,
    scope: Scope,
    output: Output,
    update: Update,
    settled_revision: Option<u64>,
    data_path: Arc<DataPath>,
    mesh: Arc<Loopback>,
    /// What is wrong with the mesh, and whether users have been told.
    problems: Vec<String>,
    remarks: Vec<String>,
    metrics: Arc<ConfigMetrics>,
}

impl Assembly {
    /// Nothing is served yet.
    pub(crate) fn new(
        classes: ClassPolicy,
        sockets: Sockets,
        (data_path, mesh): (Arc<DataPath>, Arc<Loopback>),
        metrics: Arc<ConfigMetrics>,
    ) -> Self {
        let scope = Scope {
            classes,
            ..Scope::standalone()
        };
        Self {
            store: Store::default(),
            translator: Translator::default(),
            endpoints: EndpointTable::new(scope.enrolment.clone()),
            certificates: Certificates::default(),
            authorities: Authorities::default(),
            sockets,
            scope,
            output: Output::default(),
            update: Update {
                generation: 0,
                configuration: Configuration::default(),
                binds: Arc::default(),
            },
            settled_revision: None,
            data_path,
            mesh,
            problems: Vec::new(),
            remarks: Vec::new(),
            metrics,
        }
    }

    /// Takes over changes. Nothing of it is served before [`settle`](Self::settle).
    pub(crate) fn take(&mut self, events: Vec<Event>) {
        let (asking, others): (Vec<_>, Vec<_>) = events.into_iter().partition(asks_for_address);
        // Who asks for an address comes before those that take any.
        let is_first = self.store.is_empty();
        for event in asking.into_iter().chain(others) {
            match event {
                Event::Apply(AnyObject::Service(service)) => {
                    let service = self.sockets.admit(service);
                    self.store.apply(AnyObject::Service(service));
                }
                Event::Apply(object) => {
                    self.store.apply(object);
                }
                Event::Delete(reference) => {
                    if let Some(AnyObject::Service(_)) = self.store.delete(&reference) {
                        let key = &reference.key;
                        self.sockets
                            .dismiss(&Name::new(key.namespace(), key.name()));
                    }
                }
            }
        }
        if is_first {
            self.store.shrink_to_fit();
        }
    }

    /// Serves what the objects say now. `changed_at` is when the source noticed the change.
    pub(crate) fn settle(&mut self, changed_at: Instant) -> Settled {
        let places = self.sockets.revision();
        // That nothing listens anywhere is worth writing down too, once.
        let is_first = self.settled_revision.is_none();
        let (mut statuses, mut notes) = (Vec::new(), Vec::new());
        if self.settled_revision != Some(self.store.revision()) {
            let before = std::mem::take(&mut self.output);
            self.serve(changed_at);
            self.settled_revision = Some(self.store.revision());
            statuses = differences(&before.statuses, &self.output.statuses);
            let changed = differences(&before.notes, &self.output.notes);
            notes = changed.into_iter().filter_map(|(_, notes)| notes).collect();
        }
        let mut remarks = self.sockets.take_remarks();
        remarks.append(&mut self.remarks);
        Settled {
            statuses,
            notes,
            remarks,
            places_changed: is_first || places != self.sockets.revision(),
            generation: self.update.generation,
        }
    }

    /// Translates and applies until the sockets that can be had are open and the statuses say so.
    fn serve(&mut self, changed_at: Instant) {
        self.certificates.update(&self.store);
        let changed = self.endpoints.update(&self.store);
        if !changed.is_empty() {
            self.update.configuration.endpoints = Arc::clone(self.endpoints.table());
        }
        self.update.configuration.certificates = self.certificates.usable();
        self.scope.unusable_certificates = self.certificates.unusable();
        self.authorities.update(&self.store);
        self.update.configuration.roots = self.authorities.usable();
        self.scope.unusable_authorities = self.authorities.unusable();
        for _ in 0..ATTEMPTS {
            self.translate();
            self.join();
            self.update.generation += 1;
            let applying = clock::now();
            let applied = self.data_path.apply(&self.update);
            let took = clock::now().saturating_duration_since(applying);
            tracing::debug!(sockets = self.update.binds.len(), ?took, "applied");
            if let Some(error) = applied.tls {
                tracing::error!(%error, "an HTTPS port cannot be prepared");
            }
            let since = clock::now().saturating_duration_since(changed_at);
            self.metrics.applied(self.update.generation, since);
            if applied.failed.is_empty() {
                return;
            }
            let retry = self.sockets.refused(&applied.failed);
            self.readmit(&retry.readmit);
            if !retry.again {
                return;
            }
        }
    }

    /// Translates, again if what came of it gives Gateways other addresses.
    fn translate(&mut self) {
        self.sockets.place_gateways(&self.store);
        for _ in 0..ATTEMPTS {
            self.scope.gateways = self.sockets.facts();
            let started = clock::now();
            self.output = self.translator.translate(&self.store, &self.scope);
            let took = clock::now().saturating_duration_since(started);
            self.metrics.translated(took);
            tracing::debug!(?took, "translated");
            if self.sockets.plan(&self.output.tables) {
                self.update.binds = Arc::clone(self.sockets.wanted());
            }
            self.update.configuration.tables = Arc::clone(&self.output.tables);
            if self.sockets.facts() == self.scope.gateways {
                return;
            }
        }
    }

    /// Makes sure that members answer, and that those who send to them have a name.
    fn join(&mut self) {
        let endpoints = &self.update.configuration.endpoints;
        if self.update.configuration.members.answering.is_empty()
            && !endpoints.values().any(|set| set.has_members())
        {
            return;
        }
        let senders = self.update.binds.iter().map(|bind| Sender::of(&bind.key));
        let senders = senders
            .map(|sender| {
                let id = self.identity_of(&sender);
                (sender, id)
            })
            .collect();
        let settled = self.mesh.settle(endpoints, &senders);
        let names = |members: &Members| members.answering.keys().cloned().collect::<BTreeSet<_>>();
        let (before, now) = (
            names(&self.update.configuration.members),
            names(&settled.members),
        );
        for id in now.difference(&before) {
            let remark = format!("endpoints of {id} are reached in mutual TLS");
            self.remarks.push(remark);
        }
        for id in before.difference(&now) {
            let remark = format!("endpoints of {id} have left the mesh");
            self.remarks.push(remark);
        }
        self.update.configuration.members = settled.members;
        if self.problems != settled.problems {
            self.remarks.extend(settled.problems.iter().cloned());
            self.problems = settled.problems;
        }
    }

    /// The identity a sender would have in a cluster: a Gateway that of the account it is deployed with,
    /// clients that of the account of Pods that name none.
    fn identity_of(&self, sender: &Sender) -> Arc<str> {
        let (namespace, account) = match sender {
            Sender::Gateway(Name { namespace, name }) => {
                let gateway = self.store.gateways().get(namespace, name);
                let class = gateway.map_or("", |it| it.spec.gateway_class_name.as_str());
                (namespace, deployed_name(name, class))
            }
            Sender::Namespace(namespace) => (namespace, "default".to_owned()),
        };
        let domain = TrustDomain::default();
        format!("spiffe://{domain}/ns/{namespace}/sa/{account}").into()
    }

    fn readmit(&mut self, services: &BTreeSet<Name>) {
        for Name { namespace, name } in services {
            if let Some(service) = self.store.service(namespace, name).cloned() {
                let service = self.sockets.admit(service);
                self.store.apply(AnyObject::Service(service));
            }
        }
    }

    /// The objects as they are served, ClusterIPs filled in.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The last translation.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Metrics of the configuration.
    pub(crate) fn metrics(&self) -> &ConfigMetrics {
        &self.metrics
    }

    /// Where everything listens.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }
}

fn asks_for_address(event: &Event) -> bool {
    match event {
        Event::Apply(AnyObject::Service(service)) => asked_address(service).is_some(),
        _ => false,
    }
}

/// Parts that are new, different (by pointer) or gone.
fn differences<T: ?Sized>(
    old: &BTreeMap<ObjectRef, Arc<T>>,
    new: &BTreeMap<ObjectRef, Arc<T>>,
) -> Vec<(ObjectRef, Option<Arc<T>>)> {
    let mut changed = Vec::new();
    let mut before = old.iter().peekable();
    for (object, part) in new {
        while let Some((gone, _)) = before.next_if(|(other, _)| *other < object) {
            changed.push((gone.clone(), None));
        }
        let same = before
            .next_if(|(other, _)| *other == object)
            .is_some_and(|(_, before)| Arc::ptr_eq(before, part));
        if !same {
            changed.push((object.clone(), Some(Arc::clone(part))));
        }
    }
    changed.extend(before.map(|(gone, _)| (gone.clone(), None)));
    changed
}
