//! Programs in pods of a scripted API server. What they write is said at the path of the subresource and
//! the words of the command: `/api/v1/namespaces/shop/pods/edge-1/exec weft-proxy admin /config`.

use std::sync::Arc;

use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::super::Shared;
use super::super::fault::Fault;
use super::{status, status_object};
use crate::body::{Body, full};

/// How the paths end.
pub(super) const SUBRESOURCE: &str = "/exec";
/// The answer to the key of RFC 6455 section 1.3; to others it is wrong.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;

/// Changes to the protocol, and writes what the program would.
pub(super) fn execute(request: Request<Incoming>, shared: &Arc<Shared>) -> Response<Body> {
    let state = shared.state();
    if state.has(|fault| *fault == Fault::Forbidden("exec")) {
        return status(StatusCode::FORBIDDEN, "Forbidden", "roles do not allow it");
    }
    let query = request.uri().query().unwrap_or_default();
    let words = query
        .split('&')
        .filter_map(|it| it.strip_prefix("command="));
    let plain = |word: &str| word.replace("%2F", "/").replace("%3D", "=");
    let words: Vec<_> = words.map(plain).collect();
    let key = format!("{} {}", request.uri().path(), words.join(" "));
    let said = state.said.get(&key).cloned();
    drop(state);
    tokio::spawn(write(request, said));
    let mut answer = Response::new(full(""));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [
        (CONNECTION, "Upgrade"),
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_ACCEPT, ACCEPT),
        (SEC_WEBSOCKET_PROTOCOL, "v5.channel.k8s.io"),
    ] {
        let value = http::HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// A program that is not scripted fails.
async fn write(request: Request<Incoming>, said: Option<String>) {
    let Ok(upgraded) = hyper::upgrade::on(request).await else {
        return;
    };
    let mut frames = Vec::new();
    // A ping in between, as servers may send.
    frames.extend_from_slice(b"\x89\x01?");
    match said {
        Some(text) => {
            let (first, rest) = text.as_bytes().split_at(text.len() / 2);
            frame(STDOUT, first, &mut frames);
            frame(STDOUT, rest, &mut frames);
            let success = json!({ "metadata": {}, "status": "Success" });
            frame(STATUS, success.to_string().as_bytes(), &mut frames);
        }
        None => {
            frame(STDERR, b"no such program", &mut frames);
            let failure = status_object(500, "NonZeroExitCode", "exit code 1");
            frame(STATUS, failure.to_string().as_bytes(), &mut frames);
        }
    }
    // However it ends, the client sees it.
    let _written = TokioIo::new(upgraded).write_all(&frames).await;
}

/// A binary message on a channel (RFC 6455 section 5.2).
fn frame(channel: u8, content: &[u8], frames: &mut Vec<u8>) {
    let length = u64::try_from(content.len() + 1).unwrap_or_default();
    frames.extend_from_slice(&[0x82, 127]);
    frames.extend_from_slice(&length.to_be_bytes());
    frames.push(channel);
    frames.extend_from_slice(content);
}
