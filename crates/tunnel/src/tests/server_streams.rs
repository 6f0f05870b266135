//! Bytes, ends and aborts on the streams of a server, frame by frame.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering::SeqCst},
    task::Poll,
};

use tokio::io::AsyncWriteExt;

use super::{
    frames::{DATA, END_HEADERS, END_STREAM, Frame, HEADERS, RST_STREAM, WINDOW_UPDATE, block},
    server_wire::ByHand,
};

const CONNECT_ERROR: u32 = 10;
const CANCEL: u32 = 8;

impl ByHand {
    /// With stream 1 open to a port of the application.
    async fn connected(port: u16) -> Self {
        let mut hand = Self::new().await;
        hand.open(1, port).await;
        hand
    }

    async fn open(&mut self, stream: u32, port: u16) {
        self.peer.connect(stream, &format!("10.0.0.1:{port}")).await;
        let answer = self.peer.next_of(&[HEADERS, RST_STREAM]).await;
        assert_eq!(
            (answer.kind, answer.status()),
            (HEADERS, 200),
            "stream {stream}"
        );
    }

    async fn send(&mut self, flags: u8, stream: u32, bytes: &[u8]) {
        let frame = Frame::new(DATA, flags, stream, bytes);
        self.peer.send(&frame).await;
    }

    async fn heard(&self) -> Result<usize, &'static str> {
        self.app.heard_more.notified().await;
        let mut heard = self.app.heard.lock().expect("no panic holds it");
        heard.pop().expect("something was heard")
    }
}

