//! A member of the mesh as a client sees it: the end of its tunnels, on an address of its own where
//! nobody listens in plaintext.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use weft_certs::{Clock, Identity, PeerIdentity};
use weft_tunnel::{Inbound, Incoming, Place, Refusal, Server, Timing, relay, wire};

use crate::{gateway::own_address, wait::Expected};

/// Where its application would listen.
const PORT: u16 = 8080;

/// A stream that has come: as whom, on which serial number, and from where as the client says.
pub type Seen = (String, String, Option<IpAddr>);

/// A member. Dropping it closes its socket and its connections.
#[derive(Debug)]
pub struct Member {
    /// Its address and port as an endpoint.
    pub address: SocketAddr,
    behind: Behind,
    _serving: JoinSet<()>,
}

/// What is behind the end of its tunnels.
#[derive(Clone, Debug)]
struct Behind {
    application: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Member {
    /// A member that answers as `identity`; what is sent to it arrives at `application`.
    ///
    /// # Panics
    /// When its address is somebody else's.
    pub async fn start(identity: &Identity, application: SocketAddr) -> Self {
        let address = own_address();
        let server = Server::new(identity, Clock::system(), Timing::default());
        let server = server.expected("TLS 1.3");
        let listener = TcpListener::bind((address, wire::PORT)).await;
        let listener = listener.expected("an address of its own");
        let behind = Behind {
            application,
            seen: Arc::default(),
        };
        let inside = behind.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (server, inside) = (server.clone(), inside.clone());
                connections.spawn(async move {
                    // Whom it does not serve the client says.
                    let _served = server.serve(stream, &inside, std::future::pending()).await;
                });
            }
        });
        Self {
            address: SocketAddr::new(address, PORT),
            behind,
            _serving: serving,
        }
    }

    /// The streams that have come.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.behind.lock().clone()
    }
}

impl Behind {
    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place for Behind {
    fn is_local(&self, _address: IpAddr) -> bool {
        true
    }

    fn backs(&self, _host: &str, _port: u16) -> Option<SocketAddr> {
        None
    }

    fn permits(&self, _peer: &PeerIdentity, _destination: SocketAddr) -> bool {
        true
    }
}

impl Inbound for Behind {
    fn carry(&self, incoming: Incoming) -> impl Future<Output = ()> + Send + 'static {
        let peer = incoming.peer();
        let source = incoming.metadata().source.map(|it| it.ip());
        let seen = (peer.id.to_string(), peer.serial.clone(), source);
        self.lock().push(seen);
        let application = self.application;
        async move {
            let Ok(mut local) = TcpStream::connect(application).await else {
                incoming.refuse(&Refusal::AppRefused(application));
                return;
            };
            // A client that has gone needs nothing.
            if let Ok(mut tunnel) = incoming.accept(None) {
                let idle = Duration::from_secs(60);
                let _relayed = relay(local.split(), &mut tunnel, idle).await;
            }
        }
    }

    fn refused(&self, _peer: &PeerIdentity, refusal: &Refusal) {
        panic!("nothing is refused here: {refusal}");
    }

    fn panicked(&self) {
        panic!("nothing panics here");
    }
}
