//! The client of a row: it asks once and says what it sees, failures included.

use http::{HeaderMap, Method, Request, Version, header};
use http_body_util::BodyExt;
use hyper::{
    Response,
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Dialled, row::Row};
use crate::{
    body::{Body, empty, full},
    wait::{Expected, soon},
};

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// Bytes.
    Tcp,
}

/// What a row asks for.
#[derive(Clone, Debug)]
pub struct Question {
    /// Method; `TCP` for bytes.
    pub method: String,
    /// Path and query; for bytes, their text.
    pub target: String,
    /// Host.
    pub host: String,
    /// Fields besides the host.
    pub headers: Vec<(String, String)>,
}

/// What a client saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Status of HTTP; none where no answer came.
    pub status: Option<u16>,
    /// Status of gRPC, from the trailers or from the head of an answer without content.
    pub grpc: Option<u8>,
    /// Fields of the answer.
    pub headers: HeaderMap,
    /// Its content.
    pub content: String,
    /// Why there is no answer.
    pub failure: Option<String>,
}

impl Question {
    /// The question of a row to `host`, and in what it is asked.
    ///
    /// # Panics
    /// When the row asks nothing.
    #[must_use]
    pub fn of(row: &Row, host: &str) -> (Self, &'static [Speaks]) {
        let (method, target) = row.ask.split_once(' ').expect("a method and a target");
        let mut headers: Vec<_> = row.headers.clone().into_iter().collect();
        let (method, speaks): (_, &[Speaks]) = match method {
            "TCP" => (method, &[Speaks::Tcp]),
            "GRPC" => {
                headers.push(("content-type".to_owned(), "application/grpc".to_owned()));
                headers.push(("te".to_owned(), "trailers".to_owned()));
                ("POST", &[Speaks::Http2])
            }
            _ => (method, &[Speaks::Http1, Speaks::Http2]),
        };
        let question = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: row.host.clone().unwrap_or_else(|| host.to_owned()),
            headers,
        };
        (question, speaks)
    }

    /// Whether it is a call of gRPC.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        let grpc = ("content-type".to_owned(), "application/grpc".to_owned());
        self.headers.contains(&grpc)
    }

    fn request(&self, speaks: Speaks) -> Request<Body> {
        let content = match self.is_grpc() {
            true => full(&b"\0\0\0\0\0"[..]),
            false => empty(),
        };
        let mut request = Request::builder()
            .method(Method::from_bytes(self.method.as_bytes()).expected("a method"));
        request = match speaks {
            Speaks::Http2 => request
                .version(Version::HTTP_2)
                .uri(format!("http://{}{}", self.host, self.target)),
            _ => request.uri(&self.target).header(header::HOST, &self.host),
        };
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(content).expected("a request")
    }
}

/// A connection that questions are asked over.
pub enum Client {
    /// HTTP/1.1.
    Http1(http1::SendRequest<Body>),
    /// HTTP/2.
    Http2(http2::SendRequest<Body>),
    /// Bytes, once.
    Tcp(Dialled),
}

impl Client {
    /// A client over a stream.
    ///
    /// # Panics
    /// When hyper refuses to begin.
    pub async fn over(stream: Dialled, speaks: Speaks) -> Self {
        match speaks {
            Speaks::Tcp => Self::Tcp(stream),
            Speaks::Http1 => {
                let begun = http1::handshake(TokioIo::new(stream)).await;
                let (sender, connection) = begun.expected("a client of HTTP/1.1");
                tokio::spawn(connection);
                Self::Http1(sender)
            }
            Speaks::Http2 => {
                let begun = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
                let (sender, connection) = begun.expected("a client of HTTP/2");
                tokio::spawn(connection);
                Self::Http2(sender)
            }
        }
    }

    /// Asks, and reads the answer to its end.
    pub async fn ask(&mut self, question: &Question) -> Seen {
        let answer = async {
            match self {
                Self::Tcp(stream) => bytes(stream, &question.target).await,
                Self::Http1(sender) => {
                    sender.ready().await.map_err(said)?;
                    let response = sender.send_request(question.request(Speaks::Http1)).await;
                    whole(response.map_err(said)?).await
                }
                Self::Http2(sender) => {
                    sender.ready().await.map_err(said)?;
                    let response = sender.send_request(question.request(Speaks::Http2)).await;
                    whole(response.map_err(said)?).await
                }
            }
        };
        match soon("an answer or its refusal", answer).await {
            Ok(seen) => seen,
            Err(failure) => Seen {
                failure: Some(failure),
                ..Seen::default()
            },
        }
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn bytes(stream: &mut Dialled, text: &str) -> Result<Seen, String> {
    stream.write_all(text.as_bytes()).await.map_err(said)?;
    let mut content = Vec::new();
    stream.read_to_end(&mut content).await.map_err(said)?;
    Ok(Seen {
        content: String::from_utf8_lossy(&content).into_owned(),
        ..Seen::default()
    })
}

async fn whole(response: Response<Incoming>) -> Result<Seen, String> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(said)?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let grpc = trailers
        .get("grpc-status")
        .or(parts.headers.get("grpc-status"));
    Ok(Seen {
        status: Some(parts.status.as_u16()),
        grpc: grpc.and_then(|status| status.to_str().ok()?.parse().ok()),
        headers: parts.headers,
        content: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        failure: None,
    })
}
