//! The bodies that pass through: a request on its way to an endpoint, an answer on its way back.
//!
//! Both stream frame by frame with the back-pressure of the slower side; nothing is collected. The
//! three exceptions are bounded: the beginning of a request's body, which may have to be sent again as
//! long as there is no answer ([`Replay`]), the beginning of a gRPC answer ([`Answered`]), and a body
//! that is copied to a mirror ([`Tee`]).

mod answered;
mod replay;
mod tee;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use weft_telemetry::{
    Reason,
    metrics::{Protocol, RequestHandles},
};

pub(crate) use self::{
    answered::{Answered, Call, Methods},
    replay::{Replay, ReplayBody},
    tee::{MirrorBody, Tee, tee},
};
use crate::{
    connection::activity::Activity,
    exchange::Exchange,
    http::{status_of_cut, strip_trailers},
    upstream::Lease,
};

/// Why a body ended early. The text goes to hyper, which resets the stream or closes the connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The peer that sends the body failed.
    #[error("the sender of the body failed: {0}")]
    Sender(#[from] hyper::Error),
    /// The main request ended before its copy for a mirror was complete.
    #[error("the mirrored request ended early")]
    MirrorCut,
    /// Another attempt has taken the body over.
    #[error("the request is being sent again")]
    Superseded,
    /// The rule's request timeout passed while the answer was being sent.
    #[error("the request timeout passed")]
    Timeout,
}

/// The body of a request towards an endpoint.
pub(crate) enum RequestBody {
    /// No body.
    Empty,
    /// Straight from the client.
    Stream(ClientBody),
    /// From the client or its tee, kept for another attempt.
    Replay(ReplayBody),
    /// From the client, copied to mirrors.
    Tee(Box<Tee>),
    /// The copy for a mirror.
    Mirror(MirrorBody),
}

/// A client's request body with its connection's bookkeeping.
pub(crate) struct ClientBody {
    incoming: Incoming,
    activity: Arc<Activity>,
    counted: (Arc<RequestHandles>, Protocol),
    bytes: u64,
    open: bool,
}

impl ClientBody {
    /// Wraps what hyper received; its bytes count for `counted`.
    pub(crate) fn new(
        incoming: Incoming,
        activity: Arc<Activity>,
        counted: (Arc<RequestHandles>, Protocol),
    ) -> Self {
        let open = !incoming.is_end_stream();
        if open {
            activity.body_open(true);
        }
        Self {
            incoming,
            activity,
            counted,
            bytes: 0,
            open,
        }
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            self.activity.body_open(false);
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &mut frame {
            Some(Ok(frame)) => {
                frame.trailers_mut().map(strip_trailers);
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.incoming.is_end_stream() {
                    self.close();
                }
            }
            Some(Err(_)) | None => self.close(),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        self.close();
        let (handles, protocol) = &self.counted;
        handles.add_bytes(*protocol, self.bytes, 0);
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Stream(body) => body.poll_next(cx),
            Self::Replay(body) => body.poll_next(cx),
            Self::Tee(body) => body.poll_next(cx),
            Self::Mirror(body) => body.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(body) => body.incoming.is_end_stream(),
            Self::Replay(body) => body.is_end_stream(),
            Self::Tee(body) => body.is_end_stream(),
            Self::Mirror(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(body) => body.incoming.size_hint(),
            Self::Replay(body) => body.size_hint(),
            Self::Tee(body) => body.size_hint(),
            Self::Mirror(body) => body.size_hint(),
        }
    }
}

/// The body of an answer towards the client.
pub(crate) enum ResponseBody {
    /// No body.
    Empty,
    /// An answer of Weft's own.
    Full(Option<Bytes>),
    /// Straight from the endpoint.
    Stream(UpstreamBody),
    /// The same, of a length that is not told, so that trailers can follow. Rare, and on the heap so
    /// that no other answer grows by it.
    Trailed(Box<UpstreamBody>),
}

/// An endpoint's answer with what has to happen when it ends: the exchange is recorded and the
/// connection goes back to its pool.
pub(crate) struct UpstreamBody {
    answered: Answered,
    lease: Option<Lease>,
    exchange: Option<Box<Exchange>>,
    deadline: Option<Pin<Box<tokio::time::Sleep>>>,
    cut: Cut,
}

/// How the client learns that an answer was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The stream is reset, or the connection closed: the rest is missing.
    Reset,
    /// By the status of a gRPC call, in trailers, which are the place for it. The retry policy of its
    /// client knows what UNAVAILABLE means; what a reset means is INTERNAL to most of them.
    Status,
}

impl UpstreamBody {
    pub(crate) fn new(
        answered: Answered,
        lease: Lease,
        exchange: Box<Exchange>,
        deadline: Option<tokio::time::Instant>,
        cut: Cut,
    ) -> Self {
        let deadline = deadline.map(|at| Box::pin(tokio::time::sleep_until(at)));
        let mut body = Self {
            answered,
            lease: Some(lease),
            exchange: Some(exchange),
            deadline,
            cut,
        };
        if body.answered.is_end_stream() {
            body.complete();
        }
        body
    }

    fn complete(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        if let Some(exchange) = self.exchange.take() {
            exchange.complete();
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(self.cut_off(BodyError::Timeout)));
        }
        if let Some(exchange) = &self.exchange {
            ready!(exchange.poll_room(cx));
        }
        let frame = match ready!(Pin::new(&mut self.answered).poll_frame(cx)) {
            Some(Ok(mut frame)) => {
                frame.trailers_mut().map(strip_trailers);
                if let Some(exchange) = &mut self.exchange {
                    exchange.response_frame(&frame);
                }
                if self.answered.is_end_stream() {
                    self.complete();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => Some(self.cut_off(error.into())),
            None => {
                self.complete();
                None
            }
        };
        Poll::Ready(frame)
    }

    /// Records that there is no more of the answer; what the client hears of it.
    fn cut_off(&mut self, error: BodyError) -> Result<Frame<Bytes>, BodyError> {
        let reason = match error {
            BodyError::Timeout => Reason::TimeoutRequest,
            _ => Reason::UpstreamReset,
        };
        let status = match self.cut {
            Cut::Reset => None,
            Cut::Status => Some(Frame::trailers(status_of_cut(reason))),
        };
        if let Some(mut exchange) = self.exchange.take() {
            if let Some(status) = &status {
                exchange.response_frame(status);
            }
            match reason {
                Reason::TimeoutRequest => exchange.timed_out(),
                _ => exchange.upstream_cut(),
            }
        }
        status.ok_or(error)
    }

    fn size_hint(&self) -> SizeHint {
        match self.cut {
            Cut::Reset => self.answered.size_hint(),
            // Behind content of a stated length there is no room for a status when some is missing.
            Cut::Status => SizeHint::default(),
        }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Full(data) => Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
            Self::Stream(body) => body.poll_next(cx),
            Self::Trailed(body) => body.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(data) => data.is_none(),
            Self::Stream(body) => body.answered.is_end_stream(),
            Self::Trailed(body) => body.answered.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(data) => SizeHint::with_exact(data.as_ref().map_or(0, |d| d.len() as u64)),
            Self::Trailed(_) => SizeHint::default(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}
