//! What Gateways are to be given, and whether their parameters can be used.

use std::{collections::BTreeMap, sync::Arc};

use weft_api::{
    Condition, ConditionStatus, ConditionType, ConfigMap, Gateway, GatewayClass, Kind, Object,
    ObjectKey, ObjectRef, Service,
};
use weft_ir::Name;
use weft_translate::{Status, UnusableParameters};

use super::World;
use crate::{
    deploy::{
        self, CLASS_LABEL, MANAGED_BY, MANAGED_LABEL, ParameterError, Parameters, RenderError,
        deployed_name, label_value,
    },
    deployer::{Failures, Wanted},
};

impl World {
    /// What each accepted Gateway is to be given, or why that cannot be said.
    pub(crate) fn deployments(
        &self,
        settings: &deploy::Settings,
    ) -> BTreeMap<Name, Result<Arc<Wanted>, RenderError>> {
        let wanted = |gateway: &Arc<Gateway>| {
            let name = Name::new(gateway.namespace(), gateway.name());
            let parameters = self.parameters.get(&name)?;
            let ports = deploy::ports(&gateway.spec.listeners);
            let deployed = deploy::render(gateway, &ports, parameters, settings);
            let gateway = Arc::clone(gateway);
            let wanted = deployed.map(|deployed| Arc::new(Wanted { gateway, deployed }));
            Some((name, wanted))
        };
        // One that is being deleted takes its objects along.
        let stays = |gateway: &&Arc<Gateway>| gateway.metadata.deletion_timestamp.is_none();
        let staying = self.our_gateways().filter(stays);
        let accepted = staying.filter(|gateway| self.accepts(gateway));
        accepted.filter_map(wanted).collect()
    }

    /// Takes over what could not be deployed.
    pub(crate) fn undeployed(&mut self, failures: Failures) {
        self.undeployed = failures;
    }

    /// What Gateways are not to have any more: their namespace is being deleted, or it was made under a
    /// name they have no more, since their class has become another one, or another controller's. A class
    /// that is missing is no reason: it may come back, and until then proxies serve what they have.
    ///
    /// Under names of before it is found by Services, which are the part of a deployment that is watched;
    /// see `deploy::is_ours` for the rest.
    pub(crate) fn leftovers(&self) -> BTreeMap<Name, Arc<Gateway>> {
        let services = self.store.services().iter();
        let leftover = |service: &Arc<Service>| {
            let gateway = self.made_for(service)?;
            let class = gateway.spec.gateway_class_name.as_str();
            let had = service.metadata.labels.get(CLASS_LABEL)?;
            let is_current = had == label_value(class);
            let is_foreign = || {
                let class = self.store.gateway_classes().get("", class);
                class.is_some_and(|it| it.spec.controller_name != self.scope.gateway_controller)
            };
            let name = Name::new(service.namespace(), service.name());
            (!is_current || is_foreign()).then(|| (name, Arc::clone(gateway)))
        };
        let of_ending = |gateway: &Arc<Gateway>| {
            let deployed = deployed_name(gateway.name(), &gateway.spec.gateway_class_name);
            let name = Name::new(gateway.namespace(), deployed);
            (name, Arc::clone(gateway))
        };
        let ending = self.ending_gateways().map(of_ending);
        services.filter_map(leftover).chain(ending).collect()
    }

    /// Whether a Service of the right name is that of the Gateway, whose address it then tells. One of
    /// somebody else leads elsewhere; where somebody else deploys Gateways, the name has to do.
    pub(super) fn stands_before(&self, service: &Service, gateway: &Name) -> bool {
        let of = |it: &Arc<Gateway>| *it.name() == *gateway.name;
        self.scope.unusable_parameters.is_none() || self.made_for(service).is_some_and(of)
    }

    /// The Gateway for which we made a Service.
    fn made_for(&self, service: &Service) -> Option<&Arc<Gateway>> {
        let labels = &service.metadata.labels;
        if labels.get(MANAGED_LABEL) != Some(MANAGED_BY) {
            return None;
        }
        let owners = service.metadata.owner_references.iter();
        let mut owners = owners.filter(|owner| owner.kind == Kind::Gateway.as_str());
        let owner = owners.next()?;
        let gateway = self
            .store
            .gateways()
            .get(service.namespace(), &owner.name)?;
        (gateway.metadata.uid.as_deref() == Some(owner.uid.as_str())).then_some(gateway)
    }

    fn accepts(&self, gateway: &Gateway) -> bool {
        let reference = ObjectRef::new(Kind::Gateway, gateway.key());
        let status = self.output.statuses.get(&reference);
        let Some(Status::Gateway(status)) = status.map(AsRef::as_ref) else {
            return false;
        };
        let is_accepted = |condition: &Condition| {
            condition.is(ConditionType::Accepted) && condition.status == ConditionStatus::True
        };
        status.conditions.iter().any(is_accepted)
    }

    /// The ConfigMaps with parameters.
    pub(super) fn parameter_maps(&self) -> impl Iterator<Item = ObjectRef> {
        let of_gateways = self
            .our_gateways()
            .filter_map(|gateway| Parameters::referred(gateway).ok()?);
        let of_classes = self
            .our_classes()
            .filter_map(|class| Parameters::referred_by_class(class).ok()?);
        let keys = of_gateways.chain(of_classes);
        keys.map(|key| ObjectRef::new(Kind::ConfigMap, key))
    }

    /// Reads the parameters of classes and Gateways of ours, if somebody deploys these. A Gateway of
    /// a class whose parameters cannot be used has none either.
    pub(super) fn judge_parameters(&mut self) {
        if self.scope.unusable_parameters.is_none() {
            return;
        }
        let mut unusable = UnusableParameters::default();
        let mut of_classes = BTreeMap::new();
        for class in self.our_classes() {
            match Parameters::of_class(class, |key| self.config_map(key)) {
                Ok(parameters) => {
                    of_classes.insert(class.name(), parameters);
                }
                Err(errors) => {
                    let why = ParameterError::list(&errors);
                    unusable.classes.insert(class.name().to_owned(), why);
                }
            }
        }
        let mut usable = BTreeMap::new();
        for gateway in self.our_gateways() {
            let Some(of_class) = of_classes.get(&*gateway.spec.gateway_class_name) else {
                continue;
            };
            let name = Name::new(gateway.namespace(), gateway.name());
            match Parameters::of(gateway, of_class, |key| self.config_map(key)) {
                Ok(parameters) => {
                    usable.insert(name, parameters);
                }
                Err(errors) => {
                    let why = ParameterError::list(&errors);
                    unusable.gateways.insert(name, why);
                }
            }
        }
        self.parameters = usable;
        self.scope.unusable_parameters = Some(unusable);
    }

    fn our_classes(&self) -> impl Iterator<Item = &Arc<GatewayClass>> {
        let ours = &self.scope.gateway_controller;
        let classes = self.store.gateway_classes().iter();
        classes.filter(move |class| class.spec.controller_name == *ours)
    }

    fn config_map(&self, key: &ObjectKey) -> Option<&ConfigMap> {
        let maps = self.store.config_maps();
        maps.get(key.namespace(), key.name()).map(AsRef::as_ref)
    }
}
