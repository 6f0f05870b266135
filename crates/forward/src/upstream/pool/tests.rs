//! What a pool gives out, what it keeps and for how long.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{DuplexStream, duplex};

use super::{Exclusive, Line, Pool, STREAMS};
use crate::{
    body::RequestBody,
    caller::{Awaited, Caller, Sockets},
    limits::UPSTREAM_IDLE_MAX,
};

/// Sockets of a pod that makes no connection.
struct NoSockets;

impl Sockets for NoSockets {
    fn socket(&self, to: std::net::SocketAddr) -> Awaited<'_> {
        panic!("nobody connects to {to} here");
    }
}

/// A pod.
fn caller() -> Arc<Caller> {
    Arc::new(Caller::elsewhere(
        Arc::new(NoSockets),
        vec![[10, 0, 0, 1].into()],
    ))
}

/// An HTTP/1.1 connection of that caller.
async fn h1_of(caller: &Arc<Caller>) -> (Exclusive, DuplexStream) {
    let (connection, far) = h1().await;
    let line = Line::of(Some(Arc::clone(caller)));
    (Exclusive { line, ..connection }, far)
}

/// An HTTP/1.1 connection whose other end is held.
async fn h1() -> (Exclusive, DuplexStream) {
    let (near, far) = duplex(1024);
    let (mut sender, connection) = http1::handshake(TokioIo::new(near))
        .await
        .expect("HTTP/1.1");
    tokio::spawn(connection);
    sender.ready().await.expect("ready for a request");
    let line = Arc::default();
    (Exclusive { sender, line }, far)
}

/// An HTTP/2 connection whose other end is held.
async fn h2() -> (http2::SendRequest<RequestBody>, DuplexStream) {
    let (near, far) = duplex(1024);
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(near));
    let (sender, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    (sender, far)
}

/// How many connections of either kind a pool keeps.
fn sizes(pool: &Pool) -> (usize, usize) {
    let inner = pool.lock();
    (inner.h1.len(), inner.h2.len())
}

/// Lets the connections' tasks notice what happened to their streams.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_given_once() {
    let pool = Pool::default();
    assert!(pool.take_h1(None).is_none(), "an empty pool");
    let (sender, _far) = h1().await;
    pool.put_h1(sender);
    assert!(pool.take_h1(None).is_some(), "the one that was put");
    assert!(pool.take_h1(None).is_none(), "and not a second time");
}

#[tokio::test]
async fn a_connection_that_closed_meanwhile_is_not_given() {
    let pool = Pool::default();
    let ((gone, far), (alive, _far)) = (h1().await, h1().await);
    pool.put_h1(gone);
    pool.put_h1(alive);
    drop(far);
    settle().await;
    assert!(pool.take_h1(None).is_some(), "the one that lives");
    assert!(pool.take_h1(None).is_none(), "not the other");
}

#[tokio::test]
async fn idle_connections_are_closed_after_two_sweeps() {
    let pool = Pool::default();
    let ((one, _one), (two, _two)) = (h1().await, h2().await);
    pool.put_h1(one);
    drop(pool.put_h2(two, Arc::default()));
    pool.sweep();
    assert_eq!(sizes(&pool), (1, 1), "kept by the first");
    pool.sweep();
    assert_eq!(sizes(&pool), (0, 0), "not by the second");
}

#[tokio::test]
async fn use_keeps_connections_open() {
    let pool = Pool::default();
    let ((one, _one), (two, _two)) = (h1().await, h2().await);
    pool.put_h1(one);
    drop(pool.put_h2(two, Arc::default()));
    for sweep in 0..5 {
        let sender = pool.take_h1(None).expect("still there");
        assert!(pool.take_h2(None).is_some(), "still there");
        pool.put_h1(sender);
        pool.sweep();
        assert_eq!(pool.lock().h1.len(), 1, "HTTP/1.1 after sweep {sweep}");
        assert_eq!(pool.lock().h2.len(), 1, "HTTP/2 after sweep {sweep}");
    }
}

