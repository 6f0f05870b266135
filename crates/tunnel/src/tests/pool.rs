//! Which connections a pool makes, and who shares them.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use weft_certs::Expected;

use super::node::{
    CART, ECHO, Mesh, NEVER_READS, Net, RESETS, WAITS, WEB, World, caller, check_echo, id, pod,
};
use crate::{
    Census, Connect, OpenError, Source, Stream, StreamError, Target,
    wire::{PORT, STREAM_WINDOW},
};

/// Opens so many streams at once and keeps them.
async fn storm(world: &World, streams: usize) -> Vec<Result<Stream, OpenError>> {
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..streams {
        let (pool, source) = (world.pool.clone(), world.source.clone());
        let target = world.target.clone();
        let connect = Connect::new(pod(ECHO), caller());
        all.spawn(async move {
            let opened = pool.open(&source, &target, &connect).await;
            opened.map(|opened| opened.stream)
        });
    }
    all.join_all().await
}

#[tokio::test]
async fn a_storm_makes_one_connection_per_hundred_streams() {
    for (streams, connections) in [(1, 1), (100, 1), (101, 2), (250, 3)] {
        let world = World::new();
        let opened = storm(&world, streams).await;
        assert!(opened.iter().all(Result::is_ok), "all {streams} are served");
        assert_eq!(world.net.dialled(), connections, "for {streams} streams");
        let census = Census {
            connections,
            leaving: 0,
            streams,
        };
        assert_eq!(world.pool.census(), census);
        drop(opened);
        assert_eq!(world.pool.census().streams, 0, "places are given back");
        let _stream = world.open(ECHO).await.expect("served");
        assert_eq!(world.net.dialled(), connections, "and used again");
    }
}

#[tokio::test]
async fn bytes_go_both_ways() {
    let world = World::new();
    let mut stream = world.open(ECHO).await.expect("served");
    check_echo(&mut stream, "hello").await;
    let long = "0123456789abcdef".repeat(64 * 1024);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sent = long.clone();
    let sending = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        writer.write_all(sent.as_bytes()).await.expect("open");
        writer.shutdown().await.expect("open");
    });
    let mut back = String::new();
    reader
        .read_to_string(&mut back)
        .await
        .expect("an orderly end");
    sending.await.expect("no panic");
    assert!(back == long, "a megabyte comes back as it was");
}

#[tokio::test]
async fn an_abort_of_the_application_arrives_as_one() {
    let world = World::new();
    let mut stream = world.open(RESETS).await.expect("served");
    use tokio::io::AsyncWriteExt;
    stream.write_all(b"x").await.expect("open");
    let error = stream.read_u8().await.expect_err("aborted");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(
        StreamError::of(&error).map(StreamError::reason),
        Some("tunnel_reset")
    );
}

#[tokio::test]
async fn nobody_shares_a_connection_with_somebody_else() {
    let world = World::new();
    let api = world.mesh.member("spiffe://cluster.local/ns/shop/sa/api");
    let (web, here) = (&world.web, Some(caller().ip()));
    let target = |port, expected| Target::new(pod(port), expected);
    let cart = || Expected::exactly(id(CART));
    let two = |one, other| Expected::OneOf(vec![id(one), id(other)]);
    let any = Expected::AnyTrusted;
    let rows = [
        ("the first", web, here, target(PORT, cart()), 1),
        ("the same again", web, here, target(PORT, cart()), 1),
        ("another identity", &api, here, target(PORT, cart()), 2),
        (
            "another address",
            web,
            Some(pod(0).ip()),
            target(PORT, cart()),
            3,
        ),
        ("no address", web, None, target(PORT, cart()), 4),
        ("another endpoint", web, here, target(PORT + 1, cart()), 5),
        (
            "more identities",
            web,
            here,
            target(PORT, two(CART, WEB)),
            6,
        ),
        (
            "in another order",
            web,
            here,
            target(PORT, two(WEB, CART)),
            6,
        ),
        ("anybody", web, here, target(PORT, any), 7),
    ];
    for (name, identity, address, target, dialled) in rows {
        let source = Source::new(identity, address, world.net.clone()).expect("TLS 1.3");
        let connect = Connect::new(pod(ECHO), caller());
        let opened = world.pool.open(&source, &target, &connect).await;
        assert_eq!(opened.expect("served").peer.id, id(CART), "{name}");
        assert_eq!(world.net.dialled(), dialled, "{name}");
    }
}

#[tokio::test]
async fn a_failure_is_told_to_all_who_waited() {
    let world = World::new();
    let (deaf, arrivals) = Net::new();
    drop(arrivals);
    let source = Source::new(&world.web, None, deaf.clone()).expect("TLS 1.3");
    let connect = Connect::new(pod(ECHO), caller());
    let open = || world.pool.open(&source, &world.target, &connect);
    let all = tokio::join!(open(), open(), open());
    for outcome in [all.0, all.1, all.2] {
        let error = outcome.expect_err("nobody listens");
        assert_eq!(error.reason(), "tunnel_connect_refused");
        assert_eq!(error.exchange_reason().as_str(), "upstream_connect_refused");
    }
    assert_eq!(deaf.dialled(), 1, "one attempt for all of them");
    assert!(open().await.is_err(), "still nobody");
    assert_eq!(deaf.dialled(), 2, "and whoever comes later tries afresh");
    assert_eq!(
        world.pool.census(),
        Census::default(),
        "nothing is left behind"
    );
}

