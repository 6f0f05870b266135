//! Opening connections to endpoints: the only file of this room that dials.

use std::{io, net::SocketAddr, sync::Arc};

use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use weft_telemetry::Reason;
use weft_tunnel::{Dial, OpenError, Timing};

use crate::limits;

/// How the room of certificates names a certificate of somebody else.
const MISMATCH: &str = "peer_identity_mismatch";

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
    /// No way through the tunnel to an endpoint that is a member of the mesh.
    #[error("no tunnel to {address}: {source}")]
    Tunnel {
        /// The endpoint.
        address: SocketAddr,
        /// What is wrong.
        source: OpenError,
    },
    /// The endpoint is a member of the mesh, and the sender is not.
    #[error("{address} is a member of the mesh, and there is no identity to reach it with")]
    NoIdentity {
        /// The endpoint.
        address: SocketAddr,
    },
    /// The endpoint is a member of the mesh of which nobody knows where it answers.
    #[error("{address} is a member of the mesh as {member}, and nobody is known to answer for it")]
    Nowhere {
        /// The endpoint.
        address: SocketAddr,
        /// Its identity, or what was meant to be one.
        member: Arc<str>,
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
            Self::Tunnel { source, .. } if source.reason() == MISMATCH => {
                Reason::PeerIdentityMismatch
            }
            Self::Tunnel { source, .. } => source.exchange_reason(),
            Self::NoIdentity { .. } => Reason::NoIdentity,
            Self::Nowhere { .. } => Reason::UpstreamUnreachable,
            Self::Handshake { .. } => Reason::UpstreamMalformed,
        }
    }

    /// Whether it says something about the endpoint, rather than about us or a policy.
    pub(crate) fn is_of_endpoint(&self) -> bool {
        match self {
            Self::Unusable { .. } | Self::NoIdentity { .. } | Self::Nowhere { .. } => false,
            Self::Tunnel { source, .. } => !matches!(source, OpenError::Denied),
            _ => true,
        }
    }

    /// Whether what is known of the endpoint may be out of date: once more, with what is known now.
    pub(crate) fn wants_resolving(&self) -> bool {
        matches!(self, Self::Tunnel { source, .. } if source.wants_resolving())
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

/// Opens the connections that tunnels are made of; the pool of tunnels limits the time.
#[derive(Debug)]
pub(crate) struct Dialer;

impl Dial for Dialer {
    type Io = TcpStream;

    async fn dial(&self, endpoint: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(endpoint).await?;
        stream.set_nodelay(true)?;
        let patience = Timing::default().ping_patience;
        SockRef::from(&stream).set_tcp_user_timeout(Some(patience))?;
        Ok(stream)
    }
}
