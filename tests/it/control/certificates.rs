//! Who gets a certificate, and who does not.

use std::time::UNIX_EPOCH;

use data_encoding::BASE64URL_NOPAD;
use tonic::Code;
use weft_api::Kind;
use weft_certs::Clock;
use weft_tests::fakeapi::Fault;

use super::client::{resources, subscriber};
use super::streams::opened;
use super::{ACCOUNT, AUDIENCE, NAMESPACE, TOKEN, World, identity_of};

#[tokio::test]
async fn a_pod_of_a_gateway_gets_the_certificate_of_its_service_account() {
    let world = World::start().await;
    let anchor = world.anchor().await;
    let id = identity_of(NAMESPACE, ACCOUNT);
    let address = world.addresses().identity;
    let identity = anchor.certify(address, Some(TOKEN), &id).await;
    assert_eq!(identity.map(|identity| identity.id()), Ok(id));
}

#[tokio::test]
async fn nobody_gets_the_certificate_of_somebody_else() {
    let world = World::start().await;
    let anchor = world.anchor().await;
    world
        .api
        .know_token("for the API", (NAMESPACE, ACCOUNT), "api");
    world
        .api
        .know_token("of no pod", (NAMESPACE, ACCOUNT), AUDIENCE);
    world.api.unbind_token("of no pod");
    world
        .api
        .know_token("of other", (NAMESPACE, "other"), AUDIENCE);
    let own = identity_of(NAMESPACE, ACCOUNT);
    let rows = [
        ("no token", None, &own, Code::Unauthenticated),
        ("unknown", Some("unknown"), &own, Code::Unauthenticated),
        (
            "another audience",
            Some("for the API"),
            &own,
            Code::Unauthenticated,
        ),
        ("no pod", Some("of no pod"), &own, Code::PermissionDenied),
        (
            "another account",
            Some("of other"),
            &own,
            Code::PermissionDenied,
        ),
        (
            "another namespace",
            Some(TOKEN),
            &identity_of("bank", ACCOUNT),
            Code::PermissionDenied,
        ),
        (
            "the control plane",
            Some(TOKEN),
            &identity_of(super::CONTROL, "weft-controller"),
            Code::PermissionDenied,
        ),
    ];
    for (name, token, id, expected) in rows {
        let address = world.addresses().identity;
        let refused = anchor.certify(address, token, id).await;
        assert_eq!(refused.map(|it| it.id()), Err(expected), "{name}");
    }
}

/// A token as Kubernetes makes them, which ends in the given number of seconds.
fn token(life_s: u64) -> String {
    let now = Clock::system().now().duration_since(UNIX_EPOCH);
    let expires = now.expect("a time").as_secs() + life_s;
    let claims = format!(r#"{{"exp":{expires}}}"#);
    format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()))
}

#[tokio::test]
async fn the_api_server_is_asked_once_about_a_token() {
    let world = World::start().await;
    let anchor = world.anchor().await;
    let (good, id) = (token(600), identity_of(NAMESPACE, ACCOUNT));
    world.api.know_token(&good, (NAMESPACE, ACCOUNT), AUDIENCE);
    let reviews = || {
        let requests = world.api.requests().into_iter();
        requests.filter(|it| it.contains("/tokenreviews")).count()
    };
    let address = world.addresses().identity;
    let rows = [
        ("for the first time", good.clone(), Ok(id.clone()), 1),
        ("again", good, Ok(id.clone()), 1),
        ("of nobody", token(601), Err(Code::Unauthenticated), 2),
        (
            "of nobody, again",
            token(601),
            Err(Code::Unauthenticated),
            3,
        ),
    ];
    for (name, token, expected, asked) in rows {
        let answer = anchor.certify(address, Some(&token), &id).await;
        assert_eq!(answer.map(|it| it.id()), expected, "{name}");
        assert_eq!(reviews(), asked, "{name}");
    }
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_is_no_refusal() {
    let world = World::start().await;
    let anchor = world.anchor().await;
    world.api.fault(Fault::Unavailable {
        requests: usize::MAX,
        status: 503,
    });
    let id = identity_of(NAMESPACE, ACCOUNT);
    let address = world.addresses().identity;
    let answer = anchor.certify(address, Some(TOKEN), &id).await;
    assert_eq!(answer.map(|it| it.id()), Err(Code::Unavailable));
}

#[tokio::test]
async fn the_authority_is_one_secret_and_outlives_the_control_plane() {
    let mut world = World::start().await;
    let anchor = world.anchor().await;
    let stored = || {
        let secret = world.api.object(Kind::Secret, super::CONTROL, "weft-ca");
        secret.map(|secret| secret["data"].clone())
    };
    let before = stored();
    assert!(before.is_some(), "the Secret is there");
    let id = identity_of(NAMESPACE, ACCOUNT);
    let address = world.addresses().identity;
    let identity = anchor.certify(address, Some(TOKEN), &id).await;
    let identity = identity.expect("a certificate");
    world.restart().await;
    let secret = world.api.object(Kind::Secret, super::CONTROL, "weft-ca");
    assert_eq!(before, secret.map(|secret| secret["data"].clone()));
    let address = world.addresses().config;
    // Panics unless a certificate of before is good.
    let mut proxy = opened(address, &identity, subscriber("edge", "pod-1")).await;
    assert!(!resources(&proxy.next().await).is_empty());
}
