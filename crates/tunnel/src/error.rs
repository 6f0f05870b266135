//! What can go wrong, by culprit, each with its stable reason.

use std::{io, net::SocketAddr, sync::Arc};

use http::StatusCode;
use thiserror::Error;
use weft_certs::IdentityError;
use weft_telemetry::Reason;

/// Somebody else answers, whose certificate is good.
const MISMATCH: &str = "peer_identity_mismatch";

/// How a connection between two nodes ended, with all its streams.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Lost {
    /// It was closed, in order or not.
    #[error("the other node closed the connection")]
    Closed,
    /// No PING was answered: the node is gone, or the way to it.
    #[error("the other node does not answer any more")]
    Silent,
    /// The other side did not accept our certificate, which in TLS 1.3 the client hears late.
    #[error("the other node refused our certificate: {0}")]
    RefusedUs(String),
    /// A certificate it was built on has ended, and what was left to drain did not in time.
    #[error("a certificate of the connection has ended")]
    Expired,
    /// Somebody here cut it: a policy, an identity that is gone, the end of a drain.
    #[error("the connection was cut here")]
    Cut,
    /// The other side gave it up with an error.
    #[error("the other node gave the connection up: {0}")]
    GivenUp(h2::Reason),
    /// The other side did what HTTP/2 forbids.
    #[error("the other node violated HTTP/2: {0}")]
    Violation(h2::Reason),
    /// The transport failed.
    #[error("the transport failed: {0}")]
    Transport(String),
}

impl Lost {
    /// A short stable name: metric label, access log `reason` and anchor in the documentation.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Closed => "tunnel_closed",
            Self::Silent => "tunnel_peer_silent",
            Self::RefusedUs(_) => "tls_peer_refused",
            Self::Expired => "tunnel_certificate_expired",
            Self::Cut => "tunnel_cut",
            Self::GivenUp(_) => "tunnel_given_up",
            Self::Violation(_) => "tunnel_protocol_violation",
            Self::Transport(_) => "tunnel_transport_error",
        }
    }

    /// Sorts what ended a connection, or reached one of its streams of that end.
    pub(crate) fn sort(error: &h2::Error) -> Self {
        if let Some(error) = error.get_io() {
            return match error.kind() {
                io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::NotConnected
                | io::ErrorKind::UnexpectedEof => Self::Closed,
                _ => Self::Transport(error.to_string()),
            };
        }
        match error.reason() {
            Some(h2::Reason::NO_ERROR) | None => Self::Closed,
            Some(reason) if error.is_remote() => Self::GivenUp(reason),
            Some(reason) => Self::Violation(reason),
        }
    }
}

/// Why a stream broke. Inside the [`io::Error`] of its reads and writes, see [`StreamError::of`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The other side aborted it, as a TCP connection is by a reset.
    #[error("the other node reset the stream: {0}")]
    Reset(h2::Reason),
    /// Something else than bytes came on it (RFC 9113 section 8.5).
    #[error("the other node sent trailers on a tunnel, which carries bytes only")]
    Trailers,
    /// It was written to after its end.
    #[error("the stream has been closed for writing")]
    Ended,
    /// Its connection ended.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl StreamError {
    /// A short stable name: metric label, access log `reason` and anchor in the documentation.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Reset(_) => "tunnel_reset",
            Self::Trailers => "tunnel_trailers",
            Self::Ended => "tunnel_ended",
            Self::Lost(lost) => lost.reason(),
        }
    }

    /// What an error of reading or writing a stream was.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match error {
            StreamError::Reset(_) => io::ErrorKind::ConnectionReset,
            StreamError::Trailers => io::ErrorKind::InvalidData,
            StreamError::Ended => io::ErrorKind::BrokenPipe,
            StreamError::Lost(_) => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, error)
    }
}

/// Why there is no connection to another node. Everybody who waited for it is told the same.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The node refused the TCP connection: nobody listens there.
    #[error("{0} refused the connection; is it a member of the mesh?")]
    Refused(SocketAddr),
    /// No local port is left for a connection to this endpoint.
    #[error("no local port is left for a connection to {0}")]
    NoLocalPort(SocketAddr),
    /// No way to the node, or no socket.
    #[error("{endpoint} cannot be reached: {source}")]
    Unreachable {
        /// The node.
        endpoint: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No TCP connection in time.
    #[error("{0} did not accept a connection in time; a NetworkPolicy may block port 15008")]
    DialTimeout(SocketAddr),
    /// No TLS in time.
    #[error("{0} did not complete TLS in time")]
    TlsTimeout(SocketAddr),
    /// No TLS, or not with whom it should be.
    #[error("no tunnel to {endpoint}: {source}")]
    Tls {
        /// The node.
        endpoint: SocketAddr,
        /// What is wrong.
        source: IdentityError,
    },
    /// TLS, but no HTTP/2 in it.
    #[error("no tunnel to {endpoint}: {lost}")]
    Http2 {
        /// The node.
        endpoint: SocketAddr,
        /// What is wrong.
        lost: Lost,
    },
    /// The attempt was given up, because the pool or this endpoint is being drained.
    #[error("the attempt to reach {0} was given up")]
    GivenUp(SocketAddr),
}

