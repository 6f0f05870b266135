//! In whose name connections to endpoints are made, and with whose sockets.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::{
    net::{TcpSocket, TcpStream},
    sync::{SetOnce, oneshot},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use weft_certs::{Identity, IdentityError};
use weft_telemetry::Reason;
use weft_tunnel::{Connect, OpenError, Source, Stream, Target};

use crate::{
    clock, limits,
    turns::Share,
    upstream::{Dialer, dial_patiently},
    worker::WorkerHandle,
};

/// A socket that comes, or the reason why there is none.
pub type Awaited<'a> = Pin<Box<dyn Future<Output = io::Result<TcpSocket>> + Send + 'a>>;

/// Sockets that connections leave from elsewhere with: those of the network namespace of a pod.
///
/// It is asked once for every connection that is made, and never for a request.
pub trait Sockets: Send + Sync + 'static {
    /// A socket for a connection to `to`, neither bound nor connected. Whoever makes it limits the time
    /// it takes.
    fn socket(&self, to: SocketAddr) -> Awaited<'_>;
}

/// One identity that connections are made with. Connections of one caller are never another's.
pub struct Caller {
    /// What tunnels are made with; comes with the identity.
    source: SetOnce<Source<Dialer>>,
    dialer: Dialer,
    /// Where its traffic comes from, as the other side is told.
    addresses: Box<[IpAddr]>,
    /// How long it is waited for by clients that do not bring it along; set when the first one does.
    until: OnceLock<Instant>,
    is_leaving: AtomicBool,
    dismissed: CancellationToken,
    /// Its part of the thread, where others have theirs.
    share: Option<Share>,
}

/// Why a caller has no stream to a member of the mesh.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// Nobody has said in time who the caller is.
    #[error("there is no identity to reach a member of the mesh with")]
    NoIdentity,
    /// No way through the tunnel.
    #[error(transparent)]
    Tunnel(#[from] OpenError),
}

impl Unopened {
    /// The stable reason for metrics and the access log.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoIdentity => Reason::NoIdentity,
            Self::Tunnel(error) => error.exchange_reason(),
        }
    }
}

impl Caller {
    /// Connects as `identity` with sockets of this process; `address` is what the other side is told of
    /// where traffic comes from.
    ///
    /// # Errors
    /// When the TLS library lacks TLS 1.3.
    pub fn new(identity: &Identity, address: IpAddr) -> Result<Self, IdentityError> {
        let caller = Self::here(vec![address]);
        caller.identify(identity)?;
        Ok(caller)
    }

    /// Connects with sockets of this process, from `addresses`, the most usual one first. It has no
    /// identity yet: who wants to reach a member of the mesh waits for one.
    #[must_use]
    pub fn here(addresses: Vec<IpAddr>) -> Self {
        Self::of(Dialer::Host, addresses)
    }

    /// Connects with `sockets` only, to whomever, from `addresses`: those of a pod, the most usual one
    /// first. It has no identity yet: who wants to reach a member of the mesh waits for one.
    #[must_use]
    pub fn elsewhere(sockets: Arc<dyn Sockets>, addresses: Vec<IpAddr>) -> Self {
        Self::of(Dialer::Given(sockets), addresses)
    }

    fn of(dialer: Dialer, addresses: Vec<IpAddr>) -> Self {
        Self {
            source: SetOnce::new(),
            dialer,
            addresses: addresses.into(),
            until: OnceLock::new(),
            is_leaving: AtomicBool::new(false),
            dismissed: CancellationToken::new(),
            share: None,
        }
    }

    /// The same, which takes its turns with others: what is done for it beside the connections of its
    /// clients, which are for whoever serves them.
    #[must_use]
    pub fn sharing(self, share: Share) -> Self {
        let share = Some(share);
        Self { share, ..self }
    }

    /// Says who it is, for good: certificates are renewed within the identity. Whoever waits goes on.
    ///
    /// # Errors
    /// As [`Caller::new`].
    pub fn identify(&self, identity: &Identity) -> Result<(), IdentityError> {
        let dialer = self.dialer.clone();
        let source = match dialer {
            Dialer::Host => Source::new(identity, None, dialer)?,
            // Another pod of the account may have the address by now, or have had it.
            Dialer::Given(_) => {
                let address = self.addresses.first().copied();
                Source::alone(identity, address, dialer)?
            }
        };
        // The first one stays.
        drop(self.source.set(source));
        Ok(())
    }

