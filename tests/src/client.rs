//! Clients that speak proper HTTP, in clear and inside TLS.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    body::Body,
    rawclient::Stream,
    wait::{Expected, soon},
};

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Whole {
    /// Status code.
    pub status: StatusCode,
    /// Fields.
    pub headers: HeaderMap,
    /// Content.
    pub body: Bytes,
    /// Trailers.
    pub trailers: Option<HeaderMap>,
}

impl Whole {
    /// The content as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `grpc-status`, from the trailers or from the head of a trailers-only answer.
    #[must_use]
    pub fn grpc_status(&self) -> Option<&str> {
        let trailers = self.trailers.as_ref().unwrap_or(&self.headers);
        trailers
            .get("grpc-status")
            .and_then(|status| status.to_str().ok())
    }
}

/// Connects in clear.
///
/// # Panics
/// When nobody listens there.
pub async fn tcp(address: SocketAddr) -> TcpStream {
    soon("connect", TcpStream::connect(address))
        .await
        .expected("connect")
}

/// Connects in TLS with `sni`, trusting the certificates of `roots` (PEM).
///
/// # Errors
/// When the handshake fails.
///
/// # Panics
/// When nobody listens there.
pub async fn tls(
    address: SocketAddr,
    sni: &str,
    alpn: &[&str],
    roots: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(certificate.expected("PEM")).expected("a root");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let mut config = builder
        .with_safe_default_protocol_versions()
        .expected("TLS versions")
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(sni.to_owned()).expected("a server name");
    let connector = TlsConnector::from(Arc::new(config));
    let stream = tcp(address).await;
    soon("a TLS handshake", connector.connect(name, stream)).await
}

/// An HTTP/1 connection.
///
/// # Panics
/// When it cannot be made.
pub async fn http1(stream: impl Stream + 'static) -> http1::SendRequest<Body> {
    let handshake = http1::handshake(TokioIo::new(Box::new(stream) as Boxed));
    let (sender, connection) = soon("an HTTP/1 connection", handshake)
        .await
        .expected("HTTP/1");
    tokio::spawn(connection.with_upgrades());
    sender
}

/// An HTTP/2 connection.
///
/// # Panics
/// When it cannot be made.
pub async fn http2(stream: impl Stream + 'static) -> http2::SendRequest<Body> {
    let handshake = http2::handshake(
        TokioExecutor::new(),
        TokioIo::new(Box::new(stream) as Boxed),
    );
    let (sender, connection) = soon("an HTTP/2 connection", handshake)
        .await
        .expected("HTTP/2");
    tokio::spawn(connection);
    sender
}

/// Any stream, so that a test does not name its type.
type Boxed = Box<dyn Stream>;

/// Reads an answer to its end.
///
/// # Panics
/// When it breaks off.
pub async fn whole(response: Response<Incoming>) -> Whole {
    let (parts, body) = response.into_parts();
    let body = soon("the whole answer", body.collect())
        .await
        .expected("the answer is complete");
    let trailers = body.trailers().cloned();
    Whole {
        status: parts.status,
        headers: parts.headers,
        body: body.to_bytes(),
        trailers,
    }
}

/// Sends a request over HTTP/1 and reads the answer.
///
/// # Panics
/// When there is none.
pub async fn ask1(sender: &mut http1::SendRequest<Body>, request: Request<Body>) -> Whole {
    soon("a ready connection", sender.ready())
        .await
        .expected("a ready connection");
    let response = soon("an answer", sender.send_request(request)).await;
    whole(response.expected("an answer")).await
}

/// Sends a request over HTTP/2 and reads the answer.
///
/// # Panics
/// When there is none.
pub async fn ask2(sender: &mut http2::SendRequest<Body>, request: Request<Body>) -> Whole {
    soon("a ready connection", sender.ready())
        .await
        .expected("a ready connection");
    let response = soon("an answer", sender.send_request(request)).await;
    whole(response.expected("an answer")).await
}
