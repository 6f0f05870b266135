//! From the end of a tunnel to the application: the only file of the doors that dials.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};
use weft_tunnel::{Ended, Incoming, Refusal, relay};

/// For the application to accept a connection; shorter than a client waits for its answer.
const CONNECT: Duration = Duration::from_secs(10);
/// A stream on which nothing moves in either direction is kept for so long, as any opaque connection.
const IDLE: Duration = weft_forward::limits::OPAQUE_IDLE;

/// Connects to the application, answers, and passes bytes until both sides have ended. A connection
/// that fails on one side fails on the other: an orderly end would be a lie.
pub(super) async fn carry(mut incoming: Incoming) {
    let destination = incoming.destination();
    let dialled = tokio::select! {
        biased;
        dialled = dial(destination) => dialled,
        () = incoming.abandoned() => return,
    };
    let mut local = match dialled {
        Ok(local) => local,
        Err(refusal) => {
            tracing::debug!(%refusal, "an application was not reached");
            incoming.refuse(&refusal);
            return;
        }
    };
    let mut tunnel = match incoming.accept(None) {
        Ok(tunnel) => tunnel,
        Err(error) => {
            tracing::debug!(%error, "a client was gone before its application was reached");
            return;
        }
    };
    let relayed = relay(local.split(), &mut tunnel, IDLE).await;
    if let Ended::Tunnel(error) = relayed.ended {
        tracing::debug!(%error, "a stream of the tunnel broke");
        abort(&local);
    }
}

async fn dial(destination: SocketAddr) -> Result<TcpStream, Refusal> {
    let refused = |error: io::Error| match error.kind() {
        ErrorKind::ConnectionRefused => Refusal::AppRefused(destination),
        _ => Refusal::AppUnreachable(destination),
    };
    let stream = timeout(CONNECT, TcpStream::connect(destination))
        .await
        .map_err(|_elapsed| Refusal::AppTimeout(destination))?
        .map_err(refused)?;
    stream.set_nodelay(true).map_err(refused)?;
    Ok(stream)
}

/// Makes the end of a connection a reset.
fn abort(stream: &TcpStream) {
    if let Err(error) = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection cannot be reset; it is closed in order");
    }
}
