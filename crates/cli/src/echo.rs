//! `weft echo`: backends to try routes on. They say who they are and what reached them.
//!
//! Every port speaks HTTP/1, HTTP/2 with prior knowledge, WebSocket and gRPC, because a route can
//! change any of what arrives and whoever writes one wants to see it arrive.

mod grpc;
mod protobuf;
mod reflection;
#[cfg(test)]
mod tests;
mod websocket;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, Version, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use weft_proxy::Signals;

use crate::{
    args::{Echo, Global},
    exit::{Exit, Failure, Outcome},
    output::{self, Format},
};

/// Header field of every answer that names the backend.
const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

/// What answers are made of.
type Content = UnsyncBoxBody<Bytes, hyper::Error>;

/// One backend.
#[derive(Debug)]
struct Backend {
    name: String,
    served_by: HeaderValue,
    says_headers: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Echo, global: Global) -> Outcome {
    global.output.one_of(&[Format::Text])?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve_until_signal(args, global))
}

/// Every backend listens before the first line is printed.
async fn serve_until_signal(args: &Echo, global: Global) -> Outcome {
    let mut signals = Signals::new()?;
    let mut backends = JoinSet::new();
    let mut lines = String::new();
    for backend in &args.backends {
        let (name, port) = (&backend.name, backend.port);
        let listener = TcpListener::bind((args.bind, port)).await.map_err(|error| {
            Failure::unreachable(format!(
                "backend {name} cannot listen on port {port} of {}: {error}; choose a free port",
                args.bind
            ))
        })?;
        lines.push_str(&format!("{name} at http://{}\n", listener.local_addr()?));
        let backend = Backend {
            name: name.clone(),
            served_by: HeaderValue::try_from(name)?,
            says_headers: args.headers,
        };
        backends.spawn(accept(listener, Arc::new(backend)));
    }
    if !global.quiet {
        output::print(&lines)?;
    }
    tokio::select! {
        () = signals.next() => Ok(Exit::Good),
        Some(ended) = backends.join_next() => match ended? {
            Ok(never) => match never {},
            Err(error) => Err(Failure::errors(format!("a backend cannot accept: {error}"))),
        },
    }
}

/// Accepts until the system refuses. The connections of a backend end with it.
async fn accept(listener: TcpListener, backend: Arc<Backend>) -> std::io::Result<Infallible> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _peer) = accepted?;
                connections.spawn(serve(stream, Arc::clone(&backend)));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, backend: Arc<Backend>) {
    let service = service_fn(|request| {
        let answer = answer(&backend, request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new());
    server.http2().timer(TokioTimer::new());
    let served = server
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(error, backend = backend.name, "a connection ended");
    }
}

/// The head of a request decides how it is answered; its content is echoed while it arrives.
fn answer(backend: &Backend, request: Request<Incoming>) -> Response<Content> {
    let says = backend.describe(&request);
    let mut response = if websocket::is_asked_for(&request) {
        websocket::accept(request, says)
    } else if grpc::is_call(&request) {
        grpc::answer(&backend.name, request)
    } else {
        echo(says, request.into_body())
    };
    let headers = response.headers_mut();
    headers.insert(SERVED_BY, backend.served_by.clone());
    response
}

fn echo(says: String, content: Incoming) -> Response<Content> {
    let content = if content.is_end_stream() {
        full(says)
    } else {
        let says = Some(says.into());
        After { says, content }.boxed_unsync()
    };
    let mut response = Response::new(content);
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

impl Backend {
    /// `NAME METHOD PATH VERSION`, and the header fields in the order they came, if wanted.
    fn describe<B>(&self, request: &Request<B>) -> String {
        let (name, method) = (&self.name, request.method());
        let target = request.uri().path_and_query();
        let target = target.map_or("/", http::uri::PathAndQuery::as_str);
        let version = match request.version() {
            Version::HTTP_2 => "HTTP/2",
            Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        };
        let mut says = format!("{name} {method} {target} {version}\n");
        if self.says_headers {
            // HTTP/2 has the host in the target, HTTP/1 among the fields.
            if let Some(host) = request.uri().authority() {
                says.push_str(&format!("host: {host}\n"));
            }
            for (field, value) in request.headers() {
                let value = value.as_bytes().escape_ascii();
                says.push_str(&format!("{field}: {value}\n"));
            }
        }
        says
    }
}

fn full(content: impl Into<Bytes>) -> Content {
    Full::new(content.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A line, and after it what arrives, as it arrives.
struct After {
    says: Option<Bytes>,
    content: Incoming,
}

impl Body for After {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.says.take() {
            Some(says) => Poll::Ready(Some(Ok(Frame::data(says)))),
            None => Pin::new(&mut self.content).poll_frame(cx),
        }
    }
}
