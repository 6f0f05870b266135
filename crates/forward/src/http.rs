//! The HTTP and gRPC pipeline: validate, match, filter, pick, send, answer.
//!
//! One pass, in this order, for gateway and mesh alike. Everything that needs to be decided is
//! decided in [`prepare`], before the first byte goes to an endpoint and without waiting for
//! anything; what acts afterwards takes the decision, a [`Job`], and nothing else. The future of a
//! request is therefore small: hyper moves it once per request.

mod answer;
mod answering;
mod attempt;
pub(crate) mod guard;
mod headers;
mod job;
mod mirror;
mod reply;
mod route;
mod upgrade;
mod validate;

use std::sync::Arc;

use http::{Method, Request, Response, Version, header::HOST, request::Parts};
use hyper::body::Incoming;
use weft_ir::is_grpc;
use weft_telemetry::{
    Reason,
    metrics::{Protocol, RequestHandles},
};

use self::{
    answering::{Answer, Answering},
    job::Job,
    reply::own_answer,
    route::route,
};
pub(crate) use self::{headers::strip_trailers, reply::status_of_cut, route::Route};
use crate::{
    body::ResponseBody,
    connection::Client,
    exchange::{Asked, Exchange},
};

/// Answers one request of a client connection. Everything is decided when this returns.
pub(crate) fn serve(client: &Arc<Client>, request: Request<Incoming>) -> Answering {
    let http1 = request.version() != Version::HTTP_2;
    let tell = http1.then(|| Arc::clone(client));
    let answer = match prepare(Arc::clone(client), request) {
        Next::Answer(answer) => Answer::Now(answer),
        Next::Send(job) => Answer::Later(Box::pin(job.run())),
    };
    Answering::new(tell, answer)
}

/// What [`prepare`] decided.
enum Next {
    /// Nothing is sent anywhere.
    Answer(Box<Response<ResponseBody>>),
    /// An endpoint is asked.
    Send(Box<Job>),
}

impl Next {
    fn now(answer: Response<ResponseBody>) -> Self {
        Self::Answer(Box::new(answer))
    }
}

/// How a request arrived.
#[derive(Clone, Copy)]
struct Arrival {
    protocol: Protocol,
    started_ns: u64,
}

impl Arrival {
    fn is_grpc(self) -> bool {
        self.protocol == Protocol::Grpc
    }
}

/// Decides everything about a request.
fn prepare(client: Arc<Client>, request: Request<Incoming>) -> Next {
    let started_ns = client.worker.clock.now_ns();
    client.request_started();
    client.worker.budget.on_request(started_ns);
    let (mut parts, body) = request.into_parts();
    let arrival = Arrival {
        protocol: protocol_of(&parts),
        started_ns,
    };
    let Some(view) = client.view() else {
        client.request_ended();
        return Next::now(own_answer(503, Reason::Draining, arrival.is_grpc()));
    };
    let canonical = match validate::canonicalise(&mut parts) {
        Ok(canonical) => canonical,
        Err(invalid) => {
            let refusal = (invalid.status(), invalid.reason());
            return Next::now(refuse(&client, &view.unrouted, arrival, &parts, refusal));
        }
    };
    let route = match route(&view, client.sni.as_deref(), &parts, &canonical) {
        Ok(route) => route,
        Err(refusal) => {
            return Next::now(refuse(&client, &view.unrouted, arrival, &parts, refusal));
        }
    };
    let exchange = begin(&client, route, arrival, &parts);
    Job::plan(client, view, Box::new(exchange)).prepare(parts, body)
}

fn protocol_of(parts: &Parts) -> Protocol {
    // A CONNECT is never a gRPC call, and an error in gRPC's form, which is a 200, would tell its
    // client that the tunnel is there.
    if parts.method != Method::CONNECT && is_grpc(&parts.headers) {
        Protocol::Grpc
    } else if parts.version == Version::HTTP_2 {
        Protocol::Http2
    } else {
        Protocol::Http1
    }
}

fn begin(client: &Arc<Client>, route: Route, arrival: Arrival, parts: &Parts) -> Exchange {
    let asked = Asked {
        method: parts.method.clone(),
        uri: parts.uri.clone(),
        host: parts.headers.get(HOST).cloned(),
    };
    Exchange::begin(client, route, (arrival.protocol, arrival.started_ns), asked)
}

/// The answer to a request that no rule takes.
fn refuse(
    client: &Arc<Client>,
    handles: &Arc<RequestHandles>,
    arrival: Arrival,
    parts: &Parts,
    (status, reason): (u16, Reason),
) -> Response<ResponseBody> {
    let route = Route::Refused(Arc::clone(handles));
    let mut exchange = begin(client, route, arrival, parts);
    let grpc = arrival.is_grpc();
    exchange.own_answer(status, reply::grpc_status(status, grpc), Some(reason));
    own_answer(status, reason, grpc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, F: Future>(_make: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    /// hyper moves what `serve` returns; what waits for an endpoint is allocated per request.
    #[test]
    fn the_futures_of_a_request_stay_small() {
        let moved = size_of::<Answering>();
        assert!(
            moved <= 40,
            "hyper moves {moved} bytes per request, 40 are allowed"
        );
        let waiting = size_of_future(Job::run);
        assert!(
            waiting <= 1024,
            "a request allocates {waiting} bytes, 1024 are allowed"
        );
    }
}
