//! Why no connection between members of the mesh came about.

use std::io;

use rustls::{CertificateError, Error as TlsError, PeerIncompatible};
use thiserror::Error;
use weft_spiffe::SpiffeId;

use crate::peer::PeerError;

/// Why a handshake between members of the mesh failed. The peer has been told by an alert wherever the
/// protocol allows it; the connection is closed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The TLS library lacks what the mesh needs.
    #[error("the TLS provider does not support TLS 1.3: {0}")]
    Provider(String),
    /// This process has no valid certificate. It fails closed: nothing is sent as anybody else.
    #[error(
        "the certificate of {id} expired at {not_after_unix_s} (seconds since 1970) and could not be \
         renewed; see why the signer does not answer"
    )]
    OwnExpired {
        /// Who this process is.
        id: SpiffeId,
        /// Last second of its certificate.
        not_after_unix_s: i64,
    },
    /// The peer's certificate is not accepted, or missing.
    #[error("the peer is refused: {0}")]
    Peer(#[from] PeerError),
    /// The peer refused us, or gave up.
    #[error("the peer refused the connection: {0}")]
    Refused(String),
    /// The peer closed before the handshake was over.
    #[error("the peer closed the connection during the TLS handshake")]
    Closed,
    /// The first bytes were no TLS.
    #[error("the peer does not speak TLS: {0}")]
    NotTls(String),
    /// The peer does not speak TLS 1.3.
    #[error("the peer does not offer TLS 1.3: {0}")]
    Version(String),
    /// The peer does not speak HTTP/2.
    #[error("the peer did not agree on h2 by ALPN; nothing else is spoken here")]
    NoHttp2,
    /// No common suite, group or signature scheme.
    #[error("no common TLS parameters with the peer: {0}")]
    Incompatible(String),
    /// The peer broke the protocol, or does not hold the key of its certificate.
    #[error("the peer violated the TLS protocol: {0}")]
    Violation(String),
    /// The transport failed.
    #[error("transport error during the TLS handshake: {0}")]
    Io(#[source] io::Error),
}

impl IdentityError {
    /// A short stable name: metric label, access log `reason` and anchor in the documentation.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Provider(_) => "tls_provider",
            Self::OwnExpired { .. } => "identity_expired",
            Self::Peer(error) => error.reason(),
            Self::Refused(_) => "tls_peer_refused",
            Self::Closed => "tls_peer_closed",
            Self::NotTls(_) => "tls_not_tls",
            Self::Version(_) => "tls_version",
            Self::NoHttp2 => "tls_no_h2",
            Self::Incompatible(_) => "tls_incompatible",
            Self::Violation(_) => "tls_protocol_violation",
            Self::Io(_) => "tls_transport_error",
        }
    }

    /// Sorts an error of a handshake.
    pub(super) fn sort(error: io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<TlsError>());
        let Some(tls) = tls else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => Self::Closed,
                _ => Self::Io(error),
            };
        };
        Self::of_tls(tls)
    }

    /// What a failed read on an established connection says about its handshake, if anything: in TLS 1.3
    /// the client is done first, so that a server's refusal is an error of the client's first read.
    #[must_use]
    pub fn after_handshake(error: &io::Error) -> Option<Self> {
        let tls = error.get_ref()?.downcast_ref::<TlsError>()?;
        Some(Self::of_tls(tls))
    }

    fn of_tls(tls: &TlsError) -> Self {
        let text = tls.to_string();
        match tls {
            TlsError::InvalidCertificate(CertificateError::Other(other)) => {
                match other.0.downcast_ref::<PeerError>() {
                    Some(peer) => Self::Peer(peer.clone()),
                    None => Self::Violation(text),
                }
            }
            TlsError::NoCertificatesPresented => Self::Peer(PeerError::NoCertificate),
            TlsError::InvalidMessage(_) => Self::NotTls(text),
            TlsError::NoApplicationProtocol => Self::NoHttp2,
            TlsError::PeerIncompatible(why) if is_about_version(why) => Self::Version(text),
            TlsError::PeerIncompatible(_) => Self::Incompatible(text),
            TlsError::AlertReceived(_) => Self::Refused(text),
            _ => Self::Violation(text),
        }
    }
}

fn is_about_version(why: &PeerIncompatible) -> bool {
    matches!(
        why,
        PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
    )
}
