//! Client connections: from an accepted socket to requests, with the limits of a connection.

pub(crate) mod activity;
mod client_io;
mod detect;
mod h1;
mod h2;
mod opaque;
mod tls;
pub(crate) mod unsent;

use std::{
    io,
    net::{SocketAddr, TcpStream as StdStream},
    pin::pin,
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use http::HeaderValue;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use weft_certs::Identity;
use weft_ir::{FrontendProtocol, PortProtocol, Scheme};
use weft_telemetry::{
    Reason,
    access_log::AccessLog,
    metrics::{CloseReason, ProcessMetrics, Registry, TlsMetrics},
};

use self::{activity::Activity, client_io::read_some, detect::Preface};
use crate::{
    caller::{Caller, Own},
    limits,
    live::{Held, Inlet, Live, View, ViewKind},
    turns::Spawner,
    upstream::From,
    worker::{Worker, WorkerHandle},
};

/// What every connection of a process shares.
#[derive(Clone, Debug)]
pub struct Shared {
    access_log: AccessLog,
    tls: Arc<TlsMetrics>,
    process: Arc<ProcessMetrics>,
    live: Arc<Live>,
}

impl Shared {
    /// What connections need beside their inlet.
    pub fn new(access_log: AccessLog, registry: &Registry, live: Arc<Live>) -> Self {
        Self {
            access_log,
            tls: registry.tls(),
            process: registry.process(),
            live,
        }
    }
}

/// One client connection as its requests see it.
pub(crate) struct Client {
    pub(crate) worker: Arc<Worker>,
    pub(crate) inlet: Arc<Inlet>,
    /// Whose requests these are, where that does not follow from the inlet.
    own: Option<Own>,
    pub(crate) peer: SocketAddr,
    pub(crate) scheme: Scheme,
    /// Server name of the TLS handshake, in lower case.
    pub(crate) sni: Option<Box<str>>,
    /// The peer's address as an endpoint gets to see it.
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) access_log: AccessLog,
    pub(crate) activity: Arc<Activity>,
    held: Mutex<Option<Arc<Held>>>,
}

impl Client {
    pub(crate) fn request_started(&self) {
        self.activity.request_started();
        self.worker.exchanges.fetch_add(1, Relaxed);
    }

    pub(crate) fn request_ended(&self) {
        self.activity.request_ended();
        self.worker.exchanges.fetch_sub(1, Relaxed);
    }

    /// What applies to the next request; `None` once the object behind the inlet is gone.
    pub(crate) fn view(&self) -> Option<Arc<Held>> {
        self.inlet.view_by_way_of(&self.held)
    }

    /// What connections to endpoints are made from.
    pub(crate) fn sends(&self) -> From<'_> {
        From {
            worker: &self.worker,
            inlet: &self.inlet,
            own: self.own.as_ref(),
        }
    }

    /// Runs what is done for its requests beside the connection.
    pub(crate) fn spawner(&self) -> Spawner {
        Spawner::of(self.own.as_ref().map(|own| &**own.caller()))
    }

    /// Who the client is, where its connection has said so.
    pub(crate) fn sender(&self) -> Option<&Identity> {
        self.own.as_ref()?.caller().identity()
    }

    /// Whether answers must tell the client to connect anew.
    pub(crate) fn is_draining(&self) -> bool {
        let own = self.own.as_ref();
        self.inlet.is_draining() || own.is_some_and(|own| own.caller().is_leaving())
    }

    /// Completes when the connection has to end if nothing is under way on it.
    pub(crate) async fn closed(&self) {
        closed(&self.inlet, self.own.as_ref()).await;
    }

    /// Completes when the connection is served no more, whatever is under way on it; never, where that
    /// is for nobody to say.
    pub(crate) async fn cut(&self) {
        match &self.own {
            None => std::future::pending().await,
            Some(own) => own.cut().await,
        }
    }
}

async fn closed(inlet: &Inlet, own: Option<&Own>) {
    match own {
        None => inlet.closed().await,
        Some(own) => tokio::select! {
            () = inlet.closed() => {}
            () = own.dismissed() => {}
        },
    }
}

