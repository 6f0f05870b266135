//! Tunnels that end here: who calls is proved by a certificate, in the name of the pod whose listener
//! the connection came by, and each stream is a connection to an application of that pod.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use weft_certs::{Handshake, PeerIdentity};
use weft_telemetry::{Reason, metrics::CloseReason};
use weft_tunnel::{Ended, Inbound, Incoming, Refusal, relay};

use super::{
    counts,
    passing::{self, Failure},
    pod::Place,
};

/// How long a client waits for a pod that is only becoming somebody.
const NO_IDENTITY: Duration = Duration::from_secs(10);
/// A stream on which nothing moves in either direction is kept for so long, as any opaque connection.
const IDLE: Duration = weft_forward::limits::OPAQUE_IDLE;

/// Serves one client to its end. When the pod leaves, the client is told to open no more streams, and
/// those it has may end.
pub(super) async fn serve(
    place: &Arc<Place>,
    mut stream: TcpStream,
    leaving: CancellationToken,
) -> Result<(), Failure> {
    let own = place.own.as_ref().ok_or(Failure::NoIdentity)?;
    let peer = stream.peer_addr().map_err(Failure::Unknown)?;
    passing::settle(&stream)?;
    let ready = own.ready(NO_IDENTITY).await.ok_or(Failure::NoIdentity)?;
    let behind = Behind {
        place: Arc::clone(place),
        source: peer.ip(),
    };
    let leaves = leaving.cancelled_owned();
    let served = ready.server.serve(&mut stream, &behind, leaves).await;
    if let Err(error) = &served {
        place.counts.failed(error);
    }
    // What was said last, such as an alert, still arrives.
    passing::end_in_order(&stream);
    served.map(drop).map_err(Failure::Tunnel)
}

/// What one client finds at the end of its tunnel.
struct Behind {
    place: Arc<Place>,
    /// Where the tunnel comes from, which is where the application is called from: the pod that calls,
    /// unless its node lies. What a client says of itself counts for nothing here.
    source: IpAddr,
}

impl weft_tunnel::Place for Behind {
    fn is_local(&self, address: IpAddr) -> bool {
        self.place.ips.contains(&address)
    }

    /// Whoever comes from our own trust domain asks for an address.
    fn backs(&self, _host: &str, _port: u16) -> Option<SocketAddr> {
        None
    }

    /// There is no kind of policy yet that could forbid it.
    fn permits(&self, _peer: &PeerIdentity, _destination: SocketAddr) -> bool {
        true
    }
}

impl Inbound for Behind {
    fn connected(&self, _peer: &PeerIdentity, handshake: &Handshake) {
        self.place.counts.connected(handshake);
    }

    fn carry(&self, incoming: Incoming) -> impl Future<Output = ()> + Send + 'static {
        let carried = carry(Arc::clone(&self.place), self.source, incoming);
        self.place.share.run(carried)
    }

    fn refused(&self, peer: &PeerIdentity, refusal: &Refusal) {
        tracing::debug!(pod = self.place.pod, peer = %peer.id, reason = refusal.reason(), "{refusal}");
        self.place.counts.refused(refusal);
    }

    fn panicked(&self) {
        tracing::error!(pod = self.place.pod, "what carries a stream has panicked");
        self.place.counts.panicked();
    }
}

/// Connects to the application, answers, and passes bytes until both sides have ended. What fails on one
/// side fails on the other.
async fn carry(place: Arc<Place>, source: IpAddr, mut incoming: Incoming) {
    let counted = place.counts.opened(true);
    let dialled = tokio::select! {
        biased;
        dialled = reach(&place, source, incoming.destination()) => dialled,
        () = incoming.abandoned() => return counted.ends(CloseReason::Cut(Reason::ClientAbort)),
    };
    let (mut local, _room) = match dialled {
        Ok(local) => local,
        Err(refusal) => {
            tracing::debug!(pod = place.pod, reason = refusal.reason(), "{refusal}");
            incoming.refuse(&refusal);
            return counted.ends(CloseReason::Cut(counts::reason(&refusal)));
        }
    };
    let Ok(mut tunnel) = incoming.accept(None) else {
        return counted.ends(CloseReason::Cut(Reason::ClientAbort));
    };
    let relayed = relay(local.split(), &mut tunnel, IDLE).await;
    counted.passed(relayed.received, relayed.sent);
    let why = match relayed.ended {
        Ended::Done => {
            passing::end_in_order(&local);
            CloseReason::Client
        }
        Ended::Idle => CloseReason::Idle,
        Ended::Local(error) => {
            tracing::debug!(pod = place.pod, %error, "an application broke off");
            CloseReason::Cut(Reason::UpstreamReset)
        }
        Ended::Tunnel(error) => {
            tracing::debug!(pod = place.pod, reason = error.reason(), "{error}");
            CloseReason::Cut(Reason::ClientAbort)
        }
    };
    counted.ends(why);
}

/// A connection to the application, which is reset when it is dropped.
async fn reach(
    place: &Place,
    source: IpAddr,
    destination: SocketAddr,
) -> Result<(TcpStream, impl Drop), Refusal> {
    let room = place.room().ok_or(Refusal::OverLimit(destination))?;
    let dialled = passing::dial(place, source, destination).await;
    let local = dialled.map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => Refusal::AppRefused(destination),
        ErrorKind::TimedOut => Refusal::AppTimeout(destination),
        _ => Refusal::AppUnreachable(destination),
    })?;
    Ok((local, room))
}
