//! A mesh on loopback: pods that dial, members that answer on an address of their own, and applications
//! that say who they are.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use weft_certs::{
    Authority, Bundles, CheckedRequest, Clock, Identity, KeyAndRequest, LeafLife, PeerIdentity,
    Trust, TrustBundle,
};
use weft_forward::Caller;
use weft_ir::{
    Endpoint, EndpointSet, EndpointState, Frontend, FrontendProtocol, Name, Peers, RouteSet,
    Service, ServicePort, Tables, UpstreamProtocol,
};
use weft_spiffe::{SpiffeId, TrustDomain};
use weft_telemetry::{
    access_log::AccessLog,
    metrics::{BuildInfo, LabelGroups, Registry},
};
use weft_tunnel::{Inbound, Incoming, Place, Refusal, Server, Timing, relay, wire};

use super::{super::*, Host};

pub(super) const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";
pub(super) const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// An address of loopback that nobody else in this process has.
pub(super) fn address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [high, low] = u16::try_from(std::process::id() % 0x1_0000)
        .expect("it is a remainder")
        .to_be_bytes();
    // The second byte is one that nobody's fixed addresses have.
    Ipv4Addr::new(127, 64 | (high % 64), low, NEXT.fetch_add(1, SeqCst)).into()
}

/// Signs for everybody.
pub(super) struct Mesh(Authority);

impl Mesh {
    pub(super) fn new() -> Self {
        let domain = TrustDomain::parse("cluster.local").expect("a trust domain");
        let now = Clock::system().now();
        Self(Authority::generate(&domain, now).expect("randomness"))
    }

    pub(super) fn identity(&self, id: &str) -> Identity {
        let (clock, id) = (Clock::system(), SpiffeId::parse(id).expect("an ID"));
        let roots = [self.0.root_der().to_vec()];
        let (bundle, _) = TrustBundle::from_der(self.0.domain(), roots, clock.now());
        let bundles = Bundles::new(bundle, 1);
        let request = KeyAndRequest::new(&id).expect("randomness");
        let checked = CheckedRequest::parse(request.der(), &id).expect("our own request");
        let signed = self.0.issue(&checked, LeafLife::default(), clock.now());
        let chain = signed.expect("a good request").chain;
        let leaf = request.into_leaf(&chain, &bundles, clock.now());
        Identity::new(leaf.expect("a good answer"), Trust::new(bundles, clock))
    }

    /// A member that answers on `at` as `id`; how many streams have come through tunnels.
    pub(super) async fn member(&self, at: IpAddr, id: &str) -> Arc<AtomicUsize> {
        let server = Server::new(&self.identity(id), Clock::system(), Timing::default());
        let server = server.expect("TLS 1.3");
        let listener = TcpListener::bind((at, wire::PORT)).await;
        let listener = listener.expect("an address of its own");
        let streams = Arc::new(AtomicUsize::new(0));
        let behind = Behind(Arc::clone(&streams));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, behind) = (server.clone(), behind.clone());
                tokio::spawn(async move {
                    // Whom it does not serve the client says.
                    let _served = server.serve(stream, &behind, std::future::pending()).await;
                });
            }
        });
        streams
    }
}

#[derive(Clone)]
struct Behind(Arc<AtomicUsize>);

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
        self.0.fetch_add(1, SeqCst);
        async move {
            let destination = incoming.destination();
            match TcpStream::connect(destination).await {
                Ok(mut local) => {
                    let mut tunnel = incoming.accept(None).expect("it is awaited");
                    let idle = Duration::from_secs(60);
                    drop(relay(local.split(), &mut tunnel, idle).await);
                }
                Err(_) => incoming.refuse(&Refusal::AppRefused(destination)),
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

/// An application on `at` that answers every request with its name, and greets who asks for nothing.
pub(super) async fn application(at: IpAddr, name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((at, 0)).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, name));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, name: &str) -> io::Result<Infallible> {
    let mut heard = Vec::new();
    loop {
        if stream.read_buf(&mut heard).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if heard.ends_with(b"\r\n\r\n") {
            heard.clear();
            let length = name.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}");
            stream.write_all(answer.as_bytes()).await?;
        }
    }
}

/// What the control plane says.
#[derive(Default)]
pub(super) struct World {
    services: BTreeMap<Name, Arc<Service>>,
    endpoints: BTreeMap<ServicePort, Arc<EndpointSet>>,
    peers: Arc<Peers>,
}

pub(super) fn port(name: &str) -> ServicePort {
    ServicePort {
        service: Name::new("shop", name),
        port: 80,
    }
}

/// The ClusterIP of a Service, by its number.
pub(super) fn vip(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 96, 0, number], 80))
}