#[tokio::test]
async fn somebody_else_at_the_endpoint() {
    let world = World::new();
    let target = Target::new(pod(PORT), Expected::exactly(id(WEB)));
    let connect = Connect::new(pod(ECHO), caller());
    let error = world.pool.open(&world.source, &target, &connect).await;
    let error = error.expect_err("it is another one by now");
    assert_eq!(error.reason(), "peer_identity_mismatch");
    assert!(
        error.wants_resolving(),
        "what is known of the endpoint is out of date"
    );
    assert_eq!(world.app.panics.load(SeqCst), 0);
}

#[tokio::test]
async fn meshes_that_do_not_trust_each_other() {
    let (ours, theirs) = (Mesh::new(), Mesh::new());
    let mut world = World::of(ours, Some(&theirs));
    let error = world.open(ECHO).await.expect_err("an unknown authority");
    assert_eq!(error.reason(), "peer_issuer_unknown");
    assert_eq!(
        world.ended.recv().await,
        Some("tls_peer_refused"),
        "the server's side of it"
    );
    // And where only the server refuses, which a client learns after its handshake.
    let trusting = theirs.bundles(2);
    world.web.trust().replace(trusting);
    let error = world
        .open(ECHO)
        .await
        .expect_err("the server does not know us");
    assert_eq!(error.reason(), "tls_peer_refused");
    assert_eq!(world.ended.recv().await, Some("peer_issuer_unknown"));
    assert_eq!(world.net.dialled(), 2, "which is not tried again and again");
}

#[tokio::test]
async fn refusals_by_name() {
    let world = World::new();
    for (destination, reason) in [
        (pod(super::node::REFUSES), "tunnel_app_unavailable"),
        (pod(super::node::DENIED), "policy_denied"),
        (pod(PORT), "tunnel_not_served"),
        (caller(), "tunnel_not_served"),
    ] {
        let connect = Connect::new(destination, caller());
        let opened = world
            .pool
            .open(&world.source, &world.target, &connect)
            .await;
        let error = opened.expect_err("refused");
        assert_eq!(error.reason(), reason, "{destination}");
    }
    assert_eq!(
        world.net.dialled(),
        1,
        "a refused stream costs no connection"
    );
    let census = world.pool.census();
    assert_eq!((census.connections, census.streams), (1, 0));
}

/// Connections that wait in a pool are streams too, as are those whose application has not answered yet, and
/// they hold nothing.
#[tokio::test(start_paused = true)]
async fn streams_that_wait_leave_the_windows_of_others_large() {
    let world = World::new();
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let mut stream = world.open(ECHO).await.expect("served");
        check_echo(&mut stream, "once").await;
        waiting.push(stream);
    }
    let mut unanswered = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (pool, source, target) = (&world.pool, &world.source, &world.target);
        let (pool, source, target) = (pool.clone(), source.clone(), target.clone());
        let connect = Connect::new(pod(WAITS), caller());
        unanswered.spawn(async move { pool.open(&source, &target, &connect).await });
    }
    let mut bulk = world.open(NEVER_READS).await.expect("served");
    assert_eq!(fill(&mut bulk).await, STREAM_WINDOW as usize);
    assert!(unanswered.try_join_next().is_none(), "they wait still");
}

/// Writes until nothing moves any more when the clock of the test does; how much it was.
async fn fill(stream: &mut Stream) -> usize {
    let piece = vec![0; 16 << 10];
    let mut filled = 0;
    while let Ok(sent) = timeout(Duration::from_millis(1), stream.write(&piece)).await {
        filled += sent.expect("the stream is open");
    }
    filled
}

/// Applications that wait for each other must not wait for ever (ztunnel PR 1539).
#[tokio::test(start_paused = true)]
async fn streams_nobody_reads_leave_room_for_others() {
    let world = World::new();
    let mut full = Vec::new();
    let mut unread = 0;
    for _ in 0..99 {
        let mut stream = world.open(NEVER_READS).await.expect("served");
        unread += fill(&mut stream).await;
        full.push(stream);
    }
    // The first of them came while there were few. With the window of one for each it would be 25 MiB.
    assert!(
        unread >= 99 * (32 << 10),
        "each has a window: {unread} bytes"
    );
    assert!(unread <= 9 << 20, "{unread} bytes wait for nobody");
    let mut last = world.open(ECHO).await.expect("served");
    check_echo(&mut last, "still here").await;
    assert_eq!(world.net.dialled(), 1, "on the same connection");
}

#[tokio::test]
async fn a_source_that_is_alone_shares_with_no_equal_one() {
    let world = World::new();
    let (at, connect) = (Some(caller().ip()), Connect::new(pod(ECHO), caller()));
    let alone = || Source::alone(&world.web, at, world.net.clone()).expect("TLS 1.3");
    let (one, other) = (alone(), alone());
    for (source, dialled) in [
        (&one, 1),
        (&one, 1),
        (&other, 2),
        (&one, 2),
        (&world.source, 3),
    ] {
        let opened = world.pool.open(source, &world.target, &connect).await;
        opened.expect("served");
        assert_eq!(world.net.dialled(), dialled, "each has its own");
    }
    world.pool.drain(|key| key.is_of(&one));
    assert_eq!(world.pool.census().connections, 2, "those of the others");
}