#[tokio::test]
async fn one_direction_ends_and_the_other_goes_on() {
    let mut hand = ByHand::connected(super::node::ECHO).await;
    hand.send(0, 1, b"ping").await;
    let echo = hand.peer.next_of(&[DATA]).await;
    assert_eq!(
        (echo.flags, &*echo.payload),
        (0, &b"ping"[..]),
        "not over yet"
    );
    hand.send(END_STREAM, 1, b"last").await;
    let mut rest = Vec::new();
    loop {
        let frame = hand.peer.next_of(&[DATA, RST_STREAM]).await;
        assert_eq!(frame.kind, DATA, "an end is no abort");
        rest.extend(frame.payload);
        if frame.flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(
        rest, b"last",
        "after the client's end come the bytes and then the server's"
    );
}

#[tokio::test]
async fn an_end_without_bytes_is_an_end() {
    let mut hand = ByHand::connected(super::node::LISTENS).await;
    hand.send(0, 1, b"four").await;
    hand.send(END_STREAM, 1, b"").await;
    assert_eq!(hand.heard().await, Ok(4), "an orderly end");
}

#[tokio::test]
async fn an_abort_is_an_abort() {
    let mut hand = ByHand::connected(super::node::LISTENS).await;
    hand.send(0, 1, b"four").await;
    let reset = Frame::new(RST_STREAM, 0, 1, CANCEL.to_be_bytes());
    hand.peer.send(&reset).await;
    assert_eq!(
        hand.heard().await,
        Err("tunnel_reset"),
        "never taken for an end"
    );
    let mut hand = ByHand::connected(super::node::RESETS).await;
    hand.send(0, 1, b"x").await;
    let reset = hand.peer.next_of(&[DATA, RST_STREAM]).await;
    assert_eq!(reset.kind, RST_STREAM, "nor is the application's");
    assert_eq!(
        (reset.stream, reset.number(0)),
        (1, CONNECT_ERROR),
        "RFC 9113 section 8.5"
    );
}

#[tokio::test]
async fn a_lost_connection_is_an_abort() {
    let mut hand = ByHand::connected(super::node::LISTENS).await;
    hand.send(0, 1, b"four").await;
    hand.peer.until_pong().await;
    let ByHand {
        peer, app, served, ..
    } = hand;
    drop(peer);
    app.heard_more.notified().await;
    let heard = app.heard.lock().expect("no panic holds it").pop();
    assert_eq!(heard, Some(Err("tunnel_closed")), "never taken for an end");
    assert_eq!(served.await.expect("no panic"), "ok");
}

#[tokio::test]
async fn trailers_are_no_end() {
    let mut hand = ByHand::connected(super::node::LISTENS).await;
    let trailers = block(&[("grpc-status", "0")]);
    let frame = Frame::new(HEADERS, END_STREAM | END_HEADERS, 1, trailers);
    hand.peer.send(&frame).await;
    assert_eq!(
        hand.heard().await,
        Err("tunnel_trailers"),
        "RFC 9113 section 8.5"
    );
}

#[tokio::test]
async fn a_defect_costs_its_own_stream() {
    let mut hand = ByHand::new().await;
    hand.peer.connect(1, "10.0.0.1:84").await;
    let reset = hand.peer.next_of(&[HEADERS, RST_STREAM]).await;
    assert_eq!(
        (reset.kind, reset.stream),
        (RST_STREAM, 1),
        "reset, not answered"
    );
    hand.open(3, super::node::ECHO).await;
    assert_eq!(hand.app.panics.load(SeqCst), 1, "and counted");
}

#[tokio::test]
async fn a_window_opens_only_for_bytes_that_went_on() {
    let mut hand = ByHand::connected(super::node::NEVER_READS).await;
    for _ in 0..16 {
        hand.send(0, 1, &[7; 16 * 1024]).await;
    }
    let frames = hand.peer.until_pong().await;
    let opened = |frame: &Frame| frame.kind == WINDOW_UPDATE && frame.stream == 1;
    assert!(!frames.iter().any(opened), "nobody has read");
    hand.open(3, super::node::ECHO).await;
    hand.send(0, 3, b"neighbour").await;
    let echo = hand.peer.next_of(&[DATA]).await;
    assert_eq!(echo.payload, b"neighbour", "and nobody else waits for it");
    hand.open(5, super::node::LISTENS).await;
    for _ in 0..16 {
        hand.send(0, 5, &[7; 16 * 1024]).await;
    }
    let opening = loop {
        let frame = hand.peer.next_of(&[WINDOW_UPDATE]).await;
        if frame.stream == 5 {
            break frame;
        }
    };
    assert!(
        opening.number(0) >= 64 * 1024,
        "a reader gets its window back"
    );
}

#[tokio::test]
async fn a_window_stays_shut_for_bytes_that_were_only_read() {
    let mut hand = ByHand::connected(super::node::READS_ONCE).await;
    for _ in 0..4 {
        hand.send(0, 1, &[7; 64 * 1024]).await;
    }
    let frames = hand.peer.until_pong().await;
    let opened = |frame: &Frame| frame.kind == WINDOW_UPDATE && frame.stream == 1;
    assert!(
        !frames.iter().any(opened),
        "whoever reads again has passed on what it read before, and it has not read again"
    );
}

/// As an application that is behind with many small messages makes it (ztunnel#2100).
#[tokio::test]
async fn small_frames_nobody_reads_do_not_cut_the_neighbours() {
    let mut hand = ByHand::connected(super::node::NEVER_READS).await;
    let small = Frame::new(DATA, 0, 1, *b"x").bytes();
    let thousand = small.repeat(1000);
    for _ in 0..120 {
        hand.peer.0.write_all(&thousand).await.expect("open");
    }
    hand.open(3, super::node::ECHO).await;
    hand.send(0, 3, b"neighbour").await;
    let echo = hand.peer.next_of(&[DATA]).await;
    assert_eq!((echo.stream, &*echo.payload), (3, &b"neighbour"[..]));
}

/// Opening and resetting fast (CVE-2023-44487) buys no more than the limit on streams allows.
#[tokio::test]
async fn whoever_resets_fast_gets_no_more_than_its_share() {
    let mut hand = ByHand::new().await;
    let mut carried = 0;
    let refused = loop {
        let stream = 2 * carried + 1;
        hand.peer.connect(stream, "10.0.0.1:85").await;
        let frames = hand.peer.until_pong().await;
        if let Some(answer) = frames.iter().find(|frame| frame.kind == HEADERS) {
            break answer.status();
        }
        let reset = Frame::new(RST_STREAM, 0, stream, CANCEL.to_be_bytes());
        hand.peer.send(&reset).await;
        carried += 1;
    };
    assert_eq!(
        (carried, refused),
        (400, 503),
        "twice the limit, while nobody clears away"
    );
    let counted = hand.app.refused.lock().expect("no panic holds it").pop();
    assert_eq!(counted, Some("over_limit"));
}

/// One read brings many of them, and whoever shares the thread goes on in between.
#[tokio::test]
async fn streams_of_a_flood_begin_a_few_at_a_time() {
    const FLOOD: usize = 100;
    let mut hand = ByHand::new().await;
    let head = block(&[(":method", "CONNECT"), (":authority", "10.0.0.1:90")]);
    let streams = (1..).step_by(2).take(FLOOD);
    let flood = streams.flat_map(|it| Frame::new(HEADERS, END_HEADERS, it, &*head).bytes());
    let flood: Vec<u8> = flood.collect();
    hand.peer.0.write_all(&flood).await.expect("open");
    hand.peer.0.flush().await.expect("open");
    let app = Arc::clone(&hand.app);
    let (mut seen, mut most) = (0, 0);
    // Wakes itself, and so is in the queue behind whoever woke before.
    let neighbour = tokio::spawn(poll_fn(move |cx| {
        let now = app.refused.lock().expect("no panic holds it").len();
        most = most.max(now - seen);
        seen = now;
        if seen == FLOOD {
            return Poll::Ready(most);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    let most = neighbour.await.expect("no panic");
    assert!(most <= 8, "{most} at once");
}
