//! Schemas: what each keyword demands, and that proofs never claim what CEL denies.

mod laws;

use serde_json::{Value, json};

use super::{Oracle, compile};
use crate::yaml;

/// Checks a value against a schema; gives it back with defaults, or what is wrong with it.
fn check(schema: &str, value: Value) -> Result<Value, Vec<String>> {
    let schema = yaml::parse(schema)
        .expect("the schema is YAML")
        .expect("it is not empty");
    let node = compile(&schema).expect("the schema compiles");
    let mut value = value;
    let report = node.check(&mut value);
    let mut faults = report.faults;
    if faults.is_empty() && report.unproven {
        faults = Oracle::new(&schema).faults(&value);
    }
    if faults.is_empty() {
        return Ok(value);
    }
    let told = faults.into_iter().map(|fault| {
        let cure = fault
            .cure
            .map(|cure| format!(" → {cure}"))
            .unwrap_or_default();
        format!("{}: {}{cure}", fault.path, fault.message)
    });
    Err(told.collect())
}

/// What the row is about, a schema, a value as JSON, and what is wrong with the value.
type Row = (&'static str, &'static str, &'static str, &'static str);

const REFUSED: &[Row] = &[
    (
        "type",
        "{type: object, properties: {a: {type: string}}}",
        r#"{"a": 1}"#,
        "a: must be a text, not the number 1",
    ),
    (
        "truth value for a text",
        "{type: object, properties: {a: {type: string}}}",
        r#"{"a": true}"#,
        "a: must be a text, not the truth value true; quote it if it is a text",
    ),
    (
        "unknown field",
        "{type: object, properties: {backendRefs: {type: array, items: {type: string}}}}",
        r#"{"backendRef": []}"#,
        "backendRef: there is no field \"backendRef\" here → write backendRefs",
    ),
    (
        "required",
        "{type: object, required: [a], properties: {a: {type: string}}}",
        r#"{}"#,
        "a: is required → add a",
    ),
    (
        "null counts as absent",
        "{type: object, required: [a], properties: {a: {type: string}}}",
        r#"{"a": null}"#,
        "a: is required → add a",
    ),
    (
        "enum",
        "{type: object, properties: {a: {type: string, enum: [Exact, Prefix]}}}",
        r#"{"a": "exact"}"#,
        "a: must be one of \"Exact\", \"Prefix\", not \"exact\" → write Exact",
    ),
    (
        "pattern",
        "{type: object, properties: {a: {type: string, pattern: '^[a-z]+$'}}}",
        r#"{"a": "A"}"#,
        "a: \"A\" does not match ^[a-z]+$",
    ),
    (
        "maxLength counts characters",
        "{type: object, properties: {a: {type: string, maxLength: 2}}}",
        r#"{"a": "äöü"}"#,
        "a: may have at most 2 characters, not 3",
    ),
    (
        "minLength",
        "{type: object, properties: {a: {type: string, minLength: 1}}}",
        r#"{"a": ""}"#,
        "a: needs at least 1 characters, not 0",
    ),
    (
        "maxItems",
        "{type: array, maxItems: 1, items: {type: integer}}",
        r#"[1, 2]"#,
        ": may have at most 1 items, not 2",
    ),
    (
        "minItems",
        "{type: object, properties: {a: {type: array, minItems: 1, items: {type: integer}}}}",
        r#"{"a": []}"#,
        "a: needs at least 1 items, not 0",
    ),
    (
        "maxProperties",
        "{type: object, maxProperties: 1, additionalProperties: {type: string}}",
        r#"{"a": "x", "b": "y"}"#,
        ": may have at most 1 fields, not 2",
    ),
    (
        "minimum",
        "{type: object, properties: {a: {type: integer, minimum: 1}}}",
        r#"{"a": 0}"#,
        "a: must be at least 1, not 0",
    ),
    (
        "maximum",
        "{type: object, properties: {a: {type: integer, maximum: 65535}}}",
        r#"{"a": 65536}"#,
        "a: must be at most 65535, not 65536",
    ),
    (
        "int32",
        "{type: object, properties: {a: {type: integer, format: int32}}}",
        r#"{"a": 2147483648}"#,
        "a: must be at most 2147483647, not 2147483648",
    ),
    (
        "date-time",
        "{type: object, properties: {a: {type: string, format: date-time}}}",
        r#"{"a": "yesterday"}"#,
        "a: must be an RFC 3339 time",
    ),
    (
        "base64",
        "{type: object, properties: {a: {type: string, format: byte}}}",
        r#"{"a": "!"}"#,
        "a: must be base64",
    ),
    (
        "set",
        "{type: array, x-kubernetes-list-type: set, items: {type: string}}",
        r#"["a", "b", "a"]"#,
        "[2]: repeats item 0",
    ),
    (
        "map",
        "{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], \
          items: {type: object, properties: {name: {type: string}}}}",
        r#"[{"name": "a"}, {"name": "a"}]"#,
        "[1]: repeats name of item 0",
    ),
    (
        "int or string",
        "{type: object, properties: {a: {x-kubernetes-int-or-string: true}}}",
        r#"{"a": true}"#,
        "a: must be a whole number or a text, not the truth value true; quote it if it is a text",
    ),
    (
        "map values",
        "{type: object, additionalProperties: {type: string}}",
        r#"{"a.b/c": 1}"#,
        "[a.b/c]: must be a text, not the number 1",
    ),
    (
        "rule",
        "{type: object, properties: {a: {type: integer}}, x-kubernetes-validations: \
          [{rule: 'self.a > 1', message: a must grow}]}",
        r#"{"a": 1}"#,
        ": a must grow",
    ),
    (
        "rule that is not known to proofs",
        "{type: object, properties: {a: {type: string}}, \
          x-kubernetes-validations: [{rule: 'isIP(self.a)', message: no address}]}",
        r#"{"a": "x"}"#,
        ": no address",
    ),
];

#[test]
fn every_keyword_refuses_what_it_must() {
    for (name, schema, value, expected) in REFUSED {
        let value = serde_json::from_str(value).expect("the value is JSON");
        let faults = check(schema, value).expect_err(name);
        assert_eq!(faults, [*expected], "{name}");
    }
}

#[test]
fn defaults_are_filled_in_at_every_depth() {
    let schema = "{type: object, properties: {a: {type: array, items: {type: object, properties: \
                  {weight: {type: integer, default: 1}}}}, b: {type: object, default: {}, \
                  properties: {c: {type: string, default: x}}}}}";
    let filled = check(schema, json!({"a": [{}, {"weight": 0}, {"weight": null}]}));
    let expected = json!({"a": [{"weight": 1}, {"weight": 0}, {"weight": 1}], "b": {"c": "x"}});
    assert_eq!(
        filled,
        Ok(expected),
        "defaults, also for null and inside defaults"
    );
}

#[test]
fn a_schema_with_an_unknown_keyword_is_an_error() {
    let error = compile(&json!({"type": "string", "exclusiveMaximum": true}));
    let error = error.expect_err("a demand must not be left out in silence");
    assert!(error.contains("exclusiveMaximum"), "{error}");
}
