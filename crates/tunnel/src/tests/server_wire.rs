//! The table of the wire, row by row, as a server answers it.

use std::sync::Arc;

use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
};
use weft_certs::{Expected, IdentityConnector};

use super::{
    frames::{
        CONTINUATION, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, Peer, RST_STREAM,
        SETTINGS, WINDOW_UPDATE, block,
    },
    node::{App, CART, Mesh, Pod, WEB, id},
};
use crate::{ServeError, Server, Timing};

/// A client made by hand, and the server it speaks to.
pub(super) struct ByHand {
    pub(super) peer: Peer,
    pub(super) app: Arc<App>,
    pub(super) drain: mpsc::Sender<()>,
    pub(super) served: tokio::task::JoinHandle<&'static str>,
}

impl ByHand {
    pub(super) async fn new() -> Self {
        Self::new_with(Peer::greet).await
    }

    async fn new_with(greet: impl AsyncFnOnce(&mut Peer)) -> Self {
        let mesh = Mesh::new();
        let (web, cart) = (mesh.member(WEB), mesh.member(CART));
        let server = Server::new(&cart, mesh.clock.clone(), Timing::default()).expect("TLS 1.3");
        let pod = Pod::default();
        let app = Arc::clone(&pod.0);
        let (near, far) = duplex(8 << 20);
        let (drain, mut drained) = mpsc::channel(1);
        let served = tokio::spawn(async move {
            let draining = async move {
                if drained.recv().await.is_none() {
                    std::future::pending().await
                }
            };
            let served = server.serve(far, &pod, draining).await;
            served.as_ref().map_or_else(ServeError::reason, |_| "ok")
        });
        let connector = IdentityConnector::new(&web).expect("TLS 1.3");
        let expected = Expected::exactly(id(CART));
        let (tls, _) = connector.connect(near, &expected).await.expect("members");
        let mut peer = Peer(tls);
        greet(&mut peer).await;
        Self {
            peer,
            app,
            drain,
            served,
        }
    }
}

/// How a request is answered.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// With a status, and whether the stream ends with it.
    Status(u16, bool),
    /// With RST_STREAM.
    Reset(u32),
}

const PROTOCOL_ERROR: u32 = 1;

async fn check(name: &str, head: &[(&str, &str)], expected: Answer, reason: Option<&str>) {
    let mut hand = ByHand::new().await;
    hand.peer.ask(1, head).await;
    let frame = hand.peer.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await;

    let answer = match frame.kind {
        HEADERS => Answer::Status(frame.status(), frame.flags & END_STREAM != 0),
        RST_STREAM => Answer::Reset(frame.number(0)),
        _ => panic!("{name}: the whole connection is given up: {frame:?}"),
    };
    assert_eq!((answer, frame.stream), (expected, 1), "{name}");
    let refused = hand.app.refused.lock().expect("no panic holds it").pop();
    assert_eq!(refused, reason, "{name}: what is counted");
    hand.peer.connect(3, "10.0.0.1:80").await;
    let after = hand.peer.next_of(&[HEADERS]).await;
    assert_eq!(
        (after.stream, after.status()),
        (3, 200),
        "{name}: others go on"
    );
}

const OK: Answer = Answer::Status(200, false);

fn refused(status: u16) -> Answer {
    Answer::Status(status, true)
}

#[tokio::test]
async fn destinations() {
    let not_local = Some("tunnel_address_not_local");
    let own = Some("tunnel_own_port");
    let malformed = Some("tunnel_authority_malformed");
    let not_backed = Some("tunnel_service_not_backed");
    for (authority, answer, reason) in [
        ("10.0.0.1:80", OK, None),
        ("[fd00::1]:80", OK, None),
        ("echo.shop.svc:80", OK, None),
        ("10.0.0.2:80", refused(400), not_local),
        ("[fd00::2]:80", refused(400), not_local),
        ("127.0.0.1:80", refused(400), not_local),
        ("moved.shop.svc:80", refused(400), not_local),
        ("10.0.0.1:15001", refused(400), own),
        ("10.0.0.1:15006", refused(400), own),
        ("10.0.0.1:15008", refused(400), own),
        ("10.0.0.1:15053", refused(400), own),
        ("echo.shop.svc:15008", refused(400), own),
        ("other.shop.svc:80", refused(400), not_backed),
        ("10.0.0.1", refused(400), malformed),
        ("10.0.0.1:0", refused(400), malformed),
        ("10.0.0.1:65536", refused(400), malformed),
        ("10.0.0.256:80", refused(400), malformed),
        ("echo.shop.svc", refused(400), malformed),
        ("user@10.0.0.1:80", refused(400), malformed),
        ("10.0.0.1:90", refused(401), Some("policy_denied")),
        ("10.0.0.1:81", refused(503), None),
    ] {
        let head = [(":method", "CONNECT"), (":authority", authority)];
        check(authority, &head, answer, reason).await;
    }
}

