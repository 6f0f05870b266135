//! One `CONNECT` that may be served: who asks for what, and the answer still to be given.

use std::{future::poll_fn, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderValue, Request, Response, StatusCode, header::ALLOW};
use weft_certs::PeerIdentity;

use crate::{
    error::StreamError,
    head::{Metadata, with_baggage},
    judge::{Place, Refusal, judge},
    shared::Slot,
    stream::Stream,
};

/// A `CONNECT` that has been judged and waits for its answer: [`Incoming::accept`] once the application
/// has been reached, else [`Incoming::refuse`]. Dropped without either, it is reset.
#[derive(Debug)]
pub struct Incoming {
    peer: Arc<PeerIdentity>,
    destination: SocketAddr,
    metadata: Metadata,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    slot: Slot,
}

/// A request as it came.
pub(super) struct Asked {
    pub(super) request: Request<RecvStream>,
    pub(super) respond: SendResponse<Bytes>,
    /// Whether the peer is of our own trust domain.
    pub(super) is_own: bool,
}

impl Asked {
    /// Judges the request, and answers it if it may not be served.
    pub(super) fn judged(
        mut self,
        place: &impl Place,
        peer: &Arc<PeerIdentity>,
        slot: Slot,
    ) -> Result<Incoming, Refusal> {
        let (head, body) = self.request.into_parts();
        let head = Request::from_parts(head, ());
        match judge(place, peer, &head) {
            Ok(destination) => Ok(Incoming {
                peer: Arc::clone(peer),
                destination,
                metadata: Metadata::read(head.headers(), self.is_own),
                body,
                respond: self.respond,
                slot,
            }),
            Err(refusal) => {
                answer(&mut self.respond, &refusal);
                Err(refusal)
            }
        }
    }
}

impl Incoming {
    /// Who asks, as the certificate says.
    #[must_use]
    pub fn peer(&self) -> &Arc<PeerIdentity> {
        &self.peer
    }

    /// Where to: a local address, and no port of the mesh's own.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// What the client says of itself, for logs and metrics. Its address is where a socket towards the
    /// application is bound to, which is a courtesy and proves nothing.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Completes when the client gives up before it has an answer. To be waited for beside connecting.
    pub async fn abandoned(&mut self) {
        let reset = poll_fn(|cx| self.respond.poll_reset(cx)).await;
        if let Err(error) = reset {
            tracing::trace!(%error, "a client went away with its connection");
        }
    }

    /// Answers 200, with the labels of the workload that is reached: the application is connected.
    ///
    /// # Errors
    ///
    /// The client has gone meanwhile.
    pub fn accept(mut self, baggage: Option<HeaderValue>) -> Result<Stream, StreamError> {
        let mut response = Response::new(());
        with_baggage(response.headers_mut(), baggage);
        let sent = self.respond.send_response(response, false);
        let send = sent.map_err(|error| self.slot.shared().sort(&error))?;
        Ok(Stream::new(self.body, send, self.slot))
    }

    /// Answers with the status of `refusal`.
    pub fn refuse(mut self, refusal: &Refusal) {
        answer(&mut self.respond, refusal);
    }
}

fn answer(respond: &mut SendResponse<Bytes>, refusal: &Refusal) {
    let mut response = Response::new(());
    *response.status_mut() = refusal.status();
    if refusal.status() == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110 section 15.5.6.
        let allowed = HeaderValue::from_static("CONNECT");
        response.headers_mut().insert(ALLOW, allowed);
    }
    if let Err(error) = respond.send_response(response, true) {
        tracing::trace!(%error, "a client went away before its refusal");
    }
}
