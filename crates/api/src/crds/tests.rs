//! Compares the types with the schemas: every field and every enum member of every CRD must
//! survive reading and writing, in both channels and all versions.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{EXPERIMENTAL, STANDARD};
use crate::object::{AnyObject, Kind, Scope};

/// Fields of the schemas that are not walked, with the reason.
const IGNORED: &[(&str, &str)] = &[
    ("apiVersion", "told by the kind, not stored in objects"),
    ("kind", "told by the kind, not stored in objects"),
    (
        "metadata",
        "no schema: `meta::ObjectMeta` keeps what is read",
    ),
];

/// The least document that sets one field, and where that field is.
struct Sample {
    /// Path of the field, for example `spec.rules[].name`.
    path: String,
    /// A value whose only content is that field.
    value: Value,
    /// The enum member the field is set to.
    member: Option<String>,
}

impl Sample {
    fn leaf(value: Value) -> Self {
        Self {
            path: String::new(),
            value,
            member: None,
        }
    }

    fn member(value: &Value) -> Self {
        Self {
            member: value.as_str().map(str::to_owned),
            ..Self::leaf(value.clone())
        }
    }

    fn inside(self, step: &str, wrap: impl FnOnce(Value) -> Value) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        Self {
            path: format!("{step}{dot}{}", self.path),
            value: wrap(self.value),
            ..self
        }
    }
}

/// Samples for every field below a schema.
fn samples(schema: &Value) -> Vec<Sample> {
    if let Some(members) = schema["enum"].as_array() {
        return members.iter().map(Sample::member).collect();
    }
    match schema["type"].as_str() {
        Some("object") => object_samples(schema),
        Some("array") => samples(&schema["items"])
            .into_iter()
            .map(|sample| sample.inside("[]", |value| json!([value])))
            .collect(),
        Some("integer") => integer_bounds(schema)
            .map(|bound| Sample::leaf(bound.into()))
            .into(),
        Some("boolean") => [true, false].map(|truth| Sample::leaf(truth.into())).into(),
        Some("string") if schema["format"] == "date-time" => {
            vec![Sample::leaf("2026-01-01T00:00:00Z".into())]
        }
        Some("string") => vec![Sample::leaf("x".into())],
        other => panic!("the walk does not know schema type {other:?}: {schema}"),
    }
}

fn object_samples(schema: &Value) -> Vec<Sample> {
    if schema["additionalProperties"].is_object() {
        return samples(&schema["additionalProperties"])
            .into_iter()
            .map(|sample| sample.inside("{}", |value| json!({"x": value})))
            .collect();
    }
    let properties = schema["properties"].as_object();
    let fields = properties
        .into_iter()
        .flatten()
        .flat_map(|(name, property)| {
            let wrap = |value| Value::Object(Map::from_iter([(name.clone(), value)]));
            samples(property)
                .into_iter()
                .map(move |sample| sample.inside(name, wrap))
        });
    fields.collect()
}

/// The least and greatest value of an integer: its stated bounds, else those of its format.
fn integer_bounds(schema: &Value) -> [i64; 2] {
    let (least, greatest) = match schema["format"].as_str() {
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        // Without format an API server takes what 64 bits hold.
        Some("int64") | None => (i64::MIN, i64::MAX),
        other => panic!("the walk does not know integer format {other:?}"),
    };
    [
        schema["minimum"].as_i64().unwrap_or(least),
        schema["maximum"].as_i64().unwrap_or(greatest),
    ]
}

/// Whether everything in `part` stands at the same place in `whole`.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, value)| whole.get(name).is_some_and(|found| contains(found, value))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(w, p)| contains(w, p))
        }
        _ => whole == part,
    }
}

/// What is wrong with our type for the field of a sample.
fn fault(kind: Kind, version: &str, sample: &Sample) -> Option<String> {
    let place = format!("{kind} {version} {}", sample.path);
    let mut document = sample.value.clone();
    document["apiVersion"] = format!("{}/{version}", kind.group()).into();
    document["kind"] = kind.as_str().into();
    document["metadata"] = json!({"name": "x"});
    let object = match AnyObject::parse(document) {
        Ok(object) => object,
        Err(error) => return Some(format!("{place}: {error}")),
    };
    let written = object.to_value().expect("an object can be written");
    if !contains(&written, &sample.value) {
        return Some(format!("{place}: {} is not modelled", sample.value));
    }
    let member = sample.member.as_ref()?;
    let unknown = format!("{object:?}").contains(&format!("Unknown({member:?})"));
    unknown.then(|| format!("{place}: enum member {member:?} is not a known variant"))
}

/// Samples of one version of a CRD, without the ignored fields, which are noted in `ignored`.
fn walk(schema: &Value, ignored: &mut BTreeSet<&'static str>) -> Vec<Sample> {
    let mut schema = schema.clone();
    let properties = schema["properties"].as_object_mut().expect("properties");
    for (field, _) in IGNORED {
        if properties.remove(*field).is_some() {
            ignored.insert(field);
        }
    }
    samples(&schema)
}

