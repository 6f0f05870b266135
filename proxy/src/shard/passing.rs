//! One connection of a pod: where it goes, and its bytes on the way there and back.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::sync::CancellationToken;
use weft_forward::Unopened;
use weft_intercept::{
    capture::Family,
    ports::{self, Illegal, Path},
    sockets::{Purpose, is_own_probe, original_destination},
};
use weft_telemetry::{Reason, metrics::CloseReason};
use weft_tunnel::ServeError;

use super::{pod::Place, tunnel};

/// For a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// After which bytes nobody acknowledges end a connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// Bytes that are read at once, each way.
const BUFFER_BYTES: usize = 16 * 1024;

/// Why a connection was reset instead of carried, or how carrying it failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("where it wanted to go is not known: {0}")]
    Unknown(#[source] io::Error),
    #[error("{0} is a port of the mesh itself ({reason})", reason = .1.reason())]
    Illegal(SocketAddr, Illegal),
    #[error("it is not encrypted, and the pod takes nothing else")]
    Plaintext,
    #[error("the pod has as many connections as it may have")]
    OverLimit,
    #[error("nobody has said in time who the pod is")]
    NoIdentity,
    #[error(transparent)]
    Tunnel(ServeError),
    #[error("{0} is not reached: {1}")]
    Unreachable(SocketAddr, #[source] io::Error),
    #[error("{0} is a member of the mesh, and is not reached: {1}")]
    Unopened(SocketAddr, #[source] Unopened),
    #[error("nobody has said in time whose {0} is")]
    Unconfigured(SocketAddr),
    #[error("{0} is a member of the mesh as `{1}`, which is no identity")]
    Nobody(SocketAddr, Arc<str>),
    #[error("it failed on its way: {0}")]
    Broken(#[source] io::Error),
}

impl Failure {
    /// As what it is counted.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Unknown(_) => Reason::ClientAbort,
            Self::Illegal(..) => Reason::Misdirected,
            Self::Plaintext => Reason::PolicyDenied,
            Self::OverLimit => Reason::OverLimit,
            Self::NoIdentity => Reason::NoIdentity,
            Self::Tunnel(_) => Reason::TlsHandshake,
            Self::Unreachable(_, error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Reason::UpstreamConnectRefused,
                io::ErrorKind::TimedOut => Reason::UpstreamConnectTimeout,
                _ => Reason::UpstreamUnreachable,
            },
            Self::Unopened(_, error) => error.reason(),
            Self::Unconfigured(_) | Self::Nobody(..) => Reason::UpstreamUnreachable,
            Self::Broken(_) => Reason::UpstreamReset,
        }
    }

    /// The same for logs, by the finest name there is: which rule a certificate breaks, for instance.
    pub(super) fn detail(&self) -> &'static str {
        match self {
            Self::Tunnel(error) => error.reason(),
            Self::Unopened(_, Unopened::Tunnel(error)) => error.reason(),
            other => other.reason().as_str(),
        }
    }
}

/// Carries a connection to its end, or resets it. It is reset, too, when this is dropped.
pub(super) async fn carry(
    place: &Arc<Place>,
    (purpose, family): (Purpose, Family),
    stream: TcpStream,
    leaving: CancellationToken,
) -> Result<(), Failure> {
    match purpose {
        // Few, and larger than the connections that pods make.
        Purpose::Tunnel => Box::pin(tunnel::serve(place, stream, leaving)).await,
        Purpose::Inbound => inbound(place, family, &stream).await,
        Purpose::Outbound => outbound(place, family, stream).await,
    }
}

