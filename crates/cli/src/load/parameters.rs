//! Parameters of Gateways and of their classes (`parametersRef`), judged as whoever deploys them does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_api::{ConfigMap, Gateway, GatewayClass, Kind, Object, ObjectKey, ObjectRef};
use weft_control::deploy::{ParameterError, Parameters};
use weft_ir::Name;
use weft_store::Store;
use weft_translate::UnusableParameters;

/// The ConfigMaps with parameters.
pub(super) fn maps(store: &Store, controller: &str) -> BTreeSet<ObjectRef> {
    let of_classes = classes(store, controller);
    let of_classes = of_classes.filter_map(|class| Parameters::referred_by_class(class).ok()?);
    let of_gateways = gateways(store, controller);
    let of_gateways = of_gateways.filter_map(|(gateway, _)| Parameters::referred(gateway).ok()?);
    let keys = of_classes.chain(of_gateways);
    keys.map(|key| ObjectRef::new(Kind::ConfigMap, key))
        .collect()
}

/// Parameters that cannot be used, and why.
pub(super) fn unusable(store: &Store, controller: &str) -> UnusableParameters {
    let look_up = |key: &ObjectKey| -> Option<&ConfigMap> {
        let map = store.config_maps().get(key.namespace(), key.name());
        map.map(AsRef::as_ref)
    };
    let mut unusable = UnusableParameters::default();
    let mut of_classes = BTreeMap::new();
    for class in classes(store, controller) {
        match Parameters::of_class(class, look_up) {
            Ok(parameters) => drop(of_classes.insert(class.name().to_owned(), parameters)),
            Err(errors) => {
                let why = ParameterError::list(&errors);
                unusable.classes.insert(class.name().to_owned(), why);
            }
        }
    }
    for (gateway, class) in gateways(store, controller) {
        // Of a class without parameters that can be used nothing can be said.
        let Some(of_class) = of_classes.get(class.name()) else {
            continue;
        };
        if let Err(errors) = Parameters::of(gateway, of_class, look_up) {
            let name = Name::new(gateway.namespace(), gateway.name());
            let why = ParameterError::list(&errors);
            unusable.gateways.insert(name, why);
        }
    }
    unusable
}

fn classes<'s>(
    store: &'s Store,
    controller: &'s str,
) -> impl Iterator<Item = &'s Arc<GatewayClass>> {
    let classes = store.gateway_classes().iter();
    classes.filter(move |class| class.spec.controller_name == controller)
}

/// Gateways of those classes, each with its class.
fn gateways<'s>(
    store: &'s Store,
    controller: &'s str,
) -> impl Iterator<Item = (&'s Arc<Gateway>, &'s Arc<GatewayClass>)> {
    store.gateways().iter().filter_map(move |gateway| {
        let class = gateway.spec.gateway_class_name.as_str();
        let class = store.gateway_classes().get("", class)?;
        (class.spec.controller_name == controller).then_some((gateway, class))
    })
}
