//! HTTP/1 connections: hyper while there is something to do, nothing but the socket while idle.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Sleep, sleep, timeout},
};
use weft_telemetry::{Reason, metrics::CloseReason};

use super::{
    Client,
    activity::{TICK, Verdict, Watch},
    client_io::{ClientIo, read_some},
    detect::join,
};
use crate::{
    http::{guard::Guard, serve as serve_request},
    limits,
};

/// How a stretch of requests ended.
enum Ended<S> {
    /// The connection is over.
    Closed(CloseReason),
    /// The connection is over, but the client may still be sending.
    Unread(S, CloseReason),
    /// Idle: the stream, to be picked up at the next byte, and blank lines that came before it.
    Parked(S, Bytes),
    /// The client has to be told why it is cut off.
    Refused(S, u16, Reason),
}

/// Serves an HTTP/1 connection to its end. `ahead` was already read from `stream`.
pub(super) async fn serve<S>(client: Arc<Client>, stream: S, ahead: Bytes) -> CloseReason
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut watch = Watch::default();
    let (mut stream, mut ahead) = (stream, ahead);
    loop {
        // On the heap, so that an idle connection does not carry hyper's state along.
        match Box::pin(active(&client, &mut watch, stream, ahead)).await {
            Ended::Closed(reason) => return reason,
            Ended::Unread(mut stream, reason) => {
                linger(&mut stream).await;
                return reason;
            }
            Ended::Refused(stream, status, reason) => return refuse(stream, status, reason).await,
            Ended::Parked(parked, blank) => {
                stream = parked;
                match idle(&client, &mut watch, &mut stream).await {
                    Ok(bytes) => ahead = join(blank, &bytes),
                    Err(reason) => return reason,
                }
            }
        }
    }
}

/// Waits for the next request without holding more than the socket.
async fn idle<S: AsyncRead + Unpin>(
    client: &Client,
    watch: &mut Watch,
    stream: &mut S,
) -> Result<Bytes, CloseReason> {
    let left = limits::CLIENT_IDLE.saturating_sub(watch.idle_for());
    let mut closing = pin!(client.closed());
    tokio::select! {
        biased;
        read = read_some(stream, 64) => match read {
            Ok(bytes) if !bytes.is_empty() => {
                watch.resume();
                Ok(bytes)
            }
            Ok(_) | Err(_) => Err(CloseReason::Client),
        },
        () = &mut closing => Err(CloseReason::Drain),
        () = sleep(left) => Err(CloseReason::Idle),
    }
}

async fn active<S>(client: &Arc<Client>, watch: &mut Watch, stream: S, ahead: Bytes) -> Ended<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = ClientIo::new(
        stream,
        ahead,
        Some(Guard::new()),
        Arc::clone(&client.activity),
    );
    let service = service_fn(|request: Request<Incoming>| serve_request(client, request));
    let mut connection = http1::Builder::new()
        .max_buf_size(limits::HEAD_BYTES + limits::HEAD_BYTES / 4)
        .max_headers(limits::HEAD_FIELDS)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut tick = pin!(sleep(TICK));
    let verdict = poll_fn(|cx| {
        if let Poll::Ready(result) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(Ok(result));
        }
        while tick.as_mut().poll(cx).is_ready() {
            rearm(tick.as_mut());
            match watch.judge(&client.activity, TICK) {
                Verdict::Go => {}
                Verdict::Close => Pin::new(&mut connection).graceful_shutdown(),
                other => return Poll::Ready(Err(other)),
            }
        }
        Poll::Pending
    })
    .await;
    let parts = connection.into_parts();
    match (verdict, parts.map(|it| (it.io.into_inner(), it.read_buf))) {
        // Upgraded: the stream belongs to a tunnel now.
        (_, None) => Ended::Closed(CloseReason::Client),
        (Ok(result), Some((io, _))) => finished(client, result, io),
        (Err(verdict), Some((io, unused))) => interrupted(verdict, io, unused),
    }
}

fn rearm(tick: Pin<&mut Sleep>) {
    let next = tick.deadline() + TICK;
    tick.reset(next);
}

/// hyper is done with the connection.
fn finished<S>(client: &Client, result: hyper::Result<()>, io: ClientIo<S>) -> Ended<S> {
    let (violation, in_body) = (io.violation(), io.in_body());
    let reason = match (violation, result) {
        (Some(_), _) => CloseReason::Cut(Reason::InvalidRequest),
        (None, Ok(())) => CloseReason::Client,
        (None, Err(error)) => {
            tracing::debug!(peer = %client.peer, %error, "client connection ended");
            return Ended::Closed(CloseReason::Cut(Reason::ClientAbort));
        }
    };
    let (stream, _) = io.into_parts();
    match violation {
        // The request whose body it is has been answered; a second answer would belong to nothing.
        _ if in_body => Ended::Unread(stream, reason),
        Some(violation) => Ended::Refused(stream, violation.status(), violation.reason()),
        None => Ended::Closed(reason),
    }
}

/// The tick ended a stretch of requests.
fn interrupted<S>(verdict: Verdict, io: ClientIo<S>, unused: Bytes) -> Ended<S> {
    let (stream, ahead) = io.into_parts();
    match verdict {
        // Between requests nothing but empty lines can be left over (RFC 9112 section 2.2).
        Verdict::Park => Ended::Parked(stream, join(unused, &ahead)),
        Verdict::HeadTimeout => Ended::Refused(stream, 408, Reason::TimeoutHeader),
        Verdict::Stalled => Ended::Closed(CloseReason::Cut(Reason::TimeoutBodyIdle)),
        Verdict::Go | Verdict::Close => Ended::Closed(CloseReason::Idle),
    }
}

/// Answers what never became a request, then closes.
pub(super) async fn refuse<S>(mut stream: S, status: u16, reason: Reason) -> CloseReason
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let code = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_REQUEST);
    let title = code.canonical_reason().unwrap_or("Error");
    let text = format!("{status} {title}: {reason}\n");
    let answer = format!(
        "HTTP/1.1 {status} {title}\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    if let Ok(Ok(())) = timeout(LINGER, stream.write_all(answer.as_bytes())).await {
        linger(&mut stream).await;
    }
    CloseReason::Cut(reason)
}

/// Reads on for a moment after the last answer: closing with unread bytes resets the connection,
/// and a reset takes the answer from a client that has not read it yet (RFC 9112 section 9.6).
async fn linger<S>(stream: &mut S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let drain = async {
        stream.shutdown().await?;
        // Rare, and long-lived: not part of every connection's future.
        let mut unread = vec![0; DRAIN_BYTES];
        while stream.read(&mut unread).await? > 0 {}
        std::io::Result::Ok(())
    };
    // A client that goes on, or is gone, has had its chance.
    drop(timeout(LINGER, drain).await);
}

/// Size of the reads that throw away what a refused client still sends.
const DRAIN_BYTES: usize = 16 * 1024;
/// How long a refused client may take to read why.
const LINGER: Duration = Duration::from_secs(2);
