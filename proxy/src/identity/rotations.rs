//! The root of a mesh is replaced while its members talk to each other: real keys, certificates and
//! handshakes, under a clock that jumps from event to event.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::duplex,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep},
};
use weft_certs::{
    Authority, BuiltIn, CheckedRequest, Expected, Identity, IdentityAcceptor, IdentityConnector,
    IssuerRef, Issuers, LeafLife, NodeReport, Rotation, Signer, SignerRoots, StepInput,
};
use weft_spiffe::SpiffeId;
use weft_wire::proto::config::WorkerTrusts;

use super::{
    Csr, Identities, Own, Signed, Trust,
    tests::{authority, clock, identities},
};

const NODES: u32 = 3;
const ACCOUNTS: [&str; 3] = ["web", "cart", "pay"];
/// Over which time renewals are spread that a rotation asks for.
const SPREAD: Duration = Duration::from_secs(120);
/// Longest time after which a node hears of something.
const LAG: Duration = Duration::from_secs(20);
/// Between two calls.
const CALL: Duration = Duration::from_secs(5);

/// The control plane: it signs, announces, and goes on with a rotation when everybody has followed.
struct ControlPlane {
    signer: Arc<BuiltIn>,
    made: RefCell<Vec<Arc<Authority>>>,
    rotation: RefCell<Rotation>,
}

fn reference(authority: &Authority) -> IssuerRef {
    IssuerRef {
        issuer: authority.issuer_fingerprint(),
        root: authority.root_fingerprint(),
    }
}

impl ControlPlane {
    fn new() -> Self {
        let first = Arc::new(authority());
        let signer = BuiltIn::new(Issuers {
            signing: Arc::clone(&first),
            also_trusted: Vec::new(),
            bundle_version: 1,
        });
        Self {
            signer: Arc::new(signer),
            rotation: RefCell::new(Rotation::stable(reference(&first))),
            made: RefCell::new(vec![first]),
        }
    }

    fn begin(&self, input: &StepInput<'_>) {
        let new = Arc::new(authority());
        let reference = reference(&new);
        self.made.borrow_mut().push(new);
        let rotation = self.rotation.borrow().clone();
        self.enter(rotation.begin(reference, input));
    }

    fn step(&self, input: &StepInput<'_>) {
        let rotation = self.rotation.borrow().clone();
        self.enter(rotation.step(input).rotation);
    }

    fn phase(&self) -> u8 {
        self.rotation.borrow().phase()
    }

    /// Signs and announces as the phase says.
    fn enter(&self, rotation: Rotation) {
        if *self.rotation.borrow() == rotation {
            return;
        }
        let made = self.made.borrow();
        let signing = rotation.signing();
        let signs = made.iter().find(|it| reference(it) == *signing);
        let roots = rotation.roots();
        let others = made.iter().filter(|it| {
            let root = it.root_fingerprint();
            root != signing.root && roots.contains(&root.as_str())
        });
        self.signer.replace(Issuers {
            signing: Arc::clone(signs.expect("it was made")),
            also_trusted: others.map(|it| it.root_der().to_vec()).collect(),
            bundle_version: rotation.bundle_version(),
        });
        drop(made);
        self.rotation.replace(rotation);
    }
}

/// A node: a worker with a few identities, and its parent.
struct Node {
    held: watch::Receiver<WorkerTrusts>,
    members: Vec<(Own, Identity)>,
    _parent: JoinSet<()>,
}

impl Node {
    async fn start(number: u32, signer: &Arc<BuiltIn>) -> Self {
        let (reports, asked) = mpsc::channel(64);
        let identities = identities(reports, number.into());
        // Some nodes hear of everything early, others late.
        let lag = LAG * (2 * number + 1) / (2 * NODES);
        let mut parent = JoinSet::new();
        parent.spawn(announce(identities.clone(), signer.roots(), lag));
        parent.spawn(pass_on(identities.clone(), asked, Arc::clone(signer)));
        let mut members = Vec::new();
        for account in ACCOUNTS {
            let id = format!("spiffe://cluster.local/ns/shop/sa/{account}");
            let uid = format!("{account}-{number}");
            let own = identities.of(&id, &uid).expect("an identity");
            let ready = own.comes().await.expect("it is signed");
            members.push((own, ready.identity));
        }
        Self {
            held: identities.held(),
            members,
            _parent: parent,
        }
    }
}

/// Tells a worker whom to trust, a while after that is announced.
async fn announce(identities: Identities, mut roots: watch::Receiver<SignerRoots>, lag: Duration) {
    loop {
        let SignerRoots {
            roots: ders,
            version,
            issuer,
            ..
        } = roots.borrow_and_update().clone();
        identities.trust(Trust {
            version,
            roots: ders.into_iter().map(Into::into).collect(),
            issuer,
            renew_within_ms: u64::try_from(SPREAD.as_millis()).expect("minutes"),
        });
        if roots.changed().await.is_err() {
            return;
        }
        sleep(lag).await;
    }
}