#[tokio::test]
async fn requests_that_are_no_tunnels() {
    let get = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "10.0.0.1:80"),
        (":path", "/"),
    ];
    let not_connect = Some("tunnel_not_connect");
    check("GET", &get, refused(405), not_connect).await;
    let post = [(":method", "POST"), get[1], get[2], get[3]];
    check("POST", &post, refused(405), not_connect).await;
    let (connect, to) = ((":method", "CONNECT"), (":authority", "10.0.0.1:80"));
    let missing = Some("tunnel_authority_missing");
    check("no authority", &[connect], refused(400), missing).await;
    let length = [connect, to, ("content-length", "5")];
    check(
        "a length",
        &length,
        refused(400),
        Some("tunnel_content_length"),
    )
    .await;
    for (name, more) in [
        ("a path", (":path", "/")),
        ("a scheme", (":scheme", "https")),
        ("a protocol", (":protocol", "websocket")),
        ("a connection header", ("connection", "close")),
        ("a late pseudo-header", (":status", "200")),
    ] {
        let head = [connect, to, more];
        check(name, &head, Answer::Reset(PROTOCOL_ERROR), None).await;
    }
}

#[tokio::test]
async fn what_cannot_be_decoded_ends_its_connection() {
    let mut hand = ByHand::new().await;
    let head = [
        (":method", "CONNECT"),
        (":authority", "10.0.0.1:80"),
        (
            "Forwarded",
            "upper case is malformed (RFC 9113 section 8.2.1)",
        ),
    ];
    hand.peer.ask(1, &head).await;
    let served = hand.served.await.expect("no panic");
    assert_eq!(served, "tunnel_protocol_violation");
}

#[tokio::test]
async fn sixty_four_kib_of_headers() {
    let mut hand = ByHand::new().await;
    // A frame has to fit into the frame size, so the second row needs a CONTINUATION (section 6.10).
    for (stream, bytes, status) in [(1, 60_000, 200), (3, 70_000, 431)] {
        let value = "x".repeat(bytes);
        let head = [
            (":method", "CONNECT"),
            (":authority", "10.0.0.1:80"),
            ("baggage", &value),
        ];
        let block = block(&head);
        let (first, rest) = block.split_at(40_000);
        hand.peer.send(&Frame::new(HEADERS, 0, stream, first)).await;
        let rest = Frame::new(CONTINUATION, END_HEADERS, stream, rest);
        hand.peer.send(&rest).await;
        let answer = hand.peer.next_of(&[HEADERS]).await;
        let got = (answer.stream, answer.status());
        assert_eq!(got, (stream, status), "{bytes} bytes");
    }
}

#[tokio::test]
async fn the_server_says_its_limits_first() {
    let mut hand = ByHand::new().await;
    let settings = hand.peer.next_of(&[SETTINGS]).await;
    let mut said = settings.settings();
    said.sort_unstable();
    assert_eq!(
        said,
        [(3, 200), (4, 256 << 10), (5, 64 << 10), (6, 64 << 10)],
        "streams, stream window, frame, header list"
    );
    let window = hand.peer.next_of(&[WINDOW_UPDATE]).await;
    let connection = window.number(0) + 65_535;
    assert_eq!(
        (window.stream, connection),
        (0, 200 * (256 << 10)),
        "a window for the connection that no set of streams can use up"
    );
}

