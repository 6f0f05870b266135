//! What a TLS handshake agreed on, and why it failed, in words that name no TLS library.

use std::fmt;
use std::io;

use rustls::{CommonState, HandshakeKind, ProtocolVersion, ServerConnection};
use thiserror::Error;

/// Application protocol agreed on by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// `h2`: HTTP/2 (RFC 9113).
    Http2,
    /// `http/1.1` (RFC 7301 section 6).
    Http11,
}

/// TLS version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// The result of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Server name the client asked for, lower case; `None` when it sent none or an IP address.
    pub sni: Option<String>,
    /// `None` when the client offered no protocols; it then speaks HTTP/1.1 on an HTTPS port.
    pub alpn: Option<Alpn>,
    /// Protocol version.
    pub version: Version,
    /// Key exchange group by its registered name, such as `X25519MLKEM768`; `None` when a
    /// resumed session needed no exchange.
    pub group: Option<&'static str>,
    /// Cipher suite by its registered name, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

/// Why no TLS connection came about. The connection is closed; the client has been told why by
/// an alert wherever the protocol allows it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The client closed before the handshake was over; port scans and TCP health checks do.
    #[error("the client closed the connection during the TLS handshake")]
    Closed,
    /// The first bytes were no TLS, most often plain HTTP sent to an HTTPS port.
    #[error("the client does not speak TLS ({0}); a URL may need https instead of http")]
    NotTls(String),
    /// No certificate for the name and no listener without a hostname.
    #[error(
        "no certificate for server name {}; a listener with that hostname, or one without a \
         hostname, is missing",
        .sni.as_deref().unwrap_or("(none sent)")
    )]
    UnknownName {
        /// The name the client asked for.
        sni: Option<String>,
    },
    /// Both sides speak TLS but have no version, suite, group or application protocol in common.
    #[error("no common TLS parameters with the client: {0}")]
    Incompatible(String),
    /// The client sent an alert, most often because it does not trust the certificate.
    #[error("the client refused the connection: {0}")]
    Refused(String),
    /// The client broke the protocol.
    #[error("the client violated the TLS protocol: {0}")]
    Violation(String),
    /// The transport failed.
    #[error("transport error during the TLS handshake: {0}")]
    Io(#[source] io::Error),
}

impl Alpn {
    /// The identifier on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Alpn::Http2 => "h2",
            Alpn::Http11 => "http/1.1",
        }
    }

    fn from_wire(protocol: &[u8]) -> Option<Self> {
        [Alpn::Http2, Alpn::Http11]
            .into_iter()
            .find(|alpn| alpn.as_str().as_bytes() == protocol)
    }
}

impl Version {
    /// The value of `tls.protocol.version` in traces and of the metric label `version`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Handshake {
    /// Reads the facts of a finished handshake.
    pub(crate) fn of(connection: &ServerConnection) -> Self {
        Self::of_common(connection, connection.server_name())
    }

    /// Reads what is the same on both sides; `sni` is the server name asked for.
    pub(crate) fn of_common(common: &CommonState, sni: Option<&str>) -> Self {
        Self {
            sni: sni.map(str::to_owned),
            alpn: common.alpn_protocol().and_then(Alpn::from_wire),
            version: match common.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => Version::Tls12,
                // The only other version the configuration enables.
                _ => Version::Tls13,
            },
            group: common
                .negotiated_key_exchange_group()
                .and_then(|group| group.name().as_str()),
            cipher: common
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown"),
            resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

impl HandshakeError {
    /// A short stable name: metric label `result` and access log `reason`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Closed => "tls_client_closed",
            Self::NotTls(_) => "tls_not_tls",
            Self::UnknownName { .. } => "tls_unknown_name",
            Self::Incompatible(_) => "tls_incompatible",
            Self::Refused(_) => "tls_client_refused",
            Self::Violation(_) => "tls_protocol_violation",
            Self::Io(_) => "tls_transport_error",
        }
    }

    /// Sorts an error of the handshake; `hello_read` tells whether a ClientHello had arrived.
    pub(crate) fn sort(error: io::Error, hello_read: bool) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
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
            rustls::Error::InvalidMessage(_) if !hello_read => Self::NotTls(text),
            rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
                Self::Incompatible(text)
            }
            rustls::Error::AlertReceived(_) => Self::Refused(text),
            _ => Self::Violation(text),
        }
    }
}
