//! Parameters of classes, and how long messages about parameters become.

use serde_json::{Value, json};
use weft_api::{ConfigMap, GatewayClass};

use super::{ONE_PORT, Parameters, gateway, object};
use crate::deploy::ParameterError;

/// A GatewayClass with a reference to parameters, in YAML flow style.
fn class(reference: &str) -> GatewayClass {
    object(&format!(
        "{{metadata: {{name: weft}}, spec: {{controllerName: a.b/c, parametersRef: {reference}}}}}"
    ))
}

#[test]
fn a_class_holds_defaults_that_its_gateways_override_key_by_key() {
    let map = |data: Value| -> ConfigMap {
        serde_json::from_value(json!({ "data": data })).expect("a ConfigMap")
    };
    let of_class = map(json!({ "replicas": "3", "serviceType": "NodePort" }));
    let reference = "{group: \"\", kind: ConfigMap, name: all, namespace: weft-system}";
    let defaults = Parameters::of_class(&class(reference), |key| {
        assert_eq!(key.to_string(), "weft-system/all");
        Some(&of_class)
    });
    let defaults = defaults.expect("parameters of the class");
    let plain = Parameters::of(&gateway(ONE_PORT), &defaults, |_| None);
    assert_eq!(plain.as_ref(), Ok(&defaults), "a Gateway that says nothing");
    let named = "infrastructure: {parametersRef: {group: \"\", kind: ConfigMap, name: big}}";
    let own = map(json!({ "replicas": "5" }));
    let own = Parameters::of(&gateway(named), &defaults, |_| Some(&own));
    let own = own.expect("parameters of the Gateway");
    assert_eq!(own.replicas, Some(5), "what it says");
    assert_eq!(own.service_type, defaults.service_type, "what it does not");
}

/// The reference of a class, a part of what is wrong with it (GatewayClassReasonInvalidParameters).
const CLASS_REFERENCES: &[(&str, &str)] = &[
    (
        "{group: \"\", kind: ConfigMap, name: all}",
        "is named without a namespace",
    ),
    (
        "{group: \"\", kind: ConfigMap, name: all, namespace: a}",
        "ConfigMap a/all does not exist",
    ),
    (
        "{group: \"\", kind: Secret, name: all, namespace: a}",
        "Secret of group \"\" holds no parameters",
    ),
    (
        "{group: apps, kind: ConfigMap, name: all, namespace: a}",
        "of group \"apps\"",
    ),
];

#[test]
fn references_of_classes_are_refused_as_specified() {
    for (reference, part) in CLASS_REFERENCES {
        let errors = Parameters::of_class(&class(reference), |_| None).expect_err(reference);
        let message = ParameterError::list(&errors);
        assert!(message.contains(part), "{reference}: {message}");
    }
}

#[test]
fn a_message_about_parameters_stays_short() {
    let data: serde_json::Map<String, Value> = (0..99)
        .map(|at| (format!("unknown-{at}"), json!("x")))
        .chain([("logLevel".to_owned(), json!("x".repeat(100_000)))])
        .collect();
    let map: ConfigMap = serde_json::from_value(json!({ "data": data })).expect("a ConfigMap");
    let named = "infrastructure: {parametersRef: {group: \"\", kind: ConfigMap, name: big}}";
    let errors = Parameters::of(&gateway(named), &Parameters::default(), |_| Some(&map));
    let message = ParameterError::list(&errors.expect_err("refused"));
    assert!(message.ends_with("and 96 more"), "{message}");
    assert!(message.len() < 2_000, "{} bytes", message.len());
}
