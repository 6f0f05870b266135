//! A control plane as a proxy sees it, scripted: certificates for tokens, configurations over streams,
//! away when a test says so.

mod grpc;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use weft_api::AnyObject;
use weft_certs::{
    Authority, BootstrapAcceptor, BuiltIn, CheckedRequest, Clock, Identity, IdentityAcceptor,
    InProcess, Issuers, LeafLife, Renewer, TlsStream,
};
use weft_ir::{EndpointSet, Endpoints};
use weft_spiffe::{SpiffeId, TrustDomain};
use weft_store::Store;
use weft_translate::{EndpointTable, Scope as Surroundings, Translator};
use weft_wire::{
    Certificates, Configuration, Disassembler, Publisher, Scope, Session, Standing,
    proto::{
        config::{
            Bundle, ClientMessage, PodState, ServerMessage, Trusts, WorkerTrusts,
            client_message::Message, server_message,
        },
        identity::{SignRequest, SignResponse},
    },
};

use crate::{
    body::fed,
    trust::ca_bundles,
    wait::{Expected, eventually},
    world::World,
};

/// The token that the identity service takes.
pub const TOKEN: &str = "a-token-of-the-kubelet";
/// Who the control plane is.
const CONTROLLER: &str = "spiffe://cluster.local/ns/weft-system/sa/weft-controller";
/// Whom it configures: the proxy of a Gateway.
const PROXY: &str = "spiffe://cluster.local/ns/infra/sa/edge";
/// Or that of a node.
const NODE: &str = "spiffe://cluster.local/ns/weft-system/sa/weft-node";

/// A control plane. Dropping it ends it.
pub struct ControlPlane {
    shared: Arc<Shared>,
    identity: Identity,
    /// Where streams are served.
    pub config: SocketAddr,
    /// Where certificates are signed.
    pub signing: SocketAddr,
    serving: JoinSet<()>,
}

struct Shared {
    /// Whom it configures.
    proxy: &'static str,
    authority: Arc<Authority>,
    clock: Clock,
    state: Mutex<State>,
    generation: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// Sent to proxies that say whom they trust.
    bundle: Option<Bundle>,
    trusts: Option<Trusts>,
    publisher: Publisher,
    translator: Translator,
    disassembler: Option<Disassembler>,
    certificates: Arc<Certificates>,
    /// Endpoints that are members of the mesh.
    members: BTreeMap<SocketAddr, Arc<str>>,
    /// What a node has said of its pods, by UID.
    pods: BTreeMap<String, PodState>,
    /// Identities that were asked for, and for which pods.
    signed: BTreeSet<(String, String)>,
    /// How many certificates that makes.
    signatures: usize,
    /// With what the last stream was opened beside the certificate.
    token: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.clock.read().monotonic
    }

    /// Takes what a proxy says; what it is to be sent next, if it was an answer.
    fn heard(&self, session: Session, said: ClientMessage) -> Option<ServerMessage> {
        let now = self.now();
        let mut state = self.lock();
        match said.message {
            Some(Message::Trusts(trusts)) => {
                state.trusts = Some(trusts);
                None
            }
            Some(Message::Pods(report)) => {
                let pods = report.pods.into_iter();
                state.pods.extend(pods.map(|pod| (pod.uid.clone(), pod)));
                None
            }
            _ => {
                let next = state.publisher.answer(session, said, now);
                next.expected("an answer to what was sent")
            }
        }
    }
}

