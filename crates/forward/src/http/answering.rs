//! The future of an answer, small enough to be moved about.
//!
//! hyper moves the future of a request several times (into a slot of the connection, or into a task
//! per HTTP/2 stream). What is decided at once needs no future at all, and what has to wait does so
//! on the heap.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{
    Response,
    header::{CONNECTION, HeaderValue},
};

use crate::{body::ResponseBody, connection::Client};

/// The answer to one request. Never fails: every problem is an answer.
pub(crate) struct Answering {
    /// The client, if it has to be told when its connection drains (HTTP/1).
    tell: Option<Arc<Client>>,
    answer: Answer,
}

pub(super) enum Answer {
    /// Nothing is waited for.
    Now(Box<Response<ResponseBody>>),
    /// An endpoint is asked.
    Later(Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>),
    /// It was given.
    Given,
}

impl Answering {
    pub(super) fn new(tell: Option<Arc<Client>>, answer: Answer) -> Self {
        Self { tell, answer }
    }
}

impl Future for Answering {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = match &mut self.answer {
            Answer::Later(waiting) => ready!(waiting.as_mut().poll(cx)),
            given => match std::mem::replace(given, Answer::Given) {
                Answer::Now(response) => *response,
                // Polled again after the end: there is nothing more to come.
                Answer::Later(_) | Answer::Given => return Poll::Pending,
            },
        };
        if let Some(client) = &self.tell
            && client.is_draining()
            && !client.activity.is_tunnel()
        {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Poll::Ready(Ok(response))
    }
}
