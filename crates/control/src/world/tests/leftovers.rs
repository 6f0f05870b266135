//! What was made for a Gateway under a class that it has no more.

use serde_json::{Value, json};
use weft_ir::Name;
use weft_source::Event;

use super::{OURS, class, object, world};

/// A Service made for a Gateway of a class; `uid` is that of the Gateway.
fn made(labels: Value, uid: &str) -> Event {
    object(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": "shop", "name": "edge-weft", "labels": labels,
            "ownerReferences": [{
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "name": "edge", "uid": uid,
            }],
        },
    }))
}

fn ours() -> Event {
    ours_of("1")
}

fn ours_of(uid: &str) -> Event {
    let labels = json!({
        "gateway.networking.k8s.io/gateway-name": "edge",
        "gateway.networking.k8s.io/gateway-class-name": "weft",
        "app.kubernetes.io/managed-by": "weft",
    });
    made(labels, uid)
}

fn gateway_of(class: &str) -> Event {
    object(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "namespace": "shop", "name": "edge", "uid": "1" },
        "spec": {
            "gatewayClassName": class,
            "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
        },
    }))
}

#[test]
fn what_was_made_under_another_class_is_left_over() {
    let theirs = || {
        made(
            json!({ "gateway.networking.k8s.io/gateway-class-name": "weft" }),
            "1",
        )
    };
    let other = "example.com/other";
    let rows = [
        (
            "of our class",
            vec![class(OURS), gateway_of("weft"), ours()],
            false,
        ),
        (
            "the Gateway has another class",
            vec![class(OURS), gateway_of("far"), ours()],
            true,
        ),
        (
            "the class is another controller's",
            vec![class(other), gateway_of("weft"), ours()],
            true,
        ),
        (
            "the class is missing and may come back",
            vec![gateway_of("weft"), ours()],
            false,
        ),
        (
            "no Gateway, so the collector has it",
            vec![class(OURS), ours()],
            false,
        ),
        (
            "of a Gateway before this one",
            vec![class(OURS), gateway_of("far"), ours_of("0")],
            false,
        ),
        (
            "not made by us",
            vec![class(OURS), gateway_of("far"), theirs()],
            false,
        ),
    ];
    for (name, events, expected) in rows {
        let (world, _) = world(events);
        let found: Vec<_> = world.leftovers().into_keys().collect();
        let expected: &[Name] = match expected {
            true => &[Name::new("shop", "edge-weft")],
            false => &[],
        };
        assert_eq!(found, expected, "{name}");
    }
}
