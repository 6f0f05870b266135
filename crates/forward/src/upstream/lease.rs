//! Sending one request on a pooled or new connection, and giving the connection back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{
    Request, Response, Uri,
    header::HOST,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use weft_telemetry::Reason;

use super::{
    ConnectError, From, Pool, Speaks, UpstreamRef, connect,
    line::{Line, Lined, Mark},
    pool::{Exclusive, Shared},
    stream::HeardOut,
};
use crate::{body::RequestBody, caller::Caller, limits, turns::Spawner, worker::Worker};

/// Flow-control windows towards endpoints: one large answer must not wait for round trips, and a
/// slow client may hold this much per stream.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Pings keep a busy but silent connection honest; a dead peer is noticed within two of these.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A connection in use by one request.
pub(crate) enum Lease {
    /// Exclusive HTTP/1.1 connection.
    H1 {
        connection: Exclusive,
        upstream: UpstreamRef,
        worker: usize,
    },
    /// One stream of an HTTP/2 connection; it counts there until the lease is dropped.
    H2 { _stream: Stream },
}

/// Counts a stream on its connection while it lives.
pub(crate) struct Stream(Arc<AtomicU32>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Lease {
    /// The answer has ended: the connection may carry the next request. Dropping the lease instead
    /// closes an HTTP/1.1 connection.
    pub(crate) fn give_back(self) {
        if let Self::H1 {
            connection,
            upstream,
            worker,
        } = self
            && let Some(pool) = upstream.existing_pool(worker)
        {
            pool.put_h1(connection);
        }
    }
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// No connection.
    #[error(transparent)]
    Connect(ConnectError),
    /// A header filter set a `host` that HTTP/2 cannot carry; nothing was sent.
    #[error("the host that a filter set is not a valid authority")]
    Authority,
    /// The connection turned out to be closed before the request was written.
    #[error("the connection was closed before the request was written")]
    Closed,
    /// The endpoint refused the stream without processing it, by itself or with all others above a
    /// number (RFC 9113 sections 6.8 and 8.7).
    #[error("the endpoint refused the stream")]
    Refused,
    /// The connection or stream failed before the head of an answer.
    #[error("no answer: {0}")]
    Reset(hyper::Error),
    /// The answer is not valid HTTP.
    #[error("the answer is malformed: {0}")]
    Malformed(hyper::Error),
    /// The client broke its body off, so that the request could not be completed.
    #[error("the body of the request ended early: {0}")]
    ClientBody(hyper::Error),
}

impl SendError {
    /// Whether the endpoint certainly did nothing about the request, so that another one may get it
    /// whatever its method (RFC 9110 section 9.2.2).
    pub(crate) fn is_unseen(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Closed | Self::Refused)
    }

    /// The stable reason for metrics and the access log.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Connect(error) => error.reason(),
            Self::Closed | Self::Refused | Self::Reset(_) => Reason::UpstreamReset,
            Self::Malformed(_) => Reason::UpstreamMalformed,
            Self::ClientBody(_) => Reason::ClientAbort,
            Self::Authority => Reason::FilterFailed,
        }
    }
}

fn lost(error: hyper::Error) -> SendError {
    if error.is_parse() {
        return SendError::Malformed(error);
    }
    let h2 = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
    // A stream that the endpoint's GOAWAY ends is above the last one it will look at.
    let refused = |h2: &h2::Error| {
        h2.is_remote() && (h2.is_go_away() || h2.reason() == Some(h2::Reason::REFUSED_STREAM))
    };
    // What the library itself gives a connection up for is something the endpoint may not send.
    let violation = |h2: &h2::Error| h2.is_library();
    // A stream that neither the endpoint nor the library reset was reset because its body failed.
    let own = |h2: &h2::Error| h2.is_reset() && !h2.is_remote() && !h2.is_library();
    if error.is_user() || h2.is_some_and(own) {
        SendError::ClientBody(error)
    } else if h2.is_some_and(refused) {
        SendError::Refused
    } else if h2.is_some_and(violation) {
        SendError::Malformed(error)
    } else {
        SendError::Reset(error)
    }
}

/// How a request is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// Over HTTP/2; otherwise over HTTP/1.1.
    pub(crate) http2: bool,
    /// Once an endpoint may have seen it, nobody else can get it.
    pub(crate) only_once: bool,
}

