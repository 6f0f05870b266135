//! From objects to a configuration and statuses: store, translation, endpoints, certificates.
//!
//! One [`World`] has one owner. It takes changes of objects and facts about Gateways, and says what
//! came of them; the work is that of what changed. It does no IO and knows no time.

mod addresses;
mod captured;
mod certificates;
mod deployments;
mod ending;
mod facts;
mod leaving;
mod starting;
mod statuses;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use weft_api::{
    AnyObject, ConditionStatus, ConditionType, Gateway, GatewayClass, Object, ObjectRef,
};
use weft_ir::Name;
use weft_source::Event;
use weft_spiffe::TrustDomain;
use weft_store::Store;
use weft_translate::{
    EndpointTable, Enrolment, GatewayFacts, Output, Scope, Translator, UnusableParameters,
    features::Channel, referents,
};
use weft_wire::Configuration;

pub(crate) use self::facts::{Changes, Gateways, Heard, Installed, Served, Settled};
pub(crate) use self::statuses::has_status;
use self::{
    certificates::Certificates,
    ending::Ending,
    leaving::Leaving,
    starting::Beginners,
    statuses::{changed, gone_from},
};
use crate::{
    deploy::{Parameters, deployed_name, limit},
    deployer::Failures,
};

/// Everything between the watches and the streams.
pub(crate) struct World {
    store: Store,
    translator: Translator,
    endpoints: EndpointTable,
    certificates: Certificates,
    ending: Ending,
    leaving: Leaving,
    beginners: Beginners,
    /// What the deployer could not deploy.
    undeployed: Failures,
    /// Parameters of the Gateways that can be deployed, as far as parameters go.
    parameters: BTreeMap<Name, Parameters>,
    scope: Scope,
    output: Output,
    configuration: Configuration,
    gateways: Arc<Gateways>,
    /// Revision of the store and the scope that the output is of.
    translated: Option<(u64, Scope)>,
    generation: u64,
}

impl World {
    /// An empty one. `deploys` says whether what [`World::deployments`] returns is heeded; parameters
    /// of Gateways are refused otherwise.
    /// `mesh` is the trust domain of the mesh and the namespace of its proxies, where there is one.
    pub(crate) fn new(deploys: bool, mesh: Option<(TrustDomain, &str)>) -> Self {
        let has_mesh = mesh.is_some();
        let (mesh, namespace) = mesh.unzip();
        // Before its node says that it is captured, nothing answers for a pod.
        let enrolment = mesh.map_or(Enrolment::Nobody, Enrolment::captured);
        let mut scope = Scope {
            has_mesh,
            enrolment: enrolment.clone(),
            bundle_version: None,
            unusable_parameters: deploys.then(UnusableParameters::default),
            ..Scope::cluster(Channel::Standard, "")
        };
        limit(&mut scope);
        Self {
            store: Store::default(),
            translator: Translator::default(),
            endpoints: EndpointTable::new(enrolment),
            certificates: Certificates::default(),
            ending: Ending::default(),
            leaving: Leaving::default(),
            beginners: Beginners::new(namespace),
            undeployed: Failures::default(),
            parameters: BTreeMap::new(),
            scope,
            output: Output::default(),
            configuration: Configuration::default(),
            gateways: Arc::default(),
            translated: None,
            generation: 0,
        }
    }

