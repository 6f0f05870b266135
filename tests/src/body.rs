//! Bodies that tests make: known, fed piece by piece, with trailers, or cut.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use tokio::sync::mpsc;

/// Any body.
pub type Body = BoxBody<Bytes, io::Error>;

/// A body of known content.
pub fn full(content: impl Into<Bytes>) -> Body {
    Full::new(content.into())
        .map_err(|never| match never {})
        .boxed()
}

/// No body.
#[must_use]
pub fn empty() -> Body {
    http_body_util::Empty::new()
        .map_err(|never| match never {})
        .boxed()
}

/// A known body and trailers after it.
#[must_use]
pub fn with_trailers(content: impl Into<Bytes>, trailers: HeaderMap) -> Body {
    let end = async move { Some(Ok(trailers)) };
    Full::new(content.into())
        .map_err(|never| match never {})
        .with_trailers(end)
        .boxed()
}

/// The feeding end of a body. Dropping it ends the body.
#[derive(Clone, Debug)]
pub struct Feed(mpsc::Sender<io::Result<Frame<Bytes>>>);

/// A body that is fed while it is sent.
#[must_use]
pub fn fed() -> (Feed, Body) {
    let (sender, pieces) = mpsc::channel(1);
    (Feed(sender), Fed(pieces).boxed())
}

struct Fed(mpsc::Receiver<io::Result<Frame<Bytes>>>);

impl HttpBody for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx)
    }
}

impl Feed {
    /// Adds a piece; false when nobody reads the body any more.
    pub async fn data(&self, piece: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(piece.into()))).await.is_ok()
    }

    /// Adds trailers.
    pub async fn trailers(&self, trailers: HeaderMap) -> bool {
        self.0.send(Ok(Frame::trailers(trailers))).await.is_ok()
    }

    /// Breaks the body off.
    pub async fn cut(&self) -> bool {
        self.0
            .send(Err(io::Error::other("cut by the test")))
            .await
            .is_ok()
    }
}
