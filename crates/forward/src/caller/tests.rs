//! Clients that bring a caller along: what leaves with whose sockets, and what waits for an identity.

use std::{
    collections::{BTreeMap, HashMap},
    io::ErrorKind,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use weft_certs::Expected;
use weft_ir::{
    Endpoint, EndpointSet, EndpointState, Frontend, FrontendProtocol, Name, Service, ServicePort,
    Tables, UpstreamProtocol,
};
use weft_telemetry::{
    access_log::AccessLog,
    metrics::{BuildInfo, LabelGroups, Registry},
};

use super::*;
use crate::{
    clock::Clock,
    connection::{Shared, accept, serve},
    live::{Configuration, InletKey, Live},
    members::{Answering, Members, Sender},
    worker::Workers,
};

const MEMBER: &str = "spiffe://cluster.local/ns/shop/sa/web";
const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: web\r\n\r\n";

/// Sockets of this process, counted.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Sockets for Counted {
    fn socket(&self, _to: SocketAddr) -> Awaited<'_> {
        self.0.fetch_add(1, SeqCst);
        Box::pin(async { TcpSocket::new_v4() })
    }
}

/// A pod, and how many sockets it was given.
fn pod() -> (Arc<Caller>, Arc<Counted>) {
    let sockets = Arc::new(Counted::default());
    let caller = Caller::elsewhere(Arc::clone(&sockets) as _, vec![[127, 0, 0, 1].into()]);
    (Arc::new(caller), sockets)
}

fn web() -> ServicePort {
    ServicePort {
        service: Name::new("shop", "web"),
        port: 80,
    }
}

/// A Service with one endpoint.
fn configuration(protocol: FrontendProtocol, endpoint: Endpoint) -> Configuration {
    let frontend = Frontend {
        port: 80,
        protocol,
        upstream: UpstreamProtocol::Http1,
        tls: None,
        fault: None,
        producer: None,
        consumers: BTreeMap::new(),
    };
    let service = Service {
        name: web().service,
        cluster_ips: vec![[10, 96, 0, 1].into()],
        ports: vec![Arc::new(frontend)],
    };
    let answering = Answering {
        door: None,
        expected: Expected::AnyTrusted,
    };
    Configuration {
        tables: Arc::new(Tables {
            services: BTreeMap::from([(web().service, Arc::new(service))]),
            ..Tables::default()
        }),
        members: Arc::new(Members {
            callers: HashMap::new(),
            answering: HashMap::from([(Arc::from(MEMBER), answering)]),
        }),
        endpoints: Arc::new(BTreeMap::from([(
            web(),
            Arc::new(EndpointSet::new(vec![endpoint])),
        )])),
        ..Configuration::default()
    }
}

fn at(address: SocketAddr, member: Option<&str>) -> Endpoint {
    Endpoint {
        address,
        state: EndpointState::Ready,
        pod: None,
        zone: None,
        member: member.map(Arc::from),
    }
}

/// A data path on this thread.
struct Here {
    workers: Workers,
    shared: Shared,
    inlet: Arc<crate::Inlet>,
}

impl Here {
    fn new(protocol: FrontendProtocol, endpoint: SocketAddr, member: Option<&str>) -> Self {
        Self::with(configuration(protocol, at(endpoint, member)))
    }

    /// Clients that bring no caller along have this one.
    fn shared(member: SocketAddr, caller: &Arc<Caller>) -> Self {
        let mut all = configuration(FrontendProtocol::Http, at(member, Some(MEMBER)));
        all.members = Arc::new(Members {
            callers: HashMap::from([(Sender::Namespace(Arc::from("client")), Arc::clone(caller))]),
            answering: all.members.answering.clone(),
        });
        Self::with(all)
    }

    fn with(configuration: Configuration) -> Self {
        let build = BuildInfo {
            version: "test",
            commit: "",
        };
        let registry = Registry::new(build, LabelGroups::default());
        let live = Arc::new(Live::new(registry.clone(), 1, 7));
        let applied = live.apply(configuration);
        applied.expect("no port of a Gateway");
        let key = InletKey::Mesh {
            service: web(),
            client_namespace: Arc::from("client"),
        };
        let inlet = live.inlet(&Arc::new(key)).expect("no port of a Gateway");
        Self {
            workers: Workers::here(Clock::start(), 7, &registry.tls()).expect("a runtime"),
            shared: Shared::new(AccessLog::off(), &registry, live),
            inlet,
        }
    }

    /// A client that brings no caller along.
    async fn anybody(&self) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let accepted = accepted.expect("accepted").0.into_std().expect("a socket");
        let dispatch = self.workers.dispatch();
        let (handle, inlet) = (dispatch.least_loaded(), Arc::clone(&self.inlet));
        accept(handle, &self.shared, inlet, accepted);
        client.expect("connected")
    }

    /// A client of that pod.
    async fn client(&self, caller: &Arc<Caller>) -> TcpStream {
        self.serving(caller).await.0
    }

    /// A client of that pod, and the task that serves it.
    async fn serving(&self, caller: &Arc<Caller>) -> (TcpStream, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let accepted = (accepted.expect("accepted").0, Arc::clone(caller));
        let dispatch = self.workers.dispatch();
        let (handle, inlet) = (dispatch.least_loaded(), Arc::clone(&self.inlet));
        let serving = tokio::spawn(serve(handle, &self.shared, inlet, accepted));
        (client.expect("connected"), serving)
    }
}

/// An application that answers every request, and how often it was connected to.
async fn application() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("its address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, SeqCst);
            tokio::spawn(async move {
                let mut heard = Vec::new();
                while stream.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {
                    if heard.ends_with(b"\r\n\r\n") {
                        heard.clear();
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(answer).await.expect("it is awaited");
                    }
                }
            });
        }
    });
    (address, connections)
}

