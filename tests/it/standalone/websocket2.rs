//! WebSocket over HTTP/2 (RFC 8441): an extended CONNECT of the client is an upgrade of HTTP/1.1
//! at the back-end, and nothing else that is called CONNECT gets through.

use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, client::conn::http2::SendRequest, ext::Protocol, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weft_tests::{
    backend::nobody,
    body::{Body, empty},
    client::{ask2, http2, tcp, whole},
    gateway::Weft,
    rawclient::RawClient,
    rawh2::ask_early,
    scripted::{Peer, Scripted},
    wait::{Expected, PATIENCE, eventually, soon},
    world::World,
};

const ANY: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";
/// A rule that takes GET alone, as a handshake of HTTP/1.1 is one.
const GET: &str = "rules: [{matches: [{method: GET, path: {value: /chat}}], \
                   backendRefs: [{name: web, port: 80}]}]";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
                      upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                      sec-websocket-protocol: chat\r\n\r\n";

fn world(address: std::net::SocketAddr, app_protocol: &str, route: &str) -> World {
    World::new()
        .service_port("shop/web", app_protocol, &[address])
        .route("shop/web", route)
}

/// A connection whose settings have arrived: the client may only then ask (RFC 8441 section 3).
async fn client(address: std::net::SocketAddr) -> SendRequest<Body> {
    let mut client = http2(tcp(address).await).await;
    // Refused on sight, and so seen by no back-end.
    let request = Request::builder().uri("http://a/").header("x", "edge ");
    let answer = ask2(&mut client, request.body(empty()).expect("a request")).await;
    assert_eq!(answer.status, 400);
    client
}

async fn connect(client: &mut SendRequest<Body>, protocol: &'static str) -> Response<Incoming> {
    let request = Request::connect("http://a/chat?room=7")
        .extension(Protocol::from_static(protocol))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .header("origin", "http://a");
    let request = request.body(empty()).expect("a request");
    soon("an answer", client.send_request(request))
        .await
        .expected("an answer")
}

async fn open(client: &mut SendRequest<Body>) -> TokioIo<Upgraded> {
    let answer = connect(client, "websocket").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    for gone in ["upgrade", "connection", "sec-websocket-accept"] {
        assert!(
            !answer.headers().contains_key(gone),
            "{gone} is of HTTP/1.1"
        );
    }
    let upgraded = soon("the tunnel", hyper::upgrade::on(answer)).await;
    TokioIo::new(upgraded.expected("the tunnel"))
}

/// Looks at a handshake.
fn check_handshake(asked: &str) {
    let fields: Vec<_> = asked.lines().collect();
    assert_eq!(fields[0], "GET /chat?room=7 HTTP/1.1");
    for field in [
        "host: a",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: chat",
        "origin: http://a",
    ] {
        assert!(fields.contains(&field), "{field} is missing:\n{asked}");
    }
    assert!(!asked.contains("content-length"), "{asked}");
    let key = fields
        .iter()
        .find_map(|field| field.strip_prefix("sec-websocket-key: "))
        .expect("HTTP/1.1 needs a key");
    assert!(key.len() == 24 && key.ends_with("=="), "16 bytes: {key}");
}

/// Agrees, then sends back everything it gets.
async fn agree(mut peer: Peer) {
    let asked = peer.head().await.expect("a handshake");
    check_handshake(&asked);
    peer.write(AGREED).await;
    loop {
        let byte = peer.read(1).await;
        if byte.is_empty() {
            return;
        }
        peer.write(byte).await;
    }
}

async fn talk(tunnel: &mut TokioIo<Upgraded>, said: &[u8]) {
    tunnel.write_all(said).await.expected("an open tunnel");
    let mut heard = vec![0; said.len()];
    soon("the echo", tunnel.read_exact(&mut heard))
        .await
        .expected("the echo");
    assert_eq!(heard, said);
}