    /// Who it is, as far as that is known.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.source.get().map(Source::identity)
    }

    /// Asks its clients to connect elsewhere from now on: by `connection: close` in their next answer (RFC
    /// 9112 section 9.6), by GOAWAY at once (RFC 9113 section 6.8). Nothing ends before it was said to end.
    pub fn leave(&self) {
        self.is_leaving.store(true, Relaxed);
    }

    /// Lets go those clients that ask for nothing, in order and after [`limits::FAREWELL`]; over HTTP/1
    /// they cannot be told before. Requests and opaque connections go on.
    pub fn dismiss(&self) {
        self.leave();
        self.dismissed.cancel();
    }

    /// Connects to `to` itself, in plaintext.
    ///
    /// # Errors
    /// No socket, or no connection with it in the time of the wire.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        dial_patiently(&self.dialer, to).await
    }

    /// Opens a stream to `to` through the tunnel that `target` ends; waits for the identity, but not for
    /// longer than [`limits::NO_IDENTITY`].
    ///
    /// # Errors
    /// See [`Unopened`].
    pub async fn open(
        &self,
        handle: &WorkerHandle,
        target: &Target,
        to: SocketAddr,
    ) -> Result<Stream, Unopened> {
        let source = match self.source() {
            Some(source) => source,
            None => self
                .named(clock::deadline(limits::NO_IDENTITY))
                .await
                .ok_or(Unopened::NoIdentity)?,
        };
        let connect = self.connect_to(to);
        let opened = handle.worker.tunnels.open(source, target, &connect).await?;
        Ok(opened.stream)
    }

    /// What its tunnels are made with, if it has an identity.
    pub(crate) fn source(&self) -> Option<&Source<Dialer>> {
        self.source.get()
    }

    /// The same, once it has one; `None` when that is not so in time.
    async fn named(&self, until: Instant) -> Option<&Source<Dialer>> {
        timeout_at(until, self.source.wait()).await.ok()
    }

    /// The same for all clients that do not bring it along. They have one patience together, which begins
    /// with the first of them: a Gateway without identity holds what comes in
    /// [`limits::NO_IDENTITY`] and says no at once from then on, rather than gather waiting clients.
    pub(crate) async fn named_for_all(&self) -> Option<&Source<Dialer>> {
        let until = self
            .until
            .get_or_init(|| clock::deadline(limits::NO_IDENTITY));
        self.named(*until).await
    }

    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// A connection to an endpoint serves one client after the other, so that it comes from no port.
    pub(crate) fn connect_to(&self, destination: SocketAddr) -> Connect {
        let of_family = |it: &&IpAddr| it.is_ipv4() == destination.is_ipv4();
        let address = self.addresses.iter().find(of_family);
        let unknown = match destination {
            SocketAddr::V4(_) => IpAddr::from([0; 4]),
            SocketAddr::V6(_) => IpAddr::from([0; 16]),
        };
        let source = address.copied().unwrap_or(unknown);
        Connect::new(destination, SocketAddr::new(source, 0))
    }

    /// Where what is done for it has its turns; nowhere, if it is alone.
    pub(crate) fn share(&self) -> Option<&Share> {
        self.share.as_ref()
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Relaxed)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("addresses", &self.addresses)
            .field("identity", &self.identity().map(Identity::id))
            .finish_non_exhaustive()
    }
}

/// The caller that a client's connection brings along, where the inlet has none for everybody.
#[derive(Debug)]
pub(crate) struct Own {
    caller: Arc<Caller>,
    /// How long this connection waits for an identity; set when it first does. It is the patience of a
    /// client and not of one attempt to serve it.
    until: OnceLock<Instant>,
    cut: CancellationToken,
    /// Dropped with the last that is left of the connection.
    _alive: oneshot::Sender<Infallible>,
}

/// Ties what a connection turns into, when it is upgraded, to those who serve the connection: it ends
/// when this is dropped.
#[derive(Debug)]
pub(crate) struct Bond {
    _cut: DropGuard,
    gone: oneshot::Receiver<Infallible>,
}

impl Own {
    pub(crate) fn new(caller: Arc<Caller>) -> (Self, Bond) {
        let cut = CancellationToken::new();
        let (alive, gone) = oneshot::channel();
        let bond = Bond {
            _cut: cut.clone().drop_guard(),
            gone,
        };
        let own = Self {
            caller,
            until: OnceLock::new(),
            cut,
            _alive: alive,
        };
        (own, bond)
    }

    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// What tunnels are made with, as soon as there is an identity.
    pub(crate) async fn named(&self) -> Option<&Source<Dialer>> {
        let until = self
            .until
            .get_or_init(|| clock::deadline(limits::NO_IDENTITY));
        self.caller.named(*until).await
    }

    /// Completes when a connection on which nothing is under way has to end. What a client may have sent
    /// before it knew is still on its way until then.
    pub(crate) async fn dismissed(&self) {
        self.caller.dismissed.cancelled().await;
        sleep(limits::FAREWELL).await;
    }

    /// Completes when whoever serves the connection does so no more.
    pub(crate) async fn cut(&self) {
        self.cut.cancelled().await;
    }
}

impl Bond {
    /// Completes when nothing is left of the connection.
    pub(crate) async fn outlived(self) {
        let Err(_gone) = self.gone.await;
    }
}

#[cfg(test)]
mod tests;
