//! What a client puts on the wire, and what it makes of the answers, against a server made by hand or
//! by the library alone.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::sleep,
};
use weft_certs::{Expected, IdentityAcceptor, TlsStream};

use super::{
    frames::{
        ACK, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PREFACE, Peer, RST_STREAM,
        SETTINGS, WINDOW_UPDATE, block,
    },
    node::{Arrivals, CART, Mesh, Net, WEB, caller, id, pod},
};
use crate::{Connect, Dial, OpenError, Opened, Pool, Source, Target, Timing, wire::PORT};

/// A pool, and the other end of its connections.
struct Far {
    pool: Pool,
    source: Source<Net>,
    target: Target,
    acceptor: IdentityAcceptor,
    arrivals: Arrivals,
}

impl Far {
    fn new() -> Self {
        let mesh = Mesh::new();
        let (net, arrivals) = Net::new();
        Self {
            pool: Pool::new(mesh.clock.clone(), Timing::default()),
            source: Source::new(&mesh.member(WEB), None, net).expect("TLS 1.3"),
            target: Target::new(pod(PORT), Expected::exactly(id(CART))),
            acceptor: IdentityAcceptor::new(&mesh.member(CART)).expect("TLS 1.3"),
            arrivals,
        }
    }

    fn open(&self, connect: Connect) -> tokio::task::JoinHandle<Result<Opened, OpenError>> {
        let (pool, source) = (self.pool.clone(), self.source.clone());
        let target = self.target.clone();
        tokio::spawn(async move { pool.open(&source, &target, &connect).await })
    }

    async fn accept(&mut self) -> TlsStream<DuplexStream> {
        let io = self.arrivals.recv().await.expect("the pool dials");
        let (tls, _) = self.acceptor.accept(io).await.expect("a member");
        tls
    }

    /// A server made by hand, greeted and asked once.
    async fn asked(&mut self) -> (Peer, Frame) {
        let mut peer = Peer(self.accept().await);
        let mut preface = [0; 24];
        peer.0.read_exact(&mut preface).await.expect("open");
        assert_eq!(preface, PREFACE, "RFC 9113 section 3.4");
        peer.send(&Frame::new(SETTINGS, 0, 0, [])).await;
        let asked = peer.next_of(&[HEADERS]).await;
        (peer, asked)
    }
}

fn plain() -> Connect {
    Connect::new(pod(80), caller())
}

#[tokio::test]
async fn what_a_client_says_first() {
    let mut far = Far::new();
    let _opening = far.open(plain());
    let mut peer = Peer(far.accept().await);
    let mut preface = [0; 24];
    peer.0.read_exact(&mut preface).await.expect("open");
    let settings = peer.next_of(&[SETTINGS]).await;
    let mut said = settings.settings();
    said.sort_unstable();
    assert_eq!(
        said,
        [(2, 0), (4, 256 << 10), (5, 64 << 10), (6, 64 << 10)],
        "no push, stream window, frame, header list"
    );
    let window = peer.next_of(&[WINDOW_UPDATE]).await;
    let connection = window.number(0) + 65_535;
    assert_eq!((window.stream, connection), (0, 100 * (256 << 10)));
    let asked = peer.next_of(&[HEADERS]).await;
    let flags = (asked.stream, asked.flags);
    assert_eq!(
        flags,
        (1, END_HEADERS),
        "the request leaves the stream open"
    );
}

/// The head as the library below reads it, which refuses `:path` and `:scheme` on a `CONNECT`.
async fn head_of(connect: Connect) -> Request<()> {
    let mut far = Far::new();
    let _opening = far.open(connect);
    let tls = far.accept().await;
    let mut server = h2::server::handshake(tls).await.expect("HTTP/2");
    let (request, _respond) = server
        .accept()
        .await
        .expect("a request")
        .expect("a good one");
    let (head, _) = request.into_parts();
    Request::from_parts(head, ())
}

