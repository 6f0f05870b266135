//! Why there is no TLS with a backend.

use std::io;

use rustls::{CertificateError, Error as TlsError};
use thiserror::Error;

/// Why settings cannot be used. Nothing can be sent to the backend then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectorError {
    /// The server name is no DNS name.
    #[error("hostname {0:?} is no DNS name, so no certificate can prove it")]
    ServerName(String),
    /// A further name is none.
    #[error("subject alternative name {0:?} is no DNS name, so no certificate can prove it")]
    AltName(String),
    /// The TLS library lacks a version.
    #[error("the TLS provider does not support TLS 1.2 and 1.3: {0}")]
    Provider(String),
}

/// What is wrong with the certificate of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum CertificateFault {
    #[error("unknown authority")]
    UnknownAuthority,
    #[error("expired at {0}")]
    Expired(u64),
    #[error("valid from {0}")]
    NotYetValid(u64),
    #[error("proves {presented}, not {expected}")]
    Name { expected: String, presented: String },
    #[error("{0}")]
    Invalid(String),
}

/// Why no TLS connection to an endpoint came about. The request is answered with 502 or tried elsewhere,
/// never sent in plaintext.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody who may vouch for the backend does.
    #[error(
        "no chain from the backend's certificate to a CA of its BackendTLSPolicy; the policy's CA or an \
         intermediate of the backend may be missing"
    )]
    UnknownAuthority,
    /// The backend proves other names.
    #[error("the backend's certificate proves {presented}, not {expected}")]
    NameMismatch {
        /// What the policy asks for.
        expected: String,
        /// What the certificate says.
        presented: String,
    },
    /// A certificate of the chain is over.
    #[error("the backend's certificate chain expired at {0} (seconds since 1970); renew it")]
    Expired(u64),
    /// A certificate of the chain has not begun.
    #[error("the backend's certificate chain is valid from {0} (seconds since 1970)")]
    NotYetValid(u64),
    /// Any other fault of the certificate.
    #[error("the backend's certificate is invalid: {0}")]
    InvalidCertificate(String),
    /// The backend refused us; it may ask for a client certificate, or not know the server name.
    #[error("the backend refused the TLS connection: {0}")]
    Refused(String),
    /// The backend answered with something else than TLS.
    #[error("the backend does not speak TLS on this port: {0}")]
    NotTls(String),
    /// No common version, suite, group or application protocol.
    #[error("no common TLS parameters with the backend: {0}")]
    Incompatible(String),
    /// The backend closed during the handshake.
    #[error("the backend closed the connection during the TLS handshake")]
    Closed,
    /// The backend broke the protocol.
    #[error("the backend violated the TLS protocol: {0}")]
    Violation(String),
    /// The transport failed.
    #[error("transport error during the TLS handshake: {0}")]
    Io(#[source] io::Error),
}

impl ConnectError {
    /// A short stable name: metric label and access log `reason`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownAuthority => "backend_tls_unknown_authority",
            Self::NameMismatch { .. } => "backend_tls_name_mismatch",
            Self::Expired(_) => "backend_tls_expired",
            Self::NotYetValid(_) => "backend_tls_not_yet_valid",
            Self::InvalidCertificate(_) => "backend_tls_invalid_certificate",
            Self::Refused(_) => "backend_tls_refused",
            Self::NotTls(_) => "backend_tls_not_tls",
            Self::Incompatible(_) => "backend_tls_incompatible",
            Self::Closed => "backend_tls_closed",
            Self::Violation(_) => "backend_tls_protocol_violation",
            Self::Io(_) => "backend_tls_transport_error",
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
        let text = tls.to_string();
        match tls {
            TlsError::InvalidCertificate(CertificateError::Other(other)) => {
                match other.0.downcast_ref::<CertificateFault>() {
                    Some(fault) => fault.clone().into(),
                    None => Self::InvalidCertificate(text),
                }
            }
            TlsError::InvalidCertificate(_) => Self::InvalidCertificate(text),
            TlsError::InvalidMessage(_) => Self::NotTls(text),
            TlsError::PeerIncompatible(_) | TlsError::NoApplicationProtocol => {
                Self::Incompatible(text)
            }
            TlsError::AlertReceived(_) => Self::Refused(text),
            _ => Self::Violation(text),
        }
    }
}

impl From<CertificateFault> for ConnectError {
    fn from(fault: CertificateFault) -> Self {
        match fault {
            CertificateFault::UnknownAuthority => Self::UnknownAuthority,
            CertificateFault::Expired(at) => Self::Expired(at),
            CertificateFault::NotYetValid(at) => Self::NotYetValid(at),
            CertificateFault::Name {
                expected,
                presented,
            } => Self::NameMismatch {
                expected,
                presented,
            },
            CertificateFault::Invalid(detail) => Self::InvalidCertificate(detail),
        }
    }
}
