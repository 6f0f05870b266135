//! Parsing: dispatch, defaults of metadata, and every error with its message.

use serde_json::{Value, json};

use super::{AnyObject, Kind, ParseError};

fn document(api_version: &str, kind: &str, metadata: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
}

#[test]
fn every_kind_is_read_in_every_version_and_written_in_the_first() {
    for kind in Kind::ALL {
        for version in kind.versions() {
            let group = kind.group();
            let api_version = if group.is_empty() {
                (*version).to_owned()
            } else {
                format!("{group}/{version}")
            };
            let object =
                AnyObject::parse(document(&api_version, kind.as_str(), json!({"name": "x"})))
                    .unwrap_or_else(|error| panic!("{kind} {api_version}: {error}"));
            assert_eq!(
                object.kind(),
                *kind,
                "{api_version} {kind} is read as another kind"
            );
            let written = object.to_value().expect("a value");
            assert_eq!(
                written["apiVersion"],
                kind.api_version(),
                "{kind}: version written"
            );
            assert_eq!(written["kind"], kind.as_str(), "{kind}: kind written");
            let again = AnyObject::parse(written).expect("what was written is read");
            assert_eq!(again, object, "{kind}: reading what was written changes it");
        }
    }
}

#[track_caller]
fn check_key(name: &str, value: Value, wanted: &str) {
    let object = AnyObject::parse(value).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(object.reference().to_string(), wanted, "{name}");
}

#[test]
fn namespaces_are_those_an_api_server_gives() {
    let given = json!({"name": "x", "namespace": "shop"});
    check_key(
        "named",
        document("v1", "Service", given.clone()),
        "Service shop/x",
    );
    check_key(
        "unnamed",
        document("v1", "Service", json!({"name": "x"})),
        "Service default/x",
    );
    check_key(
        "null",
        document("v1", "Service", json!({"name": "x", "namespace": null})),
        "Service default/x",
    );
    check_key(
        "cluster-scoped",
        document("v1", "Namespace", given),
        "Namespace x",
    );
}

#[test]
fn nulls_count_as_absent() {
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "x", "creationTimestamp": null},
        "addressType": "IPv4", "endpoints": null, "ports": null,
    });
    let object = AnyObject::parse(slice).expect("nil lists of Go are read as empty");
    let AnyObject::EndpointSlice(slice) = object else {
        panic!("another kind")
    };
    assert!(slice.endpoints.is_empty() && slice.ports.is_empty());
}

#[track_caller]
fn check_error(name: &str, value: Value, message: &str) {
    let error = AnyObject::parse(value)
        .map(|object| object.reference())
        .expect_err(name);
    assert_eq!(error.to_string(), message, "{name}");
}

#[test]
fn errors_name_the_object_the_field_and_the_cure() {
    check_error(
        "list document",
        json!([]),
        "the document is a list, not an object: write `apiVersion`, `kind` and `metadata`",
    );
    check_error(
        "no kind",
        json!({"apiVersion": "v1"}),
        "the object has no `kind`: it must be a non-empty text",
    );
    check_error(
        "no version",
        json!({"kind": "Service"}),
        "Service has no `apiVersion`: it must be a non-empty text",
    );
    check_error(
        "no name",
        document("v1", "Service", json!({})),
        "Service has no `metadata.name`: it must be a non-empty text",
    );
    check_error(
        "unserved version",
        document(
            "gateway.networking.k8s.io/v1alpha2",
            "HTTPRoute",
            json!({"name": "web"}),
        ),
        "HTTPRoute default/web: version \"v1alpha2\" is not served; use gateway.networking.k8s.io/v1",
    );
    check_error(
        "path in a name",
        document("v1", "Secret", json!({"name": "../x"})),
        "Secret default/../x: `metadata.name` must be lower-case letters, digits, `-` and `.`, \
         at most 253 bytes, with a letter or digit at both ends",
    );
    check_error(
        "dot in a Service",
        document("v1", "Service", json!({"name": "a.b"})),
        "Service default/a.b: `metadata.name` must be lower-case letters, digits, `-`, \
         at most 63 bytes, with a letter or digit at both ends",
    );
    let mut route = document(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        json!({"name": "web"}),
    );
    route["spec"] =
        json!({"rules": [{"backendRefs": [{"name": "a"}, {"name": "b", "port": "80"}]}]});
    check_error(
        "wrong type",
        route,
        "HTTPRoute default/web: field `spec.rules[0].backendRefs[1].port`: \
         invalid type: string \"80\", expected i32",
    );
}

#[test]
fn other_software_is_told_apart_from_faults() {
    for (api_version, kind) in [
        ("apps/v1", "Deployment"),
        ("v1", "List"),
        ("example.org/v1", "Service"),
    ] {
        let error = AnyObject::parse(document(api_version, kind, json!({"name": "x"})));
        assert!(
            matches!(error, Err(ParseError::UnknownKind { .. })),
            "{api_version} {kind} must be an unknown kind, not a fault: {error:?}"
        );
    }
}

#[test]
fn secrets_do_not_show_their_values() {
    let mut secret = document("v1", "Secret", json!({"name": "x"}));
    secret["data"] = json!({"tls.key": "aHVzaA=="});
    secret["stringData"] = json!({"token": "hush"});
    secret["metadata"]["annotations"] = json!({"copy": "hush"});
    let object = AnyObject::parse(secret).expect("a secret");
    let shown = format!("{object:?}");
    assert!(shown.contains("tls.key"), "keys help to debug: {shown}");
    for leak in ["hush", "104, 117, 115, 104", "aHVzaA"] {
        assert!(!shown.contains(leak), "Debug shows a value: {shown}");
    }
}
