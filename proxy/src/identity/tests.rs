//! Identities against a parent that answers when the test says so.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use weft_certs::{Authority, CheckedRequest, Clock, LeafLife, Reading};
use weft_spiffe::{SpiffeId, TrustDomain};
use weft_telemetry::metrics::{BuildInfo, LabelGroups, Registry};
use weft_wire::proto::config::WorkerTrusts;

use super::{Csr, Identities, Own, Signed, Trust};

const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";
const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// Longer than anything here takes, short of waiting for what never comes.
const LONG: Duration = Duration::from_secs(600);

fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// Follows the clock of the runtime, which stands until everybody waits.
pub(super) fn clock() -> Clock {
    let origin = Instant::now();
    Clock::from_fn(move || Reading {
        wall: wall() + origin.elapsed(),
        monotonic: origin.elapsed(),
    })
}

/// Those of a worker whose parent hears `reports`.
pub(super) fn identities(reports: mpsc::Sender<Csr>, seed: u64) -> Identities {
    Identities::new(reports, clock(), seed, &registry())
}

fn registry() -> Registry {
    let build = BuildInfo {
        version: "0.0.0",
        commit: "",
    };
    Registry::new(build, LabelGroups::default())
}

pub(super) fn authority() -> Authority {
    let domain = TrustDomain::parse("cluster.local").expect("a trust domain");
    Authority::generate(&domain, wall()).expect("randomness")
}

struct World {
    authority: Arc<Authority>,
    identities: Identities,
    registry: Registry,
    asked: mpsc::Receiver<Csr>,
}

impl World {
    fn new() -> Self {
        let (reports, asked) = mpsc::channel(64);
        let registry = registry();
        Self {
            authority: Arc::new(authority()),
            identities: Identities::new(reports, clock(), 7, &registry),
            registry,
            asked,
        }
    }

    fn own(&self, id: &str, uid: &str) -> Own {
        self.identities.of(id, uid).expect("an identity")
    }

    /// The next question.
    async fn csr(&mut self) -> Csr {
        let asked = self.asked.recv().await;
        asked.expect("a question for a certificate")
    }

    fn sign(&self, csr: &Csr) -> Signed {
        let id = SpiffeId::parse(&csr.identity).expect("an identity");
        let checked = CheckedRequest::parse(&csr.der, &id).expect("a good request");
        let life = LeafLife::default();
        let signed = self.authority.issue(&checked, life, wall());
        Signed {
            ask: csr.ask,
            chain: signed
                .expect("it is signed")
                .chain
                .into_iter()
                .map(Into::into)
                .collect(),
            roots: vec![self.authority.root_der().to_vec().into()],
            bundle_version: 1,
            ..Signed::default()
        }
    }

    async fn answer(&mut self) -> Csr {
        let csr = self.csr().await;
        self.identities.answered(self.sign(&csr));
        csr
    }

    fn is_silent(&mut self) -> bool {
        self.asked.try_recv().is_err()
    }
}

#[tokio::test(start_paused = true)]
async fn pods_of_an_account_share_its_identity() {
    let mut world = World::new();
    let (first, second) = (world.own(WEB, "uid-1"), world.own(WEB, "uid-2"));
    let other = world.own(CART, "uid-3");
    for _ in 0..2 {
        let csr = world.answer().await;
        let uid = if csr.identity == WEB {
            "uid-2"
        } else {
            "uid-3"
        };
        assert_eq!(csr.pod_uid, uid, "a pod that has {}", csr.identity);
    }
    let serial = |own: super::Ready| own.identity.leaf().info().serial.clone();
    let first = serial(first.ready(LONG).await.expect("it is signed"));
    let second = serial(second.ready(LONG).await.expect("it is signed"));
    let other = serial(other.ready(LONG).await.expect("it is signed"));
    assert_eq!(first, second, "one certificate for both pods");
    assert_ne!(first, other, "another account has its own");
    assert!(world.is_silent(), "nothing else was asked for");
}

