//! What the controller says about itself: `/healthz`, `/readyz`, `/metrics`, read-only.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};
use weft_telemetry::metrics::{CONTENT_TYPE as OPEN_METRICS, Registry};

use crate::hub::Hub;

/// Connections that are served at once; more wait.
const CONNECTIONS: usize = 32;
/// After a failure to accept.
const PAUSE: Duration = Duration::from_millis(50);

/// How far the controller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is no authority to sign with yet; why.
    NoAuthority(String),
    /// The streams can be served once the cluster has been read.
    Serving,
    /// It ends.
    Stopping,
}

/// What the endpoint shows.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) hub: Arc<Hub>,
    pub(crate) registry: Registry,
    pub(crate) progress: watch::Receiver<Progress>,
}

impl Shown {
    fn ready(&self) -> Result<(), String> {
        match &*self.progress.borrow() {
            Progress::NoAuthority(why) => Err(format!("no certification authority: {why}")),
            Progress::Stopping => Err("stopping".to_owned()),
            Progress::Serving if self.hub.is_synced() => Ok(()),
            Progress::Serving => Err("the cluster has not been read yet".to_owned()),
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "read-only\n");
        }
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.ready() {
                Ok(()) => {
                    let proxies = self.hub.connected();
                    text(StatusCode::OK, format!("ok, {proxies} proxies connected\n"))
                }
                Err(missing) => text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("not ready: {missing}\n"),
                ),
            },
            "/metrics" => {
                let registry = self.registry;
                // Takes milliseconds of processor time.
                match tokio::task::spawn_blocking(move || registry.encode()).await {
                    Ok(metrics) => typed(OPEN_METRICS, metrics),
                    Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
                }
            }
            "/" => text(StatusCode::OK, "/metrics\n/healthz\n/readyz\n"),
            _ => text(StatusCode::NOT_FOUND, "not found; see /\n"),
        }
    }
}

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, shown: Shown) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    // Aborts them when it is dropped.
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _peer)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the admin endpoint cannot accept");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let shown = shown.clone();
        let service = service_fn(move |request| {
            let answer = shown.clone().answer(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        connections.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an admin connection ended");
            }
            drop(slot);
        });
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = typed("text/plain; charset=utf-8", body);
    *response.status_mut() = status;
    response
}

fn typed(content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}
