//! What applying and deleting change, and that neither leaves anything behind.

mod properties;

use serde_json::{Value, json};
use weft_api::{AnyObject, Kind, Object, ObjectKey, ObjectRef};

use crate::{Change, Store, Target};

/// An object of its YAML-like parts; the API version is the one Weft writes.
fn object(kind: Kind, key: (&str, &str), rest: Value) -> AnyObject {
    let mut document = rest;
    document["apiVersion"] = kind.api_version().into();
    document["kind"] = kind.as_str().into();
    document["metadata"]["namespace"] = key.0.into();
    document["metadata"]["name"] = key.1.into();
    AnyObject::parse(document).expect("a valid object")
}

fn store_of(objects: impl IntoIterator<Item = AnyObject>) -> Store {
    let mut store = Store::default();
    for object in objects {
        store.apply(object);
    }
    store
}

fn names<'a, T: Object + 'a>(objects: impl Iterator<Item = &'a std::sync::Arc<T>>) -> Vec<String> {
    objects.map(|object| object.key().to_string()).collect()
}

/// Applies one HTTPRoute over another and checks what the store says about it.
#[track_caller]
fn check_change(name: &str, old: Value, new: Value, wanted: Change) {
    let mut store = store_of([object(Kind::HttpRoute, ("shop", "web"), old)]);
    let before = store.revision();
    let new = object(Kind::HttpRoute, ("shop", "web"), new);
    assert_eq!(store.apply(new.clone()), wanted, "{name}: change");
    assert_eq!(
        store.revision() > before,
        wanted == Change::Updated,
        "{name}: revision"
    );
    assert_eq!(
        store.revision_of(Kind::HttpRoute),
        store.revision(),
        "{name}: revision of kind"
    );
    assert_eq!(
        store.revision_of(Kind::Gateway),
        0,
        "{name}: revision of another kind"
    );
    assert_eq!(
        store.get(&new.reference()),
        Some(new),
        "{name}: the new object is kept"
    );
}

