//! The authority of a mesh whose pods a test serves, and somebody who calls these through tunnels.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpStream as StdStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::SystemTime,
};

use tokio::{
    net::TcpStream,
    runtime::Runtime,
    sync::{mpsc, watch},
};
use weft_certs::{
    Authority, Bundles, CheckedRequest, Clock, Expected, Identity, KeyAndRequest, LeafLife,
    SignError, Trust, TrustBundle,
};
use weft_intercept::Netns;
use weft_proxy::node::{Fed, Revision, Signer, Signing, Supply};
use weft_spiffe::{SpiffeId, TrustDomain};
use weft_tests::netns::{PATIENCE, Pod};
use weft_tunnel::{Connect, Dial, OpenError, Pool, Source, Stream, Target, Timing, wire};
use weft_wire::{
    Configuration,
    proto::identity::{SignRequest, SignResponse},
};

/// Signs for whoever asks, unless it is away, and remembers who did.
pub(super) struct MeshAuthority {
    authority: Authority,
    /// Roots besides its own, in DER, for which members are told to take certificates.
    also: Vec<Vec<u8>>,
    pub(super) is_away: AtomicBool,
    pub(super) asked: Mutex<Vec<SignRequest>>,
}

impl MeshAuthority {
    pub(super) fn new(domain: &str) -> Arc<Self> {
        Self::trusting(domain, Vec::new())
    }

    /// One that tells its members of other roots of the same domain.
    pub(super) fn trusting(domain: &str, also: Vec<Vec<u8>>) -> Arc<Self> {
        let domain = TrustDomain::parse(domain).expect("a trust domain");
        let authority = Authority::generate(&domain, now()).expect("randomness");
        Arc::new(Self {
            authority,
            also,
            is_away: AtomicBool::new(false),
            asked: Mutex::default(),
        })
    }

    /// What workers are supplied with: these members, by the node they are on.
    pub(super) fn supply(self: &Arc<Self>, members: &[&Pod]) -> (Supply, mpsc::Receiver<Fed>) {
        let peers = members.iter().flat_map(|pod| {
            let id: Arc<str> = pod.identity.as_str().into();
            pod.ips().map(|ip| (ip, Arc::clone(&id)))
        });
        let peers = BTreeMap::from([("node".into(), Arc::new(peers.collect()))]);
        let configuration = Configuration {
            peers: Arc::new(peers),
            ..Configuration::default()
        };
        let revision = Revision {
            number: 1,
            configuration,
        };
        let (fed, hears) = mpsc::channel(1024);
        let supply = Supply {
            configuration: watch::channel(Some(Arc::new(revision))).1,
            trusted: watch::channel(None).1,
            signer: Arc::clone(self) as Arc<dyn Signer>,
            fed,
        };
        (supply, hears)
    }

    /// The roots of the mesh, and those of others whom its members would trust, too.
    fn bundles(&self, also: &[&Self]) -> Bundles {
        let bundle = |it: &Self| {
            let roots = [it.authority.root_der().to_vec()];
            TrustBundle::from_der(it.authority.domain(), roots, now()).0
        };
        let own = Bundles::new(bundle(self), 1);
        also.iter().fold(own, |all, it| all.with(bundle(it), 1))
    }

    /// Somebody who is not served by a worker.
    pub(super) fn member(&self, id: &SpiffeId, also_trusted: &[&Self]) -> Identity {
        let request = KeyAndRequest::new(id).expect("randomness");
        let bundles = self.bundles(also_trusted);
        let chain = self.issue(request.der(), id).expect("a good request");
        let leaf = request.into_leaf(&chain, &bundles, now());
        let leaf = leaf.expect("a good certificate");
        Identity::new(leaf, Trust::new(bundles, Clock::system()))
    }

    fn issue(&self, der: &[u8], id: &SpiffeId) -> Result<Vec<Vec<u8>>, SignError> {
        let checked = CheckedRequest::parse(der, id);
        let checked = checked.map_err(|error| SignError::Denied(error.to_string()))?;
        let signed = self.authority.issue(&checked, LeafLife::default(), now())?;
        Ok(signed.chain)
    }
}

impl Signer for MeshAuthority {
    fn sign(&self, asked: SignRequest) -> Signing<'_> {
        Box::pin(async move {
            if self.is_away.load(SeqCst) {
                return Err(SignError::Retry("away".to_owned()));
            }
            let id = SpiffeId::parse(&asked.identity);
            let id = id.map_err(|error| SignError::Denied(error.to_string()))?;
            let chain = self.issue(&asked.csr_der, &id)?;
            self.asked.lock().expect("nobody panicked").push(asked);
            let own = self.authority.root_der().to_vec();
            let roots = std::iter::once(&own).chain(&self.also);
            Ok(SignResponse {
                chain: chain.into_iter().map(Into::into).collect(),
                roots: roots.map(|root| root.clone().into()).collect(),
                bundle_version: 1,
                not_after: 0,
            })
        })
    }
}

/// Calls pods through tunnels, from the network of a pod that is not captured.
pub(super) struct Client {
    pub(super) runtime: Runtime,
    pool: Pool,
    from: Namespace,
    address: std::net::IpAddr,
}

#[derive(Clone)]
struct Namespace(Arc<Netns>);

impl Client {
    pub(super) fn new(pod: &Pod) -> Self {
        Self {
            runtime: Runtime::new().expect("a runtime"),
            pool: Pool::new(Clock::system(), Timing::default()),
            from: Namespace(Arc::clone(&pod.netns)),
            address: pod.ip,
        }
    }

    /// Opens a stream to an application, in the name of `identity`, if `expected` answers.
    pub(super) fn open(
        &self,
        identity: &Identity,
        to: SocketAddr,
        expected: &SpiffeId,
    ) -> Result<Stream, OpenError> {
        let at = SocketAddr::new(to.ip(), wire::PORT);
        self.open_at(identity, (at, to), expected)
    }

    /// The same, by a tunnel that ends elsewhere.
    pub(super) fn open_at(
        &self,
        identity: &Identity,
        (at, to): (SocketAddr, SocketAddr),
        expected: &SpiffeId,
    ) -> Result<Stream, OpenError> {
        let source = Source::new(identity, None, self.from.clone()).expect("TLS 1.3 is there");
        let target = Target::new(at, Expected::exactly(expected.clone()));
        let connect = Connect::new(to, SocketAddr::new(self.address, 0));
        let opened = self.pool.open(&source, &target, &connect);
        Ok(self.runtime.block_on(opened)?.stream)
    }
}

impl Dial for Namespace {
    type Io = TcpStream;

    async fn dial(&self, endpoint: SocketAddr) -> io::Result<TcpStream> {
        let netns = Arc::clone(&self.0);
        let dialled = tokio::task::spawn_blocking(move || {
            let dialled = netns.within(|| StdStream::connect_timeout(&endpoint, PATIENCE));
            let stream = dialled.map_err(io::Error::other)??;
            stream.set_nonblocking(true)?;
            Ok::<_, io::Error>(stream)
        });
        let stream = dialled.await.map_err(io::Error::other)??;
        stream.set_nodelay(true)?;
        TcpStream::from_std(stream)
    }
}

/// The time of certificates, which is the machine's own.
fn now() -> SystemTime {
    Clock::system().now()
}
