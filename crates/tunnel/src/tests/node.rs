//! Two nodes in memory: members of one mesh, a listener with an application behind it, and a network
//! that counts who dials.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{Notify, mpsc, watch},
    time::Instant,
};
use weft_certs::{
    Authority, Bundles, CheckedRequest, Clock, Expected, Identity, KeyAndRequest, Leaf, LeafLife,
    PeerIdentity, Reading, Trust, TrustBundle,
};
use weft_spiffe::{SpiffeId, TrustDomain};

use crate::{
    Connect, Dial, Inbound, Incoming, Place, Pool, Refusal, ServeError, Server, Source, Target,
    Timing, wire::PORT,
};

pub(crate) const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";
pub(crate) const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// Ports of the application, by what it does there.
pub(crate) const ECHO: u16 = 80;
pub(crate) const REFUSES: u16 = 81;
pub(crate) const NEVER_READS: u16 = 82;
pub(crate) const RESETS: u16 = 83;
pub(crate) const PANICS: u16 = 84;
pub(crate) const WAITS: u16 = 85;
pub(crate) const LISTENS: u16 = 86;
pub(crate) const READS_ONCE: u16 = 87;
pub(crate) const DENIED: u16 = 90;

/// The day of the tests.
pub(crate) fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) fn id(uri: &str) -> SpiffeId {
    SpiffeId::parse(uri).expect("a SPIFFE ID")
}

pub(crate) fn pod(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

pub(crate) fn caller() -> SocketAddr {
    SocketAddr::from(([10, 0, 9, 9], 40_000))
}

/// Follows the clock of the runtime, which tests move.
pub(crate) fn clock() -> Clock {
    let origin = Instant::now();
    Clock::from_fn(move || Reading {
        wall: wall() + origin.elapsed(),
        monotonic: origin.elapsed(),
    })
}

/// The authority of a mesh, and the clock of its members.
pub(crate) struct Mesh {
    authority: Authority,
    pub(crate) clock: Clock,
}

impl Mesh {
    pub(crate) fn new() -> Self {
        let domain = TrustDomain::parse("cluster.local").expect("a trust domain");
        Self {
            authority: Authority::generate(&domain, wall()).expect("randomness"),
            clock: clock(),
        }
    }

    pub(crate) fn bundles(&self, version: u64) -> Bundles {
        let roots = [self.authority.root_der().to_vec()];
        let (bundle, refused) = TrustBundle::from_der(self.authority.domain(), roots, wall());
        assert!(refused.is_empty(), "the root is good");
        Bundles::new(bundle, version)
    }

    pub(crate) fn leaf(&self, uri: &str) -> Leaf {
        let request = KeyAndRequest::new(&id(uri)).expect("randomness");
        let checked = CheckedRequest::parse(request.der(), &id(uri)).expect("our own request");
        let now = self.clock.now();
        let signed = self
            .authority
            .issue(&checked, LeafLife::default(), now)
            .expect("a good request");
        request
            .into_leaf(&signed.chain, &self.bundles(1), now)
            .expect("a good answer")
    }

    pub(crate) fn member(&self, uri: &str) -> Identity {
        let trust = Trust::new(self.bundles(1), self.clock.clone());
        Identity::new(self.leaf(uri), trust)
    }
}

/// What the application of the listener sees.
#[derive(Debug, Default)]
pub(crate) struct App {
    /// Lets a waiting `CONNECT` to [`WAITS`] be answered.
    pub(crate) go: Notify,
    pub(crate) refused: Mutex<Vec<&'static str>>,
    pub(crate) panics: AtomicUsize,
    /// How reading ended on [`LISTENS`]: the bytes, or the reason of the error.
    pub(crate) heard: Mutex<Vec<Result<usize, &'static str>>>,
    pub(crate) heard_more: Notify,
}

/// The listener of a pod with [`App`] behind it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pod(pub(super) Arc<App>);

impl Place for Pod {
    fn is_local(&self, address: IpAddr) -> bool {
        address == pod(0).ip() || address.to_string() == "fd00::1"
    }

    fn backs(&self, host: &str, port: u16) -> Option<SocketAddr> {
        match host {
            "echo.shop.svc" => Some(pod(port)),
            // As it would be if the control plane were wrong.
            "moved.shop.svc" => Some(SocketAddr::from(([10, 0, 0, 2], port))),
            _ => None,
        }
    }

    fn permits(&self, _peer: &PeerIdentity, destination: SocketAddr) -> bool {
        destination.port() != DENIED
    }
}

impl Inbound for Pod {
    fn carry(&self, incoming: Incoming) -> impl Future<Output = ()> + Send + 'static {
        serve(Arc::clone(&self.0), incoming)
    }

    fn refused(&self, _peer: &PeerIdentity, refusal: &Refusal) {
        let mut refused = self.0.refused.lock().expect("no panic holds it");
        refused.push(refusal.reason());
    }

    fn panicked(&self) {
        self.0.panics.fetch_add(1, SeqCst);
    }
}

