//! TLS handshakes as they are counted, towards clients and endpoints.

use std::sync::Arc;

use weft_certs::{ConnectError, Handshake, HandshakeError, IdentityError, Version};
use weft_telemetry::metrics::{TlsGroup, TlsHandshake, TlsMetrics, TlsResult, TlsSide, TlsVersion};
use weft_tunnel::{ConnectFailure, Handshakes};

/// Counts the handshakes of tunnels that begin here.
#[derive(Debug)]
pub(crate) struct Tunnels(pub(crate) Arc<TlsMetrics>);

impl Handshakes for Tunnels {
    fn ended(&self, how: Result<Handshake, &ConnectFailure>) {
        self.0.handshake(match how {
            Ok(handshake) => completed(TlsSide::Client, &handshake),
            Err(ConnectFailure::Tls { source, .. }) => of_identities(TlsSide::Client, source),
            Err(_late) => late(TlsSide::Client),
        });
    }
}

/// One that came about.
#[must_use]
pub fn completed(side: TlsSide, handshake: &Handshake) -> TlsHandshake {
    TlsHandshake {
        side,
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

/// One with a client that failed.
pub(crate) fn failed(error: &HandshakeError) -> TlsHandshake {
    let result = match error {
        HandshakeError::Closed | HandshakeError::Io(_) => TlsResult::Closed,
        HandshakeError::UnknownName { .. } => TlsResult::NoCertificate,
        HandshakeError::Refused(_) => TlsResult::BadCertificate,
        _ => TlsResult::Protocol,
    };
    unfinished(TlsSide::Server, result)
}

/// One with an endpoint that failed.
pub(crate) fn refused(error: &ConnectError) -> TlsHandshake {
    let result = match error {
        ConnectError::Closed | ConnectError::Io(_) => TlsResult::Closed,
        ConnectError::NotTls(_) | ConnectError::Incompatible(_) | ConnectError::Violation(_) => {
            TlsResult::Protocol
        }
        _ => TlsResult::BadCertificate,
    };
    unfinished(TlsSide::Client, result)
}

/// One between members of the mesh that failed.
#[must_use]
pub fn of_identities(side: TlsSide, error: &IdentityError) -> TlsHandshake {
    let result = match error {
        IdentityError::Closed | IdentityError::Io(_) => TlsResult::Closed,
        IdentityError::Peer(_) | IdentityError::Refused(_) => TlsResult::BadCertificate,
        IdentityError::OwnExpired { .. } => TlsResult::NoCertificate,
        _ => TlsResult::Protocol,
    };
    unfinished(side, result)
}

/// One that took too long.
pub(crate) fn late(side: TlsSide) -> TlsHandshake {
    unfinished(side, TlsResult::Timeout)
}

/// One that did not come about.
#[must_use]
pub fn unfinished(side: TlsSide, result: TlsResult) -> TlsHandshake {
    TlsHandshake {
        side,
        group: TlsGroup::Other,
        version: TlsVersion::None,
        result,
    }
}
