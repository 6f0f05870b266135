//! The client's side of a connection as hyper sees it, over an in-memory stream.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

use super::{ClientIo, read_some};
use crate::{
    connection::activity::Activity,
    http::guard::{Guard, Violation},
};

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nupgrade: x\r\n\r\n";

/// A client and the guarded stream it talks to.
struct Wire {
    client: DuplexStream,
    io: ClientIo<DuplexStream>,
    activity: Arc<Activity>,
}

impl Wire {
    fn new(ahead: &'static [u8]) -> Self {
        let (client, server) = duplex(64 * 1024);
        let activity = Arc::<Activity>::default();
        let guard = Some(Guard::new());
        let io = ClientIo::new(
            server,
            Bytes::from_static(ahead),
            guard,
            Arc::clone(&activity),
        );
        Self {
            client,
            io,
            activity,
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.expect("room");
    }

    /// One read: bytes, the end (`Some` of nothing), or `None` for "not now".
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut room = [0; 1024];
        let mut buf = ReadBuf::new(&mut room);
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut self.io).poll_read(&mut cx, &mut buf) {
            Poll::Pending => Ok(None),
            Poll::Ready(Ok(())) => Ok(Some(buf.filled().to_vec())),
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    /// What a read gives, in words.
    fn reads(&mut self) -> String {
        match self.read() {
            Ok(None) => "pending".to_owned(),
            Ok(Some(bytes)) if bytes.is_empty() => "end".to_owned(),
            Ok(Some(bytes)) => bytes.escape_ascii().to_string(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    /// hyper answers the request.
    fn answer(&self) {
        self.activity.request_started();
        self.activity.request_ended();
    }
}

#[tokio::test]
async fn bytes_read_ahead_come_first() {
    let mut wire = Wire::new(b"GET / ");
    wire.send(b"HTTP/1.1\r\n").await;
    assert_eq!(wire.reads(), "GET / ");
    assert_eq!(wire.reads(), r"HTTP/1.1\r\n");
    assert_eq!(wire.reads(), "pending");
}

#[tokio::test]
async fn a_bad_head_looks_like_the_end() {
    let mut wire = Wire::new(b"");
    wire.send(b"GET / HTTP/1.1\nhost: a\n\n").await;
    assert_eq!(wire.reads(), "end", "not a byte of it is passed on");
    assert_eq!(wire.io.violation(), Some(Violation::BareLineEnd));
    let mut cx = Context::from_waker(Waker::noop());
    let shut = Pin::new(&mut wire.io).poll_shutdown(&mut cx);
    assert!(shut.is_ready(), "hyper believes to have closed the stream");
    let (mut stream, _) = wire.io.into_parts();
    stream
        .write_all(b"400")
        .await
        .expect("the answer can still be written");
    let answer = read_some(&mut wire.client, 64).await.expect("the answer");
    assert_eq!(&answer[..], b"400");
}

#[tokio::test]
async fn a_bad_head_waits_for_the_answers_before_it() {
    let mut wire = Wire::new(b"");
    wire.send(&[ASK, b"GET / HTTP/1.1\n"].concat()).await;
    assert_eq!(wire.reads(), ASK.escape_ascii().to_string(), "the good one");
    assert_eq!(
        wire.reads(),
        "pending",
        "even before the service has begun with it"
    );
    wire.activity.request_started();
    assert_eq!(wire.reads(), "pending", "while it is being answered");
    wire.activity.request_ended();
    assert_eq!(wire.reads(), "end", "then the end");
}

#[tokio::test]
async fn a_bad_body_is_an_error() {
    let mut wire = Wire::new(b"");
    let head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    wire.send(head).await;
    wire.send(b"3\r\nabc\r\nx\r\n").await;
    assert!(wire.reads().ends_with(r"3\r\nabc\r\n"), "what was good");
    assert_eq!(wire.reads(), "InvalidData", "not the end of the body");
    assert!(wire.io.in_body(), "it concerns the request being served");
}

#[tokio::test]
async fn early_bytes_wait_until_the_upgrade_is_answered() {
    for apart in [false, true] {
        let mut wire = Wire::new(b"");
        wire.send(UPGRADE).await;
        if !apart {
            wire.send(b"\x81\nearly").await;
        }
        assert_eq!(wire.reads(), UPGRADE.escape_ascii().to_string());
        assert_eq!(wire.reads(), "pending");
        if apart {
            wire.send(b"\x81\nearly").await;
        }
        assert_eq!(wire.reads(), "pending", "held; apart: {apart}");
        wire.activity.tunnel();
        assert_eq!(wire.reads(), r"\x81\nearly", "passed on; apart: {apart}");
        wire.send(b"late").await;
        assert_eq!(wire.reads(), "late");
    }
}

#[tokio::test]
async fn early_bytes_are_judged_when_there_is_no_upgrade() {
    let mut wire = Wire::new(b"");
    wire.send(&[UPGRADE, ASK].concat()).await;
    assert_eq!(wire.reads(), UPGRADE.escape_ascii().to_string());
    assert_eq!(wire.reads(), "pending");
    wire.answer();
    assert_eq!(wire.reads(), ASK.escape_ascii().to_string(), "a request");
    wire.answer();
    wire.send(b"GET / HTTP/1.1\n").await;
    assert_eq!(wire.reads(), "end", "a bad one");
}

#[tokio::test]
async fn a_client_that_leaves_while_its_upgrade_is_pending_is_noticed() {
    let mut wire = Wire::new(b"");
    wire.send(UPGRADE).await;
    assert_eq!(wire.reads(), UPGRADE.escape_ascii().to_string());
    assert_eq!(wire.reads(), "pending");
    wire.client.shutdown().await.expect("open");
    assert_eq!(wire.reads(), "end");
}

#[tokio::test]
async fn reading_some_stops_at_its_limit() {
    let (mut client, mut server) = duplex(1024);
    client.write_all(&[b'x'; 100]).await.expect("room");
    assert_eq!(read_some(&mut server, 10).await.expect("bytes").len(), 10);
    assert_eq!(
        read_some(&mut server, 1000).await.expect("bytes").len(),
        64,
        "never more than its buffer"
    );
    drop(client);
    assert_eq!(read_some(&mut server, 64).await.expect("bytes").len(), 26);
    assert!(
        read_some(&mut server, 64)
            .await
            .expect("the end")
            .is_empty(),
        "the end"
    );
}
