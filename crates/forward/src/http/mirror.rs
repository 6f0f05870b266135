//! Copies of requests for mirrors: sent beside the request, never waited for.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Uri, request::Parts};
use http_body_util::BodyExt as _;

use super::headers;
use crate::{
    body::{RequestBody, tee},
    connection::Client,
    limits,
    upstream::{Cluster, How, send},
};

/// A copy to be sent, with the head as it was when the mirror filter ran.
pub(super) struct Copy {
    cluster: Arc<Cluster>,
    http2: bool,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Copy {
    pub(super) fn new(cluster: &Arc<Cluster>, http2: bool, parts: &Parts) -> Self {
        let mut headers = parts.headers.clone();
        if !http2 {
            headers::to_http1(&mut headers, None);
        }
        Self {
            cluster: Arc::clone(cluster),
            http2,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers,
        }
    }

    fn into_request(self, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

/// Starts the copies and returns the body for the request itself.
pub(super) fn start(client: &Arc<Client>, copies: Vec<Copy>, body: RequestBody) -> RequestBody {
    if copies.is_empty() {
        return body;
    }
    let (body, bodies) = tee(body, copies.len());
    for (copy, body) in copies.into_iter().zip(bodies) {
        client.spawner().spawn(run(Arc::clone(client), copy, body));
    }
    body
}

/// Sends one copy and reads its answer to the end, so that the connection can be used again. All
/// failures are the mirror's own business.
async fn run(client: Arc<Client>, copy: Copy, body: RequestBody) {
    let worker = &client.worker;
    let now_ns = worker.clock.now_ns();
    let random = worker.random();
    let picked = copy.cluster.with_members(|members| {
        weft_balance::pick(members, now_ns, random, &[])
            .and_then(|index| members.get(index).cloned())
    });
    let Some(upstream) = picked else { return };
    let how = How {
        http2: copy.http2,
        // A copy that is lost is no matter.
        only_once: false,
    };
    let mut slot = Some(copy.into_request(body));
    let sent = send(client.sends(), &upstream, how, &mut slot);
    let answer = tokio::time::timeout(limits::BODY_IDLE, sent).await;
    let (response, lease) = match answer {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => {
            let reason = error.reason();
            tracing::debug!(endpoint = %upstream.address, %reason, "mirror failed");
            return;
        }
        Err(_elapsed) => return,
    };
    let mut body = response.into_body();
    loop {
        match tokio::time::timeout(limits::BODY_IDLE, body.frame()).await {
            Ok(Some(Ok(_discarded))) => {}
            Ok(None) => return lease.give_back(),
            Ok(Some(Err(_))) | Err(_) => return,
        }
    }
}
