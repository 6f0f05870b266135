//! gRPC without generated code: messages are taken off the wire one by one and answered as they
//! come, so one function serves unary calls and streams of both directions.
//!
//! `weft.echo.v1.Echo` returns each message with the backend's name in it, health checks are
//! answered, reflection says what there is, and a method of any other service gets its messages
//! back unchanged, so that routes of other people's services can be tried. Source of the framing:
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};

use super::{Content, protobuf::Message, reflection};

/// Largest message that is echoed; what gRPC clients accept by default.
const LONGEST_MESSAGE: usize = 4 << 20;
/// Flag and length before every message.
const PREFIX: usize = 5;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const OK: &str = "0";
const RESOURCE_EXHAUSTED: &str = "8";
const UNIMPLEMENTED: &str = "12";

/// Whether a request is a gRPC call.
pub(super) fn is_call<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Answers a call.
pub(super) fn answer(name: &str, request: Request<Incoming>) -> Response<Content> {
    let method = Method::of(request.uri().path(), name);
    let calls = Calls {
        content: request.into_body(),
        unread: Messages::default(),
        method,
        ended: false,
    };
    let mut response = Response::new(calls.boxed_unsync());
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What becomes of a message.
#[derive(Debug)]
enum Method {
    /// It returns with the name of the backend in it.
    Named(Bytes),
    /// The backend is well.
    Health,
    /// It asks what there is.
    Reflection,
    /// It returns.
    Unchanged,
}

impl Method {
    fn of(path: &str, name: &str) -> Self {
        match path {
            "/weft.echo.v1.Echo/Say" | "/weft.echo.v1.Echo/Talk" => {
                // Fields of a message may come in any order and any pieces: to append a field is
                // to set it.
                Self::Named(
                    Message::default()
                        .text(reflection::SERVED_BY, name)
                        .finish(),
                )
            }
            "/grpc.health.v1.Health/Check" => Self::Health,
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
            | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => Self::Reflection,
            _ => Self::Unchanged,
        }
    }

    fn reply(&self, message: Bytes) -> Bytes {
        let reply = match self {
            Self::Named(field) => &[message, field.clone()].concat(),
            Self::Health => &[8, 1][..], // status: SERVING
            Self::Reflection => &reflection::answer(message),
            Self::Unchanged => &message,
        };
        let mut framed = BytesMut::with_capacity(PREFIX + reply.len());
        framed.put_u8(0);
        framed.put_u32(reply.len() as u32);
        framed.put_slice(reply);
        framed.freeze()
    }
}

/// The messages of a call, answered while they arrive.
struct Calls {
    content: Incoming,
    unread: Messages,
    method: Method,
    ended: bool,
}

impl Body for Calls {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            match self.unread.next() {
                Ok(Some(message)) => {
                    let reply = self.method.reply(message);
                    return Poll::Ready(Some(Ok(Frame::data(reply))));
                }
                Ok(None) => {}
                Err((status, why)) => return Poll::Ready(self.end(status, why)),
            }
            match ready!(Pin::new(&mut self.content).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.unread.0.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(self.end(OK, "")),
            }
        }
    }
}

impl Calls {
    fn end(
        &mut self,
        status: &'static str,
        why: &'static str,
    ) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        self.ended = true;
        let mut trailers = HeaderMap::new();
        trailers.insert(STATUS, HeaderValue::from_static(status));
        if !why.is_empty() {
            trailers.insert(MESSAGE, HeaderValue::from_static(why));
        }
        Some(Ok(Frame::trailers(trailers)))
    }
}

/// Bytes of a call that are no whole message yet.
#[derive(Debug, Default)]
pub(super) struct Messages(pub(super) BytesMut);

impl Messages {
    /// The next message, once all of it is there.
    ///
    /// # Errors
    /// Status and reason for what cannot be echoed.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, (&'static str, &'static str)> {
        let Some((prefix, rest)) = self.0.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let [compressed, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if compressed != 0 {
            return Err((UNIMPLEMENTED, "compressed messages are not echoed"));
        }
        if length > LONGEST_MESSAGE {
            return Err((RESOURCE_EXHAUSTED, "longer than 4 MiB"));
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.0.advance(PREFIX);
        Ok(Some(self.0.split_to(length).freeze()))
    }
}