#[tokio::test(start_paused = true)]
async fn an_identity_goes_with_its_last_pod() {
    let mut world = World::new();
    let (first, second) = (world.own(WEB, "uid-1"), world.own(WEB, "uid-2"));
    world.answer().await;
    let before = first.ready(LONG).await.expect("it is signed");
    let kept = Arc::downgrade(&first.kept);
    drop(first);
    assert!(kept.upgrade().is_some(), "somebody has it still");
    drop(second);
    assert!(kept.upgrade().is_none(), "nobody has it any more");
    let again = world.own(WEB, "uid-4");
    let csr = world.answer().await;
    assert_eq!(
        csr.pod_uid, "uid-4",
        "whose pods have gone is not asked with"
    );
    let after = again.ready(LONG).await.expect("it is signed");
    assert_ne!(
        before.identity.leaf().info().serial,
        after.identity.leaf().info().serial,
        "a key and a certificate of its own"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_leaves_is_not_asked_with_while_there_is_another() {
    let mut world = World::new();
    let (_stays, leaves) = (world.own(WEB, "uid-1"), world.own(WEB, "uid-2"));
    leaves.leaves();
    assert_eq!(world.answer().await.pod_uid, "uid-1", "the one that stays");
}

#[tokio::test(start_paused = true)]
async fn questions_are_repeated_until_they_are_answered() {
    let mut world = World::new();
    let own = world.own(WEB, "uid-1");
    let (lost, denied) = (world.csr().await, world.csr().await);
    assert_ne!(lost.ask, denied.ask, "a question of its own");
    assert_ne!(lost.der, denied.der, "with a key of its own");
    world.identities.answered(Signed {
        ask: denied.ask,
        error: "PERMISSION_DENIED".to_owned(),
        kind: 2,
        ..Signed::default()
    });
    let repeated = world.csr().await;
    // Whoever is answered late is answered nobody's question.
    world.identities.answered(world.sign(&lost));
    assert!(own.ready(Duration::ZERO).await.is_none(), "not yet");
    world.identities.answered(world.sign(&repeated));
    assert!(own.ready(LONG).await.is_some(), "at last");
}

#[tokio::test(start_paused = true)]
async fn who_was_refused_asks_anew_when_the_parent_says_whom_to_trust() {
    let mut world = World::new();
    let own = world.own(WEB, "uid-1");
    for _ in 0..5 {
        let csr = world.csr().await;
        world.identities.answered(Signed {
            ask: csr.ask,
            error: "UNAVAILABLE".to_owned(),
            kind: 1,
            ..Signed::default()
        });
    }
    // It has heard that, and would wait for seconds by now.
    let ready = own.ready(Duration::from_millis(1)).await;
    assert!(ready.is_none() && world.is_silent(), "it waits");
    world.identities.trust(Trust {
        version: 1,
        roots: vec![world.authority.root_der().to_vec().into()],
        issuer: world.authority.issuer_fingerprint(),
        ..Trust::default()
    });
    let told = Instant::now();
    world.answer().await;
    let waited = told.elapsed();
    assert!(waited < Duration::from_secs(1), "at once: {waited:?}");
    assert!(own.ready(LONG).await.is_some(), "and is answered");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_and_survives_a_silent_supervisor() {
    let mut world = World::new();
    let own = world.own(WEB, "uid-1");
    world.answer().await;
    let ready = own.ready(LONG).await.expect("it is signed");
    let serial = ready.identity.leaf().info().serial.clone();
    // Half a day later; nobody answers the first three questions.
    for _ in 0..3 {
        world.csr().await;
        assert_eq!(
            ready.identity.leaf().info().serial,
            serial,
            "what is valid stays in use"
        );
    }
    world.answer().await;
    // The next question comes when the answer has been taken, half a life later.
    world.csr().await;
    assert_ne!(ready.identity.leaf().info().serial, serial, "a new one");
}

#[tokio::test(start_paused = true)]
async fn roots_are_replaced_for_those_who_are_there_and_those_who_come() {
    let mut world = World::new();
    let next = authority();
    let trust = |version, issuer: String| Trust {
        version,
        roots: vec![
            world.authority.root_der().to_vec().into(),
            next.root_der().to_vec().into(),
        ],
        issuer,
        ..Trust::default()
    };
    let (second, third) = (
        trust(2, world.authority.issuer_fingerprint()),
        trust(3, next.issuer_fingerprint()),
    );
    let early = world.own(WEB, "uid-1");
    world.answer().await;
    let early = early.ready(LONG).await.expect("it is signed");
    let version = |ready: &super::Ready| ready.identity.trust().bundles().version();
    let end =
        "weft_trust_root_expiry_timestamp_seconds{holder=\"worker\",trust_domain=\"cluster.local\"";
    let shown = |world: &World| world.registry.encode().matches(end).count();
    assert_eq!(shown(&world), 1, "the end of its root is shown");
    world.identities.trust(second);
    assert_eq!(version(&early), 2, "who is there trusts it at once");
    assert_eq!(shown(&world), 2, "and the end of both is shown");
    assert!(world.is_silent(), "its issuer still issues");
    let late = world.own(CART, "uid-2");
    world.answer().await;
    let late = late.ready(LONG).await.expect("it is signed");
    assert_eq!(version(&late), 2, "who comes trusts the latest");
    let empty = Trust {
        version: 9,
        ..Trust::default()
    };
    world.identities.trust(empty);
    assert_eq!(version(&early), 2, "a bundle without roots is none");
    world.identities.trust(third);
    assert_eq!(version(&late), 3, "and so on");
    for _ in 0..2 {
        // Within ten minutes, and not at half of a life.
        let before = Instant::now();
        world.csr().await;
        let waited = before.elapsed();
        assert!(waited <= weft_certs::RENEW_WITHIN, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_identity_is_refused() {
    let world = World::new();
    for (row, id) in [
        ("nothing", ""),
        ("a name", "web"),
        ("without a path", "spiffe://cluster.local"),
    ] {
        let refused = world.identities.of(id, "uid-1");
        assert!(refused.is_err(), "{row}: {refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn how_long_each_identity_is_good_for_is_shown_while_it_is_there() {
    let mut world = World::new();
    let web = world.own(WEB, "uid-1");
    // The first question is refused, and asked again.
    let csr = world.csr().await;
    world.identities.answered(Signed {
        ask: csr.ask,
        error: "the pod is new".to_owned(),
        kind: 1,
        ..Signed::default()
    });
    world.answer().await;
    web.ready(LONG).await.expect("it is signed");
    let of = |rest: &str| format!("holder=\"worker\",identity=\"{WEB}\"{rest}");
    let text = world.registry.encode();
    for (line, meaning) in [
        (
            format!("cert_expiry_timestamp_seconds{{{}}} 1800086400", of("")),
            "a day from the first question on",
        ),
        (
            format!("cert_life_seconds{{{}}} 86400", of("")),
            "and it is good for a day",
        ),
        (
            format!("renewals_total{{{}}} 1", of(",result=\"ok\"")),
            "one came",
        ),
        (
            format!(
                "renewals_total{{{}}} 1",
                of(",result=\"signer_unavailable\"")
            ),
            "and one did not",
        ),
    ] {
        let line = format!("weft_identity_{line}");
        assert!(
            text.lines().any(|it| it.starts_with(&line)),
            "{meaning}: {line}\n{text}"
        );
    }
    drop(web);
    let is_shown = || world.registry.encode().contains(WEB);
    tokio::time::sleep(LONG).await;
    // One more scrape collects what was counted last.
    let _last = is_shown();
    assert!(!is_shown(), "an identity that nobody has is not shown");
}

/// What is said of those who are here: the oldest bundle, and certificates by issuer.
async fn says(held: &mut watch::Receiver<WorkerTrusts>) -> (u64, Vec<(String, u32)>) {
    held.changed().await.expect("there are identities");
    let held = held.borrow_and_update().clone();
    (held.bundle_version, held.leaves.into_iter().collect())
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_said_whenever_it_changes() {
    let mut world = World::new();
    let issuer = world.authority.issuer_fingerprint();
    let mut held = world.identities.held();
    let trust = |version| Trust {
        version,
        roots: vec![world.authority.root_der().to_vec().into()],
        issuer: issuer.clone(),
        ..Trust::default()
    };
    let (first, second) = (trust(1), trust(2));
    world.identities.trust(first);
    assert_eq!(says(&mut held).await, (1, vec![]), "nothing yet");
    let (web, cart) = (world.own(WEB, "uid-1"), world.own(CART, "uid-2"));
    for count in 1..=2 {
        world.answer().await;
        let all = vec![(issuer.clone(), count)];
        assert_eq!(says(&mut held).await, (1, all), "one more");
    }
    world.identities.trust(second);
    assert_eq!(says(&mut held).await.0, 2, "all trust the next bundle");
    drop(web);
    let all = vec![(issuer.clone(), 1)];
    assert_eq!(says(&mut held).await, (2, all), "one is gone");
    let next = Arc::new(authority());
    let renewed = next.issuer_fingerprint();
    let both = [&world.authority, &next].map(|it| it.root_der().to_vec().into());
    world.identities.trust(Trust {
        version: 3,
        roots: both.to_vec(),
        issuer: renewed.clone(),
        ..Trust::default()
    });
    assert_eq!(
        says(&mut held).await,
        (3, vec![(issuer, 1)]),
        "still of old"
    );
    world.authority = next;
    let csr = world.csr().await;
    let mut signed = world.sign(&csr);
    (signed.roots, signed.bundle_version) = (both.to_vec(), 3);
    world.identities.answered(signed);
    assert_eq!(says(&mut held).await, (3, vec![(renewed, 1)]), "of the new");
    drop(cart);
    assert_eq!(says(&mut held).await, (3, vec![]), "nobody is left");
}

#[test]
fn what_a_worker_says_is_passed_on_as_far_as_it_can_be() {
    let fingerprint = |at: usize| format!("{at:064x}");
    let leaves = (0..99).map(|at| (fingerprint(at), 1));
    let odd = [("short".to_owned(), 7), ("x".repeat(4096), 7)];
    let said = WorkerTrusts {
        name: "another".to_owned(),
        bundle_version: 3,
        leaves: leaves.chain(odd).collect(),
    };
    let passed_on = super::plausible("shop", said);
    assert_eq!(passed_on.name, "shop", "who it is, its parent knows");
    assert_eq!(passed_on.bundle_version, 3);
    let issuers: Vec<_> = passed_on.leaves.into_keys().collect();
    assert_eq!(issuers, (0..8).map(fingerprint).collect::<Vec<_>>());
}
