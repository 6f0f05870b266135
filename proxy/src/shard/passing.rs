//! One connection of a pod: where it goes, and its bytes on the way there and back.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use weft_intercept::{
    capture::Family,
    ports::{self, Illegal, Path},
    sockets::{Purpose, is_own_probe, original_destination},
};

use super::pod::Place;

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
    #[error("a tunnel, which this worker has no identity for")]
    Tunnel,
    #[error("{0} is not reached: {1}")]
    Unreachable(SocketAddr, #[source] io::Error),
    #[error("it failed on its way: {0}")]
    Broken(#[source] io::Error),
}

/// Carries a connection to its end, or resets it.
pub(super) async fn carry(
    place: &Place,
    (purpose, family): (Purpose, Family),
    stream: &TcpStream,
) -> Result<(), Failure> {
    let carried = towards(place, (purpose, family), stream).await;
    if carried.is_err() {
        // An end in order would be a lie.
        drop(abort(stream));
    }
    carried
}

/// Lets the peer know, when the socket is closed, that this was no end in order.
pub(super) fn abort(stream: &TcpStream) -> Result<(), Failure> {
    let linger = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    linger.map_err(Failure::Broken)
}

async fn towards(
    place: &Place,
    (purpose, family): (Purpose, Family),
    stream: &TcpStream,
) -> Result<(), Failure> {
    let path = match purpose {
        Purpose::Outbound => Path::Outbound,
        Purpose::Inbound => Path::Inbound,
        Purpose::Tunnel => return Err(Failure::Tunnel),
    };
    let wanted = original_destination(stream, family).map_err(Failure::Unknown)?;
    if path == Path::Outbound && is_own_probe(wanted) {
        return Ok(());
    }
    // Which addresses are pods is not known here, so that each may be one.
    if let Some(illegal) = ports::illegal(path, wanted, &place.ips, |_| true) {
        return Err(Failure::Illegal(wanted, illegal));
    }
    let source = match path {
        Path::Inbound if place.is_strict => return Err(Failure::Plaintext),
        // The application sees who dialled it.
        Path::Inbound => Some(stream.peer_addr().map_err(Failure::Unknown)?.ip()),
        Path::Outbound | Path::Tunnel => None,
    };
    let unreachable = |error| Failure::Unreachable(wanted, error);
    let dialled = timeout(CONNECT, dial(place, source, wanted));
    let dialled = dialled
        .await
        .map_err(|_elapsed| unreachable(io::ErrorKind::TimedOut.into()))?;
    let onward = dialled.map_err(unreachable)?;
    let passed = pass(stream, &onward).await;
    if passed.is_err() {
        drop(abort(&onward));
    }
    passed.map_err(Failure::Broken)
}

/// Connects from the namespace of the pod, as `source` where there is one.
async fn dial(place: &Place, source: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let family = Family::of(to.ip());
    let socket = place.sockets.socket(family).await?;
    // From its own address a pod reaches itself anyway.
    if let Some(source) = source.filter(|source| *source != to.ip()) {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(stream)
}

/// Passes bytes both ways. The end of one direction is passed on and leaves the other open.
async fn pass(one: &TcpStream, other: &TcpStream) -> io::Result<()> {
    one.set_nodelay(true)?;
    SockRef::from(one).set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    tokio::try_join!(along(one, other), along(other, one))?;
    Ok(())
}

async fn along(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
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
        if read < BUFFER_BYTES {
            buffer = Vec::new();
        }
    }
}