impl World {
    /// A Service on [`vip`]`(number)` with these endpoints, each with its identity if it is a member.
    pub(super) fn service(
        mut self,
        (name, number): (&str, u8),
        endpoints: &[(SocketAddr, Option<&str>)],
        routes: Option<RouteSet>,
    ) -> Self {
        let frontend = Frontend {
            port: 80,
            protocol: match &routes {
                Some(_) => FrontendProtocol::Http,
                None => FrontendProtocol::Opaque,
            },
            upstream: UpstreamProtocol::Http1,
            tls: None,
            fault: None,
            producer: routes.map(Arc::new),
            consumers: BTreeMap::new(),
        };
        let named = port(name);
        let service = Service {
            name: named.service.clone(),
            cluster_ips: vec![vip(number).ip()],
            ports: vec![Arc::new(frontend)],
        };
        let endpoint = |(address, member): &(SocketAddr, Option<&str>)| Endpoint {
            address: *address,
            state: EndpointState::Ready,
            pod: None,
            zone: None,
            member: member.map(Arc::from),
        };
        let endpoints = endpoints.iter().map(endpoint).collect();
        self.services
            .insert(named.service.clone(), Arc::new(service));
        self.endpoints
            .insert(named, Arc::new(EndpointSet::new(endpoints)));
        self
    }

    pub(super) fn peers(mut self, peers: Arc<Peers>) -> Self {
        self.peers = peers;
        self
    }

    pub(super) fn configuration(self) -> weft_wire::Configuration {
        weft_wire::Configuration {
            tables: Arc::new(Tables {
                services: self.services,
                ..Tables::default()
            }),
            endpoints: Arc::new(self.endpoints),
            peers: self.peers,
            ..weft_wire::Configuration::default()
        }
    }
}

/// The outbound half of a worker, on this thread.
pub(super) fn outbound() -> Outbound {
    let build = BuildInfo {
        version: "test",
        commit: "",
    };
    let config = Config {
        registry: Registry::new(build, LabelGroups::default()),
        access_log: AccessLog::off(),
        seed: 7,
        platform: None,
    };
    Outbound::start(config).expect("a runtime")
}

/// A pod that dials.
pub(super) struct Pod {
    origin: Arc<Origin>,
}

impl Pod {
    /// One of the namespace `client`; without an identity as yet.
    pub(super) fn new() -> Self {
        let ips = vec![address()];
        let origin = Origin {
            namespace: Arc::from("client"),
            caller: Arc::new(Caller::elsewhere(Arc::new(Host), ips.clone())),
            ips,
        };
        Self {
            origin: Arc::new(origin),
        }
    }

    pub(super) fn who_is(self, identity: &Identity) -> Self {
        self.origin.caller.identify(identity).expect("TLS 1.3");
        self
    }

    /// Its own address.
    pub(super) fn ip(&self) -> IpAddr {
        self.origin.ips[0]
    }

    /// Dials, as if it were captured; what becomes of it comes with the task.
    pub(super) async fn dial(
        &self,
        outbound: &Outbound,
        wanted: SocketAddr,
    ) -> (TcpStream, JoinHandle<Result<(), Failure>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (outbound, origin) = (outbound.clone(), Arc::clone(&self.origin));
        let carried = tokio::spawn(async move {
            let stream = accepted.expect("accepted").0;
            crate::shard::passing::settle(&stream)?;
            outbound.serve(&origin, stream, wanted).await
        });
        (client.expect("connected"), carried)
    }

    /// Asks over a connection of its own; the status and the text of the answer.
    pub(super) async fn ask(
        &self,
        outbound: &Outbound,
        wanted: SocketAddr,
        fields: &str,
    ) -> (u16, String) {
        let (mut client, carried) = self.dial(outbound, wanted).await;
        let head = format!("GET / HTTP/1.1\r\nhost: web\r\n{fields}connection: close\r\n\r\n");
        client.write_all(head.as_bytes()).await.expect("open");
        let mut heard = Vec::new();
        while !is_whole(&heard) && client.read_buf(&mut heard).await.is_ok_and(|it| it > 0) {}
        drop(client);
        let _carried = carried.await.expect("no panic");
        let heard = String::from_utf8(heard).expect("text");
        let (head, text) = heard.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        (status.unwrap_or_default(), text.to_owned())
    }
}

/// Whether an answer has all of its text.
fn is_whole(heard: &[u8]) -> bool {
    let heard = String::from_utf8_lossy(heard).to_lowercase();
    heard.split_once("\r\n\r\n").is_some_and(|(head, text)| {
        let length = head
            .lines()
            .find_map(|it| it.strip_prefix("content-length: "));
        length.and_then(|it| it.parse().ok()) == Some(text.len())
    })
}