async fn serve(app: Arc<App>, incoming: Incoming) {
    let destination = incoming.destination();
    if destination.port() == REFUSES {
        return incoming.refuse(&Refusal::AppRefused(destination));
    }
    assert_ne!(destination.port(), PANICS, "a defect, on purpose");
    if destination.port() == WAITS {
        app.go.notified().await;
    }
    let Ok(mut stream) = incoming.accept(None) else {
        return;
    };
    match destination.port() {
        NEVER_READS => std::future::pending().await,
        RESETS => {
            drop(stream.read_u8().await);
            stream.reset();
        }
        READS_ONCE => {
            stream.read_u8().await.ok();
            std::future::pending().await
        }
        LISTENS => {
            let mut bytes = Vec::new();
            let read = stream.read_to_end(&mut bytes).await;
            let heard =
                read.map_err(|error| crate::StreamError::of(&error).map_or("?", |e| e.reason()));
            app.heard.lock().expect("no panic holds it").push(heard);
            app.heard_more.notify_one();
        }
        _ => echo(&mut stream).await,
    }
}

async fn echo(stream: &mut crate::Stream) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    drop(stream.shutdown().await);
}

/// Where dialled connections arrive.
pub(crate) type Arrivals = mpsc::Receiver<DuplexStream>;

/// Sockets of one pod, which all lead to the same place.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    arrivals: mpsc::Sender<DuplexStream>,
    pub(crate) dials: Arc<AtomicUsize>,
}

impl Net {
    pub(crate) fn new() -> (Self, Arrivals) {
        let (arrivals, there) = mpsc::channel(64);
        let dials = Arc::new(AtomicUsize::new(0));
        (Self { arrivals, dials }, there)
    }

    pub(crate) fn dialled(&self) -> usize {
        self.dials.load(SeqCst)
    }
}

impl Dial for Net {
    type Io = DuplexStream;

    async fn dial(&self, _endpoint: SocketAddr) -> io::Result<DuplexStream> {
        self.dials.fetch_add(1, SeqCst);
        let (near, far) = duplex(256 * 1024);
        let sent = self.arrivals.send(far).await;
        sent.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(near)
    }
}

/// A client's pool and the node it calls.
pub(crate) struct World {
    pub(crate) mesh: Mesh,
    pub(crate) web: Identity,
    pub(crate) cart: Identity,
    pub(crate) net: Net,
    pub(crate) pool: Pool,
    pub(crate) source: Source<Net>,
    pub(crate) target: Target,
    pub(crate) app: Arc<App>,
    pub(crate) draining: watch::Sender<()>,
    pub(crate) ended: mpsc::Receiver<&'static str>,
}

impl World {
    /// A pool as `WEB`, and `CART` that serves.
    pub(crate) fn new() -> Self {
        Self::of(Mesh::new(), None)
    }

    /// The same, where the server has another mesh's identity.
    pub(crate) fn of(mesh: Mesh, servers: Option<&Mesh>) -> Self {
        let (net, arrivals) = Net::new();
        let (web, cart) = (mesh.member(WEB), servers.unwrap_or(&mesh).member(CART));
        let listener = Pod::default();
        let app = Arc::clone(&listener.0);
        let (draining, drained) = watch::channel(());
        let server = Server::new(&cart, mesh.clock.clone(), Timing::default()).expect("TLS 1.3");
        let (tell, ended) = mpsc::channel(64);
        tokio::spawn(listen(arrivals, server, listener, drained, tell));
        Self {
            pool: Pool::new(mesh.clock.clone(), Timing::default()),
            source: Source::new(&web, Some(caller().ip()), net.clone()).expect("TLS 1.3"),
            target: Target::new(pod(PORT), Expected::exactly(id(CART))),
            mesh,
            web,
            cart,
            net,
            app,
            draining,
            ended,
        }
    }

    pub(crate) async fn open(&self, port: u16) -> Result<crate::Stream, crate::OpenError> {
        let connect = Connect::new(pod(port), caller());
        let opened = self.pool.open(&self.source, &self.target, &connect).await;
        opened.map(|opened| opened.stream)
    }
}

/// Serves what arrives, and tells how each connection ended.
pub(crate) async fn listen(
    mut arrivals: Arrivals,
    server: Server,
    pod: Pod,
    drained: watch::Receiver<()>,
    tell: mpsc::Sender<&'static str>,
) {
    while let Some(io) = arrivals.recv().await {
        let (server, pod, tell) = (server.clone(), pod.clone(), tell.clone());
        let mut drained = drained.clone();
        // Those who come later are served.
        drained.mark_unchanged();
        tokio::spawn(async move {
            let draining = async move {
                if drained.changed().await.is_err() {
                    std::future::pending().await
                }
            };
            let served = server.serve(io, &pod, draining).await;
            let reason = served.as_ref().map_or_else(ServeError::reason, |_| "ok");
            tell.send(reason).await.ok();
        });
    }
}

/// Sends `text` and reads as much back.
pub(crate) async fn check_echo(stream: &mut crate::Stream, text: &str) {
    stream
        .write_all(text.as_bytes())
        .await
        .expect("the stream is open");
    let mut back = vec![0; text.len()];
    stream
        .read_exact(&mut back)
        .await
        .expect("the stream is open");
    assert_eq!(back, text.as_bytes(), "what was sent comes back");
}
