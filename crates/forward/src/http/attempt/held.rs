//! An answer that is set aside while the request is made again.

use http::Response;

use super::Sent;
use crate::{
    body::Answered,
    exchange::{AtUpstream, Exchange},
    upstream::Lease,
};

/// The head of an answer and its body, of which nothing was read: what has arrived of it waits in
/// the buffers of its connection, bounded as for any slow reader.
pub(super) struct Held {
    response: Response<Answered>,
    lease: Lease,
    at_endpoint: Option<AtUpstream>,
}

impl Held {
    /// Sets the answer of the last attempt aside.
    pub(super) fn new(response: Response<Answered>, lease: Lease, exchange: &mut Exchange) -> Self {
        Self {
            response,
            lease,
            at_endpoint: exchange.leave_endpoint(),
        }
    }

    /// It is the one for the client.
    pub(super) fn give(self, exchange: &mut Exchange) -> Sent {
        exchange.return_to(self.at_endpoint);
        Sent::Answer(self.response, self.lease)
    }

    /// A later one has come. hyper reads the end of a body that is there already, and closes the
    /// connection otherwise, so that it can go back to its pool either way.
    pub(super) fn let_go(self) {
        drop(self.response);
        self.lease.give_back();
    }
}
