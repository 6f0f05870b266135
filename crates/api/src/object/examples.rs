//! Upstream's own manifests read and written back. The files under `fixtures/examples` are copies
//! from `examples` of Gateway API v1.6.1 (Apache-2.0), unmodified.

use serde_json::Value;

use super::{AnyObject, Kind};

/// Declares the fixtures by file name.
macro_rules! examples {
    ($($name:literal),+ $(,)?) => {
        &[$((
            $name,
            include_str!(concat!("../../fixtures/examples/", $name, ".yaml")),
        )),+]
    };
}

const EXAMPLES: &[(&str, &str)] = examples![
    "0-namespaces",
    "backend-tls",
    "backendtlspolicy-ca-certs",
    "basic-grpc",
    "basic-http",
    "basic-tcp",
    "default-match-http",
    "frontend-cert-validation",
    "gateway-addresses",
    "http-redirect",
    "http-response-header",
    "http-route-rule-name",
    "httproute-all-fields-set",
    "httproute-mirroring",
    "httproute-rewrite-prefix-path",
    "listenerset",
    "reference-grant",
    "site-route",
    "timeout-example",
    "tls-cert-cross-namespace",
    "tls-route",
    "traffic-split-2",
    "udp-route",
];

/// Reads every object of a file, writes it and compares it with what the file says.
fn check(file: &str, yaml: &str) -> Vec<Kind> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{file}: {error}"));
    let objects = documents.into_iter().map(|mut document| {
        let object =
            AnyObject::parse(document.clone()).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut written = object.to_value().expect("an object can be written");
        // The two places where reading adds to or normalises what was written.
        written["metadata"]
            .as_object_mut()
            .expect("metadata")
            .remove("namespace");
        document["metadata"]
            .as_object_mut()
            .expect("metadata")
            .remove("namespace");
        document["apiVersion"] = written["apiVersion"].clone();
        assert_eq!(
            written,
            document,
            "{file}: {} changes by reading and writing",
            object.reference()
        );
        object.kind()
    });
    objects.collect()
}

#[test]
fn upstream_examples_survive_reading_and_writing() {
    let mut kinds: Vec<_> = EXAMPLES
        .iter()
        .flat_map(|(file, yaml)| check(file, yaml))
        .collect();
    kinds.sort();
    kinds.dedup();
    assert!(kinds.len() >= 10, "the examples cover only {kinds:?}");
}
