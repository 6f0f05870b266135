//! The server side: one accepted connection and the streams on it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use h2::server::Connection;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::{JoinError, JoinSet, yield_now},
    time::{Interval, MissedTickBehavior, interval, timeout},
};
use weft_certs::{
    Clock, Handshake, Identity, IdentityAcceptor, IdentityError, PeerIdentity, TlsStream,
};

use crate::{
    ahead::Ahead,
    error::{Lost, ServeError},
    judge::{Place, Refusal},
    keep_alive::silence,
    shared::Shared,
    tap::Tap,
    term::Term,
    window::Window,
    wire::{self, Timing},
};

mod incoming;

pub use self::incoming::Incoming;

/// For the last frames of a connection that is being cut.
const FAREWELL: Duration = Duration::from_millis(200);

/// Streams of one connection that are being carried, those included that the client has reset and that
/// are still being cleared away: whoever resets fast must not get more than its share by it.
const MOST_CARRIED: usize = 2 * wire::SERVER_STREAMS as usize;

/// Streams that begin before others of the thread have their turn: what has come of a flood in one read is
/// hundreds of them.
const BEGUN_AT_ONCE: usize = 8;

/// A client lets go of an idle connection before the server does, so that none is closed under a new
/// stream.
const IDLE_FACTOR: u32 = 2;

/// What serves the streams of a listener.
pub trait Inbound: Place + Send + Sync + 'static {
    /// The client has proved who it is: to be counted. A handshake that fails is the error of
    /// [`Server::serve`].
    fn connected(&self, _peer: &PeerIdentity, _handshake: &Handshake) {}

    /// Connects to where the stream leads, accepts or refuses it, and carries it to its end.
    fn carry(&self, incoming: Incoming) -> impl Future<Output = ()> + Send + 'static;

    /// A `CONNECT` of `peer` was refused before it came to [`Inbound::carry`]: to be counted and logged.
    fn refused(&self, peer: &PeerIdentity, refusal: &Refusal);

    /// A [`Inbound::carry`] panicked: a defect, to be counted. Its stream was reset, others go on.
    fn panicked(&self);
}

/// Accepts HBONE for one identity: that of the pod whose listener a connection came from.
#[derive(Clone, Debug)]
pub struct Server {
    identity: Identity,
    acceptor: IdentityAcceptor,
    clock: Clock,
    timing: Timing,
}

/// What a connection was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Who called.
    pub peer: Arc<PeerIdentity>,
    /// How many streams were handed over.
    pub streams: u64,
}

impl Server {
    /// Accepts as `identity`.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Provider`] when the TLS library lacks TLS 1.3.
    pub fn new(identity: &Identity, clock: Clock, timing: Timing) -> Result<Self, IdentityError> {
        Ok(Self {
            identity: identity.clone(),
            acceptor: IdentityAcceptor::new(identity)?,
            clock,
            timing,
        })
    }

    /// Serves one connection to its end, which is also that of its streams. Dropping the future ends
    /// both at once.
    ///
    /// When `draining` completes, the client is told to open no more streams (GOAWAY), and those it has
    /// get [`Timing::drain`]. The same happens when other roots are trusted than when the client was
    /// verified, or when one of the two certificates ends.
    ///
    /// # Errors
    ///
    /// See [`ServeError`].
    pub async fn serve<IO, H>(
        &self,
        io: IO,
        inbound: &H,
        draining: impl Future<Output = ()>,
    ) -> Result<Served, ServeError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin,
        H: Inbound,
    {
        let patience = self.timing.connect;
        let (tls, peer) = timeout(patience, Box::pin(self.acceptor.accept(Ahead::new(io))))
            .await
            .map_err(|_elapsed| ServeError::TlsTimeout)??;
        inbound.connected(&peer, &tls.handshake());
        let term = Term::new(&self.identity, &peer, self.clock.read());
        let shared = Arc::new(Shared::default());
        let preface = wire::server().handshake(Tap::new(tls, Arc::clone(&shared)));
        let connection = timeout(patience, preface)
            .await
            .map_err(|_elapsed| ServeError::PrefaceTimeout)?
            .map_err(|error| Lost::sort(&error))?;
        let mut ticks = interval(self.timing.ping_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let serving = Serving {
            server: self,
            inbound,
            connection,
            ticks,
            shared,
            term,
            peer: Arc::new(peer),
            streams: JoinSet::new(),
            window: Window::default(),
            served: 0,
            cut_at: None,
            idle_since: None,
        };
        Box::pin(serving.run(pin!(draining))).await
    }
}

/// One connection that is served.
struct Serving<'a, IO, H> {
    server: &'a Server,
    inbound: &'a H,
    connection: Connection<Tap<TlsStream<Ahead<IO>>>, Bytes>,
    ticks: Interval,
    shared: Arc<Shared>,
    term: Term,
    peer: Arc<PeerIdentity>,
    streams: JoinSet<()>,
    window: Window,
    served: u64,
    /// Monotonic time at which streams are cut; set once the client was told to leave.
    cut_at: Option<Duration>,
    idle_since: Option<Duration>,
}

