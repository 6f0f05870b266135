//! A client that keeps its connection, as the services of a mesh do.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::backends::{SERVED_BY, TENANT};

/// Longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(5);

/// A client of one address.
#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    host: String,
    connection: Option<SendRequest<Empty<Bytes>>>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Status.
    pub(super) status: StatusCode,
    /// The backend that answered, if one did.
    pub(super) served_by: Option<String>,
    /// The tenant that the backend saw.
    pub(super) tenant: Option<String>,
    /// `location` of a redirect.
    pub(super) location: Option<String>,
    /// Body.
    pub(super) body: String,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// No connection.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The exchange failed.
    #[error("no answer from {address}: {source}")]
    Exchange {
        /// Whose.
        address: SocketAddr,
        /// Why.
        source: hyper::Error,
    },
    /// Nothing came in time.
    #[error("no answer from {address} within {LIMIT:?}")]
    Timeout {
        /// Whose.
        address: SocketAddr,
    },
    /// The request cannot be made.
    #[error("not a request: {0}")]
    Request(#[from] http::Error),
}

impl Client {
    /// A client that is not connected yet.
    pub(super) fn new(address: SocketAddr, host: impl Into<String>) -> Self {
        Self {
            address,
            host: host.into(),
            connection: None,
        }
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// See [`ClientError`]; the next call connects anew.
    pub(super) async fn get(
        &mut self,
        path: &str,
        field: Option<(&'static str, &'static str)>,
    ) -> Result<Answer, ClientError> {
        let mut request = Request::get(path).header(http::header::HOST, &self.host);
        if let Some((name, value)) = field {
            request = request.header(name, value);
        }
        let request = request.body(Empty::new())?;
        let result = timeout(LIMIT, self.exchange(request)).await;
        let address = self.address;
        let result = result.unwrap_or(Err(ClientError::Timeout { address }));
        if result.is_err() {
            self.connection = None;
        }
        result
    }

    async fn exchange(&mut self, request: Request<Empty<Bytes>>) -> Result<Answer, ClientError> {
        let address = self.address;
        let failed = |source| ClientError::Exchange { address, source };
        let connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => self.connection.insert(connection),
            _ => {
                let opened = self.connect().await?;
                self.connection.insert(opened)
            }
        };
        connection.ready().await.map_err(failed)?;
        let response = connection.send_request(request).await.map_err(failed)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(failed)?.to_bytes();
        Ok(Answer {
            status: head.status,
            served_by: text(&head.headers, &SERVED_BY),
            tenant: text(&head.headers, &TENANT),
            location: text(&head.headers, &http::header::LOCATION),
            body: String::from_utf8_lossy(&body).trim_end().to_owned(),
        })
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, ClientError> {
        let address = self.address;
        let connected = TcpStream::connect(address).await;
        let stream = connected.map_err(|source| ClientError::Connect { address, source })?;
        let handshake = handshake(TokioIo::new(stream)).await;
        let (sender, connection) =
            handshake.map_err(|source| ClientError::Exchange { address, source })?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of the demo's client ended");
            }
        });
        Ok(sender)
    }
}

fn text(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}
