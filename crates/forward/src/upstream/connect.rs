//! Opening connections to endpoints: the only file of this room that dials.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use socket2::SockRef;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use weft_telemetry::Reason;
use weft_tunnel::{Dial, OpenError, Timing};

use crate::{caller::Sockets, limits};

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
    /// Nobody made a socket in the place that the connection was to leave from.
    #[error("no socket for a connection to {address}: {source}")]
    NoSocket {
        /// The endpoint.
        address: SocketAddr,
        /// What whoever makes them said.
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
    /// What somebody else met who was already connecting.
    #[error(transparent)]
    Same(Arc<Self>),
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
            Self::Unreachable { .. } | Self::NoSocket { .. } => Reason::UpstreamUnreachable,
            Self::Timeout { .. } => Reason::UpstreamConnectTimeout,
            Self::Tls { .. } => Reason::UpstreamTls,
            Self::Unusable { .. } => Reason::BackendInvalid,
            Self::Tunnel { source, .. } => source.exchange_reason(),
            Self::NoIdentity { .. } => Reason::NoIdentity,
            Self::Nowhere { .. } => Reason::UpstreamUnreachable,
            Self::Handshake { .. } => Reason::UpstreamMalformed,
            Self::Same(error) => error.reason(),
        }
    }

    /// Whether it says something about the endpoint, rather than about us or a policy.
    pub(crate) fn is_of_endpoint(&self) -> bool {
        match self {
            Self::Unusable { .. }
            | Self::NoSocket { .. }
            | Self::NoIdentity { .. }
            | Self::Nowhere { .. } => false,
            Self::Tunnel { source, .. } => !matches!(source, OpenError::Denied),
            Self::Same(error) => error.is_of_endpoint(),
            _ => true,
        }
    }

    /// Whether what is known of the endpoint may be out of date: once more, with what is known now.
    pub(crate) fn wants_resolving(&self) -> bool {
        match self {
            Self::Tunnel { source, .. } => source.wants_resolving(),
            Self::Same(error) => error.wants_resolving(),
            _ => false,
        }
    }
}

/// Opens a TCP connection to an endpoint, without delay for small writes.
pub(super) async fn dial(dialer: &Dialer, address: SocketAddr) -> Result<TcpStream, ConnectError> {
    // Whoever makes sockets has a time of its own for it, which is not the endpoint's.
    let socket = dialer.socket(address).await;
    let socket = socket.map_err(|source| ConnectError::NoSocket { address, source })?;
    let stream = match timeout(limits::DIAL, socket.connect(address)).await {
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

/// Opens a TCP connection to where a client wanted to go itself, which may be anywhere.
pub(crate) async fn dial_patiently(dialer: &Dialer, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = dialer.socket(to).await?;
    let connecting = timeout(Timing::default().connect, guarded(socket, to));
    connecting
        .await
        .map_err(|_elapsed| io::ErrorKind::TimedOut)?
}

/// Where the sockets of connections come from. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Dialer {
    /// From this process, as the system gives them.
    Host,
    /// From somebody who has them from elsewhere.
    Given(Arc<dyn Sockets>),
}

/// What a connection is made with.
enum Socket {
    /// The system makes it when it is connected.
    Own,
    Given(TcpSocket),
}

impl Dialer {
    async fn socket(&self, to: SocketAddr) -> io::Result<Socket> {
        match self {
            Self::Host => Ok(Socket::Own),
            Self::Given(sockets) => sockets.socket(to).await.map(Socket::Given),
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "Host",
            Self::Given(_) => "Given",
        })
    }
}

impl Socket {
    async fn connect(self, to: SocketAddr) -> io::Result<TcpStream> {
        match self {
            Self::Own => TcpStream::connect(to).await,
            Self::Given(socket) => socket.connect(to).await,
        }
    }
}

/// A connection that is given up when nobody acknowledges what is sent on it.
async fn guarded(socket: Socket, to: SocketAddr) -> io::Result<TcpStream> {
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    let patience = Timing::default().ping_patience;
    SockRef::from(&stream).set_tcp_user_timeout(Some(patience))?;
    Ok(stream)
}

/// Opens the connections that tunnels are made of: in as little time as connections to an endpoint itself,
/// because the pod that is to answer may be gone in the same way.
impl Dial for Dialer {
    type Io = TcpStream;

    async fn dial(&self, endpoint: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.socket(endpoint).await?;
        let dialled = timeout(limits::DIAL, guarded(socket, endpoint)).await;
        dialled.map_err(|_elapsed| io::ErrorKind::TimedOut)?
    }
}