impl ControlPlane {
    /// A control plane that serves nothing yet, on two ports of loopback.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start() -> Self {
        Self::start_of(PROXY).await
    }

    /// The same for the proxy of a node.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start_of_node() -> Self {
        Self::start_of(NODE).await
    }

    /// One more of the same mesh, for the proxy of another node: it signs by the same root.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn beside(&self) -> Self {
        let authority = Arc::clone(&self.shared.authority);
        Self::signing_by(authority, self.shared.proxy).await
    }

    async fn start_of(proxy: &'static str) -> Self {
        let domain = TrustDomain::parse("cluster.local").expected("a trust domain");
        let now = Clock::system().now();
        let authority = Authority::generate(&domain, now).expected("an authority");
        Self::signing_by(Arc::new(authority), proxy).await
    }

    async fn signing_by(authority: Arc<Authority>, proxy: &'static str) -> Self {
        let clock = Clock::system();
        let signer = BuiltIn::new(Issuers {
            signing: Arc::clone(&authority),
            also_trusted: Vec::new(),
            bundle_version: 1,
        });
        let identity = identity(CONTROLLER, signer, clock.clone()).await;
        let (generation, _) = watch::channel(0);
        let shared = Shared {
            proxy,
            authority,
            clock,
            state: Mutex::default(),
            generation,
        };
        let mut control_plane = Self {
            shared: Arc::new(shared),
            identity,
            config: SocketAddr::from(([127, 0, 0, 1], 0)),
            signing: SocketAddr::from(([127, 0, 0, 1], 0)),
            serving: JoinSet::new(),
        };
        control_plane.come_back().await;
        control_plane
    }

    /// Ends every connection and refuses new ones.
    pub async fn go_away(&mut self) {
        self.serving.shutdown().await;
    }

    /// Serves again, where it served before.
    ///
    /// # Panics
    /// When the ports are gone.
    pub async fn come_back(&mut self) {
        let config = listen(self.config).await;
        let signing = listen(self.signing).await;
        self.config = config.local_addr().expected("its address");
        self.signing = signing.local_addr().expected("its address");
        let acceptor = IdentityAcceptor::new(&self.identity).expected("TLS 1.3");
        let shared = Arc::clone(&self.shared);
        self.serving.spawn(accept(config, move |tcp| {
            let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
            async move {
                let Ok((tls, peer)) = acceptor.accept(tcp).await else {
                    return;
                };
                assert_eq!(peer.id.to_string(), shared.proxy, "the proxy is itself");
                serve_streams(tls, shared).await;
            }
        }));
        let acceptor = BootstrapAcceptor::new(&self.identity).expected("TLS 1.3");
        let shared = Arc::clone(&self.shared);
        self.serving.spawn(accept(signing, move |tcp| {
            let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
            async move {
                let Ok(tls) = acceptor.accept(tcp).await else {
                    return;
                };
                serve_signing(tls, shared).await;
            }
        }));
    }

    /// Has another root: waits until the proxy trusts it beside the old one, and is known by it from
    /// then on. Connections end; the next ones are the proxy's matter.
    ///
    /// # Panics
    /// When the proxy does not say in time that it trusts it.
    pub async fn change_root(&mut self) {
        let Shared {
            authority, clock, ..
        } = &*self.shared;
        let new = Authority::generate(authority.domain(), clock.now()).expect("an authority");
        let roots = [authority.root_der(), new.root_der()].map(<[u8]>::to_vec);
        self.shared.lock().bundle = Some(Bundle {
            version: 2,
            roots: roots.iter().cloned().map(Into::into).collect(),
            issuer: authority.issuer_fingerprint(),
            ..Bundle::default()
        });
        self.shared.generation.send_modify(|_same| {});
        let said = || self.shared.lock().trusts.clone().unwrap_or_default();
        // A worker with a certificate, by which members know it.
        let is_there =
            |worker: &WorkerTrusts| worker.bundle_version == 2 && !worker.leaves.is_empty();
        let follows = || {
            let Trusts {
                bundle_version,
                workers,
                ..
            } = said();
            bundle_version == 2 && !workers.is_empty() && workers.iter().all(is_there)
        };
        let what = "the proxy and its worker trust both";
        eventually(crate::wait::PATIENCE, what, follows).await;
        assert_eq!(said().issuer, authority.issuer_fingerprint());
        let [old, _new] = roots;
        let signer = BuiltIn::new(Issuers {
            signing: Arc::new(new),
            also_trusted: vec![old],
            bundle_version: 2,
        });
        self.identity = identity(CONTROLLER, signer, clock.clone()).await;
        self.go_away().await;
        self.come_back().await;
    }

    /// The root that proxies are given, in PEM.
    ///
    /// # Panics
    /// Never: the authority has a root.
    #[must_use]
    pub fn root_pem(&self) -> String {
        let bundles = self.identity.trust().bundles();
        let own = bundles.get(bundles.own_domain());
        own.expect("the own domain is trusted").to_pem()
    }

    /// Sends certificates along with every configuration from now on.
    pub fn certificates(&self, certificates: Certificates) {
        self.shared.lock().certificates = Arc::new(certificates);
    }

    /// Tells of every configuration from now on that these endpoints are members of the mesh.
    pub fn members(&self, members: &[(SocketAddr, &str)]) {
        let members = members.iter().map(|(at, id)| (*at, Arc::from(*id)));
        self.shared.lock().members = members.collect();
    }

    /// An identity of the mesh, for somebody who is not asked about.
    pub async fn identity_of(&self, id: &str) -> Identity {
        let signer = BuiltIn::new(Issuers {
            signing: Arc::clone(&self.shared.authority),
            also_trusted: Vec::new(),
            bundle_version: 1,
        });
        identity(id, signer, self.shared.clock.clone()).await
    }

    /// How many certificates were signed for proxies.
    #[must_use]
    pub fn signatures(&self) -> usize {
        self.shared.lock().signatures
    }

    /// Publishes what the objects say for the Gateway `infra/edge`; returns the generation.
    ///
    /// # Panics
    /// When the world is no valid YAML.
    pub fn publish(&self, world: &World) -> u64 {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(world.yaml()).expected("the world is YAML");
        let mut store = Store::default();
        for document in documents {
            store.apply(AnyObject::parse(document).expected("an object of the world"));
        }
        let mut endpoints = EndpointTable::default();
        endpoints.update(&store);
        let mut state = self.shared.lock();
        let output = state
            .translator
            .translate(&store, &Surroundings::standalone());
        let configuration = Configuration {
            tables: output.tables,
            endpoints: Arc::new(with_members(endpoints.table(), &state.members)),
            certificates: Arc::clone(&state.certificates),
            ca_bundles: Arc::new(ca_bundles(&store)),
            ..Configuration::default()
        };
        let scope = || Scope::Gateway(weft_ir::Name::new("infra", "edge"));
        let disassembler = state
            .disassembler
            .get_or_insert_with(|| Disassembler::new(scope()));
        let snapshot = Arc::clone(disassembler.update(&configuration));
        let generation = *self.shared.generation.borrow() + 1;
        state.publisher.publish(generation, snapshot);
        drop(state);
        self.shared.generation.send_replace(generation);
        generation
    }

    /// Publishes a configuration as it is; returns the generation.
    pub fn publish_whole(&self, configuration: &Configuration) -> u64 {
        self.publish_part(Scope::Everything, configuration)
    }

    /// Publishes what the node of that name needs of a configuration; returns the generation.
    pub fn publish_to_node(&self, node: &str, configuration: &Configuration) -> u64 {
        self.publish_part(Scope::Node(node.into()), configuration)
    }

    fn publish_part(&self, scope: Scope, configuration: &Configuration) -> u64 {
        let mut state = self.shared.lock();
        let scoped = || Disassembler::new(scope);
        let disassembler = state.disassembler.get_or_insert_with(scoped);
        let snapshot = Arc::clone(disassembler.update(configuration));
        let generation = *self.shared.generation.borrow() + 1;
        state.publisher.publish(generation, snapshot);
        drop(state);
        self.shared.generation.send_replace(generation);
        generation
    }

    /// What a node has said last of a pod.
    #[must_use]
    pub fn pod(&self, uid: &str) -> Option<PodState> {
        self.shared.lock().pods.get(uid).cloned()
    }

    /// Whether a certificate of that identity was signed for that pod.
    #[must_use]
    pub fn has_signed(&self, identity: &str, pod_uid: &str) -> bool {
        let asked = (identity.to_owned(), pod_uid.to_owned());
        self.shared.lock().signed.contains(&asked)
    }

    /// With what the last stream was opened beside the certificate of the proxy.
    #[must_use]
    pub fn token(&self) -> Option<String> {
        self.shared.lock().token.clone()
    }

    /// What the proxy says it has.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.shared.lock().publisher.standing()
    }

    /// Publishes, and waits until the proxy says that it has it.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn publish_and_wait(&self, world: &World) -> Standing {
        let generation = self.publish(world);
        let has_it = || self.standing().generation == Some(generation);
        eventually(
            crate::wait::PATIENCE,
            "the proxy has the configuration",
            has_it,
        )
        .await;
        self.standing()
    }
}

