//! What of a status is written: one row per rule.

use serde_json::{Value, json};
use weft_api::Kind;
use weft_api::meta::Time;

use super::{annotations, changes, has_foreign_entries};

const OURS: &str = "weft.dev/gateway-controller";
const NOW: &str = "1970-01-01T00:00:00Z";
const BEFORE: &str = "2020-02-02T02:02:02Z";

fn own() -> Vec<String> {
    vec![OURS.to_owned()]
}

fn condition(type_: &str, status: &str, time: Option<&str>) -> Value {
    let mut condition = json!({ "type": type_, "status": status, "reason": "R", "message": "m" });
    if let Some(time) = time {
        condition["lastTransitionTime"] = time.into();
    }
    condition
}

fn entry(controller: &str, parent: &str, conditions: Value) -> Value {
    json!({ "parentRef": { "name": parent }, "controllerName": controller, "conditions": conditions })
}

fn check(name: &str, kind: Kind, (before, wanted): (Value, Value), expected: Value) {
    let now = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
    let changed = changes(kind, (&before, &wanted), &own(), &now);
    assert_eq!(Value::Object(changed), expected, "{name}");
}

#[test]
fn entries_of_several_controllers() {
    let good = |time| json!([condition("Accepted", "True", time)]);
    let theirs = json!({ "parentRef": { "name": "x" }, "controllerName": "theirs", "future": 1 });
    let wanted = json!({ "parents": [entry(OURS, "edge", good(None))] });
    let ours = |time| entry(OURS, "edge", good(Some(time)));
    let route = Kind::HttpRoute;
    check(
        "the first status",
        route,
        (Value::Null, wanted.clone()),
        json!({ "parents": [ours(NOW)] }),
    );
    check(
        "behind theirs",
        route,
        (json!({ "parents": [theirs] }), wanted.clone()),
        json!({ "parents": [theirs, ours(NOW)] }),
    );
    check(
        "in our place, before theirs",
        route,
        (json!({ "parents": [ours(BEFORE), theirs] }), wanted.clone()),
        json!({}),
    );
    check(
        "a parent that is no parent any more",
        route,
        (
            json!({ "parents": [entry(OURS, "old", good(Some(BEFORE))), theirs] }),
            json!({ "parents": [] }),
        ),
        json!({ "parents": [theirs] }),
    );
    check(
        "nothing to say and nothing said",
        route,
        (Value::Null, json!({ "parents": [] })),
        json!({}),
    );
    let mut defaulted = ours(BEFORE);
    defaulted["parentRef"]["group"] = "gateway.networking.k8s.io".into();
    defaulted["parentRef"]["kind"] = "Gateway".into();
    check(
        "defaults of the server are no other parent",
        route,
        (json!({ "parents": [defaulted] }), wanted),
        json!({}),
    );
}

#[test]
fn conditions_of_others_and_times() {
    let class = Kind::GatewayClass;
    let theirs = condition("example.com/Odd", "True", Some(BEFORE));
    let accepted = |status: &str, time| condition("Accepted", status, time);
    let wanted = |status: &str| json!({ "conditions": [accepted(status, None)] });
    let before = json!({ "conditions": [theirs, accepted("True", Some(BEFORE))] });
    check(
        "nothing new",
        class,
        (before.clone(), wanted("True")),
        json!({}),
    );
    check(
        "a verdict that turns",
        class,
        (before, wanted("False")),
        json!({ "conditions": [theirs, accepted("False", Some(NOW))] }),
    );
    let mut bare = json!({ "conditions": [{ "type": "Accepted", "status": "True" }] });
    check(
        "fields the schema demands",
        class,
        (Value::Null, bare.clone()),
        json!({ "conditions": [{
            "type": "Accepted", "status": "True", "reason": "", "message": "", "lastTransitionTime": NOW,
        }] }),
    );
    bare["conditions"] = json!([]);
    check(
        "a field that is gone",
        Kind::Gateway,
        (
            json!({ "addresses": [{ "value": "192.0.2.1" }], "unknown": 1 }),
            bare,
        ),
        json!({ "addresses": null }),
    );
}

#[test]
fn listeners_keep_the_times_of_their_names() {
    let listener = |name: &str, time| {
        json!({
            "name": name, "attachedRoutes": 1, "supportedKinds": [],
            "conditions": [condition("Programmed", "True", time)],
        })
    };
    check(
        "two listeners change places",
        Kind::Gateway,
        (
            json!({ "listeners": [listener("a", Some(BEFORE)), listener("b", Some(NOW))] }),
            json!({ "listeners": [listener("b", None), listener("a", None)] }),
        ),
        json!({ "listeners": [listener("b", Some(NOW)), listener("a", Some(BEFORE))] }),
    );
}

#[test]
fn foreign_entries_are_seen_in_every_shared_list() {
    for (name, status, expected) in [
        ("none", Value::Null, false),
        (
            "ours",
            json!({ "parents": [entry(OURS, "a", json!([]))] }),
            false,
        ),
        (
            "theirs",
            json!({ "parents": [entry("theirs", "a", json!([]))] }),
            true,
        ),
        (
            "of an ancestor",
            json!({ "ancestors": [entry("theirs", "a", json!([]))] }),
            true,
        ),
    ] {
        assert_eq!(has_foreign_entries(&status, &own()), expected, "{name}");
    }
}

#[test]
fn of_the_annotations_of_a_pod_ours_are_written() {
    let (captured, reason) = ("weft.dev/captured", "weft.dev/captured-reason");
    let addresses = "weft.dev/captured-addresses";
    let rows = [
        (
            "the first",
            json!({}),
            json!({ captured: "true" }),
            json!({ captured: "true" }),
        ),
        (
            "the same",
            json!({ captured: "true" }),
            json!({ captured: "true" }),
            json!({}),
        ),
        (
            "a failure",
            json!({ captured: "true", "other": "x" }),
            json!({ captured: "error", reason: "no nft" }),
            json!({ captured: "error", reason: "no nft" }),
        ),
        (
            "mended",
            json!({ captured: "error", reason: "no nft" }),
            json!({ captured: "true" }),
            json!({ captured: "true", reason: null }),
        ),
        (
            "with addresses",
            json!({ captured: "pending" }),
            json!({ captured: "true", addresses: "10.1.0.1" }),
            json!({ captured: "true", addresses: "10.1.0.1" }),
        ),
        (
            "let go",
            json!({ captured: "true", addresses: "10.1.0.1", "weft.dev/opaque-ports": "1" }),
            Value::Null,
            json!({ captured: null, addresses: null }),
        ),
        ("never had one", Value::Null, Value::Null, json!({})),
    ];
    for (name, before, wanted, expected) in rows {
        assert_eq!(
            Value::Object(annotations(&before, &wanted)),
            expected,
            "{name}"
        );
    }
}
