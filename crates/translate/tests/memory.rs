//! What ten thousand routes cost in memory, counted per route with its Service and EndpointSlice.
//! Bytes do not depend on the machine, so they are asserted.

use allocation_counter::measure;
use serde_json::{Value, json};
use weft_api::{AnyObject, Kind};
use weft_store::Store;
use weft_translate::{EndpointTable, Scope, Translator};

const ROUTES: i64 = 2_000;

fn object(kind: Kind, name: &str, mut fields: Value) -> AnyObject {
    fields["apiVersion"] = json!(kind.api_version());
    fields["kind"] = json!(kind.as_str());
    fields["metadata"]["name"] = json!(name);
    AnyObject::parse(fields).expect("the test writes valid objects")
}

/// A route with one backend, and what stands behind it.
fn world(number: i64) -> [AnyObject; 3] {
    let service = format!("s{number}");
    let spec = json!({
        "parentRefs": [{"name": "edge"}],
        "hostnames": [format!("h{number}.example.com")],
        "rules": [{
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            "backendRefs": [{"name": service, "port": 80}],
        }],
    });
    let route = object(
        Kind::HttpRoute,
        &format!("r{number}"),
        json!({"spec": spec}),
    );
    let spec = json!({
        "clusterIP": "10.0.0.1",
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    });
    let backend = object(Kind::Service, &service, json!({"spec": spec}));
    let slice = json!({
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"]}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    });
    let slice = object(Kind::EndpointSlice, &format!("{service}-a"), slice);
    [route, backend, slice]
}

fn assert_bytes_per_route(what: &str, bytes: i64, most: i64) {
    let per_route = bytes / ROUTES;
    assert!(
        per_route <= most,
        "{what} takes {per_route} bytes per route, at most {most} were agreed"
    );
}

#[test]
fn routes_take_no_more_memory_than_agreed() {
    let mut store = Store::default();
    let spec = json!({
        "gatewayClassName": "weft",
        "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
    });
    store.apply(object(Kind::Gateway, "edge", json!({"spec": spec})));
    let stored = measure(|| {
        let objects = (0..ROUTES).flat_map(world);
        objects.for_each(|object| {
            store.apply(object);
        });
        store.shrink_to_fit();
    });
    assert_bytes_per_route("the store", stored.bytes_current, 2_500);
    let (mut translator, mut endpoints) = (Translator::default(), EndpointTable::default());
    let translated = measure(|| {
        // What it returns is shared with the translator and adds nothing.
        drop(translator.translate(&store, &Scope::standalone()));
        endpoints.update(&store);
    });
    assert_bytes_per_route("translation", translated.bytes_current, 3_500);
}