impl<IO, H> Serving<'_, IO, H>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    H: Inbound,
{
    async fn run(
        mut self,
        mut draining: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Served, ServeError> {
        let pings = self.connection.ping_pong();
        let mut silence = pin!(silence(pings, self.server.timing));
        let (mut drains, mut begun) = (false, 0_usize);
        let lost = loop {
            tokio::select! {
                biased;
                () = draining.as_mut(), if !drains => {
                    drains = true;
                    let now = self.server.clock.read().monotonic;
                    self.leave(now + self.server.timing.drain);
                }
                () = silence.as_mut() => break Lost::Silent,
                Some(done) = self.streams.join_next() => self.note(done),
                _ = self.ticks.tick() => if let Some(lost) = self.look(drains) {
                    break lost;
                },
                next = poll_fn(|cx| {
                    self.window.fit(self.shared.held(), |bytes| {
                        self.connection.set_initial_window_size(bytes)
                    });
                    self.connection.poll_accept(cx)
                }) => match next {
                    Some(Ok((request, respond))) => {
                        self.begin(request, respond);
                        begun += 1;
                        if begun % BEGUN_AT_ONCE == 0 {
                            yield_now().await;
                        }
                    }
                    Some(Err(error)) => break Lost::sort(&error),
                    None => break Lost::Closed,
                },
            }
        };
        self.end(lost).await
    }

    fn begin(
        &mut self,
        request: http::Request<h2::RecvStream>,
        respond: h2::server::SendResponse<Bytes>,
    ) {
        let bundles = self.server.identity.trust().bundles();
        let is_own = self.peer.id.is_member_of(bundles.own_domain());
        let asked = incoming::Asked {
            request,
            respond,
            is_own,
        };
        // The library keeps to its own limit on streams; this only counts.
        let slot = self.shared.reserve(usize::MAX);
        match slot.map(|slot| asked.judged(self.inbound, &self.peer, slot)) {
            Some(Ok(incoming)) if self.streams.len() >= MOST_CARRIED => {
                let refusal = Refusal::OverLimit(incoming.destination());
                self.inbound.refused(&self.peer, &refusal);
                incoming.refuse(&refusal);
            }
            Some(Ok(incoming)) => {
                self.served += 1;
                self.streams.spawn(self.inbound.carry(incoming));
            }
            Some(Err(refusal)) => {
                tracing::debug!(peer = %self.peer.id, %refusal, "a tunnel was refused");
                self.inbound.refused(&self.peer, &refusal);
            }
            None => {}
        }
    }

    fn note(&self, done: Result<(), JoinError>) {
        if done.is_err_and(|error| error.is_panic()) {
            self.inbound.panicked();
        }
    }

    /// Tells the client to open no more streams, and when the rest ends.
    fn leave(&mut self, cut_at: Duration) {
        if self.cut_at.is_none() {
            self.connection.graceful_shutdown();
        }
        let sooner = self.cut_at.map_or(cut_at, |planned| planned.min(cut_at));
        self.cut_at = Some(sooner);
    }

    /// What the time asks for; a value when streams are to be cut.
    fn look(&mut self, drains: bool) -> Option<Lost> {
        let now = self.server.clock.read().monotonic;
        if self.cut_at.is_some_and(|at| now >= at) {
            return Some(if drains { Lost::Cut } else { Lost::Expired });
        }
        let is_idle = self.streams.is_empty();
        self.idle_since = is_idle.then(|| self.idle_since.unwrap_or(now));
        let idle = self.server.timing.idle * IDLE_FACTOR;
        let is_left = self.idle_since.is_some_and(|since| now - since >= idle);
        let is_superseded = self.term.is_superseded(&self.server.identity);
        if now >= self.term.ends || is_superseded || is_left {
            self.leave(self.term.ends + self.server.timing.drain);
        }
        None
    }

    /// Ends the connection, then waits for what its streams still have to hand on.
    async fn end(mut self, lost: Lost) -> Result<Served, ServeError> {
        self.shared.ended(lost);
        let lost = self.shared.fate().cloned().unwrap_or(Lost::Closed);
        let is_cut = matches!(lost, Lost::Cut | Lost::Expired);
        if is_cut {
            self.connection.abrupt_shutdown(h2::Reason::NO_ERROR);
            let closed = poll_fn(|cx| self.connection.poll_closed(cx));
            if timeout(FAREWELL, closed).await.is_err() {
                tracing::debug!(peer = %self.peer.id, "a client was cut without a farewell");
            }
        }
        let Self {
            inbound,
            connection,
            mut streams,
            server,
            peer,
            served,
            ..
        } = self;
        // Those who carry streams notice, and abort what they carry: to be aborted themselves would make
        // an orderly end of it for the application.
        drop(connection);
        let patience = if is_cut {
            server.timing.connect
        } else {
            server.timing.drain
        };
        let rest = async {
            while let Some(done) = streams.join_next().await {
                if done.is_err_and(|error| error.is_panic()) {
                    inbound.panicked();
                }
            }
        };
        if timeout(patience, rest).await.is_err() {
            tracing::debug!(peer = %peer.id, "streams were cut that had not ended in time");
        }
        match lost {
            Lost::Closed | Lost::Cut | Lost::Expired => Ok(Served {
                peer,
                streams: served,
            }),
            lost => Err(lost.into()),
        }
    }
}
