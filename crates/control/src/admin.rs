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

/// So long an early question for readiness waits for a good answer: kubelet gives it a second, asks as
/// soon as the process runs, and then only every second, which whoever waits for the controller would
/// wait with it.
const EARLY: Duration = Duration::from_millis(800);

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

    /// Waits a little for what is about to be true.
    async fn ready_soon(&self) -> Result<(), String> {
        let (mut progress, mut generations) = (self.progress.clone(), self.hub.generations());
        let ready = async {
            while self.ready().is_err() && *progress.borrow_and_update() != Progress::Stopping {
                let has_changed = tokio::select! {
                    changed = progress.changed() => changed,
                    changed = generations.changed() => changed,
                };
                if has_changed.is_err() {
                    return;
                }
            }
        };
        let _late = tokio::time::timeout(EARLY, ready).await;
        self.ready()
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "read-only\n");
        }
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.ready_soon().await {
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

#[cfg(test)]
mod tests {
    use tokio::time::timeout;
    use weft_telemetry::metrics::{BuildInfo, LabelGroups};
    use weft_wire::Configuration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_early_probe_waits_for_what_is_about_to_be_true() {
        let progress = watch::Sender::new(Progress::NoAuthority("soon".to_owned()));
        let build = BuildInfo {
            version: "0.0.0",
            commit: "",
        };
        let shown = Shown {
            hub: Hub::new(),
            registry: Registry::new(build, LabelGroups::default()),
            progress: progress.subscribe(),
        };
        let moment = Duration::from_millis(1);
        let probe = |shown: &Shown| {
            let shown = shown.clone();
            tokio::spawn(async move { shown.ready_soon().await })
        };

        let early = probe(&shown);
        tokio::time::sleep(EARLY / 2).await;
        progress.send_replace(Progress::Serving);
        tokio::time::sleep(moment).await;
        assert!(!early.is_finished(), "the cluster has not been read");
        let configuration = (1, Configuration::default());
        shown
            .hub
            .publish(configuration, &Arc::default(), Duration::ZERO);
        assert_eq!(early.await.unwrap(), Ok(()), "answered when it is so");

        progress.send_replace(Progress::NoAuthority("never".to_owned()));
        let mut late = probe(&shown);
        let waits = timeout(EARLY - moment, &mut late).await;
        assert!(waits.is_err(), "it waits");
        let told = timeout(2 * moment, late).await.expect("not for ever");
        let missing = "no certification authority: never".to_owned();
        assert_eq!(told.unwrap(), Err(missing));

        progress.send_replace(Progress::Stopping);
        let told = timeout(moment, probe(&shown)).await.expect("at once");
        assert_eq!(told.unwrap(), Err("stopping".to_owned()));
    }
}
