//! HTTP/1 connections: hyper while there is something to do, nothing but the socket while idle.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{
    Request,
    header::{CONNECTION, HeaderValue},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::{Instant, Sleep, sleep},
};
use weft_telemetry::{Reason, metrics::CloseReason};

use super::{
    Client,
    activity::{TICK, Verdict, Watch},
    client_io::{ClientIo, read_some},
};
use crate::{
    http::{guard::Guard, serve as serve_request},
    limits,
};

/// How a stretch of requests ended.
enum Ended<S> {
    /// The connection is over.
    Closed(CloseReason),
    /// Idle: the stream, to be picked up at the next byte.
    Parked(S),
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
            Ended::Refused(stream, status, reason) => return refuse(stream, status, reason).await,
            Ended::Parked(parked) => {
                stream = parked;
                match idle(&client, &mut watch, &mut stream).await {
                    Ok(bytes) => ahead = bytes,
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
    let mut closing = pin!(client.inlet.closed());
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
    let service = service_fn(|request: Request<Incoming>| {
        let client = Arc::clone(client);
        async move {
            let draining = client.is_draining();
            let mut response = serve_request(client, request).await;
            if draining {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
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
    let result = match verdict {
        Ok(result) => result,
        Err(verdict) => {
            let Some(parts) = connection.into_parts() else {
                return Ended::Closed(CloseReason::Client);
            };
            return interrupted(verdict, parts.io.into_inner(), parts.read_buf);
        }
    };
    let violation = connection.into_parts().and_then(|parts| {
        let io = parts.io.into_inner();
        io.violation()
            .map(|violation| (violation, io.into_parts().0))
    });
    match (violation, result) {
        (Some((violation, stream)), _) => {
            Ended::Refused(stream, violation.status(), Reason::InvalidRequest)
        }
        (None, Ok(())) => Ended::Closed(CloseReason::Client),
        (None, Err(error)) => {
            tracing::debug!(peer = %client.peer, %error, "client connection ended");
            Ended::Closed(CloseReason::Cut(Reason::ClientAbort))
        }
    }
}

fn rearm(tick: Pin<&mut Sleep>) {
    let next = tick.deadline() + TICK;
    tick.reset(next);
}

/// The tick ended a stretch of requests.
fn interrupted<S>(verdict: Verdict, io: ClientIo<S>, unused: Bytes) -> Ended<S> {
    let (stream, ahead) = io.into_parts();
    match verdict {
        Verdict::Park if unused.is_empty() && ahead.is_empty() => Ended::Parked(stream),
        Verdict::HeadTimeout => Ended::Refused(stream, 408, Reason::TimeoutHeader),
        Verdict::Stalled => Ended::Closed(CloseReason::Cut(Reason::TimeoutBodyIdle)),
        Verdict::Park | Verdict::Go | Verdict::Close => Ended::Closed(CloseReason::Idle),
    }
}

/// Answers what never became a request, then closes.
async fn refuse<S>(mut stream: S, status: u16, reason: Reason) -> CloseReason
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let code = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_REQUEST);
    let text = format!(
        "{} {}: {reason}\n",
        status,
        code.canonical_reason().unwrap_or("Error")
    );
    let answer = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        status,
        code.canonical_reason().unwrap_or("Error"),
        text.len()
    );
    let write = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // Reading on for a moment lets the answer arrive before the reset that unread bytes cause
    // (RFC 9112 section 9.6).
    if let Ok(Ok(())) = tokio::time::timeout(LINGER, write).await {
        let until = Instant::now() + LINGER;
        while let Ok(Ok(bytes)) = tokio::time::timeout_at(until, read_some(&mut stream, 64)).await {
            if bytes.is_empty() {
                break;
            }
        }
    }
    CloseReason::Cut(reason)
}

/// How long a refused client may take to read why.
const LINGER: Duration = Duration::from_secs(1);
