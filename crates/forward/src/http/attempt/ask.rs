//! One attempt, to where its answer can be passed on.

use http::Response;
use http_body::Body as _;

use super::{Job, Template};
use crate::{
    body::{Answered, Call},
    http::answer::is_begun_call,
    upstream::{How, Lease, SendError, UpstreamRef, send},
};

/// Sends the request in the slot. While a loss `can_be_repeated`, the head of a gRPC answer is worth
/// nothing without what follows it, and an endpoint that dies in between has given no answer.
pub(super) async fn ask(
    job: &mut Job,
    upstream: &UpstreamRef,
    can_be_repeated: bool,
) -> Result<(Response<Answered>, Lease), SendError> {
    let how = How {
        http2: job.http2,
        only_once: job.template.as_ref().is_none_or(Template::is_made_once),
    };
    let (response, lease) = send(job.client.sends(), upstream, how, &mut job.request).await?;
    let (parts, body) = response.into_parts();
    let held_back = can_be_repeated && job.call && is_begun_call(&parts) && !body.is_end_stream();
    let call = held_back.then(|| job.call_underway()).flatten();
    let body = match call {
        None => Answered::from(body),
        // On the heap, so that nobody else carries the room for it.
        Some(call) => Box::pin(Answered::ahead_of(body, call))
            .await
            .map_err(SendError::Reset)?,
    };
    Ok((Response::from_parts(parts, body), lease))
}

impl Job {
    /// The call that is being answered, if all of it was asked. A client that has more to say may wait
    /// for the head before it does.
    fn call_underway(&self) -> Option<Box<Call>> {
        let template = self.template.as_ref().filter(|it| it.is_whole())?;
        let methods = &self.client.worker.methods;
        Some(Box::new(Call::new(methods, template.path())))
    }
}
