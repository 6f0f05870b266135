//! HTTP/2 connections.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use http::Request;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use weft_telemetry::{Reason, metrics::CloseReason};

use super::{
    Client,
    activity::{TICK, Verdict, Watch},
    client_io::ClientIo,
};
use crate::{http::serve as serve_request, limits};

/// Flow-control windows towards clients. A stream's window bounds what a slow endpoint lets pile up.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// A silent connection is asked whether it is alive this often, and given as long to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Serves an HTTP/2 connection to its end.
pub(super) async fn serve<S>(client: Arc<Client>, stream: S, ahead: Bytes) -> CloseReason
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = ClientIo::new(stream, ahead, None, Arc::clone(&client.activity));
    let of_requests = Arc::clone(&client);
    let service =
        service_fn(move |request: Request<Incoming>| serve_request(&of_requests, request));
    let mut connection = pin!(
        http2::Builder::new(client.spawner())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(limits::H2_STREAMS)
            .max_header_list_size(limits::HEAD_BYTES as u32)
            // WebSockets (RFC 8441); every other CONNECT is refused in validation.
            .enable_connect_protocol()
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .serve_connection(TokioIo::new(io), service)
    );
    let mut watch = Watch::default();
    let mut tick = pin!(sleep(TICK));
    let mut closing = None;
    let result = poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        while tick.as_mut().poll(cx).is_ready() {
            let next = tick.deadline() + TICK;
            tick.as_mut().reset(next);
            match watch.judge(&client.activity, TICK) {
                Verdict::Stalled => return Poll::Ready(None),
                Verdict::Close => closing = closing.or(Some(CloseReason::Idle)),
                // HTTP/2 has no head to wait for: h2 bounds CONTINUATION itself.
                Verdict::Go | Verdict::Park | Verdict::HeadTimeout => {}
            }
            if client.is_draining() {
                closing = Some(CloseReason::Drain);
            }
            if closing.is_some() {
                // GOAWAY: streams that are open finish (RFC 9113 section 6.8).
                connection.as_mut().graceful_shutdown();
            }
        }
        Poll::Pending
    })
    .await;
    match (result, closing) {
        (None, _) => CloseReason::Cut(Reason::TimeoutBodyIdle),
        (Some(_), Some(reason)) => reason,
        (Some(Ok(())), None) => CloseReason::Client,
        (Some(Err(error)), None) => {
            tracing::debug!(peer = %client.peer, %error, "client connection ended");
            CloseReason::Cut(why(&error))
        }
    }
}

/// Why a connection broke off: what h2 itself ends it for is either too much of something, such as
/// streams that are reset as soon as they are opened (CVE-2023-44487), or against RFC 9113.
fn why(error: &hyper::Error) -> Reason {
    let h2 = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    match h2 {
        Some(error) if !::h2::Error::is_library(error) => Reason::ClientAbort,
        Some(error) if error.reason() == Some(::h2::Reason::ENHANCE_YOUR_CALM) => Reason::OverLimit,
        Some(_) => Reason::InvalidRequest,
        None => Reason::ClientAbort,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    /// The preface and empty settings (RFC 9113 section 3.4).
    const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    /// DATA on stream 0 (section 6.1 forbids it).
    const ASTRAY: &[u8] = b"\0\0\0\0\0\0\0\0\0";

    /// A request on each of so many streams, and its RST_STREAM.
    fn resets(streams: u8) -> Vec<u8> {
        let both = |number: u8| {
            let stream = [0, 0, 0, 2 * number + 1];
            let asked = [b"\0\0\x03\x01\x05", &stream[..], b"\x82\x86\x84"].concat();
            let taken_back = [b"\0\0\x04\x03\0", &stream[..], b"\0\0\0\x08"].concat();
            [asked, taken_back].concat()
        };
        (0..streams).flat_map(both).collect()
    }

    /// Serves a client that sends so much at once, and then leaves or does not.
    async fn ends(row: &str, (sent, leaves): (&[u8], bool), expected: Reason) {
        let (mut near, far) = duplex(64 * 1024);
        near.write_all(&[BEGIN, sent].concat()).await.expect("room");
        let near = (!leaves).then_some(near);
        let service = service_fn(async |_request: Request<Incoming>| {
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let served = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(far), service)
            .await;
        drop(near);
        let error = served.expect_err(row);
        assert_eq!(why(&error), expected, "{row}");
    }

    #[tokio::test]
    async fn what_ends_a_connection_is_told_apart() {
        ends("an end", (&resets(5), true), Reason::ClientAbort).await;
        ends("resets", (&resets(100), false), Reason::OverLimit).await;
        ends("a violation", (ASTRAY, false), Reason::InvalidRequest).await;
    }
}