#[test]
fn changes_are_told_apart() {
    let route = |version: &str, host: &str, parents: Value| {
        json!({
            "metadata": {"resourceVersion": version},
            "spec": {"hostnames": [host]},
            "status": {"parents": parents},
        })
    };
    let old = || route("1", "a.example", json!([]));
    let status = json!([{"controllerName": "example.org/other", "parentRef": {"name": "gw"}}]);
    check_change("same object", old(), old(), Change::Unchanged);
    check_change(
        "status written",
        old(),
        route("2", "a.example", status),
        Change::StatusOnly,
    );
    check_change(
        "resynchronised",
        old(),
        route("2", "a.example", json!([])),
        Change::StatusOnly,
    );
    check_change(
        "spec edited",
        old(),
        route("2", "b.example", json!([])),
        Change::Updated,
    );
    let mut labelled = old();
    labelled["metadata"]["labels"] = json!({"team": "shop"});
    check_change("label added", old(), labelled, Change::Updated);
    let mut recreated = old();
    recreated["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    check_change("age changed", old(), recreated, Change::Updated);
}

#[test]
fn the_address_of_a_pod_is_content() {
    let pod = |ip: &str| {
        object(
            Kind::Pod,
            ("shop", "web-1"),
            json!({"status": {"podIP": ip}}),
        )
    };
    let mut store = store_of([pod("10.0.0.1")]);
    assert_eq!(store.apply(pod("10.0.0.2")), Change::Updated);
}

#[test]
fn deleting_what_is_not_there_changes_nothing() {
    let mut store = store_of([object(Kind::Service, ("shop", "web"), json!({}))]);
    let reference = ObjectRef::new(Kind::HttpRoute, ObjectKey::new("shop", "web"));
    assert_eq!(store.delete(&reference), None);
    assert_eq!(
        (store.revision(), store.len()),
        (1, 1),
        "another kind of the same key stays"
    );
}

#[test]
fn objects_come_by_key_whatever_the_order_of_events() {
    let keys = [("b", "x"), ("a", "y"), ("a-b", "x"), ("a", "x")];
    let store = store_of(keys.map(|key| object(Kind::TcpRoute, key, json!({}))));
    assert_eq!(
        names(store.tcp_routes().iter()),
        ["a-b/x", "a/x", "a/y", "b/x"]
    );
    assert_eq!(names(store.tcp_routes().in_namespace("a")), ["a/x", "a/y"]);
    assert_eq!(
        names(store.tcp_routes().in_namespace("c")),
        Vec::<String>::new()
    );
    let found = store.tcp_routes().get("a", "y").map(|route| route.key());
    assert_eq!(found, Some(ObjectKey::new("a", "y")));
}

#[test]
fn namespaces_are_found_by_name() {
    let namespace = object(
        Kind::Namespace,
        ("", "shop"),
        json!({"metadata": {"labels": {"a": "b"}}}),
    );
    let store = store_of([namespace]);
    let label = store
        .namespace_labels("shop")
        .and_then(|labels| labels.get("a"));
    assert_eq!(label, Some("b"));
    assert_eq!(store.namespace_labels("web"), None);
}

fn slice(key: (&str, &str), service: &str) -> AnyObject {
    let labels = json!({"labels": {"kubernetes.io/service-name": service}});
    object(Kind::EndpointSlice, key, json!({"metadata": labels}))
}

#[test]
fn slices_belong_to_the_service_of_their_label_and_namespace() {
    let mut store = store_of([
        slice(("shop", "web-2"), "web"),
        slice(("shop", "web-1"), "web"),
        slice(("shop", "api-1"), "api"),
        slice(("test", "web-1"), "web"),
        slice(("shop", "none"), ""),
    ]);
    assert_eq!(
        names(store.endpoint_slices_of("shop", "web")),
        ["shop/web-1", "shop/web-2"]
    );
    store.apply(slice(("shop", "web-1"), "api"));
    assert_eq!(
        names(store.endpoint_slices_of("shop", "web")),
        ["shop/web-2"],
        "label moved away"
    );
    assert_eq!(
        names(store.endpoint_slices_of("shop", "api")),
        ["shop/api-1", "shop/web-1"]
    );
}

#[test]
fn services_are_found_by_every_address_and_shared_addresses_show() {
    let service = |name: &str, addresses: Value| {
        let first = addresses[0].clone();
        object(
            Kind::Service,
            ("shop", name),
            json!({"spec": {"clusterIP": first, "clusterIPs": addresses}}),
        )
    };
    let store = store_of([
        service("web", json!(["10.0.0.1", "fd00::1"])),
        service("api", json!(["10.0.0.1"])),
        service("headless", json!(["None"])),
    ]);
    let at = |address: &str| names(store.services_at(address.parse().expect("an address")));
    assert_eq!(at("10.0.0.1"), ["shop/api", "shop/web"]);
    assert_eq!(at("fd00::1"), ["shop/web"], "second family");
    assert_eq!(at("10.0.0.2"), Vec::<String>::new());
}

#[test]
fn policies_are_found_by_group_kind_and_name_of_their_target() {
    let policy = |name: &str, targets: Value| {
        object(
            Kind::BackendTlsPolicy,
            ("shop", name),
            json!({"spec": {"targetRefs": targets}}),
        )
    };
    let store = store_of([
        policy(
            "two-ports",
            json!([
                {"group": "", "kind": "Service", "name": "web", "sectionName": "a"},
                {"group": "", "kind": "Service", "name": "web", "sectionName": "b"},
            ]),
        ),
        policy(
            "all",
            json!([{"group": "", "kind": "Service", "name": "web"}]),
        ),
        policy(
            "other-kind",
            json!([{"group": "", "kind": "ServiceImport", "name": "web"}]),
        ),
        policy(
            "other-group",
            json!([{"group": "example.org", "kind": "Service", "name": "web"}]),
        ),
    ]);
    let targeting = |target| names(store.backend_tls_policies_for(target));
    assert_eq!(
        targeting(Target::service("shop", "web")),
        ["shop/all", "shop/two-ports"]
    );
    assert_eq!(
        targeting(Target::service("test", "web")),
        Vec::<String>::new()
    );
    let import = Target {
        group: "",
        kind: "ServiceImport",
        namespace: "shop",
        name: "web",
    };
    assert_eq!(targeting(import), ["shop/other-kind"]);
}

/// 10,000 routes, Services and slices must stay well below 60 MiB. Most of an object is its
/// metadata; a field that makes one of these larger is paid for 10,000 times.
#[test]
fn the_most_frequent_objects_stay_small() {
    let rows = [
        ("HTTPRoute", size_of::<weft_api::HttpRoute>(), 320),
        ("Service", size_of::<weft_api::Service>(), 368),
        ("EndpointSlice", size_of::<weft_api::EndpointSlice>(), 272),
        ("HTTP rule", size_of::<weft_api::route::HttpRule>(), 120),
        ("HTTP match", size_of::<weft_api::route::HttpMatch>(), 120),
        ("backend", size_of::<weft_api::reference::BackendRef>(), 136),
        ("filter", size_of::<weft_api::filter::Filter>(), 88),
        ("endpoint", size_of::<weft_api::service::Endpoint>(), 112),
    ];
    for (name, bytes, most) in rows {
        assert!(
            bytes <= most,
            "{name} takes {bytes} bytes, at most {most} are planned for"
        );
    }
}
