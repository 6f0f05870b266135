//! One connection to another node: how it comes about, how a stream is opened on it, and the task that
//! moves its frames.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use http::{HeaderValue, Request, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Sleep, sleep, timeout},
};
use weft_certs::{Clock, Handshake, PeerIdentity};

use crate::{
    ahead::Ahead,
    error::{ConnectFailure, Lost, OpenError},
    head::answered_baggage,
    keep_alive::silence,
    key::{Source, Target},
    shared::{Shared, Slot},
    stream::Stream,
    tap::Tap,
    term::Term,
    window::Window,
    wire::{self, Timing},
};

/// Where a pod's connections come from: the only thing that opens sockets here.
pub trait Dial: Send + Sync + 'static {
    /// A connected transport.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Connects to `endpoint`. The socket has `TCP_NODELAY`, and `TCP_USER_TIMEOUT` where the system
    /// has it; the pool limits the time.
    fn dial(&self, endpoint: SocketAddr) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

/// Hears how handshakes with other nodes end: to be counted.
pub trait Handshakes: fmt::Debug + Send + Sync + 'static {
    /// One came about, or there was a connection and no TLS on it. That the other side refuses *our*
    /// certificate is not known yet by then.
    fn ended(&self, how: Result<Handshake, &ConnectFailure>);
}

/// A stream, and who answered.
#[derive(Debug)]
pub struct Opened {
    /// Leads to the application.
    pub stream: Stream,
    /// Who the other node proved to be.
    pub peer: Arc<PeerIdentity>,
    /// The labels it answered with; for logs and metrics.
    pub baggage: Option<HeaderValue>,
}

/// One connection that new streams may use.
#[derive(Debug)]
pub(crate) struct Line {
    send: SendRequest<Bytes>,
    peer: Arc<PeerIdentity>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) term: Term,
    /// When it was first seen without streams.
    pub(crate) idle_since: Option<Duration>,
}

/// A connection with a place for one more stream.
pub(crate) struct Berth {
    send: SendRequest<Bytes>,
    peer: Arc<PeerIdentity>,
    slot: Slot,
}

impl Line {
    /// Makes a connection, and starts the task that moves its frames. The task ends when the line is
    /// dropped and its streams are over, when the connection ends, or when it is cut.
    pub(crate) async fn connect<D: Dial>(
        source: &Source<D>,
        target: &Target,
        timing: Timing,
        (clock, handshakes): (&Clock, Option<&dyn Handshakes>),
    ) -> Result<Self, ConnectFailure> {
        let endpoint = target.endpoint();
        let mut patience = pin!(sleep(timing.connect));
        let io = within(patience.as_mut(), source.dial().dial(endpoint))
            .await
            .ok_or(ConnectFailure::DialTimeout(endpoint))?
            .map_err(|source| ConnectFailure::dial(endpoint, source))?;
        let handshake = source
            .connector()
            .connect(Ahead::new(io), target.expected());
        let handshaken = within(patience.as_mut(), Box::pin(handshake))
            .await
            .ok_or(ConnectFailure::TlsTimeout(endpoint))
            .and_then(|it| it.map_err(|source| ConnectFailure::Tls { endpoint, source }));
        if let Some(handshakes) = handshakes {
            handshakes.ended(handshaken.as_ref().map(|(tls, _)| tls.handshake()));
        }
        let (tls, peer) = handshaken?;
        let term = Term::new(source.identity(), &peer, clock.read());
        let shared = Arc::new(Shared::default());
        let preface = wire::client().handshake(Tap::new(tls, Arc::clone(&shared)));
        let (send, connection) = within(patience, preface)
            .await
            .ok_or(ConnectFailure::TlsTimeout(endpoint))?
            .map_err(|error| ConnectFailure::Http2 {
                endpoint,
                lost: shared.end_of(&error),
            })?;
        // Owned by what it serves: it ends by itself with the line and its streams.
        tokio::spawn(drive(connection, Arc::clone(&shared), timing));
        Ok(Self {
            send,
            peer: Arc::new(peer),
            shared,
            term,
            idle_since: None,
        })
    }

    /// A place for one more stream, unless it is full.
    pub(crate) fn berth(&self) -> Option<Berth> {
        // Before the settings of the other side have arrived this is our own limit.
        let most = self.send.current_max_send_streams();
        let slot = self.shared.reserve(most.min(wire::CLIENT_STREAMS))?;
        Some(Berth {
            send: self.send.clone(),
            peer: Arc::clone(&self.peer),
            slot,
        })
    }
}

impl Berth {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.slot.shared()
    }

    /// Sends the `CONNECT` and waits for its answer. No byte of the application is sent before.
    pub(crate) async fn open(
        self,
        request: Request<()>,
        patience: Duration,
    ) -> Result<Opened, OpenError> {
        let shared = Arc::clone(self.shared());
        let unopened = |error: h2::Error| unopened(&shared, &error);
        let mut send = self.send.ready().await.map_err(unopened)?;
        let (answer, body) = send.send_request(request, false).map_err(unopened)?;
        drop(send);
        let answer = timeout(patience, answer)
            .await
            .map_err(|_elapsed| OpenError::AnswerTimeout)?
            .map_err(unopened)?;
        if answer.status() != StatusCode::OK {
            return Err(OpenError::status(answer.status()));
        }
        Ok(Opened {
            baggage: answered_baggage(answer.headers()),
            stream: Stream::new(answer.into_body(), body, self.slot),
            peer: self.peer,
        })
    }
}

/// What an error before the answer says.
fn unopened(shared: &Shared, error: &h2::Error) -> OpenError {
    match (shared.fate(), error.reason()) {
        (Some(lost), _) => lost.clone().into(),
        (None, Some(reason @ h2::Reason::REFUSED_STREAM)) => OpenError::StreamRefused(reason),
        (None, Some(reason)) if error.is_reset() => OpenError::Reset(reason),
        (None, _) => Lost::sort(error).into(),
    }
}

async fn within<F: Future>(mut patience: Pin<&mut Sleep>, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        done = future => Some(done),
        () = patience.as_mut() => None,
    }
}

/// Moves frames until the connection is over, and leaves behind why it is.
async fn drive<IO>(mut connection: Connection<Tap<IO>, Bytes>, shared: Arc<Shared>, timing: Timing)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let pings = connection.ping_pong();
    let mut window = Window::default();
    let frames = poll_fn(|cx| {
        window.fit(shared.held(), |bytes| {
            connection.set_initial_window_size(bytes)
        });
        Pin::new(&mut connection).poll(cx)
    });
    tokio::select! {
        biased;
        done = frames => {
            shared.ended(done.map_or_else(|error| Lost::sort(&error), |()| Lost::Closed));
        }
        () = shared.is_cut() => {}
        () = silence(pings, timing) => shared.ended(Lost::Silent),
    }
    // Its streams learn of it when it is dropped, after they can know why.
    drop(connection);
}
