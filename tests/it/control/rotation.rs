//! The authority is rotated while proxies are connected, and follows none faster than it can.

use serde_json::Value;
use weft_api::{ByteString, Kind};
use weft_certs::Identity;
use weft_control::Addresses;
use weft_tests::wait::{Expected, PATIENCE, eventually};

use super::client::{Proxy, resources};
use super::replicas::{proxy, two};
use super::{ACCOUNT, CONTROL, NAMESPACE, TOKEN, World, identity_of, route};

/// A text of the authority's Secret.
fn stored(world: &World, item: &str) -> Option<String> {
    let secret = world.api.object(Kind::Secret, CONTROL, "weft-ca")?;
    let bytes: ByteString = serde_json::from_value(secret["data"].get(item)?.clone()).ok()?;
    String::from_utf8(bytes.0).ok()
}

/// The phase of the rotation, as stored.
fn phase(world: &World) -> String {
    let rotation = stored(world, "rotation.json").unwrap_or_default();
    let rotation: Value = serde_json::from_str(&rotation).unwrap_or_default();
    rotation["phase"].as_str().unwrap_or("Stable").to_owned()
}

/// What the Secret says for people.
fn says(world: &World) -> String {
    let secret = world.api.object(Kind::Secret, CONTROL, "weft-ca");
    let annotations = secret.unwrap_or_default()["metadata"]["annotations"].clone();
    let says = annotations["weft.dev/rotation-status"].as_str();
    says.unwrap_or_default().to_owned()
}

async fn becomes(world: &World, wanted: &str) {
    let what = format!("the rotation is in phase {wanted}");
    eventually(PATIENCE, &what, || phase(world) == wanted).await;
}

/// Waits until somebody is told who is waited for.
async fn waits_for(world: &World, wanted: &str) {
    let what = format!("the Secret says `{wanted}`");
    eventually(PATIENCE, &what, || says(world) == wanted).await;
}

/// Waits until the leader has looked at the authority a few times more.
async fn looked_again(world: &World) {
    let looks = || {
        let requests = world.api.requests().into_iter();
        requests
            .filter(|it| it.ends_with("/secrets/weft-ca"))
            .count()
    };
    let before = looks();
    eventually(PATIENCE, "the leader looks again", || looks() > before + 1).await;
}

/// How many roots new pods are shown.
fn published(world: &World) -> usize {
    let roots = world.api.object(Kind::ConfigMap, NAMESPACE, "weft-root");
    let pem = roots.unwrap_or_default()["data"]["root.pem"].clone();
    pem.as_str().unwrap_or_default().matches("BEGIN").count()
}

/// A certificate as of now, by the roots that are published.
async fn renewed(world: &World) -> Identity {
    let anchor = world.anchor().await;
    let id = identity_of(NAMESPACE, ACCOUNT);
    let address = world.addresses().identity;
    let identity = anchor.certify(address, Some(TOKEN), &id).await;
    identity.expected("a certificate")
}

fn issuer(identity: &Identity) -> String {
    identity.leaf().info().issuer.clone()
}

#[tokio::test]
async fn a_root_is_replaced_under_open_streams_when_everybody_has_followed() {
    let (world, second) = two().await;
    let before = renewed(&world).await;
    let old = issuer(&before);
    let mut here = proxy(world.addresses().config, &before, "pod-1").await;
    let mut there = proxy(second.addresses().config, &before, "pod-2").await;
    for proxy in [&mut here, &mut there] {
        proxy.next().await;
        proxy.trusts(1, &old).await;
    }
    let ask = |secret: &mut Value| {
        secret["metadata"]["annotations"]["weft.dev/rotate"] = "root".into();
    };
    world.api.edit(Kind::Secret, (CONTROL, "weft-ca"), ask);

    becomes(&world, "Distribute").await;
    for proxy in [&mut here, &mut there] {
        let bundle = proxy.bundle().await;
        let seen = (bundle.version, bundle.roots.len(), bundle.issuer);
        assert_eq!(seen, (2, 2, old.clone()), "the old one signs");
    }
    here.trusts(2, &old).await;
    looked_again(&world).await;
    assert_eq!(phase(&world), "Distribute", "a proxy elsewhere lags");
    let lags = "phase 1 waits for Gateway shop/edge proxy pod-2 (trusts bundle 1)";
    waits_for(&world, lags).await;
    there.trusts(2, &old).await;

    becomes(&world, "Activate").await;
    assert_eq!(published(&world), 2, "published before it signs");
    let new = here.bundle().await.issuer;
    assert_eq!(there.bundle().await.issuer, new);
    assert_ne!(new, old);
    let after = renewed(&world).await;
    assert_eq!(issuer(&after), new, "the new one signs");
    here.trusts(2, &new).await;
    there.trusts_with_worker(2, &new, &old).await;
    looked_again(&world).await;
    assert_eq!(phase(&world), "Activate", "a worker has an old certificate");
    let lags = "phase 2 waits for Gateway shop/edge proxy pod-2 worker shop (has a certificate of \
                the old issuer)";
    waits_for(&world, lags).await;
    there.trusts_with_worker(2, &new, &new).await;

    becomes(&world, "Retire").await;
    for proxy in [&mut here, &mut there] {
        let bundle = proxy.bundle().await;
        assert_eq!((bundle.version, bundle.roots.len()), (3, 1));
        proxy.trusts(3, &new).await;
    }
    becomes(&world, "Stable").await;
    let what = "the old root is taken back";
    eventually(PATIENCE, what, || published(&world) == 1).await;
    assert_eq!(says(&world), "", "nobody is waited for");
    assert_eq!(stored(&world, "old.root.crt"), None);
    assert_eq!(stored(&world, "next.root.key"), None);
    check_service(&world, &mut [here, there]).await;
    check_known(&world, [world.addresses(), second.addresses()]).await;
}

/// Panics unless each replica is known by the new root alone.
async fn check_known(world: &World, replicas: [Addresses; 2]) {
    let alone = renewed(world).await;
    for replica in replicas {
        let mut proxy = proxy(replica.config, &alone, "pod-3").await;
        assert!(!resources(&proxy.next().await).is_empty());
    }
}

/// The streams of before were never cut.
async fn check_service(world: &World, proxies: &mut [Proxy]) {
    world.api.apply(route("/shop"));
    for proxy in proxies {
        assert_eq!(resources(&proxy.next().await), ["HTTPRoute shop/web"]);
    }
}
