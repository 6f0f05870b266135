//! Programs in pods: the subresource `exec`, over a WebSocket as API servers speak it
//! (`v5.channel.k8s.io`, `v4.channel.k8s.io`). Nothing is sent to the program.

use std::fmt::Write;
use std::time::Duration;

use bytes::BytesMut;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::core::Status;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::cluster::{ApiError, Cluster};
use super::direct::RequestError;
use super::frames::{Frames, pong};

/// So long a program may run.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes that it may write.
const OUTPUT_MAX_BYTES: usize = 256 << 20;
const PROTOCOLS: &str = "v5.channel.k8s.io, v4.channel.k8s.io";
/// The key of RFC 6455 section 1.3, and what a server answers to it. Random keys protect from caches
/// that answer for the server, and a program that is run is nothing that a cache could keep.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Channels: the first byte of every message.
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;

/// What a program in a pod has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executed {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Why it is a failure, such as its exit code; `None` when it has ended well.
    pub failure: Option<String>,
}

impl Cluster {
    /// Runs a program in a container of a pod (namespace, name) to its end, without input.
    ///
    /// # Errors
    /// [`RequestError`] when it cannot be run, or does not end in time.
    pub async fn execute(
        &self,
        (namespace, pod): (&str, &str),
        container: &str,
        command: &[&str],
    ) -> Result<Executed, RequestError> {
        let mut path = format!(
            "/api/v1/namespaces/{namespace}/pods/{pod}/exec?stdout=true&stderr=true&container="
        );
        quote(container, &mut path);
        for part in command {
            path.push_str("&command=");
            quote(part, &mut path);
        }
        let run = async {
            let request = Request::get(path)
                .header(CONNECTION, "Upgrade")
                .header(UPGRADE, "websocket")
                .header(SEC_WEBSOCKET_VERSION, "13")
                .header(SEC_WEBSOCKET_KEY, KEY)
                .header(SEC_WEBSOCKET_PROTOCOL, PROTOCOLS)
                .body(Vec::new());
            let request = request.map_err(kube::core::request::Error::BuildRequest)?;
            let response = self.send(request).await?;
            accepted(&response)?;
            let upgraded = hyper::upgrade::on(response).await;
            hear(TokioIo::new(upgraded.map_err(ApiError::unreachable)?)).await
        };
        let ran = tokio::time::timeout(TIMEOUT, run).await;
        let ran = ran.unwrap_or(Err(ApiError::Silent(TIMEOUT)));
        ran.map_err(RequestError::about(format!("pods/exec {namespace}/{pod}")))
    }
}

/// As it may stand in a query (RFC 3986 section 2.3).
fn quote(text: &str, query: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            query.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _written = write!(query, "%{byte:02X}");
        }
    }
}

/// Whether the server has changed to the protocol (RFC 6455 section 4.1).
fn accepted(response: &Response<Body>) -> Result<(), ApiError> {
    let header = |name| response.headers().get(name).and_then(|it| it.to_str().ok());
    let is_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS
        && header(SEC_WEBSOCKET_ACCEPT) == Some(ACCEPT);
    let protocol = header(SEC_WEBSOCKET_PROTOCOL).unwrap_or_default();
    if is_switched && PROTOCOLS.split(", ").any(|it| it == protocol) {
        return Ok(());
    }
    let answer = format!("{} with protocol {protocol:?}", response.status());
    Err(ApiError::NoSocket(answer))
}

/// Reads until the program has ended.
async fn hear(mut socket: impl AsyncRead + AsyncWrite + Unpin) -> Result<Executed, ApiError> {
    let mut frames = Frames::default();
    let mut executed = Executed::default();
    let mut total = 0;
    loop {
        while let Some(frame) = frames.next()? {
            if let Some(echo) = frame.ping() {
                let answered = socket.write_all(&pong(echo)).await;
                answered.map_err(ApiError::unreachable)?;
            }
            let Some((channel, data)) = frame.message() else {
                continue;
            };
            total += data.len();
            if total > OUTPUT_MAX_BYTES {
                return Err(ApiError::TooLarge(OUTPUT_MAX_BYTES));
            }
            match channel {
                STDOUT => executed.stdout.extend_from_slice(data),
                STDERR => executed.stderr.extend_from_slice(data),
                // It comes last.
                STATUS => {
                    let status: Status =
                        serde_json::from_slice(data).map_err(ApiError::Unreadable)?;
                    executed.failure = status.is_failure().then_some(status.message);
                    return Ok(executed);
                }
                _ => {}
            }
        }
        let mut more = BytesMut::with_capacity(64 << 10);
        let read = socket.read_buf(&mut more).await;
        if read.map_err(ApiError::unreachable)? == 0 {
            return Err(ApiError::NoSocket("the end without a status".to_owned()));
        }
        frames.add(&more);
    }
}
