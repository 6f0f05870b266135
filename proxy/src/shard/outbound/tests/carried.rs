//! Connections of pods, from what they dialled to who answers.

use std::{io::ErrorKind, net::SocketAddr, sync::atomic::Ordering::SeqCst};

use http::HeaderName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weft_ir::{
    Backend, Filters, HeaderMatch, HttpMatch, Matches, Name, RouteEntry, RouteId, RouteKind,
    RouteSet, Rule, StringMatch, Target, Timeouts, UpstreamProtocol,
};

use super::{
    super::*,
    mesh::{CART, Mesh, Pod, WEB, World, address, application, outbound, port, vip},
    peers,
};

/// A rule for requests of that version, or for all, that leads to these Services by weight.
fn rule(index: u16, version: Option<&str>, backends: &[(&str, u32)]) -> Arc<Rule> {
    let headers = version.map(|version| HeaderMatch {
        name: HeaderName::from_static("version"),
        value: StringMatch::Exact(version.into()),
    });
    let mut matches = HttpMatch::default();
    matches.headers = headers.into_iter().collect();
    let backend = |(name, weight): &(&str, u32)| Backend {
        weight: *weight,
        filters: Filters::default(),
        target: Target::Service {
            port: port(name),
            protocol: UpstreamProtocol::Http1,
            tls: None,
        },
    };
    Arc::new(Rule {
        route: Arc::new(RouteId {
            kind: RouteKind::Http,
            name: Name::new("shop", "web"),
        }),
        index,
        name: None,
        matches: Matches::Http(vec![matches]),
        filters: Filters::default(),
        backends: backends.iter().map(backend).collect(),
        timeouts: Timeouts::default(),
        retry: None,
        idempotent: false,
    })
}

fn routes(rules: Vec<Arc<Rule>>) -> Option<RouteSet> {
    let entry = RouteEntry {
        hostnames: Vec::new(),
        created: None,
        rules,
    };
    Some(RouteSet::new(vec![entry]))
}

/// A connection that is reset, or is not there at all.
async fn is_reset(pod: &Pod, outbound: &Outbound, wanted: SocketAddr) -> Failure {
    let (mut client, carried) = pod.dial(outbound, wanted).await;
    // It may be gone already.
    let _written = client.write_all(b"hello").await;
    let ended = client.read_u8().await.map_err(|error| error.kind());
    assert_eq!(ended, Err(ErrorKind::ConnectionReset), "{wanted}");
    let carried = carried.await.expect("no panic");
    carried.expect_err("it was not carried")
}

#[tokio::test]
async fn routes_of_a_service_act_where_its_clients_are() {
    let mesh = Mesh::new();
    let (one, two) = (address(), address());
    let (first, second) = (application(one, "one").await, application(two, "two").await);
    let streams = mesh.member(one, WEB).await;
    let rules = vec![
        rule(0, Some("one"), &[("v1", 1)]),
        rule(1, Some("two"), &[("v2", 1)]),
        rule(2, Some("any"), &[("v1", 3), ("v2", 1)]),
    ];
    let world = World::default()
        .service(("web", 1), &[(second, None)], routes(rules))
        .service(("v1", 2), &[(first, Some(WEB))], None)
        .service(("v2", 3), &[(second, None)], None);
    let outbound = outbound();
    outbound.apply(world.configuration());
    let pod = Pod::new().who_is(&mesh.identity(CART));
    for (version, name) in [("one", "one"), ("two", "two"), ("one", "one")] {
        let field = format!("version: {version}\r\n");
        let answer = pod.ask(&outbound, vip(1), &field).await;
        assert_eq!(answer, (200, name.to_owned()), "version {version}");
    }
    assert_eq!(streams.load(SeqCst), 1, "one stream, kept for the pod");
    let (status, _) = pod.ask(&outbound, vip(1), "").await;
    assert_eq!(
        status, 404,
        "no rule takes it, and it is not passed through"
    );
    let mut of_one = 0;
    for _ in 0..40 {
        let (status, name) = pod.ask(&outbound, vip(1), "version: any\r\n").await;
        assert_eq!(status, 200);
        of_one += u32::from(name == "one");
    }
    assert!(
        (28..=32).contains(&of_one),
        "three of four, not {of_one} of 40"
    );
}

