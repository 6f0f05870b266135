//! What a process logs, shown and changed while it runs: until it ends, and for the workers it has.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use weft_telemetry::logging;

use super::{State, text};

/// Longest filter; one has a few targets.
const FILTER_BYTES: usize = 1024;

/// Answers with the filter in force, after it was replaced by that of a `PUT`.
pub(super) async fn answer<B>(state: &dyn State, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(control) = logging::control() else {
        return text(StatusCode::NOT_FOUND, "this process does not log\n");
    };
    if request.method() == Method::PUT {
        let filter = Limited::new(request.into_body(), FILTER_BYTES)
            .collect()
            .await;
        let filter = filter.map(|it| it.to_bytes());
        let filter = filter.as_deref().map(std::str::from_utf8);
        let Ok(Ok(filter)) = filter else {
            return text(StatusCode::BAD_REQUEST, "a filter is text of 1024 bytes\n");
        };
        let filter = filter.trim();
        if let Err(error) = control.set_filter(filter) {
            return text(StatusCode::BAD_REQUEST, format!("{error}\n"));
        }
        // In the log itself, whatever the level is now: whoever reads it has to know why it changed.
        tracing::error!(
            filter,
            "what is logged was changed by way of the admin socket"
        );
        if let Err(error) = state.log(filter) {
            return text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"));
        }
    } else if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "GET or PUT\n");
    }
    match control.filter() {
        Ok(filter) => text(StatusCode::OK, format!("{filter}\n")),
        Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

/// Logs by another filter, as the parent says.
pub(crate) fn change(filter: &str) {
    let changed = logging::control().map(|control| control.set_filter(filter));
    if let Some(Err(error)) = changed {
        tracing::error!(%error, "what is logged stays as it was");
    }
}
