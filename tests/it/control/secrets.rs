//! Certificates of listeners: read only when referred to and granted, and sent with what refers to
//! them.

use serde_json::{Value, json};
use weft_api::{ByteString, Kind};
use weft_certs::{Clock, self_signed};
use weft_tests::fakeapi::FakeApi;
use weft_tests::wait::Expected;

use super::client::{resources, subscriber};
use super::streams::{identity, opened};
use super::{NAMESPACE, World};

/// A certificate in a namespace, under a name.
fn store(api: &FakeApi, namespace: &str, name: &str) {
    let made = self_signed(&["shop.test"], Clock::system().now()).expected("a certificate");
    let bytes = |text: &str| {
        let bytes = ByteString(text.as_bytes().to_vec());
        serde_json::to_value(bytes).unwrap_or_default()
    };
    api.apply(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": { "namespace": namespace, "name": name },
        "data": {
            "tls.crt": bytes(&made.cert_pem),
            "tls.key": bytes(made.key_pem.expose()),
        },
    }));
}

fn gateway(certificates: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "namespace": NAMESPACE, "name": "edge" },
        "spec": {
            "gatewayClassName": "weft",
            "listeners": [{
                "name": "https", "port": 443, "protocol": "HTTPS",
                "tls": { "certificateRefs": certificates },
            }],
        },
    })
}

#[tokio::test]
async fn a_certificate_comes_with_the_listener_and_others_are_not_even_asked_for() {
    let world = World::start().await;
    store(&world.api, NAMESPACE, "own");
    store(&world.api, "bank", "theirs");
    store(&world.api, NAMESPACE, "unrelated");
    let identity = identity(&world).await;
    let address = world.addresses().config;
    let mut proxy = opened(address, &identity, subscriber("edge", "pod-1")).await;
    proxy.next().await;
    let theirs = json!({ "name": "theirs", "namespace": "bank" });
    world.api.apply(gateway(json!([{ "name": "own" }, theirs])));
    let delta = proxy.next().await;
    let changed = resources(&delta);
    for resource in ["Certificate shop/own", "Gateway shop/edge"] {
        let is_there = changed.iter().any(|it| it == resource);
        assert!(is_there, "{resource} is in the same change: {changed:?}");
    }
    let asked = world.api.requests().into_iter();
    let asked = asked.filter(|request| request.contains("/secrets"));
    // By name, or a watch of that name alone; and the authority, in the control namespace.
    let may = |request: &String| {
        let control = format!("/namespaces/{}/", super::CONTROL);
        let by_name = request.ends_with("/namespaces/shop/secrets/own");
        by_name || request.contains("metadata.name%3Down&") || request.contains(&control)
    };
    let others: Vec<_> = asked.filter(|request| !may(request)).collect();
    assert_eq!(others, Vec::<String>::new(), "no other Secret is read");
    assert!(world.api.object(Kind::Secret, "bank", "theirs").is_some());
}
