//! Terminating TLS for a gateway's HTTPS port.

use bytes::Bytes;
use tokio::{net::TcpStream, time::timeout};
use weft_certs::Alpn;
use weft_ir::Scheme;
use weft_telemetry::{
    Reason,
    metrics::{CloseReason, TlsSide},
};

use super::Accepted;
use crate::{handshake, limits};

impl Accepted {
    /// TLS, then the HTTP that ALPN agreed on; HTTP/1.1 when the client offers nothing.
    pub(super) async fn https(self, stream: TcpStream) -> CloseReason {
        let Some(acceptor) = self.inlet.acceptor() else {
            return CloseReason::Cut(Reason::TlsHandshake);
        };
        let shaken = timeout(limits::TLS_HANDSHAKE, acceptor.accept(stream)).await;
        drop(acceptor);
        let tls = std::sync::Arc::clone(&self.shared.tls);
        match shaken {
            Ok(Ok((stream, agreed))) => {
                tls.handshake(handshake::completed(TlsSide::Server, &agreed));
                let sni = agreed
                    .sni
                    .map(|name| name.to_ascii_lowercase().into_boxed_str());
                match agreed.alpn {
                    Some(Alpn::Http2) => self.http2(stream, Bytes::new(), Scheme::Https, sni).await,
                    Some(Alpn::Http11) | None => {
                        self.http1(stream, Bytes::new(), Scheme::Https, sni).await
                    }
                }
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = %self.peer, inlet = %self.inlet.key, %error, "TLS handshake failed");
                tls.handshake(handshake::failed(&error));
                CloseReason::Cut(Reason::TlsHandshake)
            }
            Err(_elapsed) => {
                tls.handshake(handshake::late(TlsSide::Server));
                CloseReason::Cut(Reason::TlsHandshake)
            }
        }
    }
}
