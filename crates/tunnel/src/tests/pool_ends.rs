//! How connections of a pool end: drained, superseded, expired, idle, cut.

use std::time::Duration;

use tokio::{io::AsyncReadExt, time::sleep};
use weft_certs::Bundles;

use super::node::{ECHO, WEB, World, check_echo};
use crate::{Census, Key, Stream, StreamError};

const HOUR: Duration = Duration::from_secs(3600);

fn census(connections: usize, leaving: usize, streams: usize) -> Census {
    Census {
        connections,
        leaving,
        streams,
    }
}

async fn reason_of_end(stream: &mut Stream) -> Option<&'static str> {
    let error = stream.read_u8().await.expect_err("the stream is cut");
    StreamError::of(&error).map(StreamError::reason)
}

/// After `change` the stream from before goes on, and a new one takes a new connection.
async fn check_superseded(name: &str, change: impl AsyncFnOnce(&World)) {
    let world = World::new();
    let mut before = world.open(ECHO).await.expect("served");
    check_echo(&mut before, "before").await;
    change(&world).await;
    let mut after = world.open(ECHO).await.expect("served");
    assert_eq!(
        world.net.dialled(),
        2,
        "{name}: a new connection for new streams"
    );
    check_echo(&mut after, "after").await;
    check_echo(&mut before, "still here").await;
    drop(before);
    world.pool.sweep();
    assert_eq!(
        world.pool.census(),
        census(1, 0, 1),
        "{name}: the old one is gone"
    );
}

#[tokio::test]
async fn what_a_connection_was_built_on_changes() {
    check_superseded("our own leaf", async |world| {
        let leaf = world.mesh.leaf(WEB);
        world.web.replace(leaf).expect("the same identity");
    })
    .await;
    check_superseded("our bundle", async |world| {
        let bundles: Bundles = world.mesh.bundles(2);
        world.web.trust().replace(bundles);
    })
    .await;
    check_superseded("drained by somebody", async |world| {
        let endpoint = world.target.endpoint();
        world.pool.drain(|key: &Key| key.endpoint() == endpoint);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_leaves_keeps_its_streams() {
    let world = World::new();
    let mut before = world.open(ECHO).await.expect("served");
    world.draining.send(()).expect("it listens");
    // Which connection was told shows only in where the next stream goes.
    while world.net.dialled() == 1 {
        world.open(ECHO).await.expect("served, here or there");
    }
    check_echo(&mut before, "still here").await;
}

#[tokio::test]
async fn only_what_matches_is_drained() {
    let world = World::new();
    let _stream = world.open(ECHO).await.expect("served");
    world.pool.drain(|key| key.source() != &world.web.id());
    assert_eq!(world.pool.census(), census(1, 0, 1), "somebody else's");
    world.pool.drain(|key| key.source_address().is_none());
    assert_eq!(world.pool.census(), census(1, 0, 1), "from another address");
}

#[tokio::test(start_paused = true)]
async fn a_drain_has_an_end() {
    let world = World::new();
    let mut stream = world.open(ECHO).await.expect("served");
    world.pool.drain(|_| true);
    sleep(Duration::from_secs(299)).await;
    world.pool.sweep();
    check_echo(&mut stream, "not yet").await;
    sleep(Duration::from_secs(1)).await;
    world.pool.sweep();
    assert_eq!(
        reason_of_end(&mut stream).await,
        Some("tunnel_cut"),
        "after 300 s"
    );
}

#[tokio::test]
async fn a_cut_is_immediate() {
    let world = World::new();
    let mut stream = world.open(ECHO).await.expect("served");
    check_echo(&mut stream, "open").await;
    world.pool.cut(|_| true);
    assert_eq!(reason_of_end(&mut stream).await, Some("tunnel_cut"));
    let mut stream = world.open(ECHO).await.expect("served again");
    world.pool.drain(|_| true);
    world.pool.cut(|_| true);
    assert_eq!(
        reason_of_end(&mut stream).await,
        Some("tunnel_cut"),
        "while leaving, too"
    );
}

#[tokio::test]
async fn a_closed_pool_opens_nothing() {
    let world = World::new();
    let mut stream = world.open(ECHO).await.expect("served");
    world.pool.close();
    check_echo(&mut stream, "drains").await;
    let error = world.open(ECHO).await.expect_err("closed");
    assert_eq!(error.reason(), "tunnel_drained");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_let_go() {
    let mut world = World::new();
    drop(world.open(ECHO).await.expect("served"));
    world.pool.sweep();
    sleep(Duration::from_secs(299)).await;
    world.pool.sweep();
    assert_eq!(
        world.pool.census(),
        census(1, 0, 0),
        "kept for five minutes"
    );
    sleep(Duration::from_secs(1)).await;
    world.pool.sweep();
    assert_eq!(world.pool.census(), census(0, 0, 0), "and no longer");
    assert_eq!(world.ended.recv().await, Some("ok"), "closed in order");
    drop(world.open(ECHO).await.expect("served"));
    world.pool.shed_idle();
    assert_eq!(
        world.pool.census(),
        census(0, 0, 0),
        "or at once, for memory"
    );
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_ends_ends_its_connection() {
    let mut world = World::new();
    let keeping = world.pool.clone();
    tokio::spawn(async move { keeping.keep().await });
    let mut stream = world.open(ECHO).await.expect("served");
    sleep(17 * HOUR).await;
    assert_eq!(
        world.pool.census(),
        census(1, 0, 1),
        "good for three quarters of its life"
    );
    sleep(2 * HOUR).await;
    assert_eq!(
        world.pool.census(),
        census(0, 1, 1),
        "then for no new streams"
    );
    check_echo(&mut stream, "still here").await;
    sleep(5 * HOUR + Duration::from_secs(2)).await;
    check_echo(&mut stream, "drains").await;
    let error = world.open(ECHO).await.expect_err("expired");
    assert_eq!(error.reason(), "identity_expired", "it fails closed");
    sleep(Duration::from_secs(320)).await;
    let reason = reason_of_end(&mut stream).await;
    let by_either = ["tunnel_certificate_expired", "tunnel_closed"];
    assert!(by_either.contains(&reason.unwrap_or("?")), "{reason:?}");
    let ended = [world.ended.recv().await, world.ended.recv().await];
    assert_eq!(
        ended,
        [Some("identity_expired"), Some("ok")],
        "as the server sees both"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_lets_go_of_what_it_trusted_before() {
    let mut world = World::new();
    let mut stream = world.open(ECHO).await.expect("served");
    world.cart.trust().replace(world.mesh.bundles(2));
    sleep(Duration::from_secs(11)).await;
    check_echo(&mut stream, "still here").await;
    let _other = world.open(ECHO).await.expect("served");
    assert_eq!(world.net.dialled(), 2, "the client was told to come again");
    drop(stream);
    assert_eq!(
        world.ended.recv().await,
        Some("ok"),
        "and the old connection ends"
    );
}