/// Serves an accepted connection, a socket that does not block, on `handle`'s worker until it ends.
/// Returns at once. Whose connection it is follows from the inlet.
pub fn accept(handle: &WorkerHandle, shared: &Shared, inlet: Arc<Inlet>, stream: StdStream) {
    let open = OpenConnection::of(&handle.worker);
    let shared = shared.clone();
    let task = handle.runtime.spawn(async move {
        match TcpStream::from_std(stream) {
            Ok(stream) => run(&open.0, shared, inlet, (stream, None)).await,
            Err(error) => gone(&inlet, &error),
        }
    });
    // Nobody waits for a connection: it ends with its peer, its limits or the drain.
    drop(task);
}

/// Serves the connection of a client that is `caller`, to its end: on the thread of `handle`'s worker,
/// where this has to be awaited, and to the end of what it is upgraded to. When it is dropped the
/// connection is cut.
pub fn serve(
    handle: &WorkerHandle,
    shared: &Shared,
    inlet: Arc<Inlet>,
    (stream, caller): (TcpStream, Arc<Caller>),
) -> impl Future<Output = ()> + Send + use<> {
    let open = OpenConnection::of(&handle.worker);
    let shared = shared.clone();
    let (own, bond) = Own::new(caller);
    async move {
        run(&open.0, shared, inlet, (stream, Some(own))).await;
        // An upgraded connection goes on without what has been its own.
        bond.outlived().await;
    }
}

/// Counts a connection while it lives, a panic included.
struct OpenConnection(Arc<Worker>);