fn values(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let text = headers.iter();
    let mut all: Vec<_> = text
        .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
        .collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn the_head_of_a_connect() {
    let head = head_of(plain()).await;
    assert_eq!(head.method(), Method::CONNECT);
    assert_eq!(head.uri().to_string(), "10.0.0.1:80", "authority alone");
    let forwarded = r#"for="10.0.9.9:40000";host="10.0.0.1:80""#;
    assert_eq!(values(head.headers()), [("forwarded", forwarded)]);
    let value = |text| Some(HeaderValue::from_static(text));
    let full = Connect {
        destination: "[fd00::1]:80".parse().expect("an address"),
        source: "[fd00::9]:40000".parse().expect("an address"),
        baggage: value("k8s.namespace.name=shop"),
        traceparent: value("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        route: value("shop/web/0"),
    };
    let head = head_of(full).await;
    assert_eq!(head.uri().to_string(), "[fd00::1]:80");
    assert_eq!(
        values(head.headers()),
        [
            ("baggage", "k8s.namespace.name=shop"),
            ("forwarded", r#"for="[fd00::9]:40000";host="[fd00::1]:80""#),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            ),
            ("x-weft-route", "shop/web/0"),
        ]
    );
}

#[tokio::test]
async fn an_address_with_a_scope_is_not_asked_for() {
    let far = Far::new();
    let scoped = std::net::SocketAddrV6::new("fe80::1".parse().expect("an address"), 80, 0, 3);
    let opening = far.open(Connect::new(scoped.into(), caller()));
    let error = opening.await.expect("no panic").expect_err("no authority");
    assert_eq!(error.reason(), "tunnel_destination");
}

#[tokio::test]
async fn answers() {
    for (status, reason, resolves) in [
        (400, "tunnel_not_served", true),
        (401, "policy_denied", false),
        (403, "tunnel_status", false),
        (405, "tunnel_status", false),
        (500, "tunnel_status", false),
        (503, "tunnel_app_unavailable", false),
    ] {
        let mut far = Far::new();
        let opening = far.open(plain());
        let (mut peer, asked) = far.asked().await;
        let head = block(&[(":status", &status.to_string())]);
        let end = END_HEADERS | END_STREAM;
        peer.send(&Frame::new(HEADERS, end, asked.stream, head))
            .await;
        let error = opening.await.expect("no panic").expect_err("refused");
        let got = (error.reason(), error.wants_resolving());
        assert_eq!(got, (reason, resolves), "{status}");
    }
}

/// Answers of the connection instead of the request.
async fn check_lost(name: &str, answers: &[Frame], reason: &str, connections: usize) {
    let mut far = Far::new();
    let opening = far.open(plain());
    for _ in 0..connections {
        let (mut peer, _) = far.asked().await;
        for answer in answers {
            peer.send(answer).await;
        }
        if answers.is_empty() {
            drop(peer);
        } else {
            tokio::spawn(async move { while peer.frame().await.is_some() {} });
        }
    }
    let error = opening
        .await
        .expect("no panic")
        .expect_err("never answered");
    assert_eq!(error.reason(), reason, "{name}");
    assert!(
        far.arrivals.try_recv().is_err(),
        "{name}: tried {connections} times, not more"
    );
}

#[tokio::test]
async fn connections_that_do_not_answer() {
    let goaway = |code: u32| {
        let payload = [0_u32.to_be_bytes(), code.to_be_bytes()].concat();
        Frame::new(GOAWAY, 0, 0, payload)
    };
    let reset = |code: u32| Frame::new(RST_STREAM, 0, 1, code.to_be_bytes());
    check_lost("closed", &[], "tunnel_closed", 3).await;
    check_lost("told to go", &[goaway(0)], "tunnel_closed", 3).await;
    check_lost("told off", &[goaway(11)], "tunnel_given_up", 3).await;
    check_lost("no room", &[reset(7)], "tunnel_stream_refused", 3).await;
    check_lost("reset", &[reset(2)], "tunnel_reset", 1).await;
    let nonsense = Frame::new(DATA, 0, 0, *b"data of no stream");
    check_lost("nonsense", &[nonsense], "tunnel_protocol_violation", 3).await;
}

#[tokio::test]
async fn a_stream_that_was_told_to_go_finds_another_connection() {
    let mut far = Far::new();
    let opening = far.open(plain());
    let (mut first, _) = far.asked().await;
    let payload = [0_u32.to_be_bytes(), 0_u32.to_be_bytes()].concat();
    first.send(&Frame::new(GOAWAY, 0, 0, payload)).await;
    let (mut second, asked) = far.asked().await;
    let head = block(&[(":status", "200"), ("baggage", "app=cart")]);
    second
        .send(&Frame::new(HEADERS, END_HEADERS, asked.stream, head))
        .await;
    let opened = opening
        .await
        .expect("no panic")
        .expect("the second answers");
    assert_eq!(opened.peer.id, id(CART), "who answers is known");
    assert_eq!(opened.baggage, Some(HeaderValue::from_static("app=cart")));
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time() {
    let mut far = Far::new();
    let opening = far.open(plain());
    let tls = far.accept().await;
    let mut server = h2::server::handshake(tls).await.expect("HTTP/2");
    tokio::spawn(async move {
        let _unanswered = server.accept().await;
        while server.accept().await.is_some() {}
    });
    let error = opening
        .await
        .expect("no panic")
        .expect_err("never answered");
    assert_eq!(error.reason(), "tunnel_answer_timeout");
}

#[tokio::test]
async fn ends_and_aborts_of_a_client() {
    let mut far = Far::new();
    let opening = far.open(plain());
    let (mut peer, asked) = far.asked().await;
    let head = block(&[(":status", "200")]);
    peer.send(&Frame::new(
        HEADERS,
        END_HEADERS,
        asked.stream,
        head.clone(),
    ))
    .await;
    let mut stream = opening.await.expect("no panic").expect("answered").stream;
    stream.write_all(b"ping").await.expect("open");
    let data = peer.next_of(&[DATA]).await;
    assert_eq!((data.flags, &*data.payload), (0, &b"ping"[..]));
    stream.shutdown().await.expect("open");
    let end = peer.next_of(&[DATA, RST_STREAM]).await;
    assert_eq!(
        (end.kind, end.flags),
        (DATA, END_STREAM),
        "FIN is END_STREAM"
    );
    peer.send(&Frame::new(DATA, END_STREAM, 1, *b"pong")).await;
    let mut rest = String::new();
    stream
        .read_to_string(&mut rest)
        .await
        .expect("an orderly end");
    assert_eq!(rest, "pong", "the other direction goes on");
    drop(stream);

    let opening = far.open(plain());
    let asked = peer.next_of(&[HEADERS, RST_STREAM]).await;
    assert_eq!(asked.kind, HEADERS, "a stream that is over needs no reset");
    peer.send(&Frame::new(HEADERS, END_HEADERS, asked.stream, head))
        .await;
    let mut stream = opening.await.expect("no panic").expect("answered").stream;
    stream.reset();
    let reset = peer.next_of(&[RST_STREAM]).await;
    assert_eq!(
        (reset.stream, reset.number(0)),
        (3, 10),
        "RST is RST_STREAM, CONNECT_ERROR"
    );
}

/// A node that accepts and then says nothing ever again.
#[tokio::test(start_paused = true)]
async fn a_silent_node_is_noticed() {
    let mut far = Far::new();
    let opening = far.open(plain());
    let tls = far.accept().await;
    let mut server = h2::server::handshake(tls).await.expect("HTTP/2");
    let (_request, mut respond) = server
        .accept()
        .await
        .expect("a request")
        .expect("a good one");
    let mut send = respond
        .send_response(Response::new(()), false)
        .expect("open");
    send.send_data(Bytes::from_static(b"x"), false)
        .expect("open");
    let opened = tokio::select! {
        opened = opening => opened.expect("no panic").expect("answered"),
        _ = server.accept() => panic!("one request"),
    };
    let mut stream = opened.stream;
    // From here on nobody drives the server's half.
    let start = tokio::time::Instant::now();
    let mut all = Vec::new();
    let error = stream.read_to_end(&mut all).await.expect_err("dead");
    let reason = crate::StreamError::of(&error).map(crate::StreamError::reason);
    assert_eq!(reason, Some("tunnel_peer_silent"));
    assert_eq!(
        start.elapsed().as_secs(),
        30,
        "a PING after 10 s, and 20 s for its answer"
    );
    assert_eq!(
        stream.lost().map(crate::Lost::reason),
        Some("tunnel_peer_silent")
    );
    let again = far.open(plain());
    far.arrivals
        .recv()
        .await
        .expect("a dead connection is not used again");
    again.abort();
}

#[tokio::test(start_paused = true)]
async fn a_quiet_node_is_not_taken_for_dead() {
    let mut far = Far::new();
    let opening = far.open(plain());
    let (mut peer, asked) = far.asked().await;
    let head = block(&[(":status", "200")]);
    peer.send(&Frame::new(HEADERS, END_HEADERS, asked.stream, head))
        .await;
    let opened = opening.await.expect("no panic").expect("answered");
    tokio::spawn(async move {
        const PING: u8 = 6;
        while let Some(frame) = peer.frame().await {
            if frame.kind == PING && frame.flags & ACK == 0 {
                peer.send(&Frame::new(PING, ACK, 0, frame.payload)).await;
            }
        }
    });
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(opened.stream.lost(), None, "it answers every PING");
}

#[tokio::test]
async fn a_server_that_takes_one_stream_at_a_time() {
    let mut far = Far::new();
    let head = block(&[(":status", "200")]);
    let mut kept = Vec::new();
    for _ in 0..3 {
        let opening = far.open(plain());
        let mut peer = Peer(far.accept().await);
        let mut preface = [0; 24];
        peer.0.read_exact(&mut preface).await.expect("open");
        let one_stream = [0, 3, 0, 0, 0, 1];
        peer.send(&Frame::new(SETTINGS, 0, 0, one_stream)).await;
        let asked = peer.next_of(&[HEADERS]).await;
        peer.send(&Frame::new(
            HEADERS,
            END_HEADERS,
            asked.stream,
            head.clone(),
        ))
        .await;
        let opened = opening.await.expect("no panic").expect("answered");
        kept.push((peer, opened));
    }
    let census = far.pool.census();
    assert_eq!((census.connections, census.streams), (3, 3), "one each");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_tcp_or_tls() {
    let mut far = Far::new();
    let opening = far.open(plain());
    let _silent = far.arrivals.recv().await.expect("the pool dials");
    let error = opening.await.expect("no panic").expect_err("no TLS");
    assert_eq!(error.reason(), "tunnel_tls_timeout");
    // The network takes 64 connections that nobody accepts; the next one waits.
    let (stuck, _arrivals) = Net::new();
    for _ in 0..64 {
        stuck.dial(pod(PORT)).await.expect("taken");
    }
    let web = far.source.identity().clone();
    far.source = Source::new(&web, None, stuck).expect("TLS 1.3");
    let error = far.open(plain()).await.expect("no panic");
    assert_eq!(
        error.expect_err("no TCP").reason(),
        "tunnel_connect_timeout"
    );
}
