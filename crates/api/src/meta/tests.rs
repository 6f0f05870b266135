//! Label selectors and slimming.

use serde_json::{Value, json};

use super::{Labels, ObjectMeta, selects, slim};

#[track_caller]
fn check(name: &str, selector: Value, wanted: Option<bool>) {
    let labels = Labels::from([("app", "web")]);
    let selector = serde_json::from_value(selector).expect("a selector");
    assert_eq!(
        selects(&selector, Some(&labels)).ok(),
        wanted,
        "{name}: selector {selector:?}"
    );
}

fn expression(key: &str, operator: &str, values: &[&str]) -> Value {
    json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
}

#[test]
fn label_maps_must_match_in_full() {
    check("empty selects all", json!({}), Some(true));
    check(
        "equal label",
        json!({"matchLabels": {"app": "web"}}),
        Some(true),
    );
    check(
        "other value",
        json!({"matchLabels": {"app": "api"}}),
        Some(false),
    );
    check(
        "absent label",
        json!({"matchLabels": {"tier": "web"}}),
        Some(false),
    );
}

#[test]
fn expressions_follow_the_label_selector_api() {
    check("In", expression("app", "In", &["api", "web"]), Some(true));
    check(
        "In, other value",
        expression("app", "In", &["api"]),
        Some(false),
    );
    check(
        "In, absent label",
        expression("tier", "In", &["api"]),
        Some(false),
    );
    check("NotIn", expression("app", "NotIn", &["web"]), Some(false));
    check(
        "NotIn, other value",
        expression("app", "NotIn", &["api"]),
        Some(true),
    );
    check(
        "NotIn, absent label",
        expression("tier", "NotIn", &["api"]),
        Some(true),
    );
    check("Exists", expression("app", "Exists", &[]), Some(true));
    check(
        "Exists, absent label",
        expression("tier", "Exists", &[]),
        Some(false),
    );
    check(
        "DoesNotExist",
        expression("app", "DoesNotExist", &[]),
        Some(false),
    );
    check(
        "DoesNotExist, absent label",
        expression("tier", "DoesNotExist", &[]),
        Some(true),
    );
    check("unknown operator", expression("app", "Gt", &["1"]), None);
    check("In without values", expression("app", "In", &[]), None);
    check(
        "Exists with values",
        expression("app", "Exists", &["web"]),
        None,
    );
}

#[test]
fn slimming_keeps_what_is_read() {
    let mut metadata: ObjectMeta = serde_json::from_value(json!({
        "name": "web",
        "managedFields": [{"manager": "kubectl"}],
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "weft.dev/kept": "yes",
        },
    }))
    .expect("metadata");
    slim(&mut metadata);
    let kept = serde_json::to_value(&metadata).expect("metadata");
    assert_eq!(
        kept,
        json!({"name": "web", "annotations": {"weft.dev/kept": "yes"}}),
        "only managed fields and the applied copy may go"
    );
}

#[test]
fn labels_behave_as_a_sorted_map() {
    let mut labels = Labels::from([("b", "1"), ("a", "2"), ("b", "3")]);
    assert_eq!(
        labels.iter().collect::<Vec<_>>(),
        [("a", "2"), ("b", "3")],
        "last of a key counts"
    );
    assert_eq!(labels.insert("ab", "4"), None, "a new key has no old value");
    assert_eq!(
        labels.insert("a", "5").as_deref(),
        Some("2"),
        "an old value comes back"
    );
    assert_eq!(
        labels.iter().collect::<Vec<_>>(),
        [("a", "5"), ("ab", "4"), ("b", "3")]
    );
    assert_eq!((labels.get("ab"), labels.get("c")), (Some("4"), None));
    assert_eq!(labels.remove("a").as_deref(), Some("5"));
    assert_eq!(labels.remove("a"), None, "a removed key is gone");
    assert_eq!((labels.len(), labels.contains_key("a")), (2, false));
    let json = serde_json::to_value(&labels).expect("labels");
    assert_eq!(json, json!({"ab": "4", "b": "3"}));
    assert_eq!(
        serde_json::from_value::<Labels>(json).expect("labels"),
        labels
    );
}
