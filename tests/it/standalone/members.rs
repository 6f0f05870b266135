//! Endpoints that are members of the mesh: everything reaches them through the tunnel, or nothing does.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use http::{HeaderMap, HeaderValue, Request, Response};
use weft_forward::Members;
use weft_tests::{
    backend::{Backend, Speaks, nobody},
    body::{empty, full},
    client::{ask2, http2, tcp},
    gateway::Weft,
    rawclient::{RawClient, head},
    scripted::{Peer, Scripted},
    tap::Tap,
    wait::{PATIENCE, eventually, soon},
    world::World,
};

const ANY: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";
/// Asked for by every client; what a wire must never carry in the clear.
const MARK: &str = "needle-in-the-wire";
const ASK: &str = "GET /needle-in-the-wire HTTP/1.1\nhost: a";

/// Enrols a namespace, or takes it out of the mesh.
fn mesh(world: World, namespace: &str, label: &str) -> World {
    world.with(&format!(
        "{{apiVersion: v1, kind: Namespace, \
         metadata: {{name: {namespace}, labels: {{weft.dev/mesh: {label}}}}}}}"
    ))
}

fn plain(backend: std::net::SocketAddr, app_protocol: &str) -> World {
    World::new()
        .service_port("shop/web", app_protocol, &[backend])
        .route("shop/web", ANY)
}

fn meshed(backend: std::net::SocketAddr, app_protocol: &str) -> World {
    mesh(plain(backend, app_protocol), "shop", "enabled")
}

/// A data path whose tunnels lead through the tap.
fn tapped(world: &World, tap: &Tap) -> Weft {
    let tap = tap.clone();
    Weft::start_with_mesh(world, move |members: &mut Members| {
        for answering in members.answering.values_mut() {
            answering.door = answering.door.map(|door| tap.before(door));
        }
    })
}

/// The wire was used, and nobody on it has learned anything.
fn check_wire(tap: &Tap, what: &str) {
    assert!(tap.count() > 0, "{what}: it went through the tunnel");
    assert!(tap.is_tls(), "{what}: every connection speaks TLS");
    for text in [MARK, "HTTP/1.1", "PRI * HTTP/2.0"] {
        assert!(
            !tap.has_seen(text.as_bytes()),
            "{what}: {text:?} was to be read on the wire"
        );
    }
}

#[tokio::test]
async fn requests_reach_members_in_mutual_tls_only() {
    let web = Backend::echo("web", Speaks::Http1).await;
    let tap = Tap::new();
    let weft = tapped(&meshed(web.address, "appProtocol: http"), &tap);
    let places = [
        ("a gateway", weft.gateway(8080)),
        ("clients of a namespace", weft.mesh("client", "shop/web")),
    ];
    for (at, (name, place)) in (1..).zip(places) {
        let mut client = RawClient::connect(place).await;
        for _ in 0..3 {
            let answer = client.ask(ASK).await;
            assert_eq!(answer.status, 200, "{name}");
            assert!(answer.text().contains(MARK), "{name}: it is the back-end");
        }
        assert_eq!(web.connections(), at, "{name}: one connection, kept alive");
        assert!(tap.connections() >= at, "{name} has a tunnel of its own");
    }
    check_wire(&tap, "HTTP/1.1");
}

#[tokio::test]
async fn http2_and_grpc_go_through_the_tunnel() {
    let web = Backend::serve(Speaks::H2c, |request: Request<_>| async move {
        let mut response = Response::new(full(request.uri().path().to_owned()));
        let status = HeaderValue::from_static("0");
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", grpc);
        response.headers_mut().insert("grpc-status", status);
        response
    })
    .await;
    let tap = Tap::new();
    let weft = tapped(&meshed(web.address, "appProtocol: kubernetes.io/h2c"), &tap);
    let mut client = http2(tcp(weft.mesh("client", "shop/web")).await).await;
    for _ in 0..3 {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("http://web.shop/s/{MARK}"))
            .body(empty())
            .expect("a request");
        *request.headers_mut() = headers;
        let answer = ask2(&mut client, request).await;
        assert_eq!(answer.grpc_status(), Some("0"), "{:?}", answer.status);
    }
    assert_eq!(web.connections(), 1, "one connection for all calls");
    check_wire(&tap, "HTTP/2");
}

/// Greets, and sends back everything it gets.
async fn greeting(mut peer: Peer) {
    peer.write("hello\n").await;
    loop {
        let byte = peer.read(1).await;
        if byte.is_empty() {
            return;
        }
        peer.write(byte).await;
    }
}