    /// Takes over changes; returns what they were about.
    pub(crate) fn take(&mut self, events: Vec<Event>) -> Changes {
        let is_first = self.store.is_empty();
        let (mut seen, mut gone) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Apply(AnyObject::Pod(pod)) if captured::is_known(&self.store, &pod) => {}
                Event::Apply(object) => {
                    if let AnyObject::Pod(pod) = &object {
                        self.beginners.see(pod);
                    }
                    let reference = object.reference();
                    self.ending.forget(&reference);
                    seen.push(reference);
                    self.store.apply(object);
                }
                Event::Delete(reference) => {
                    self.store.delete(&reference);
                    self.beginners.forget(&reference);
                    self.ending.forget(&reference);
                    gone.push(reference);
                }
            }
        }
        if is_first {
            self.store.shrink_to_fit();
        }
        (seen, gone)
    }

    /// Which Gateway API is installed.
    pub(crate) fn install(&mut self, installed: Installed) {
        self.scope.channel = installed.channel;
        self.scope.bundle_version = installed.bundle_version;
    }

    /// The Secrets and ConfigMaps to read.
    pub(crate) fn referents(&self) -> BTreeSet<ObjectRef> {
        let mut found = referents(&self.store, &self.scope);
        found.extend(self.parameter_maps());
        found
    }

    fn our_gateways(&self) -> impl Iterator<Item = &Arc<Gateway>> {
        let gateways = self.store.gateways().iter();
        gateways.filter(|gateway| self.class_of(gateway).is_some())
    }

    /// Those of ours that are gone for everybody but their proxies.
    fn ending_gateways(&self) -> impl Iterator<Item = &Arc<Gateway>> {
        let gateways = self.ending.gateways();
        gateways.filter(|gateway| self.class_of(gateway).is_some())
    }

    /// The class of a Gateway, if it is ours.
    fn class_of(&self, gateway: &Gateway) -> Option<&Arc<GatewayClass>> {
        let class = &gateway.spec.gateway_class_name;
        let class = self.store.gateway_classes().get("", class);
        class.filter(|it| it.spec.controller_name == self.scope.gateway_controller)
    }

    /// Translates, if anything it depends on is different. `seen` are objects whose status is to be
    /// compared again in any case.
    pub(crate) fn settle(
        &mut self,
        heard: Heard<impl FnOnce(&Gateways) -> BTreeMap<Name, i64>>,
        (seen, mut gone): Changes,
    ) -> Settled {
        let Heard {
            acknowledged,
            departed,
            now,
        } = heard;
        let is_released = self.leaving.release(&departed, now);
        gone.extend(self.ending.settle(&mut self.store));
        let gateways = self.find_gateways();
        self.certificates.update(&self.store);
        self.scope.unusable_certificates = self.certificates.unusable();
        self.scope.unusable_authorities.config_maps = self.certificates.unusable_authorities();
        self.judge_parameters();
        let starting = self.beginners.settle(&self.store);
        self.scope.enrolment.start(starting);
        self.scope.gateways = self.facts(&gateways, &acknowledged(&gateways));
        let mut touched: BTreeSet<ObjectRef> = seen.into_iter().collect();
        let mut withdrawn = Vec::new();
        let mut is_new = self.translated.is_none();
        let is_of = |(revision, scope): &(u64, Scope)| {
            *revision == self.store.revision() && *scope == self.scope
        };
        let is_translated = !self.translated.as_ref().is_some_and(is_of);
        if is_translated {
            let old = std::mem::take(&mut self.output.statuses);
            self.output = self.translator.translate(&self.store, &self.scope);
            self.endpoints.enrol(&self.scope.enrolment);
            self.endpoints.update(&self.store);
            touched.extend(changed(&old, &self.output.statuses));
            withdrawn = gone_from(&old, &self.output.statuses);
            self.translated = Some((self.store.revision(), self.scope.clone()));
        }
        if is_translated || is_released {
            is_new |= self.configure();
        }
        if gateways != *self.gateways {
            // Acknowledgements name configurations, and these have to lead to objects.
            is_new |= !same_generations(&gateways, &self.gateways);
            self.gateways = Arc::new(gateways);
        }
        if is_new {
            self.generation += 1;
        }
        self.leaving.begin(self.generation, now);
        let statuses = touched.iter().filter_map(|object| self.stated(object));
        let withdrawn = withdrawn.iter().filter_map(|object| self.unstated(object));
        Settled {
            statuses: statuses.chain(withdrawn).collect(),
            gone,
            is_new,
            is_translated,
        }
    }

    /// The UIDs of pods on their way out of the mesh, each with the first configuration in which nobody
    /// reaches it.
    pub(crate) fn departing(&self) -> BTreeMap<Arc<str>, u64> {
        self.leaving.departing()
    }

    /// When pods on their way out of the mesh have waited long enough.
    pub(crate) fn leaving_until(&self) -> Option<Duration> {
        self.leaving.due_at()
    }

    /// What proxies should have.
    pub(crate) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Counts configurations, from 1.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The Gateways that are ours.
    pub(crate) fn gateways(&self) -> &Arc<Gateways> {
        &self.gateways
    }

    /// Takes over what was translated; whether any part of it is another one.
    fn configure(&mut self) -> bool {
        self.leaving.take(&self.output.workloads);
        let next = Configuration {
            tables: Arc::clone(&self.output.tables),
            endpoints: Arc::clone(self.endpoints.table()),
            certificates: Arc::clone(self.certificates.usable()),
            ca_bundles: Arc::clone(self.certificates.usable_authorities()),
            workloads: Arc::clone(self.leaving.told()),
            peers: Arc::clone(&self.output.peers),
            namespaces: Arc::clone(&self.output.namespaces),
        };
        let now = &self.configuration;
        let is_same = Arc::ptr_eq(&next.tables, &now.tables)
            && Arc::ptr_eq(&next.endpoints, &now.endpoints)
            && Arc::ptr_eq(&next.certificates, &now.certificates)
            && Arc::ptr_eq(&next.ca_bundles, &now.ca_bundles)
            && Arc::ptr_eq(&next.workloads, &now.workloads)
            && Arc::ptr_eq(&next.peers, &now.peers)
            && Arc::ptr_eq(&next.namespaces, &now.namespaces);
        self.configuration = next;
        !is_same
    }

    /// The Gateways whose proxies are ours, those of namespaces that end included: these are told that they
    /// have nothing to serve any more.
    fn find_gateways(&self) -> Gateways {
        let served = |gateway: &Arc<Gateway>, is_ending| {
            let name = Name::new(gateway.namespace(), gateway.name());
            let served = Served {
                workload: deployed_name(gateway.name(), &gateway.spec.gateway_class_name),
                generation: gateway.generation().unwrap_or_default(),
                programmed: programmed(gateway),
                is_ending,
            };
            (name, served)
        };
        let staying = self.our_gateways().map(|it| served(it, false));
        let ending = self.ending_gateways().map(|it| served(it, true));
        staying.chain(ending).collect()
    }

    fn facts(
        &self,
        gateways: &Gateways,
        acknowledged: &BTreeMap<Name, i64>,
    ) -> BTreeMap<Name, GatewayFacts> {
        let fact = |(name, served): (&Name, &Served)| {
            let service = self.store.service(&name.namespace, &served.workload);
            let service = service.filter(|service| self.stands_before(service, name));
            let reached = service.map(|it| addresses::of(it)).unwrap_or_default();
            let facts = GatewayFacts {
                addresses: reached.addresses,
                hostnames: reached.hostnames,
                acknowledged: acknowledged.get(name).copied(),
                undeployed: self.undeployed.get(name).cloned(),
                unusable_ports: BTreeMap::new(),
            };
            (name.clone(), facts)
        };
        gateways.iter().map(fact).collect()
    }
}

/// The generation that the status says is programmed.
fn programmed(gateway: &Gateway) -> Option<i64> {
    let conditions = &gateway.status.conditions;
    let condition = conditions
        .iter()
        .find(|condition| condition.is(ConditionType::Programmed))?;
    let is_true = condition.status == ConditionStatus::True;
    condition.observed_generation.filter(|_| is_true)
}

fn same_generations(left: &Gateways, right: &Gateways) -> bool {
    let generations = |gateways: &Gateways| -> Vec<(Name, i64)> {
        let pair = |(name, served): (&Name, &Served)| (name.clone(), served.generation);
        gateways.iter().map(pair).collect()
    };
    generations(left) == generations(right)
}
