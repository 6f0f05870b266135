//! gRPC as it is on the wire: a prefix of five bytes before each message, the status in trailers
//! (grpc.io, PROTOCOL-HTTP2).

use std::{convert::Infallible, marker::PhantomData};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use prost::Message;

use crate::body::{Body, with_trailers};

/// Messages of a body, one after the other.
pub(super) struct Messages<M> {
    body: Incoming,
    bytes: BytesMut,
    message: PhantomData<M>,
}

impl<M: Message + Default> Messages<M> {
    pub(super) fn of(body: Incoming) -> Self {
        let bytes = BytesMut::new();
        Self {
            body,
            bytes,
            message: PhantomData,
        }
    }

    /// The next one; `None` at the end. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<M> {
        loop {
            if let Some((prefix, rest)) = self.bytes.split_first_chunk::<5>() {
                let [_, length @ ..] = *prefix;
                let length = u32::from_be_bytes(length) as usize;
                if rest.len() >= length {
                    self.bytes.advance(5);
                    let message = self.bytes.split_to(length);
                    return Some(M::decode(message.freeze()).expect("a message of the proxy"));
                }
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.bytes.extend_from_slice(&data);
            }
        }
    }
}

/// A message with its prefix.
pub(super) fn frame(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.encoded_len()).expect("a short message"));
    message.encode(&mut bytes).expect("bytes grow");
    bytes.freeze()
}

/// A body of one message, and that all is well.
pub(super) fn whole(message: &impl Message) -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    with_trailers(frame(message), trailers)
}

/// An answer with that body.
pub(super) fn answer(body: Body) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(body);
    let value = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", value);
    Ok(response)
}