/// Has certificates signed, which takes a moment.
async fn pass_on(identities: Identities, mut asked: mpsc::Receiver<Csr>, signer: Arc<BuiltIn>) {
    let clock = clock();
    while let Some(csr) = asked.recv().await {
        let id = SpiffeId::parse(&csr.identity).expect("an identity");
        let checked = CheckedRequest::parse(&csr.der, &id).expect("a good request");
        let SignerRoots { roots, version, .. } = signer.roots().borrow().clone();
        let signed = signer.sign(&checked, LeafLife::default(), clock.now());
        let signed = signed.await;
        let chain = signed.expect("it is signed").chain;
        sleep(Duration::from_millis(50)).await;
        identities.answered(Signed {
            ask: csr.ask,
            chain: chain.into_iter().map(Into::into).collect(),
            roots: roots.into_iter().map(Into::into).collect(),
            bundle_version: version,
            ..Signed::default()
        });
    }
}

/// Everything together.
struct World {
    began: Instant,
    control_plane: ControlPlane,
    nodes: Vec<Node>,
    calls: Cell<usize>,
    failed: Cell<usize>,
}

impl World {
    async fn start() -> Self {
        let control_plane = ControlPlane::new();
        let mut nodes = Vec::new();
        for number in 0..NODES {
            nodes.push(Node::start(number, &control_plane.signer).await);
        }
        Self {
            began: Instant::now(),
            control_plane,
            nodes,
            calls: Cell::default(),
            failed: Cell::default(),
        }
    }

    /// What the control plane hears: parents follow at once, so workers are who is waited for.
    fn reports(&self) -> Vec<NodeReport> {
        let rotation = self.control_plane.rotation.borrow();
        let newest = match &*rotation {
            Rotation::Stable { current, .. } => current,
            Rotation::Distribute { new, .. }
            | Rotation::Activate { new, .. }
            | Rotation::Retire { new, .. } => new,
        };
        let report = |(number, node): (usize, &Node)| {
            let held = node.held.borrow();
            let old = held.leaves.iter().filter(|(of, _)| **of != newest.issuer);
            NodeReport {
                node: number.to_string(),
                bundle_version: held.bundle_version,
                old_leaves: old.map(|(_, count)| *count as usize).sum(),
            }
        };
        self.nodes.iter().enumerate().map(report).collect()
    }

    /// One look of the control plane, at which it goes on if it may.
    fn look(&self, asks: bool, forced: bool) {
        let reports = self.reports();
        let input = StepInput {
            now_unix_s: i64::try_from(self.began.elapsed().as_secs()).expect("a day or so"),
            reports: &reports,
            max_leaf_life_s: 24 * 3600,
            forced,
        };
        match asks {
            true => self.control_plane.begin(&input),
            false => self.control_plane.step(&input),
        }
    }

    /// Everybody of a node calls somebody of the next; the numbers of calls choose who and whom.
    async fn call(&self) {
        let call = self.calls.get();
        self.calls.set(call + 1);
        let pick = |node: usize, member: usize| {
            let node = &self.nodes[node % self.nodes.len()];
            &node.members[member % node.members.len()].1
        };
        let client = pick(call, call / 3);
        let server = pick(call + 1, call / 9);
        let connector = IdentityConnector::new(client).expect("TLS 1.3");
        let acceptor = IdentityAcceptor::new(server).expect("TLS 1.3");
        let (here, there) = duplex(64 << 10);
        let expected = Expected::exactly(server.id());
        let (connected, accepted) =
            tokio::join!(connector.connect(here, &expected), acceptor.accept(there));
        if connected.is_err() || accepted.is_err() {
            self.failed.set(self.failed.get() + 1);
        }
    }

    /// Replaces the root under load; how long that took.
    async fn rotate(&self, forced: bool) -> Duration {
        let began = Instant::now();
        self.look(true, forced);
        assert_eq!(self.control_plane.phase(), 1, "a rotation begins");
        while self.control_plane.phase() > 0 {
            self.call().await;
            sleep(CALL).await;
            self.look(false, forced);
        }
        began.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn three_roots_are_replaced_under_load_and_no_handshake_fails() {
    let world = World::start().await;
    for rotation in 1..=3 {
        let took = world.rotate(false).await;
        assert_eq!(world.failed.get(), 0, "of {}", world.calls.get());
        assert!(took > LAG, "nobody is left behind: {took:?}");
        let spread = SPREAD + LAG * 4;
        assert!(
            took < spread,
            "renewals are spread over {spread:?}: {took:?}"
        );
        let held = world.nodes.iter().map(|node| node.held.borrow().clone());
        let newest = 1 + 2 * rotation;
        for held in held {
            assert_eq!(held.bundle_version, newest, "the old root is taken back");
            assert_eq!(held.leaves.values().sum::<u32>(), 3, "all are counted");
            assert_eq!(held.leaves.len(), 1, "and of one issuer");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_passed_over_fails_and_is_back_as_soon_as_it_hears_of_that() {
    let world = World::start().await;
    world.rotate(true).await;
    // While some have heard of the end of the old root and others have not.
    for _ in 0..60 {
        world.call().await;
        sleep(Duration::from_secs(1)).await;
    }
    let failed = world.failed.get();
    assert!(failed > 0, "nobody was waited for");
    // With renewals in their own time that would go on for hours.
    for _ in 0..100 {
        world.call().await;
    }
    assert_eq!(world.failed.get(), failed, "everybody is known again");
}