#[tokio::test]
async fn a_service_without_routes_is_passed_through_to_its_members() {
    let mesh = Mesh::new();
    let (at, nobody) = (address(), address());
    let web = application(at, "web").await;
    let streams = mesh.member(at, WEB).await;
    // A pod that is gone and still listed.
    let dead = SocketAddr::new(nobody, web.port());
    let world = World::default().service(("web", 1), &[(dead, Some(WEB)), (web, Some(WEB))], None);
    let outbound = outbound();
    outbound.apply(world.configuration());
    let pod = Pod::new().who_is(&mesh.identity(CART));
    for _ in 0..8 {
        let answer = pod.ask(&outbound, vip(1), "").await;
        assert_eq!(answer, (200, "web".to_owned()), "by the one that is there");
    }
    let streams = streams.load(SeqCst);
    assert_eq!(streams, 8, "each through the tunnel");
    outbound.apply(
        World::default()
            .service(("web", 1), &[], None)
            .configuration(),
    );
    let (mut client, _) = pod.dial(&outbound, vip(1)).await;
    let ended = client.read_u8().await.map_err(|error| error.kind());
    assert_eq!(
        ended,
        Err(ErrorKind::ConnectionReset),
        "no endpoint, no connection"
    );
}

#[tokio::test]
async fn a_pod_of_the_mesh_is_reached_through_the_tunnel_or_not_at_all() {
    let mesh = Mesh::new();
    let (at, other) = (address(), address());
    let (web, cart) = (
        application(at, "web").await,
        application(other, "cart").await,
    );
    let streams = mesh.member(at, WEB).await;
    let of_other = mesh.member(other, WEB).await;
    let (at, other) = (at.to_string(), other.to_string());
    let world = World::default().peers(peers(&[("a", &[(&at, WEB), (&other, CART)])]));
    let outbound = outbound();
    outbound.apply(world.configuration());
    let pod = Pod::new().who_is(&mesh.identity(CART));
    let answer = pod.ask(&outbound, web, "").await;
    assert_eq!(answer, (200, "web".to_owned()));
    assert_eq!(streams.load(SeqCst), 1, "through the tunnel");
    let failure = is_reset(&pod, &outbound, cart).await;
    let is_mismatch = matches!(&failure, Failure::Unopened(to, _) if *to == cart);
    assert!(is_mismatch, "somebody else answers there: {failure}");
    assert_eq!(of_other.load(SeqCst), 0, "and is told nothing");
    let closed = SocketAddr::new(web.ip(), 1);
    let failure = is_reset(&pod, &outbound, closed).await;
    assert!(
        matches!(failure, Failure::Unopened(..)),
        "nobody listens: {failure}"
    );
    for port in ports::OWN {
        let to = SocketAddr::new(web.ip(), port);
        let failure = is_reset(&pod, &outbound, to).await;
        assert!(matches!(failure, Failure::Illegal(..)), "{to}: {failure}");
    }
}

#[tokio::test]
async fn who_is_not_of_the_mesh_is_passed_through_as_it_is() {
    let outbound = outbound();
    let outside = application(address(), "outside").await;
    outbound.apply(World::default().configuration());
    // Needs no identity for it.
    let pod = Pod::new();
    let answer = pod.ask(&outbound, outside, "").await;
    assert_eq!(answer, (200, "outside".to_owned()));
    let itself = application(pod.ip(), "itself").await;
    let answer = pod.ask(&outbound, itself, "").await;
    assert_eq!(answer, (200, "itself".to_owned()));
    let closed = SocketAddr::new(outside.ip(), 1);
    let failure = is_reset(&pod, &outbound, closed).await;
    assert!(
        matches!(failure, Failure::Unreachable(..)),
        "nobody listens: {failure}"
    );
}

#[tokio::test]
async fn before_there_is_a_configuration_connections_wait() {
    let outbound = outbound();
    let outside = application(address(), "outside").await;
    let pod = Pod::new();
    let asking = pod.ask(&outbound, outside, "");
    let configuring = async {
        // Whoever asks is ahead of this.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        outbound.apply(World::default().configuration());
    };
    let (answer, ()) = tokio::join!(asking, configuring);
    assert_eq!(answer, (200, "outside".to_owned()), "and go on");
}

#[tokio::test(start_paused = true)]
async fn without_a_configuration_connections_are_reset() {
    let outbound = outbound();
    let outside = application(address(), "outside").await;
    let failure = is_reset(&Pod::new(), &outbound, outside).await;
    assert!(matches!(failure, Failure::Unconfigured(_)), "{failure}");
}