#[tokio::test]
async fn two_hundred_streams_and_no_more() {
    let mut hand = ByHand::new().await;
    for stream in 0..200 {
        hand.peer.connect(2 * stream + 1, "10.0.0.1:82").await;
        let answer = hand.peer.next_of(&[HEADERS]).await;
        assert_eq!(answer.status(), 200, "stream {stream}");
    }
    hand.peer.connect(401, "10.0.0.1:80").await;
    let answer = hand.peer.next_of(&[HEADERS, RST_STREAM]).await;
    const REFUSED_STREAM: u32 = 7;
    assert_eq!(answer.kind, RST_STREAM, "one too many");
    assert_eq!((answer.stream, answer.number(0)), (401, REFUSED_STREAM));
}

#[tokio::test]
async fn two_hundred_answers_wait_for_the_application() {
    let mut hand = ByHand::new().await;
    hand.peer.connect(1, "10.0.0.1:85").await;
    let before = hand.peer.until_pong().await;
    let answered = before.iter().any(|frame| frame.kind == HEADERS);
    assert!(!answered, "no 200 before the application is reached");
    hand.app.go.notify_one();
    let answer = hand.peer.next_of(&[HEADERS]).await;
    assert_eq!((answer.stream, answer.status()), (1, 200));
}

#[tokio::test]
async fn leaving_is_said_before_it_is_done() {
    let mut hand = ByHand::new().await;
    hand.peer.connect(1, "10.0.0.1:80").await;
    hand.peer.next_of(&[HEADERS]).await;
    hand.drain.send(()).await.expect("the server listens");
    let warning = hand.peer.next_of(&[GOAWAY]).await;
    assert_eq!(
        (warning.number(0), warning.number(4)),
        (0x7fff_ffff, 0),
        "first a warning, since a stream may be on its way (RFC 9113 section 6.8)"
    );
    hand.peer.connect(3, "10.0.0.1:80").await;
    let ping = hand.peer.next_of(&[PING]).await;
    assert_eq!(
        hand.peer.next_of(&[HEADERS]).await.stream,
        3,
        "which is still served"
    );
    hand.peer.send(&Frame::new(PING, 1, 0, ping.payload)).await;
    let last = hand.peer.next_of(&[GOAWAY]).await;
    assert_eq!(
        (last.number(0), last.number(4)),
        (3, 0),
        "the last one served"
    );
    for stream in [1, 3] {
        hand.peer
            .send(&Frame::new(0, END_STREAM, stream, *b"bye"))
            .await;
    }
    while hand.peer.frame().await.is_some() {}
    assert_eq!(
        hand.served.await.expect("no panic"),
        "ok",
        "and closed when all are over"
    );
}

/// A client that stops at some point and says nothing more.
async fn check_silent(name: &str, far: DuplexStream, reason: &str) {
    let mesh = Mesh::new();
    let server = Server::new(&mesh.member(CART), mesh.clock.clone(), Timing::default());
    let pod = Pod::default();
    let never = std::future::pending();
    let served = server.expect("TLS 1.3").serve(far, &pod, never).await;
    let error = served.expect_err("nothing was asked for");
    assert_eq!(error.reason(), reason, "{name}");
}

#[tokio::test(start_paused = true)]
async fn clients_that_say_nothing() {
    let (_near, far) = duplex(1024);
    check_silent("no TLS", far, "tunnel_tls_timeout").await;
    let (near, far) = duplex(1024);
    drop(near);
    check_silent("gone", far, "tls_peer_closed").await;
    let (mut near, far) = duplex(1024);
    near.write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("open");
    check_silent("plaintext", far, "tls_not_tls").await;
    let hand = ByHand::new_with(async |_peer| {}).await;
    assert_eq!(
        hand.served.await.expect("no panic"),
        "tunnel_preface_timeout"
    );
    let hand = ByHand::new().await;
    let start = tokio::time::Instant::now();
    assert_eq!(hand.served.await.expect("no panic"), "tunnel_peer_silent");
    assert_eq!(
        start.elapsed().as_secs(),
        30,
        "a PING after 10 s, and 20 s for its answer"
    );
}
