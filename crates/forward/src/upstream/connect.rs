//! Opening connections to endpoints: the only file of this room that dials.

use std::{io, net::SocketAddr};

use tokio::{net::TcpStream, time::timeout};
use weft_telemetry::Reason;

use crate::limits;

/// Why no connection to an endpoint could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The endpoint or its host refused.
    #[error("{address} refused the connection: {source}")]
    Refused {
        /// The endpoint.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No way to the endpoint, or no local resource for a socket.
    #[error("{address} cannot be reached: {source}")]
    Unreachable {
        /// The endpoint.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The endpoint did not answer in time.
    #[error("{address} did not accept a connection in time")]
    Timeout {
        /// The endpoint.
        address: SocketAddr,
    },
    /// The endpoint did not agree to TLS, or did not prove what its policy asks for.
    #[error("no TLS with {address}: {source}")]
    Tls {
        /// The endpoint.
        address: SocketAddr,
        /// What is wrong.
        source: weft_certs::ConnectError,
    },
    /// Certificates that a BackendTLSPolicy names are not there.
    #[error("{address} is to be reached in TLS only, and the certificates for it are missing")]
    Unusable {
        /// The endpoint.
        address: SocketAddr,
    },
    /// The endpoint did not complete the HTTP/2 preface.
    #[error("{address} does not speak HTTP/2: {source}")]
    Handshake {
        /// The endpoint.
        address: SocketAddr,
        /// What hyper said.
        source: hyper::Error,
    },
}

impl ConnectError {
    /// The stable reason for metrics and the access log.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Refused { .. } => Reason::UpstreamConnectRefused,
            Self::Unreachable { .. } => Reason::UpstreamUnreachable,
            Self::Timeout { .. } => Reason::UpstreamConnectTimeout,
            Self::Tls { .. } => Reason::UpstreamTls,
            Self::Unusable { .. } => Reason::BackendInvalid,
            Self::Handshake { .. } => Reason::UpstreamMalformed,
        }
    }
}

/// Opens a TCP connection without delay for small writes.
pub(super) async fn dial(address: SocketAddr) -> Result<TcpStream, ConnectError> {
    let stream = match timeout(limits::DIAL, TcpStream::connect(address)).await {
        Err(_elapsed) => return Err(ConnectError::Timeout { address }),
        Ok(Err(source)) if source.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(ConnectError::Refused { address, source });
        }
        Ok(Err(source)) => return Err(ConnectError::Unreachable { address, source }),
        Ok(Ok(stream)) => stream,
    };
    match stream.set_nodelay(true) {
        Ok(()) => Ok(stream),
        Err(source) => Err(ConnectError::Unreachable { address, source }),
    }
}