/// The same endpoints, some of them as members of the mesh.
fn with_members(endpoints: &Endpoints, members: &BTreeMap<SocketAddr, Arc<str>>) -> Endpoints {
    let marked = |set: &EndpointSet| {
        let mut marked = set.all().to_vec();
        for endpoint in &mut marked {
            endpoint.member = members.get(&endpoint.address).cloned();
        }
        Arc::new(EndpointSet::new(marked))
    };
    let sets = endpoints.iter();
    sets.map(|(port, set)| (port.clone(), marked(set)))
        .collect()
}

/// An identity that does not have to be asked for.
async fn identity(id: &str, signer: BuiltIn, clock: Clock) -> Identity {
    let issuance = InProcess {
        signer: Arc::new(signer),
        life: LeafLife::default(),
        clock: clock.clone(),
    };
    let id = SpiffeId::parse(id).expected("an identity");
    let renewer = Renewer::new(&id, issuance, clock, || 0.5);
    renewer.expected("a workload").obtain().await
}

async fn listen(address: SocketAddr) -> TcpListener {
    TcpListener::bind(address)
        .await
        .expected("a port of the control plane")
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let (tcp, _peer) = listener.accept().await.expected("accept");
        connections.spawn(serve(tcp));
    }
}

async fn serve_streams(tls: TlsStream<TcpStream>, shared: Arc<Shared>) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let (feed, body) = fed();
            let token = request.headers().get("authorization");
            let token = token.and_then(|it| it.to_str().ok());
            shared.lock().token = token.map(str::to_owned);
            let mut messages = grpc::Messages::<ClientMessage>::of(request.into_body());
            tokio::spawn(async move {
                let Some(ClientMessage {
                    message: Some(Message::Hello(hello)),
                }) = messages.next().await
                else {
                    return;
                };
                assert!(hello.tunnels, "every proxy can be told of members");
                let session = shared.lock().publisher.connect(&hello).expected("a Hello");
                let mut generation = shared.generation.subscribe();
                loop {
                    let next = shared.lock().publisher.next(shared.now());
                    if let Some(message) = next
                        && !feed.data(grpc::frame(&message)).await
                    {
                        break;
                    }
                    tokio::select! {
                        answer = messages.next() => {
                            let Some(answer) = answer else { break };
                            if let Some(message) = shared.heard(session, answer)
                                && !feed.data(grpc::frame(&message)).await
                            {
                                break;
                            }
                        }
                        _ = generation.changed() => {
                            let bundle = shared.lock().bundle.take();
                            let message = bundle.map(server_message::Message::Bundle);
                            if message.is_some()
                                && !feed.data(grpc::frame(&ServerMessage { message })).await
                            {
                                break;
                            }
                        }
                    }
                }
                shared.lock().publisher.disconnect(session);
            });
            grpc::answer(body)
        }
    });
    serve(tls, service).await;
}

