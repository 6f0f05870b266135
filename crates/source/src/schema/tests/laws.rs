//! Laws: a proof implies the verdict of CEL, for every rule of every CRD.

use std::collections::BTreeMap;

use kube::core::cel;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use weft_api::crds;

use super::super::proof::Proof;
use crate::yaml;

/// Rules no proof is needed for: kinds of which there are few.
const WITHOUT_PROOF: &[&str] = &[
    "isIP(h)",
    "h.substring(2)",
    "key.split(",
    "format.dns1123Label()",
];

/// A rule and the schema it stands in.
struct Sample {
    rule: String,
    schema: Value,
}

/// Every rule of every CRD, once.
fn rules() -> Vec<Sample> {
    let mut found = BTreeMap::new();
    for (_, text) in crds::EXPERIMENTAL {
        for document in yaml::split(text) {
            let crd = yaml::parse(document.text).expect("CRDs are YAML");
            collect(&crd.expect("CRDs are not empty"), &mut found);
        }
    }
    let samples = found
        .into_iter()
        .map(|(rule, schema)| Sample { rule, schema });
    samples.collect()
}

fn collect(value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            let rules = fields
                .get("x-kubernetes-validations")
                .and_then(Value::as_array);
            for rule in rules.into_iter().flatten() {
                let text = rule["rule"].as_str().expect("a rule is a text");
                if !text.contains("oldSelf") {
                    found
                        .entry(text.to_owned())
                        .or_insert_with(|| value.clone());
                }
            }
            fields.values().for_each(|field| collect(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

#[test]
fn the_rules_of_common_kinds_have_proofs() {
    let unproven = rules()
        .into_iter()
        .filter(|sample| Proof::compile(&sample.rule).is_none());
    let surprising: Vec<String> = unproven
        .map(|sample| sample.rule)
        .filter(|rule| !WITHOUT_PROOF.iter().any(|known| rule.contains(known)))
        .collect();
    assert!(
        surprising.is_empty(),
        "rules without proof: {surprising:#?}"
    );
}

/// Values a field may have, by its schema: those that rules ask for, and others.
fn value_of(schema: &Value) -> BoxedStrategy<Value> {
    match schema["type"].as_str() {
        Some("string") => text_of(schema),
        Some("integer") => prop_oneof![
            Just(json!(0)),
            (0..4_i64).prop_map(Value::from),
            any::<u16>().prop_map(Value::from)
        ]
        .boxed(),
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        Some("array") => {
            let items = value_of(&schema["items"]);
            prop::collection::vec(items, 0..4)
                .prop_map(Value::from)
                .boxed()
        }
        Some("object") => object_of(schema),
        _ => prop_oneof![Just(json!("x")), Just(json!(1))].boxed(),
    }
}

fn text_of(schema: &Value) -> BoxedStrategy<Value> {
    let listed = schema["enum"].as_array().cloned().unwrap_or_default();
    if !listed.is_empty() {
        return prop::sample::select(listed).boxed();
    }
    let words = [
        "",
        "a",
        "/",
        "/a",
        "//",
        "/a/../b",
        "/a/./b",
        "/..",
        "/.",
        "/%2f",
        "/%2F",
        "/#",
        "/ä",
        "*",
        "*.example.com",
        "example.com",
        "Service",
        "Gateway",
        "Hostname",
        "IPAddress",
        "URI",
        "10.0.0.1",
        "PathPrefix",
        "ReplacePrefixMatch",
        "RequestRedirect",
        "TCP",
        "TLS",
        "HTTPS",
        "HTTP",
        "1s",
        "0s",
        "500ms",
        "1h",
        "2h",
        "1s1s",
        "61m",
        "x.cluster.local",
        "Cookie",
        "Permanent",
        "Terminate",
        "äöü",
    ];
    prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(Value::from),
        1 => "[a-z/.*0-9]{0,6}".prop_map(Value::from),
        1 => ".{0,4}".prop_map(Value::from),
    ]
    .boxed()
}

fn object_of(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(properties) = schema["properties"].as_object() {
        let fields: Vec<BoxedStrategy<(String, Option<Value>)>> = properties
            .iter()
            .map(|(name, schema)| {
                let name = name.clone();
                let value = prop::option::weighted(0.6, value_of(schema));
                value.prop_map(move |value| (name.clone(), value)).boxed()
            })
            .collect();
        let present = |fields: Vec<(String, Option<Value>)>| {
            let fields = fields.into_iter();
            let fields: Map<String, Value> = fields
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            Value::Object(fields)
        };
        return fields.prop_map(present).boxed();
    }
    let values = value_of(&schema["additionalProperties"]);
    prop::collection::btree_map("[a-z./]{0,4}", values, 0..3)
        .prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into())
        .boxed()
}

/// The schema without its other rules and those of its fields, so that CEL judges one rule.
fn alone(schema: &Value, rule: &str) -> Value {
    let mut schema = stripped(schema);
    schema["x-kubernetes-validations"] = json!([{ "rule": rule }]);
    schema
}

fn stripped(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "x-kubernetes-validations" && *name != "default")
            .map(|(name, field)| (name.clone(), stripped(field)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(stripped).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

#[test]
fn what_is_proven_holds_for_cel() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(48));
    for sample in rules() {
        let Some(proof) = Proof::compile(&sample.rule) else {
            continue;
        };
        let oracle = cel::compile_schema(&alone(&sample.schema, &sample.rule));
        let result = runner.run(&value_of(&sample.schema), |value| {
            if proof.holds(&value) {
                let verdict = cel::validate_compiled(&oracle, &value, None);
                prop_assert!(verdict.is_ok(), "{} on {value}: {verdict:?}", sample.rule);
            }
            Ok(())
        });
        assert!(result.is_ok(), "{result:?}");
    }
}
