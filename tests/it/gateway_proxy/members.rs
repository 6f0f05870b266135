//! Members of the mesh behind a Gateway: reached through the tunnel, in the name of the Gateway, by a key
//! that its worker has made; in plaintext never.

use std::{net::IpAddr, time::Duration};

use tokio::time::Instant;
use weft_tests::{
    backend::Backend,
    control_plane::ControlPlane,
    member::{Member, Seen},
    proxy::{POD_IP, Proxy, free_port},
    wait::{PATIENCE, eventually},
    world::World,
};

use super::{Fate, ROUTE, ask, ask_for, on, said};

const EDGE: &str = "spiffe://cluster.local/ns/infra/sa/edge";
const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";
const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// A host that leads to an endpoint which is no member.
const OLD: &str = "old.example";
const OLD_ROUTE: &str = "rules: [{backendRefs: [{name: old, port: 80}]}]";

/// How long a Gateway without identity holds what is for members.
const HELD: Duration = Duration::from_secs(10);

/// A Gateway on that port with a route to one member.
fn world(port: u16, member: &Member) -> World {
    let listener = format!("{{name: http, port: {port}, protocol: HTTP}}");
    World::bare()
        .gateway("infra/edge", &listener)
        .service("shop/web", &[member.address])
        .route("shop/web", ROUTE)
}

fn serials(seen: Vec<Seen>) -> Vec<String> {
    let mut serials: Vec<_> = seen.into_iter().map(|(_, serial, _)| serial).collect();
    serials.dedup();
    serials
}

#[tokio::test]
async fn a_member_is_reached_through_the_tunnel_in_the_name_of_the_gateway() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let member = Member::start(&control_plane.identity_of(WEB).await, backend.address).await;
    control_plane.members(&[(member.address, WEB)]);
    let _proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &member)).await;
    for _ in 0..3 {
        assert_eq!(ask(on(port)).await, said("one"));
    }
    let seen = member.seen();
    let (id, _serial, source) = seen.first().expect("it came through the tunnel").clone();
    assert_eq!(id, EDGE, "whose traffic it is");
    assert_eq!(source, Some(IpAddr::from(POD_IP)), "where it comes from");
    assert!(control_plane.has_signed(EDGE, ""), "as the proxy itself");
    assert_eq!(
        control_plane.signatures(),
        2,
        "a certificate for the parent and one for the worker, each with a key of its own"
    );
}

#[tokio::test]
async fn who_answers_with_another_identity_gets_nothing() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let other = Member::start(&control_plane.identity_of(CART).await, backend.address).await;
    control_plane.members(&[(other.address, WEB)]);
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &other)).await;
    let Fate::Answered(status, text) = ask(on(port)).await else {
        panic!("it is answered");
    };
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("peer_identity_mismatch"), "{text}");
    assert_eq!(other.seen(), [], "no stream is opened to it");
    assert_eq!(backend.requests(), 0, "and no request is made");
    // The one who ought to answer there is known by its identity, and the Gateway goes on.
    control_plane.members(&[(other.address, CART)]);
    control_plane.publish_and_wait(&world(port, &other)).await;
    assert_eq!(ask(on(port)).await, said("one"));
    proxy.ready().await;
}

#[tokio::test]
async fn the_next_worker_has_a_key_and_a_certificate_of_its_own() {
    let backend = Backend::named("one").await;
    let control_plane = ControlPlane::start().await;
    let member = Member::start(&control_plane.identity_of(WEB).await, backend.address).await;
    control_plane.members(&[(member.address, WEB)]);
    let proxy = Proxy::start(&control_plane);
    let port = free_port();
    control_plane.publish_and_wait(&world(port, &member)).await;
    assert_eq!(ask(on(port)).await, said("one"));
    proxy.kill_worker().await;
    assert_eq!(ask(on(port)).await, said("one"), "it waits and is served");
    let serials = serials(member.seen());
    assert_eq!(serials.len(), 2, "a certificate per worker: {serials:?}");
    assert_eq!(control_plane.signatures(), 3, "the parent has kept its own");
}

#[tokio::test]
async fn a_saved_configuration_reaches_members_once_there_is_an_identity() {
    let (plain, meshed) = (
        Backend::named("plain").await,
        Backend::named("meshed").await,
    );
    let mut control_plane = ControlPlane::start().await;
    let member = Member::start(&control_plane.identity_of(WEB).await, meshed.address).await;
    control_plane.members(&[(member.address, WEB)]);
    let mut proxy = Proxy::start(&control_plane);
    let port = free_port();
    let world = world(port, &member)
        .service("shop/old", &[plain.address])
        .route("shop/old", &format!("hostnames: [{OLD}], {OLD_ROUTE}"));
    control_plane.publish_and_wait(&world).await;
    assert_eq!(ask(on(port)).await, said("meshed"));
    eventually(PATIENCE, "it is saved", || proxy.saved().exists()).await;
    control_plane.go_away().await;
    let before = member.seen().len();

    proxy.restart();
    proxy.ready().await;
    let plainly = ask_for(OLD, on(port)).await;
    assert_eq!(plainly, said("plain"), "who is no member");
    let asked = Instant::now();
    let refused = ask(on(port)).await;
    let waited = asked.elapsed();
    let Fate::Answered(status, text) = refused else {
        panic!("it is answered, not {refused:?}");
    };
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("no_identity"), "{text}");
    assert!(waited >= HELD.mul_f32(0.9), "it was held: {waited:?}");
    assert!(waited <= HELD.mul_f32(1.4), "and not for long: {waited:?}");
    assert_eq!(member.seen().len(), before, "no key was kept");

    control_plane.come_back().await;
    control_plane.publish(&world);
    let reached = async {
        while ask(on(port)).await != said("meshed") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reached = tokio::time::timeout(2 * PATIENCE, reached).await;
    assert!(reached.is_ok(), "members are reached again");
}