impl ConnectFailure {
    /// A short stable name: metric label, access log `reason` and anchor in the documentation.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(_) => "tunnel_connect_refused",
            Self::NoLocalPort(_) => "tunnel_no_local_port",
            Self::Unreachable { .. } => "tunnel_unreachable",
            Self::DialTimeout(_) => "tunnel_connect_timeout",
            Self::TlsTimeout(_) => "tunnel_tls_timeout",
            Self::Tls { source, .. } => source.reason(),
            Self::Http2 { lost, .. } => lost.reason(),
            Self::GivenUp(_) => "tunnel_drained",
        }
    }

    pub(crate) fn dial(endpoint: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused(endpoint),
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => {
                Self::NoLocalPort(endpoint)
            }
            io::ErrorKind::TimedOut => Self::DialTimeout(endpoint),
            _ => Self::Unreachable { endpoint, source },
        }
    }
}

/// Why no stream was opened. Nothing of the application has been sent.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No connection.
    #[error(transparent)]
    NotConnected(#[from] Arc<ConnectFailure>),
    /// The connection ended before the answer, and so did its successor.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The other side takes no more streams, on any connection that was tried.
    #[error("the other node takes no more streams: {0}")]
    StreamRefused(h2::Reason),
    /// The other side aborted the stream instead of answering.
    #[error("the other node reset the CONNECT: {0}")]
    Reset(h2::Reason),
    /// No answer in time.
    #[error("the other node did not answer the CONNECT in time")]
    AnswerTimeout,
    /// The destination is not served there, or no longer (400). Resolve it again.
    #[error("the other node does not serve the destination; the endpoint may be out of date")]
    NotServed,
    /// Policy forbids it (401).
    #[error("a policy of the destination forbids the connection")]
    Denied,
    /// The application could not be reached, or a limit was (503).
    #[error("the application behind the other node could not be reached")]
    AppUnavailable,
    /// Any other answer.
    #[error("the other node answered {0}")]
    Status(StatusCode),
    /// No authority can be made of the destination.
    #[error("{0} cannot be asked for; an address with a scope has no meaning elsewhere")]
    Destination(SocketAddr),
}

impl OpenError {
    /// A short stable name: metric label, access log `reason` and anchor in the documentation.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotConnected(failure) => failure.reason(),
            Self::Lost(lost) => lost.reason(),
            Self::StreamRefused(_) => "tunnel_stream_refused",
            Self::Reset(_) => "tunnel_reset",
            Self::AnswerTimeout => "tunnel_answer_timeout",
            Self::NotServed => "tunnel_not_served",
            Self::Denied => "policy_denied",
            Self::AppUnavailable => "tunnel_app_unavailable",
            Self::Status(_) => "tunnel_status",
            Self::Destination(_) => "tunnel_destination",
        }
    }

    /// The reason an exchange over this stream is refused with.
    #[must_use]
    pub fn exchange_reason(&self) -> Reason {
        match self {
            Self::NotConnected(failure) => match &**failure {
                ConnectFailure::Refused(_) => Reason::UpstreamConnectRefused,
                ConnectFailure::DialTimeout(_) => Reason::UpstreamConnectTimeout,
                failure if failure.reason() == MISMATCH => Reason::PeerIdentityMismatch,
                ConnectFailure::TlsTimeout(_)
                | ConnectFailure::Tls { .. }
                | ConnectFailure::Http2 { .. } => Reason::UpstreamTls,
                ConnectFailure::NoLocalPort(_)
                | ConnectFailure::Unreachable { .. }
                | ConnectFailure::GivenUp(_) => Reason::UpstreamUnreachable,
            },
            Self::Lost(Lost::RefusedUs(_)) => Reason::UpstreamTls,
            Self::Lost(_) | Self::StreamRefused(_) | Self::Reset(_) => Reason::UpstreamReset,
            Self::AnswerTimeout => Reason::UpstreamConnectTimeout,
            Self::Denied => Reason::PolicyDenied,
            Self::NotServed | Self::AppUnavailable | Self::Destination(_) => {
                Reason::UpstreamUnreachable
            }
            Self::Status(_) => Reason::UpstreamMalformed,
        }
    }

    /// Whether what is known of the endpoint seems out of date: somebody else answers there, or the pod
    /// is another one by now. Resolve once more and try once more; never fall back to plaintext.
    #[must_use]
    pub fn wants_resolving(&self) -> bool {
        let reason = self.reason();
        matches!(self, Self::NotServed) || reason == MISMATCH
    }

    /// Whether its connection takes no more streams.
    pub(crate) fn spends_connection(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::StreamRefused(_))
    }

    /// Whether another connection may do better. A peer that does not accept us will not then either.
    pub(crate) fn is_worth_another(&self) -> bool {
        self.spends_connection() && !matches!(self, Self::Lost(Lost::RefusedUs(_) | Lost::Cut))
    }

    pub(crate) fn status(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::NotServed,
            StatusCode::UNAUTHORIZED => Self::Denied,
            StatusCode::SERVICE_UNAVAILABLE => Self::AppUnavailable,
            other => Self::Status(other),
        }
    }
}

/// Why an accepted connection served nobody, or no longer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No TLS, or with nobody we know.
    #[error(transparent)]
    Tls(#[from] IdentityError),
    /// No TLS in time.
    #[error("the client did not complete TLS in time")]
    TlsTimeout,
    /// TLS, and no HTTP/2 in time.
    #[error("the client did not begin HTTP/2 in time")]
    PrefaceTimeout,
    /// The connection ended otherwise than by being closed.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl ServeError {
    /// A short stable name: metric label, access log `reason` and anchor in the documentation.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Tls(error) => error.reason(),
            Self::TlsTimeout => "tunnel_tls_timeout",
            Self::PrefaceTimeout => "tunnel_preface_timeout",
            Self::Lost(lost) => lost.reason(),
        }
    }
}
