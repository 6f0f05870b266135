//! What proxies are sent, and what comes of their answers.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tonic::Code;
use weft_api::Kind;
use weft_certs::Identity;
use weft_ir::Name;
use weft_tests::wait::{PATIENCE, eventually, soon};
use weft_wire::{
    Subscriber,
    proto::config::{Ack, ClientMessage, Nack, ResourceError, client_message::Message},
};

use super::client::{Proxy, resources, subscriber};
use super::{ACCOUNT, AUDIENCE, NAMESPACE, TOKEN, World, identity_of, route};

/// An identity of a proxy of the Gateway.
pub(super) async fn identity(world: &World) -> Identity {
    let anchor = world.anchor().await;
    let id = identity_of(NAMESPACE, ACCOUNT);
    let address = world.addresses().identity;
    let identity = anchor.certify(address, Some(TOKEN), &id).await;
    identity.expect("a certificate")
}

/// A stream, once the control plane has read the cluster.
pub(super) async fn opened(
    address: SocketAddr,
    identity: &Identity,
    mut subscriber: Subscriber,
) -> Proxy {
    let opening = async {
        loop {
            match Proxy::open(address, identity, subscriber).await {
                Ok(proxy) => return proxy,
                Err((Code::Unavailable, again)) => {
                    subscriber = *again;
                    // As a proxy does: calling again at once would keep both sides busy.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err((code, _)) => panic!("the stream is refused: {code:?}"),
            }
        }
    };
    soon("a stream", opening).await
}

async fn proxy(world: &World, identity: &Identity, instance: &str) -> Proxy {
    let address = world.addresses().config;
    opened(address, identity, subscriber("edge", instance)).await
}

#[tokio::test]
async fn a_proxy_gets_its_gateway_and_the_gateway_is_programmed_once_it_says_so() {
    let world = World::start().await;
    let identity = identity(&world).await;
    world.becomes("False/Pending").await;
    let mut proxy = proxy(&world, &identity, "pod-1").await;
    let (delta, answer) = proxy.take().await;
    assert_eq!(
        resources(&delta),
        [
            "Endpoints shop/web",
            "Gateway shop/edge",
            "HTTPRoute shop/web"
        ]
    );
    let configuration = proxy.subscriber.assembler().configuration();
    let gateways = &configuration.tables.gateways;
    assert!(gateways.contains_key(&Name::new(NAMESPACE, "edge")));
    assert_eq!(world.programmed(), "False/Pending", "nothing is said yet");
    proxy.answer(answer).await;
    world.becomes("True/Programmed").await;
}

#[tokio::test]
async fn an_edit_arrives_as_one_change_of_one_resource() {
    let world = World::start().await;
    let identity = identity(&world).await;
    let mut proxy = proxy(&world, &identity, "pod-1").await;
    proxy.next().await;
    world.api.apply(route("/shop"));
    let delta = proxy.next().await;
    assert_eq!(resources(&delta), ["HTTPRoute shop/web"]);
    world.api.delete(Kind::HttpRoute, NAMESPACE, "web");
    let delta = proxy.next().await;
    assert_eq!(
        resources(&delta),
        ["-Endpoints shop/web", "-HTTPRoute shop/web"]
    );
}

#[tokio::test]
async fn every_proxy_of_a_gateway_counts() {
    let world = World::start().await;
    let identity = identity(&world).await;
    let mut first = proxy(&world, &identity, "pod-1").await;
    let mut second = proxy(&world, &identity, "pod-2").await;
    first.next().await;
    second.next().await;
    world.becomes("True/Programmed").await;
    world
        .api
        .edit(Kind::Gateway, (NAMESPACE, "edge"), |gateway| {
            gateway["spec"]["listeners"][0]["port"] = 8080.into();
            gateway["metadata"]["generation"] = 2.into();
        });
    first.next().await;
    let (_, answer) = second.take().await;
    world.becomes("False/Pending").await;
    second.answer(answer).await;
    world.becomes("True/Programmed").await;
}

#[tokio::test]
async fn proxies_hear_that_their_namespace_ends_and_not_that_their_gateway_is_gone() {
    let world = World::start().await;
    let identity = identity(&world).await;
    let mut first = proxy(&world, &identity, "pod-1").await;
    first.next().await;
    world.api.apply(json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "deletionTimestamp": "2030-01-01T00:00:00Z" },
    }));
    let nothing = [
        "-Endpoints shop/web",
        "-Gateway shop/edge",
        "-HTTPRoute shop/web",
    ];
    assert_eq!(resources(&first.next().await), nothing);
    let mut late = proxy(&world, &identity, "pod-2").await;
    let delta = late.next().await;
    assert_eq!(resources(&delta), Vec::<String>::new(), "it may ask again");
    world.api.delete(Kind::Gateway, NAMESPACE, "edge");
    assert_eq!(first.end().await, Code::Aborted);
}

#[tokio::test]
async fn a_gateway_that_is_gone_leaves_its_proxies_what_they_serve() {
    let world = World::start().await;
    let identity = identity(&world).await;
    let mut proxy = proxy(&world, &identity, "pod-1").await;
    proxy.next().await;
    world.api.delete(Kind::Gateway, NAMESPACE, "edge");
    assert_eq!(proxy.end().await, Code::Aborted);
    let configuration = proxy.subscriber.assembler().configuration();
    assert!(
        !configuration.tables.gateways.is_empty(),
        "nothing was taken away"
    );
}

