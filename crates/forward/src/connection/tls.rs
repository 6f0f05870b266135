//! Terminating TLS for a gateway's HTTPS port.

use bytes::Bytes;
use tokio::{net::TcpStream, time::timeout};
use weft_certs::{Alpn, Handshake, HandshakeError, Version};
use weft_ir::Scheme;
use weft_telemetry::{
    Reason,
    metrics::{CloseReason, TlsGroup, TlsHandshake, TlsResult, TlsSide, TlsVersion},
};

use super::Accepted;
use crate::limits;

impl Accepted {
    /// TLS, then the HTTP that ALPN agreed on; HTTP/1.1 when the client offers nothing.
    pub(super) async fn https(self, stream: TcpStream) -> CloseReason {
        let Some(acceptor) = self.inlet.acceptor() else {
            return CloseReason::Cut(Reason::TlsHandshake);
        };
        let handshake = timeout(limits::TLS_HANDSHAKE, acceptor.accept(stream)).await;
        drop(acceptor);
        let tls = std::sync::Arc::clone(&self.shared.tls);
        match handshake {
            Ok(Ok((stream, handshake))) => {
                tls.handshake(completed(&handshake));
                let sni = handshake
                    .sni
                    .map(|name| name.to_ascii_lowercase().into_boxed_str());
                match handshake.alpn {
                    Some(Alpn::Http2) => self.http2(stream, Bytes::new(), Scheme::Https, sni).await,
                    Some(Alpn::Http11) | None => {
                        self.http1(stream, Bytes::new(), Scheme::Https, sni).await
                    }
                }
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = %self.peer, inlet = %self.inlet.key, %error, "TLS handshake failed");
                tls.handshake(failed(result_of(&error)));
                CloseReason::Cut(Reason::TlsHandshake)
            }
            Err(_elapsed) => {
                tls.handshake(failed(TlsResult::Timeout));
                CloseReason::Cut(Reason::TlsHandshake)
            }
        }
    }
}

fn completed(handshake: &Handshake) -> TlsHandshake {
    TlsHandshake {
        side: TlsSide::Server,
        group: match handshake.group {
            Some("X25519MLKEM768") => TlsGroup::X25519MlKem768,
            Some("X25519") => TlsGroup::X25519,
            Some("secp256r1") => TlsGroup::Secp256r1,
            Some("secp384r1") => TlsGroup::Secp384r1,
            _ => TlsGroup::Other,
        },
        version: match handshake.version {
            Version::Tls12 => TlsVersion::V1_2,
            Version::Tls13 => TlsVersion::V1_3,
        },
        result: TlsResult::Ok,
    }
}

fn failed(result: TlsResult) -> TlsHandshake {
    TlsHandshake {
        side: TlsSide::Server,
        group: TlsGroup::Other,
        version: TlsVersion::None,
        result,
    }
}

fn result_of(error: &HandshakeError) -> TlsResult {
    match error {
        HandshakeError::Closed | HandshakeError::Io(_) => TlsResult::Closed,
        HandshakeError::UnknownName { .. } => TlsResult::NoCertificate,
        HandshakeError::Refused(_) => TlsResult::BadCertificate,
        _ => TlsResult::Protocol,
    }
}
