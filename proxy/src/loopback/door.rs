//! A door: the socket behind which one identity answers.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::TcpListener, runtime::Handle, time::sleep};
use weft_certs::{Clock, Identity, PeerIdentity};
use weft_tunnel::{Inbound, Incoming, Place, Refusal, Server, Timing};

use super::carry::carry;
use crate::listen::listen_as;

/// How long an endpoint that has left can still be reached: a request that was sent before the sender
/// knew is on its way.
const GRACE: Duration = Duration::from_secs(10);
/// Pause after an accept failed for lack of files or memory.
const BACK_OFF: Duration = Duration::from_millis(50);

/// An open door. It closes with the runtime it was opened on.
pub(super) struct Door {
    address: SocketAddr,
    behind: Behind,
}

/// The endpoints behind a door. Cheap to clone.
#[derive(Clone, Default)]
struct Behind(Arc<Mutex<Endpoints>>);

#[derive(Default)]
struct Endpoints {
    /// Those that can be reached now.
    open: BTreeSet<SocketAddr>,
    /// Those that are to stay.
    wanted: BTreeSet<SocketAddr>,
}

impl Door {
    /// Opens a door on a port that the system chooses; whoever has to find it is told.
    ///
    /// # Errors
    /// No socket is to be had, or the TLS library lacks TLS 1.3.
    pub(super) fn open(
        runtime: &Handle,
        identity: &Identity,
        addresses: &BTreeSet<SocketAddr>,
    ) -> io::Result<Self> {
        let server = Server::new(identity, Clock::system(), Timing::default());
        let server = server.map_err(io::Error::other)?;
        let any_port = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let listener = listen_as(any_port, false)?;
        let address = listener.local_addr()?;
        let behind = Behind::default();
        let door = Self {
            address,
            behind: behind.clone(),
        };
        door.serve(runtime, addresses);
        let _in_reach = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        runtime.spawn(accept(listener, server, behind));
        Ok(door)
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads to these endpoints from now on, and for a while to those of before.
    pub(super) fn serve(&self, runtime: &Handle, addresses: &BTreeSet<SocketAddr>) {
        let mut endpoints = self.behind.lock();
        if endpoints.wanted == *addresses {
            return;
        }
        endpoints.open.extend(addresses);
        endpoints.wanted.clone_from(addresses);
        if endpoints.open != endpoints.wanted {
            let behind = self.behind.clone();
            // Forgets what is not wanted by then. It ends by itself.
            runtime.spawn(async move {
                sleep(GRACE).await;
                let mut endpoints = behind.lock();
                let Endpoints { open, wanted } = &mut *endpoints;
                open.clone_from(wanted);
            });
        }
    }
}

impl Behind {
    fn lock(&self) -> MutexGuard<'_, Endpoints> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, destination: SocketAddr) -> bool {
        self.lock().open.contains(&destination)
    }
}

/// Serves what comes to the door for as long as the runtime lives.
async fn accept(listener: TcpListener, server: Server, behind: Behind) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _peer)) => stream,
            Err(error) => {
                tracing::warn!(%error, "tunnels wait: raise the open-file limit if this persists");
                sleep(BACK_OFF).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a client of a door was already gone");
            continue;
        }
        let (server, behind) = (server.clone(), behind.clone());
        // It ends with its peer; what is left ends with the process, after the drain.
        tokio::spawn(async move {
            let served = server.serve(stream, &behind, std::future::pending()).await;
            if let Err(error) = served {
                tracing::debug!(reason = error.reason(), %error, "a tunnel was not served");
            }
        });
    }
}

impl Place for Behind {
    fn is_local(&self, address: IpAddr) -> bool {
        self.lock().open.iter().any(|it| it.ip() == address)
    }

    /// Services have no names here: whoever comes knows the address.
    fn backs(&self, _host: &str, _port: u16) -> Option<SocketAddr> {
        None
    }

    /// There is no kind of policy yet that could forbid it.
    fn permits(&self, _peer: &PeerIdentity, _destination: SocketAddr) -> bool {
        true
    }
}

impl Inbound for Behind {
    /// Several identities share the addresses of loopback, so that the port counts as well.
    fn carry(&self, incoming: Incoming) -> impl Future<Output = ()> + Send + 'static {
        let destination = incoming.destination();
        let is_here = self.has(destination);
        async move {
            if is_here {
                carry(incoming).await;
            } else {
                incoming.refuse(&Refusal::NotLocal(destination));
            }
        }
    }

    fn refused(&self, peer: &PeerIdentity, refusal: &Refusal) {
        tracing::debug!(peer = %peer.id, reason = refusal.reason(), %refusal, "a stream was refused");
    }

    fn panicked(&self) {
        tracing::error!("what carries a stream of the tunnel has panicked");
    }
}