/// Sends the canonical request (origin-form target, `host` header) in `slot` to `upstream`, on a
/// pooled connection if there is one. After an error the request is back in its slot if it did not
/// reach a connection; what became of it otherwise is in the error.
pub(crate) async fn send(
    from: From<'_>,
    upstream: &UpstreamRef,
    how: How,
    slot: &mut Option<Request<RequestBody>>,
) -> Result<(Response<Incoming>, Lease), SendError> {
    let pool = upstream.pool(from.worker.index, || from.worker.remember(&upstream.0));
    if how.http2 {
        let shared = match pooled_h2(from, pool, upstream)? {
            Some(shared) => shared,
            // Opening is rare and its future is large: on the heap.
            None => Box::pin(open_h2(from, pool, upstream))
                .await
                .map_err(SendError::Connect)?,
        };
        if let Some(request) = slot
            && let Err(error) = make_absolute(request, upstream.transport.is_secure())
        {
            *slot = None;
            return Err(error);
        }
        return send_h2(shared, how, slot).await;
    }
    loop {
        let pooled = pooled_h1(from, pool, upstream)?;
        let fresh = pooled.is_none();
        let mut connection = match pooled {
            Some(connection) => connection,
            None => Box::pin(open_h1(from, upstream))
                .await
                .map_err(SendError::Connect)?,
        };
        let Some(request) = slot.take() else {
            return Err(SendError::Closed);
        };
        let mark = connection.line.mark(how.only_once);
        let error = match connection.sender.try_send_request(request).await {
            Ok(response) => return Ok((response, h1_lease(connection, upstream, from.worker))),
            Err(error) => error,
        };
        match unsent(error, slot, (&connection.line, mark)) {
            // Closed while idle: nothing was written, the next connection takes it.
            SendError::Closed if !fresh && slot.is_some() => {}
            error => return Err(error),
        }
    }
}

/// An idle connection in the name of whoever sends. Nothing of it stays in the future of a request.
fn pooled_h1(
    from: From<'_>,
    pool: &Pool,
    upstream: &UpstreamRef,
) -> Result<Option<Exclusive>, SendError> {
    let caller = from.caller(upstream).map_err(SendError::Connect)?;
    Ok(pool.take_h1(caller.as_ref()))
}

/// An open connection in the name of whoever sends.
fn pooled_h2(
    from: From<'_>,
    pool: &Pool,
    upstream: &UpstreamRef,
) -> Result<Option<Shared>, SendError> {
    let caller = from.caller(upstream).map_err(SendError::Connect)?;
    Ok(pool.take_h2(caller.as_ref()))
}

/// Sorts an error and puts the request back if hyper still has it.
fn unsent(
    mut error: TrySendError<Request<RequestBody>>,
    slot: &mut Option<Request<RequestBody>>,
    (line, mark): (&Line, Mark),
) -> SendError {
    *slot = error.take_message();
    if slot.is_some() {
        return SendError::Closed;
    }
    let error = lost(error.into_error());
    if matches!(error, SendError::Reset(_)) && line.is_untouched_since(mark) {
        SendError::Closed
    } else {
        error
    }
}

fn h1_lease(connection: Exclusive, upstream: &UpstreamRef, worker: &Worker) -> Lease {
    Lease::H1 {
        connection,
        upstream: upstream.clone(),
        worker: worker.index,
    }
}

async fn open_h1(from: From<'_>, upstream: &UpstreamRef) -> Result<Exclusive, ConnectError> {
    let address = upstream.address;
    let caller = from.caller(upstream)?;
    let stream = connect(from, upstream, caller.as_deref(), Speaks::Http1).await?;
    let spawner = Spawner::of(caller.as_deref());
    let (stream, line) = Lined::of(stream, caller);
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(limits::HEAD_BYTES)
        .handshake(TokioIo::new(HeardOut::new(stream)))
        .await
        .map_err(|source| ConnectError::Handshake { address, source })?;
    // The task ends with the connection: when the sender is dropped, or the endpoint closes. Its
    // error, if any, reaches the request that was on the connection.
    spawner.spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%address, %error, "upstream connection ended");
        }
    });
    Ok(Exclusive { sender, line })
}