async fn serve_signing(tls: TlsStream<TcpStream>, shared: Arc<Shared>) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let token = request.headers().get("authorization").cloned();
            let expected = format!("Bearer {TOKEN}");
            assert_eq!(
                token.expect("a token"),
                expected.as_str(),
                "the proxy's token"
            );
            let mut messages = grpc::Messages::<SignRequest>::of(request.into_body());
            let asked = messages.next().await.expect("a request to sign");
            let id = SpiffeId::parse(&asked.identity).expected("an identity");
            let checked = CheckedRequest::parse(&asked.csr_der, &id).expected("a good request");
            let now = shared.clock.now();
            let signed = shared.authority.issue(&checked, LeafLife::default(), now);
            let signed = signed.expected("a certificate");
            let about = (asked.identity, asked.pod_uid);
            let mut state = shared.lock();
            state.signed.insert(about);
            state.signatures += 1;
            drop(state);
            let response = SignResponse {
                chain: signed.chain.into_iter().map(Into::into).collect(),
                roots: vec![shared.authority.root_der().to_vec().into()],
                bundle_version: 1,
                not_after: signed.not_after_unix_s,
            };
            grpc::answer(grpc::whole(&response))
        }
    });
    serve(tls, service).await;
}

async fn serve<S>(tls: TlsStream<TcpStream>, service: S)
where
    S: hyper::service::HttpService<
            hyper::body::Incoming,
            ResBody = crate::body::Body,
            Error = std::convert::Infallible,
            Future: Send + 'static,
        > + Send,
{
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(tls), service);
    // However it ends, the proxy sees it.
    let _ended = connection.await;
}