/// The head of the next answer.
async fn answer(client: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    while !heard.windows(4).any(|it| it == b"\r\n\r\n") {
        let read = client.read_buf(&mut heard).await.expect("an answer");
        assert!(read > 0, "an answer, and not only its beginning");
    }
    String::from_utf8(heard).expect("text").to_lowercase()
}

async fn ask(client: &mut TcpStream) -> String {
    client.write_all(ASK).await.expect("open");
    answer(client).await
}

#[tokio::test]
async fn each_caller_connects_with_its_own_sockets_once_for_many_requests() {
    let (address, connections) = application().await;
    let here = Here::new(FrontendProtocol::Http, address, None);
    let ((one, of_one), (two, of_two)) = (pod(), pod());
    let mut clients = [here.client(&one).await, here.client(&two).await];
    for client in &mut clients {
        for _ in 0..3 {
            let answer = ask(client).await;
            assert!(answer.starts_with("http/1.1 200"), "{answer}");
        }
    }
    let mut another = here.client(&one).await;
    assert!(ask(&mut another).await.starts_with("http/1.1 200"));
    assert_eq!(connections.load(SeqCst), 2, "one for each pod");
    assert_eq!(of_one.0.load(SeqCst), 1, "which the next client shares");
    assert_eq!(of_two.0.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn without_an_identity_a_request_waits_and_is_refused() {
    let (address, connections) = application().await;
    let here = Here::new(FrontendProtocol::Http, address, Some(MEMBER));
    let (caller, sockets) = pod();
    let mut client = here.client(&caller).await;
    let started = Instant::now();
    let first = ask(&mut client).await;
    let waited = started.elapsed();
    assert!(first.starts_with("http/1.1 503"), "{first}");
    assert!(waited >= limits::NO_IDENTITY, "it was held: {waited:?}");
    assert!(waited < limits::NO_IDENTITY * 2, "and not for each attempt");
    assert!(ask(&mut client).await.starts_with("http/1.1 503"));
    let waited = started.elapsed() - waited;
    assert!(
        waited < limits::NO_IDENTITY,
        "a client has its patience once"
    );
    assert_eq!(sockets.0.load(SeqCst), 0, "nothing was sent anywhere");
    assert_eq!(connections.load(SeqCst), 0, "in plaintext least of all");
}

#[tokio::test(start_paused = true)]
async fn clients_that_share_a_caller_wait_for_its_identity_together() {
    let (address, connections) = application().await;
    let caller = Arc::new(Caller::here(vec![[127, 0, 0, 1].into()]));
    let here = Here::shared(address, &caller);
    let (mut first, mut second) = (here.anybody().await, here.anybody().await);
    let started = Instant::now();
    let refused = ask(&mut first).await;
    let waited = started.elapsed();
    assert!(refused.starts_with("http/1.1 503"), "{refused}");
    assert!(waited >= limits::NO_IDENTITY, "it was held: {waited:?}");
    assert!(waited < limits::NO_IDENTITY * 2, "and not for each attempt");
    assert!(ask(&mut second).await.starts_with("http/1.1 503"));
    let more = started.elapsed() - waited;
    assert!(
        more < limits::NO_IDENTITY / 2,
        "nobody waits anew: {more:?}"
    );
    assert_eq!(connections.load(SeqCst), 0, "nothing leaves in plaintext");
}

#[tokio::test(start_paused = true)]
async fn without_an_identity_an_opaque_connection_waits_and_is_reset() {
    let (address, connections) = application().await;
    let here = Here::new(FrontendProtocol::Opaque, address, Some(MEMBER));
    let (caller, _sockets) = pod();
    let mut client = here.client(&caller).await;
    let started = Instant::now();
    client.write_all(b"hello").await.expect("it is accepted");
    let ended = client.read_u8().await.map_err(|error| error.kind());
    assert_eq!(ended, Err(ErrorKind::ConnectionReset), "no orderly end");
    assert!(started.elapsed() >= limits::NO_IDENTITY, "it was held");
    assert_eq!(connections.load(SeqCst), 0, "nobody was called");
}

/// An application that takes every upgrade, and sends back what comes then.
async fn upgrading() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut heard).await.expect("a request");
        }
        let answer = b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        stream.write_all(answer).await.expect("it is awaited");
        let (mut from, mut to) = stream.split();
        // Ends with the connection, one way or the other.
        let _ended = tokio::io::copy(&mut from, &mut to).await;
    });
    address
}

#[tokio::test]
async fn an_upgraded_connection_is_served_to_its_end_or_until_it_is_cut() {
    for is_cut in [false, true] {
        let here = Here::new(FrontendProtocol::Http, upgrading().await, None);
        let (caller, _sockets) = pod();
        let (mut client, serving) = here.serving(&caller).await;
        let ask = b"GET / HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        client.write_all(ask).await.expect("open");
        let answer = answer(&mut client).await;
        assert!(answer.starts_with("http/1.1 101"), "{answer}");
        client.write_all(b"hello").await.expect("open");
        let mut heard = [0; 5];
        client.read_exact(&mut heard).await.expect("it comes back");
        caller.leave();
        assert!(!serving.is_finished(), "it goes on while its pod leaves");
        if is_cut {
            serving.abort();
        } else {
            client.shutdown().await.expect("open");
        }
        let mut rest = Vec::new();
        let ended = client.read_to_end(&mut rest).await;
        assert_eq!(ended.ok(), Some(0), "cut: {is_cut}");
        let served = serving.await;
        assert_eq!(served.is_err(), is_cut, "it was served to its end");
    }
}

mod leaving;
mod slow;