fn crd(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).expect("a CRD is YAML")
}

fn kind_of(name: &str, crd: &Value) -> Kind {
    let group = crd["spec"]["group"].as_str().unwrap_or_default();
    let kind = crd["spec"]["names"]["kind"].as_str().unwrap_or_default();
    Kind::find(group, kind).unwrap_or_else(|| panic!("{name}: kind {kind} is not modelled"))
}

#[test]
fn every_field_and_enum_member_of_every_schema_is_modelled() {
    let mut ignored = BTreeSet::new();
    let mut faults = Vec::new();
    let mut fields = 0;
    for (name, yaml) in STANDARD.iter().chain(EXPERIMENTAL) {
        let crd = crd(yaml);
        let kind = kind_of(name, &crd);
        for version in crd["spec"]["versions"].as_array().expect("versions") {
            let version_name = version["name"].as_str().expect("a version has a name");
            let samples = walk(&version["schema"]["openAPIV3Schema"], &mut ignored);
            fields += samples.len();
            faults.extend(samples.iter().filter_map(|s| fault(kind, version_name, s)));
        }
    }
    assert!(
        faults.is_empty(),
        "the types differ from the schemas:\n{}",
        faults.join("\n")
    );
    assert!(
        fields > 2_000,
        "the walk saw only {fields} fields and members: it is broken"
    );
    let listed: BTreeSet<_> = IGNORED.iter().map(|(field, _)| *field).collect();
    assert_eq!(
        ignored, listed,
        "the ignore list names fields no schema has"
    );
}

#[test]
fn kinds_know_the_names_scopes_and_versions_of_their_crds() {
    let mut seen = BTreeSet::new();
    for (name, yaml) in EXPERIMENTAL {
        let crd = crd(yaml);
        let kind = kind_of(name, &crd);
        let plural_and_group = format!("{}.{}", kind.plural(), kind.group());
        assert_eq!(*name, plural_and_group, "{kind}: name of its CRD");
        assert_eq!(
            crd["metadata"]["name"], *name,
            "{kind}: name inside its CRD"
        );
        let scope = match kind.scope() {
            Scope::Cluster => "Cluster",
            Scope::Namespaced => "Namespaced",
        };
        assert_eq!(crd["spec"]["scope"], scope, "{kind}: scope");
        let versions = crd["spec"]["versions"].as_array().expect("versions").iter();
        let served: BTreeSet<_> = versions
            .filter(|version| version["served"] == true)
            .filter_map(|version| version["name"].as_str())
            .collect();
        let read: BTreeSet<_> = kind.versions().iter().copied().collect();
        assert_eq!(read, served, "{kind}: versions read and served");
        seen.insert(kind);
    }
    let own_group = |kind: &&Kind| kind.group().starts_with("gateway.");
    let all: BTreeSet<_> = Kind::ALL.iter().filter(own_group).copied().collect();
    assert_eq!(seen, all, "kinds of Gateway API without CRD");
}

#[test]
fn channels_carry_the_release_the_types_are_written_for() {
    for (channel, crds) in [("standard", STANDARD), ("experimental", EXPERIMENTAL)] {
        for (name, yaml) in crds {
            let annotations = &crd(yaml)["metadata"]["annotations"];
            let annotation = |key: &str| &annotations[format!("gateway.networking.k8s.io/{key}")];
            assert_eq!(
                annotation("bundle-version"),
                "v1.6.1",
                "{channel} {name}: release"
            );
            assert_eq!(annotation("channel"), channel, "{channel} {name}: channel");
        }
    }
}

#[test]
fn the_comparison_notices_what_is_not_modelled() {
    let sample = |json: Value, member: Option<&str>| Sample {
        path: "spec".to_owned(),
        value: json,
        member: member.map(str::to_owned),
    };
    let faults = [
        ("new field", sample(json!({"spec": {"brandNew": 1}}), None)),
        (
            "new field in a list",
            sample(json!({"spec": {"rules": [{"brandNew": "x"}]}}), None),
        ),
        (
            "wrong type",
            sample(json!({"spec": {"hostnames": "x"}}), None),
        ),
        (
            "new member",
            sample(
                json!({"spec": {"useDefaultGateways": "Some"}}),
                Some("Some"),
            ),
        ),
    ];
    for (name, sample) in faults {
        assert!(
            fault(Kind::HttpRoute, "v1", &sample).is_some(),
            "{name} goes unnoticed"
        );
    }
    let known = sample(json!({"spec": {"useDefaultGateways": "All"}}), Some("All"));
    assert_eq!(
        fault(Kind::HttpRoute, "v1", &known),
        None,
        "a modelled field is reported"
    );
}