impl OpenConnection {
    /// Counted at once, and not when its task runs, so that the next choice of a worker sees it.
    fn of(worker: &Arc<Worker>) -> Self {
        worker.connections.fetch_add(1, Relaxed);
        Self(Arc::clone(worker))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

async fn run(
    worker: &Arc<Worker>,
    shared: Shared,
    inlet: Arc<Inlet>,
    (stream, own): (TcpStream, Option<Own>),
) {
    let Some(view) = inlet.view().or_else(|| shared.live.activate(&inlet)) else {
        return;
    };
    let peer = match prepare(&stream) {
        Ok(peer) => peer,
        Err(error) => return gone(&inlet, &error),
    };
    let scheme = view.scheme();
    let tls = scheme == Scheme::Https;
    let connections = Arc::clone(&view.connections);
    connections.opened(tls);
    let accepted = Accepted {
        worker: Arc::clone(worker),
        shared,
        inlet,
        own,
        peer,
    };
    let process = Arc::clone(&accepted.shared.process);
    let ended = CatchPanic(accepted.dispatch(view, stream)).await;
    let reason = ended.unwrap_or_else(|_panic| {
        process.panicked("connection");
        CloseReason::Cut(Reason::Panic)
    });
    connections.closed(reason, tls);
}

/// Where a stream comes from, which from here on waits for nothing before it writes.
fn prepare(stream: &TcpStream) -> io::Result<SocketAddr> {
    let peer = stream.peer_addr()?;
    stream.set_nodelay(true)?;
    Ok(peer)
}

fn gone(inlet: &Inlet, error: &io::Error) {
    tracing::debug!(inlet = %inlet.key, %error, "an accepted connection was already gone");
}

/// A connection whose protocol is not known yet.
struct Accepted {
    worker: Arc<Worker>,
    shared: Shared,
    inlet: Arc<Inlet>,
    own: Option<Own>,
    peer: SocketAddr,
}

impl Accepted {
    /// What connections to endpoints are made from.
    fn sends(&self) -> From<'_> {
        From {
            worker: &self.worker,
            inlet: &self.inlet,
            own: self.own.as_ref(),
        }
    }

    /// Completes when the connection has to end if nothing is under way on it.
    async fn closed(&self) {
        closed(&self.inlet, self.own.as_ref()).await;
    }

    /// Serves the connection by the protocol of its port, in as much memory as this one takes: most
    /// connections are idle most of the time.
    fn dispatch(self, view: Arc<View>, mut stream: TcpStream) -> Serving {
        match &view.kind {
            ViewKind::Gateway { port, .. } => match port.protocol {
                PortProtocol::Http => Box::pin(self.http(stream, Scheme::Http)),
                PortProtocol::Https => Box::pin(self.https(stream)),
            },
            ViewKind::Mesh { frontend, .. } => match frontend.protocol {
                // Blocks, which keep what they capture once; async functions keep it twice.
                FrontendProtocol::Opaque => {
                    Box::pin(async move { self.relay(&view, &mut stream).await })
                }
                FrontendProtocol::Http | FrontendProtocol::Http2 => {
                    Box::pin(async move { self.detect(&view, stream).await })
                }
            },
        }
    }

    /// Cleartext HTTP: HTTP/2 with prior knowledge or HTTP/1, by the first bytes.
    async fn http(self, mut stream: TcpStream, scheme: Scheme) -> CloseReason {
        let first = tokio::select! {
            biased;
            first = timeout(limits::CLIENT_IDLE, read_some(&mut stream, 64)) => first,
            () = self.closed() => return CloseReason::Drain,
        };
        let mut ahead = match first {
            Ok(Ok(bytes)) if !bytes.is_empty() => bytes,
            Ok(_) => return CloseReason::Client,
            Err(_elapsed) => return CloseReason::Idle,
        };
        // From its first byte on a head has its time, whatever it turns out to be.
        let mut patience = pin!(sleep(limits::REQUEST_HEAD));
        loop {
            match detect::preface(&ahead) {
                // Few, for each carries many requests, and large.
                Preface::Http2 => {
                    return Box::pin(self.http2(stream, ahead, scheme, None)).await;
                }
                Preface::Other => return self.http1(stream, ahead, scheme, None).await,
                Preface::Unclear => {}
            }
            let more = tokio::select! {
                biased;
                more = read_some(&mut stream, 64) => more,
                () = patience.as_mut() => {
                    return h1::refuse(stream, 408, Reason::TimeoutHeader).await;
                }
            };
            match more {
                Ok(bytes) if !bytes.is_empty() => ahead = detect::join(ahead, &bytes),
                Ok(_) | Err(_) => return CloseReason::Client,
            }
        }
    }

    fn client(self, scheme: Scheme, sni: Option<Box<str>>, activity: Activity) -> Arc<Client> {
        let address = self.peer.ip().to_canonical().to_string();
        Arc::new(Client {
            forwarded_for: HeaderValue::try_from(address)
                .expect("an IP address has only header characters"),
            worker: self.worker,
            inlet: self.inlet,
            own: self.own,
            peer: self.peer,
            scheme,
            sni,
            access_log: self.shared.access_log,
            activity: Arc::new(activity),
            held: Mutex::default(),
        })
    }

    async fn http1<S>(
        self,
        stream: S,
        ahead: Bytes,
        scheme: Scheme,
        sni: Option<Box<str>>,
    ) -> CloseReason
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let caller = self.own.as_ref().map(Own::caller);
        let budget = caller.and_then(|caller| Some(caller.share()?.budget()));
        let client = self.client(scheme, sni, Activity::within(budget));
        h1::serve(client, stream, ahead).await
    }

    async fn http2<S>(
        self,
        stream: S,
        ahead: Bytes,
        scheme: Scheme,
        sni: Option<Box<str>>,
    ) -> CloseReason
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        h2::serve(self.client(scheme, sni, Activity::default()), stream, ahead).await
    }
}

/// A connection that is being served.
type Serving = std::pin::Pin<Box<dyn Future<Output = CloseReason> + Send>>;

/// Ends a future that panics instead of letting the panic end its thread's other work.
struct CatchPanic(Serving);

impl Future for CatchPanic {
    type Output = std::thread::Result<CloseReason>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        let future = self.0.as_mut();
        // After a panic the future is dropped and nothing of it is seen again.
        let poll = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| future.poll(cx)));
        match poll {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(output)) => std::task::Poll::Ready(Ok(output)),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    }
}
