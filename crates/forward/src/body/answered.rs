//! The body of an endpoint's answer, of which some may have been read before the client gets its head.
//!
//! An answer that the client has begun to receive cannot be taken back, so an endpoint that dies after
//! the head loses the call even where it may be made again. The head of a gRPC call says nothing of
//! interest: as long as the call could go elsewhere it waits for the first message, which is what the
//! server made the head for, or for the end, where the method has always answered with one message.

mod messages;
mod methods;

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::sleep;

pub(crate) use self::methods::Methods;
use self::{
    messages::Messages,
    methods::{Answers, Method},
};
use crate::limits::{CALL_HELD, REPLAY_BYTES};

/// The body of an answer: what was read ahead of it, and the rest.
pub(crate) struct Answered<B = Incoming> {
    rest: B,
    /// On the heap, and only of calls that could be made again.
    call: Option<Box<Call>>,
}

/// What is known about the answer of a gRPC call while it passes.
pub(crate) struct Call {
    methods: Arc<Methods>,
    method: Method,
    /// The method has always answered with one message, so that the end follows it at once.
    expects_end: bool,
    ahead: VecDeque<Frame<Bytes>>,
    ahead_bytes: usize,
    messages: Messages,
}

impl<B> From<B> for Answered<B> {
    fn from(rest: B) -> Self {
        Self { rest, call: None }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> Answered<B> {
    /// Reads `body` ahead, for [`CALL_HELD`] at most, until the client is to get what there is. What
    /// has arrived already is always read: a server that died may have said so behind its message.
    ///
    /// # Errors
    /// The answer broke off, and nobody has seen anything of it.
    pub(crate) async fn ahead_of(mut body: B, mut call: Box<Call>) -> Result<Self, B::Error> {
        let mut limit = pin!(sleep(CALL_HELD));
        poll_fn(|cx| {
            loop {
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(Some(frame)) => call.keep(frame?),
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Pending => break,
                }
                if call.is_over() {
                    return Poll::Ready(Ok(()));
                }
            }
            if call.is_enough() {
                return Poll::Ready(Ok(()));
            }
            limit.as_mut().poll(cx).map(|()| {
                call.surprised();
                Ok(())
            })
        })
        .await?;
        Ok(Self {
            rest: body,
            call: Some(call),
        })
    }
}

impl Call {
    /// The answer to a call of the method at `path`, none of which was read.
    pub(crate) fn new(methods: &Arc<Methods>, path: &str) -> Self {
        let method = Method::at(path);
        Self {
            methods: Arc::clone(methods),
            method,
            expects_end: methods.answers(method) == Some(Answers::Once),
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            messages: Messages::default(),
        }
    }

    fn keep(&mut self, frame: Frame<Bytes>) {
        self.read(&frame);
        self.ahead_bytes += frame.data_ref().map_or(0, Bytes::len);
        self.ahead.push_back(frame);
    }

    /// Learns from a frame what the method's answers are like.
    fn read(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            if self.messages.read(data) {
                self.methods.learn(self.method, Answers::Often);
            }
        } else if self.messages.are_one() {
            self.methods.learn(self.method, Answers::Once);
        }
    }

    /// Whether there is nothing more to read, or no room for it.
    fn is_over(&self) -> bool {
        self.ahead_bytes > REPLAY_BYTES || self.ahead.back().is_some_and(Frame::is_trailers)
    }

    /// Whether the client would be kept waiting for something it can use: a message that may be the
    /// first of many.
    fn is_enough(&self) -> bool {
        self.messages.are_many() || (self.messages.are_one() && !self.expects_end)
    }

    /// Nothing came for too long. A method that was thought to end behind its message may be one that
    /// sends more of them later.
    fn surprised(&self) {
        if self.expects_end && self.messages.are_one() {
            self.methods.forget(self.method);
        }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Answered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(frame) = self.call.as_mut().and_then(|call| call.ahead.pop_front()) {
            return Poll::Ready(Some(Ok(frame)));
        }
        let polled = Pin::new(&mut self.rest).poll_frame(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(call)) = (&polled, &mut self.call) {
            call.read(frame);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.call.as_ref().is_none_or(|call| call.ahead.is_empty()) && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.call {
            None => self.rest.size_hint(),
            // Of a part of it nothing useful can be said.
            Some(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests;