/// The Applied condition of the route, as stored: status, generation and message.
fn applied(world: &World) -> String {
    let route = world.api.object(Kind::HttpRoute, NAMESPACE, "web");
    let parents = route.unwrap_or_default()["status"]["parents"].clone();
    let conditions = parents[0]["conditions"].as_array().cloned();
    let conditions = conditions.unwrap_or_default();
    let found = conditions
        .iter()
        .find(|it| it["type"] == "weft.dev/Applied");
    let text = |it: &Value| {
        let (status, message) = (it["status"].as_str(), it["message"].as_str());
        let (status, message) = (status.unwrap_or_default(), message.unwrap_or_default());
        format!("{status} {}: {message}", it["observedGeneration"])
    };
    found.map(text).unwrap_or_default()
}

#[tokio::test]
async fn a_route_is_applied_when_every_proxy_says_so_and_laggards_are_named() {
    let world = World::start().await;
    let identity = identity(&world).await;
    let mut first = proxy(&world, &identity, "pod-1").await;
    let mut second = proxy(&world, &identity, "pod-2").await;
    first.next().await;
    second.next().await;
    let becomes = async |wanted: &str| {
        eventually(PATIENCE, wanted, || applied(&world) == wanted).await;
    };
    becomes("True 1: applied on 2 of 2 proxies").await;
    world.api.apply(route("/shop"));
    first.next().await;
    let (_, answer) = second.take().await;
    becomes("False 2: applied on 1 of 2 proxies; waiting for pod-2").await;
    second.answer(answer).await;
    becomes("True 2: applied on 2 of 2 proxies").await;
}

#[tokio::test]
async fn a_member_of_the_mesh_is_not_served_the_gateway_of_others() {
    let world = World::start().await;
    let anchor = world.anchor().await;
    let own = identity(&world).await;
    let addresses = world.addresses();
    world
        .api
        .know_token("other", (NAMESPACE, "other"), AUDIENCE);
    let other = identity_of(NAMESPACE, "other");
    let other = anchor.certify(addresses.identity, Some("other"), &other);
    let other = other.await.expect("a certificate of its own");
    let rows = [
        ("a proxy, its own Gateway", &own, "edge", None),
        (
            "another account",
            &other,
            "edge",
            Some(Code::PermissionDenied),
        ),
        (
            "no such Gateway",
            &own,
            "none",
            Some(Code::PermissionDenied),
        ),
    ];
    for (name, identity, gateway, expected) in rows {
        let asked = subscriber(gateway, "pod-1");
        let opened = Proxy::open(addresses.config, identity, asked).await;
        let refused = opened.err().map(|(code, _)| code);
        assert_eq!(refused, expected, "{name}");
    }
}

#[tokio::test]
async fn a_control_plane_that_restarts_sends_nothing_again() {
    let mut world = World::start().await;
    let identity = identity(&world).await;
    let mut before = proxy(&world, &identity, "pod-1").await;
    before.next().await;
    world.becomes("True/Programmed").await;
    world.restart().await;
    assert_eq!(
        before.end().await,
        Code::Unavailable,
        "told to go elsewhere"
    );
    let address = world.addresses().config;
    let mut after = opened(address, &identity, before.subscriber).await;
    let delta = after.next().await;
    assert_eq!(resources(&delta), Vec::<String>::new());
    world.becomes("True/Programmed").await;
    world.api.apply(route("/shop"));
    let delta = after.next().await;
    assert_eq!(resources(&delta), ["HTTPRoute shop/web"], "edits go on");
}

/// The answer of a proxy that cannot serve the route as it says.
fn refusing(answer: ClientMessage) -> ClientMessage {
    let Some(Message::Ack(Ack { nonce, generation })) = answer.message else {
        panic!("{answer:?} refuses something already");
    };
    let error = ResourceError {
        r#type: "HTTPRoute".to_owned(),
        name: "shop/web".to_owned(),
        message: "no authorities".to_owned(),
    };
    let nack = Nack {
        nonce,
        generation,
        errors: vec![error],
        ..Nack::default()
    };
    ClientMessage {
        message: Some(Message::Nack(nack)),
    }
}

#[tokio::test]
async fn a_route_that_a_proxy_refuses_is_not_applied_and_says_why() {
    let world = World::start().await;
    let identity = identity(&world).await;
    let mut first = proxy(&world, &identity, "pod-1").await;
    let mut second = proxy(&world, &identity, "pod-2").await;
    first.next().await;
    second.next().await;
    let becomes = async |wanted: &str| {
        eventually(PATIENCE, wanted, || applied(&world) == wanted).await;
    };
    becomes("True 1: applied on 2 of 2 proxies").await;
    world.api.apply(route("/shop"));
    first.next().await;
    let (_, answer) = second.take().await;
    second.answer(refusing(answer)).await;
    becomes("False 2: applied on 1 of 2 proxies; refused by pod-2: no authorities").await;
    world.api.apply(route("/other"));
    first.next().await;
    second.next().await;
    becomes("True 3: applied on 2 of 2 proxies").await;
}