#[tokio::test]
async fn opaque_streams_go_through_the_tunnel_and_end_in_order() {
    let server = Scripted::start(greeting).await;
    let tap = Tap::new();
    let weft = tapped(&meshed(server.address, "appProtocol: tcp"), &tap);
    let mut client = RawClient::connect(weft.mesh("client", "shop/web")).await;
    let greeting = soon("the server speaks first", client.exactly(6)).await;
    assert_eq!(greeting, b"hello\n");
    client.send(MARK).await;
    assert_eq!(client.exactly(MARK.len()).await, MARK.as_bytes());
    client.finish().await;
    assert!(
        soon("the end comes back", client.ends_in_order()).await,
        "half-closed here, closed there, and no reset"
    );
    check_wire(&tap, "an opaque stream");
}

#[tokio::test]
async fn a_websocket_goes_through_the_tunnel() {
    const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
                          upgrade: websocket\r\n\
                          sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let server = Scripted::start(|mut peer: Peer| async move {
        peer.head().await.expect("a request");
        peer.write(AGREED).await;
        greeting(peer).await;
    })
    .await;
    let tap = Tap::new();
    let weft = tapped(&meshed(server.address, ""), &tap);
    let mut client = RawClient::connect(weft.gateway(8080)).await;
    let ask = "GET /chat HTTP/1.1\nhost: a\nconnection: Upgrade\nupgrade: websocket\n\
               sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13";
    client.send(head(ask)).await;
    assert_eq!(client.answer_head().await.status, 101);
    assert_eq!(client.exactly(6).await, b"hello\n");
    client.send(MARK).await;
    assert_eq!(client.exactly(MARK.len()).await, MARK.as_bytes());
    check_wire(&tap, "a WebSocket");
}

/// What is wrong with the mesh, and the reason that is said.
type Wrong = (&'static str, fn(&mut Members), &'static str);

const WRONG: &[Wrong] = &[
    (
        "another member answers",
        |members| {
            let doors: Vec<_> = members.answering.values().map(|it| it.door).collect();
            for (answering, door) in members.answering.values_mut().zip(doors.iter().rev()) {
                answering.door = *door;
            }
        },
        "peer_identity_mismatch",
    ),
    (
        "the sender has no identity",
        |members| members.callers.clear(),
        "no_identity",
    ),
    (
        "nobody is known to answer",
        |members| members.answering.clear(),
        "upstream_unreachable",
    ),
    (
        "nobody listens",
        |members| {
            for answering in members.answering.values_mut() {
                answering.door = Some(nobody());
            }
        },
        "upstream_connect_refused",
    ),
];

#[tokio::test]
async fn a_member_that_cannot_be_reached_as_one_is_not_reached() {
    for (name, wrong, reason) in WRONG {
        let web = Backend::echo("web", Speaks::Http1).await;
        let other = Backend::echo("other", Speaks::Http1).await;
        let world = meshed(web.address, "").service("client/other", &[other.address]);
        let weft = Weft::start_with_mesh(&mesh(world, "client", "enabled"), wrong);
        let mut client = RawClient::connect(weft.gateway(8080)).await;
        let answer = client.ask(ASK).await;
        let text = answer.text();
        assert_eq!(answer.status, 503, "{name}: {text}");
        assert!(text.contains(reason), "{name}: {text}");
        let touched = web.connections() + other.connections();
        assert_eq!(touched, 0, "{name}: no back-end was connected to");
    }
}

#[tokio::test]
async fn a_namespace_joins_and_leaves_without_a_lost_request() {
    let web = Backend::echo("web", Speaks::Http1).await;
    let (inside, outside) = (meshed(web.address, ""), plain(web.address, ""));
    let tap = Tap::new();
    let weft = Arc::new(tapped(&outside, &tap));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (weft, stop) = (Arc::clone(&weft), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut client = RawClient::connect(weft.gateway(8080)).await;
                let (mut asked, mut failed) = (0_usize, Vec::new());
                while !stop.load(Relaxed) {
                    let answer = client.ask(ASK).await;
                    asked += 1;
                    if answer.status != 200 {
                        failed.push(answer.text());
                    }
                }
                (asked, failed)
            })
        })
        .collect();
    for _ in 0..5 {
        let before = tap.count();
        weft.update(&inside);
        eventually(PATIENCE, "traffic goes through the tunnel", || {
            tap.count() > before + 1000
        })
        .await;
        weft.update(&outside);
        let asked = web.requests();
        eventually(PATIENCE, "requests go on", || web.requests() > asked + 100).await;
        let left = tap.count();
        let asked = web.requests();
        eventually(PATIENCE, "requests go on", || web.requests() > asked + 100).await;
        // What was under way may still end there; a hundred requests would be four times as much.
        let late = tap.count() - left;
        assert!(
            late < 10_000,
            "they take the plain way again, but for {late} bytes"
        );
    }
    stop.store(true, Relaxed);
    for client in clients {
        let (asked, failed) = soon("a client ends", client).await.expect("no panic");
        assert!(asked > 0, "it asked");
        assert_eq!(failed, Vec::<String>::new(), "of {asked} requests");
    }
    check_wire(&tap, "all the while");
}
