//! What a pool gives out, what it keeps and for how long.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{DuplexStream, duplex};

use super::{Exclusive, Pool, STREAMS};
use crate::{body::RequestBody, limits::UPSTREAM_IDLE_MAX};

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