#[tokio::test]
async fn a_connection_with_streams_is_not_idle() {
    let pool = Pool::default();
    let (sender, _far) = h2().await;
    let shared = pool.put_h2(sender, Arc::default());
    shared.streams.fetch_add(1, Relaxed);
    for _ in 0..4 {
        pool.sweep();
    }
    assert_eq!(pool.lock().h2.len(), 1, "its stream may be silent for long");
    shared.streams.fetch_sub(1, Relaxed);
    pool.sweep();
    assert_eq!(pool.lock().h2.len(), 0, "now it is idle");
}

#[tokio::test]
async fn a_full_http2_connection_is_passed_over() {
    let pool = Pool::default();
    let (sender, _far) = h2().await;
    let shared = pool.put_h2(sender, Arc::default());
    shared.streams.store(STREAMS - 1, Relaxed);
    assert!(pool.take_h2(None).is_some(), "room for one more");
    shared.streams.store(STREAMS, Relaxed);
    assert!(pool.take_h2(None).is_none(), "full");
}

#[tokio::test]
async fn a_pool_keeps_so_many_and_no_more() {
    let pool = Pool::default();
    let mut ends = Vec::new();
    for _ in 0..=UPSTREAM_IDLE_MAX {
        let (sender, far) = h1().await;
        pool.put_h1(sender);
        ends.push(far);
    }
    assert_eq!(pool.lock().h1.len(), UPSTREAM_IDLE_MAX);
}

#[tokio::test]
async fn nobody_uses_the_connections_of_another_caller() {
    let pool = Pool::default();
    // The same address: another pod of the same account may have it later.
    let (one, other) = (caller(), caller());
    let ((connection, _h1), (sender, _h2)) = (h1_of(&one).await, h2().await);
    pool.put_h1(connection);
    drop(pool.put_h2(sender, Line::of(Some(Arc::clone(&one)))));
    for (name, who) in [("another caller", Some(&other)), ("everybody", None)] {
        assert!(pool.take_h1(who).is_none(), "HTTP/1.1 for {name}");
        assert!(pool.take_h2(who).is_none(), "HTTP/2 for {name}");
    }
    assert!(pool.take_h2(Some(&one)).is_some(), "HTTP/2 for its own");
    assert!(pool.take_h1(Some(&one)).is_some(), "HTTP/1.1 for its own");
}

#[tokio::test]
async fn a_caller_that_has_gone_leaves_nothing_behind() {
    let pool = Pool::default();
    let (gone, stays) = (caller(), caller());
    let mut ends = Vec::new();
    for caller in [&gone, &stays] {
        let ((connection, h1), (sender, h2)) = (h1_of(caller).await, h2().await);
        pool.put_h1(connection);
        drop(pool.put_h2(sender, Line::of(Some(Arc::clone(caller)))));
        ends.push((h1, h2));
    }
    let (in_use, _far) = h1_of(&gone).await;
    gone.leave();
    pool.put_h1(in_use);
    assert_eq!(sizes(&pool), (2, 2), "what was in use is not kept");
    pool.forget(&gone);
    assert_eq!(sizes(&pool), (1, 1), "only what the other has");
    assert!(pool.take_h1(Some(&stays)).is_some(), "which is its own");
}

#[test]
fn a_burst_opens_one_connection_and_no_caller_waits_for_another() {
    let pool = Pool::default();
    let (slow, other) = (caller(), caller());
    let of_slow = pool.gate(Some(&slow));
    let is_there = |who| Arc::ptr_eq(&pool.gate(who), &of_slow);
    assert!(is_there(Some(&slow)), "one at a time");
    for (name, who) in [("another caller", Some(&other)), ("everybody", None)] {
        assert!(!is_there(who), "{name} does not wait");
    }
    drop(of_slow);
    pool.sweep();
    assert!(pool.lock().opening.is_empty(), "nothing is left of it");
}