#[tokio::test]
async fn a_websocket_of_http2_is_an_upgrade_at_the_back_end() {
    for app_protocol in ["", "appProtocol: kubernetes.io/ws", "appProtocol: http"] {
        let backend = Scripted::start(agree).await;
        let weft = Weft::start(&world(backend.address, app_protocol, GET));
        let mut client = client(weft.gateway(8080)).await;
        let mut first = open(&mut client).await;
        // Streams of one connection: the second is as good as the first, and neither waits.
        let mut second = open(&mut client).await;
        talk(&mut first, b"\x81\x05hello").await;
        talk(&mut second, b"\x82\x02\n\0").await;
        talk(&mut first, &[7; 100_000]).await;
        first.shutdown().await.expected("a shutdown");
        let mut rest = Vec::new();
        soon("the end", first.read_to_end(&mut rest))
            .await
            .expected("an orderly end");
        assert_eq!(rest, b"", "one side's end ends the other");
        talk(&mut second, b"still there").await;
        drop(second);
        let in_flight = || weft.metric("weft_requests_in_flight", &[]);
        eventually(PATIENCE, "tunnels count no longer", || in_flight() == 0.0).await;
    }
}

#[tokio::test]
async fn a_websocket_of_http2_crosses_the_mesh() {
    let backend = Scripted::start(agree).await;
    let world = World::bare().service_port("shop/web", "appProtocol: http", &[backend.address]);
    let weft = Weft::start(&world);
    let mut client = client(weft.mesh("client", "shop/web")).await;
    let mut tunnel = open(&mut client).await;
    talk(&mut tunnel, b"\x81\x05hello").await;
}

#[tokio::test]
async fn early_bytes_of_http2_wait_for_the_agreement() {
    let backend = Scripted::start(|mut peer| async move {
        peer.head().await.expect("a handshake");
        let early = tokio::time::timeout(std::time::Duration::from_millis(300), peer.read(1)).await;
        assert!(
            early.is_err(),
            "nothing may arrive before the agreement: {early:?}"
        );
        peer.write(AGREED).await;
        let said = peer.read(5).await;
        peer.write(said).await;
    })
    .await;
    let weft = Weft::start(&world(backend.address, "", ANY));
    let client = RawClient::connect(weft.gateway(8080)).await;
    let fields: [(&str, &[u8]); 6] = [
        (":method", b"CONNECT"),
        (":protocol", b"websocket"),
        (":scheme", b"http"),
        (":path", b"/chat"),
        (":authority", b"a"),
        ("sec-websocket-version", b"13"),
    ];
    let answer = soon("an answer", ask_early(client, &fields, b"early")).await;
    assert_eq!(answer, (200, b"early".to_vec()), "held and then passed on");
}

/// Name, what the back-end answers, and what the client gets for it.
const REFUSALS: &[(&str, &str, u16)] = &[
    (
        "a refusal",
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
        403,
    ),
    (
        "a redirect",
        "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
        302,
    ),
    (
        // To an extended CONNECT it would say that the tunnel is there.
        "an ordinary page",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        502,
    ),
    (
        "another protocol",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n",
        502,
    ),
];

#[tokio::test]
async fn what_is_no_agreement_opens_no_tunnel() {
    for (name, answer, expected) in REFUSALS {
        let backend = Scripted::answering(answer.as_bytes()).await;
        let weft = Weft::start(&world(backend.address, "", ANY));
        let mut client = client(weft.gateway(8080)).await;
        let answer = whole(connect(&mut client, "websocket").await).await;
        assert_eq!(answer.status, *expected, "{name}: {}", answer.text());
    }
}

#[tokio::test]
async fn refusals_of_a_websocket_say_what_is_wrong() {
    let h2c = "appProtocol: kubernetes.io/h2c";
    let rows = [
        (
            "another protocol",
            world(nobody(), "", ANY),
            "connect-udp",
            501,
        ),
        ("no proper name", world(nobody(), "", ANY), "WebSocket", 501),
        (
            "a back-end of HTTP/2",
            world(nobody(), h2c, ANY),
            "websocket",
            501,
        ),
        (
            "no endpoint",
            World::new().service("shop/web", &[]).route("shop/web", ANY),
            "websocket",
            503,
        ),
        ("nobody there", world(nobody(), "", ANY), "websocket", 503),
        ("no rule", World::new(), "websocket", 404),
    ];
    for (name, world, protocol, expected) in rows {
        let weft = Weft::start(&world);
        let mut client = client(weft.gateway(8080)).await;
        let answer = whole(connect(&mut client, protocol).await).await;
        assert_eq!(answer.status, expected, "{name}: {}", answer.text());
    }
}