async fn open_h2(
    from: From<'_>,
    pool: &Pool,
    upstream: &UpstreamRef,
) -> Result<Shared, ConnectError> {
    let caller = from.caller(upstream)?;
    let gate = pool.gate(caller.as_ref());
    let existing = || pool.take_h2(caller.as_ref());
    let fresh = async {
        let (sender, line) = handshake_h2(from, upstream, caller.clone()).await?;
        Ok(pool.put_h2(sender, line))
    };
    gate.pass(existing, fresh).await
}

async fn handshake_h2(
    from: From<'_>,
    upstream: &UpstreamRef,
    caller: Option<Arc<Caller>>,
) -> Result<(http2::SendRequest<RequestBody>, Arc<Line>), ConnectError> {
    let address = upstream.address;
    let stream = connect(from, upstream, caller.as_deref(), Speaks::Http2).await?;
    let spawner = Spawner::of(caller.as_deref());
    let (stream, line) = Lined::of(stream, caller);
    let handshake = http2::Builder::new(spawner.clone())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(limits::HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .handshake(TokioIo::new(HeardOut::new(stream)));
    let (sender, connection) = tokio::time::timeout(limits::CONNECT, handshake)
        .await
        .map_err(|_elapsed| ConnectError::Timeout { address })?
        .map_err(|source| ConnectError::Handshake { address, source })?;
    spawner.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%address, %error, "upstream connection ended");
        }
    });
    Ok((sender, line))
}

async fn send_h2(
    shared: Shared,
    how: How,
    slot: &mut Option<Request<RequestBody>>,
) -> Result<(Response<Incoming>, Lease), SendError> {
    let Shared {
        mut sender,
        streams,
        line,
    } = shared;
    streams.fetch_add(1, Relaxed);
    let stream = Stream(streams);
    let Some(request) = slot.take() else {
        return Err(SendError::Closed);
    };
    let mark = line.mark(how.only_once);
    match sender.try_send_request(request).await {
        Ok(response) => Ok((response, Lease::H2 { _stream: stream })),
        Err(error) => Err(unsent(error, slot, (&line, mark))),
    }
}

/// The HTTP/2 form of a canonical request: `:scheme` and `:authority` from the `host` header
/// (RFC 9113 section 8.3.1). A request that comes back unsent keeps this form and may be sent again.
///
/// A client's host is a valid authority, but a header filter can set one that is not; such a request
/// has no HTTP/2 form and is not sent as something else.
fn make_absolute(request: &mut Request<RequestBody>, is_secure: bool) -> Result<(), SendError> {
    let Some(host) = request.headers_mut().remove(HOST) else {
        return Ok(());
    };
    let authority = Authority::from_maybe_shared(bytes::Bytes::from_owner(host))
        .map_err(|_invalid| SendError::Authority)?;
    let target = std::mem::take(request.uri_mut())
        .into_parts()
        .path_and_query;
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if is_secure {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    });
    parts.authority = Some(authority);
    parts.path_and_query = Some(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_invalid| SendError::Authority)?;
    *request.version_mut() = http::Version::HTTP_2;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &'static str) -> Request<RequestBody> {
        let request = Request::builder().uri("/cart/7?a=b").header(HOST, host);
        request.body(RequestBody::Empty).expect("a valid request")
    }

    #[test]
    fn http2_carries_the_host_as_authority_and_the_whole_target() {
        for host in ["shop.example", "shop.example:8080", "[::1]:80"] {
            for (is_secure, scheme) in [(false, "http"), (true, "https")] {
                let mut sent = request(host);
                make_absolute(&mut sent, is_secure).expect("a client's host is an authority");
                let target = format!("{scheme}://{host}/cart/7?a=b");
                assert_eq!(sent.uri().to_string(), target);
                assert!(!sent.headers().contains_key(HOST), "one authority, not two");
            }
        }
    }

    #[test]
    fn a_host_that_is_no_authority_is_refused_and_not_sent_elsewhere() {
        for host in ["not a host", "shop/example", ""] {
            let refused = make_absolute(&mut request(host), false);
            assert!(
                matches!(refused, Err(SendError::Authority)),
                "host {host:?}: {refused:?}"
            );
        }
    }
}