/// Plaintext from outside.
async fn inbound(place: &Arc<Place>, family: Family, stream: &TcpStream) -> Result<(), Failure> {
    let counted = place.counts.opened(false);
    let passed = (AtomicU64::new(0), AtomicU64::new(0));
    let carried = async {
        settle(stream)?;
        let _room = place.room().ok_or(Failure::OverLimit)?;
        let wanted = original_destination(stream, family).map_err(Failure::Unknown)?;
        if let Some(illegal) = ports::illegal(Path::Inbound, wanted, &place.ips, |_| true) {
            return Err(Failure::Illegal(wanted, illegal));
        }
        if !place.takes_plaintext().await {
            return Err(Failure::Plaintext);
        }
        // The application sees who dialled it.
        let source = stream.peer_addr().map_err(Failure::Unknown)?.ip();
        let dialled = dial(place, source, wanted).await;
        let onward = dialled.map_err(|error| Failure::Unreachable(wanted, error))?;
        pass(stream, &onward, (&passed.0, &passed.1)).await
    };
    let carried = carried.await;
    counted.passed(passed.0.into_inner(), passed.1.into_inner());
    counted.ends(match &carried {
        Ok(()) => CloseReason::Client,
        Err(failure) => CloseReason::Cut(failure.reason()),
    });
    carried
}

/// What an application of the pod has dialled.
async fn outbound(place: &Arc<Place>, family: Family, stream: TcpStream) -> Result<(), Failure> {
    let wanted = original_destination(&stream, family).map_err(Failure::Unknown)?;
    if is_own_probe(wanted) {
        return Ok(());
    }
    settle(&stream)?;
    let _room = place.room().ok_or(Failure::OverLimit)?;
    place.outbound.serve(&place.origin, stream, wanted).await
}

/// Makes a connection one that is reset when it is dropped, unless it was said to
/// [`end_in_order`]: whoever is cut off half way must not take it for the end.
pub(super) fn settle(stream: &TcpStream) -> Result<(), Failure> {
    let socket = SockRef::from(stream);
    let settled = socket.set_tcp_nodelay(true);
    let settled = settled.and_then(|()| socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED)));
    let settled = settled.and_then(|()| socket.set_linger(Some(Duration::ZERO)));
    settled.map_err(Failure::Broken)
}

/// Everything has been said on this connection.
pub(super) fn end_in_order(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_linger(None) {
        tracing::debug!(%error, "a connection is reset instead of being closed");
    }
}

/// Connects to an application of the pod, as if `source` did. The connection is [settled](settle).
///
/// # Errors
/// What the system says; `TimedOut` also when there is no socket in time.
pub(super) async fn dial(place: &Place, source: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let dialled = timeout(CONNECT, async {
        let socket = place.sockets.socket(Family::of(to.ip())).await?;
        // From its own address a pod reaches itself anyway; a socket of one family has none of the other.
        if source != to.ip() && source.is_ipv4() == to.is_ipv4() {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        socket.connect(to).await
    });
    let stream = dialled
        .await
        .map_err(|_elapsed| io::ErrorKind::TimedOut)??;
    settle(&stream).map_err(io::Error::other)?;
    Ok(stream)
}

/// Passes bytes both ways, and counts them. The end of one direction is passed on and leaves the other
/// open.
pub(super) async fn pass(
    one: &TcpStream,
    other: &TcpStream,
    (there, back): (&AtomicU64, &AtomicU64),
) -> Result<(), Failure> {
    let passed = tokio::try_join!(along(one, other, there), along(other, one, back));
    passed.map_err(Failure::Broken)?;
    end_in_order(one);
    end_in_order(other);
    Ok(())
}

async fn along(from: &TcpStream, to: &TcpStream, passed: &AtomicU64) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        from.readable().await?;
        // Room only while there is something to read: most connections are silent most of the time.
        buffer.resize(BUFFER_BYTES, 0);
        let read = match from.try_read(&mut buffer) {
            Ok(0) => return SockRef::from(to).shutdown(std::net::Shutdown::Write),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        let mut left = &buffer[..read];
        while !left.is_empty() {
            to.writable().await?;
            match to.try_write(left) {
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        passed.fetch_add(read as u64, Relaxed);
        if read < BUFFER_BYTES {
            buffer = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of<F: Future>(
        _carries: fn(&'static Arc<Place>, (Purpose, Family), TcpStream, CancellationToken) -> F,
    ) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_is_carried_in_little() {
        let bytes = bytes_of(carry);
        assert!(bytes <= 1792, "{bytes} bytes, as long as it lives");
    }
}
