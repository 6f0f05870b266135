//! What the control plane is told, and when.

use std::collections::BTreeSet;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use weft_certs::Reading;
use weft_intercept::capture;
use weft_wire::{
    Assembler, CaBundle, Identity, Publisher, Session,
    proto::config::{Capture, PodState, ResourceError, Role, client_message},
};

use super::*;
use crate::node::roster::Member;

/// A follower between a scripted control plane and scripted workers.
struct Scripted {
    follower: Follower,
    said: mpsc::Receiver<ClientMessage>,
    publisher: Publisher,
    session: Session,
    now: watch::Sender<Duration>,
    saved: watch::Receiver<Option<Arc<Snapshot>>>,
    workers: watch::Receiver<Vec<WorkerTrusts>>,
}

impl Scripted {
    fn new() -> Self {
        let identity = Identity {
            role: Role::Node,
            name: "n1".to_owned(),
            namespace: String::new(),
            instance: "u-1".to_owned(),
        };
        let (now, reads) = watch::channel(Duration::from_secs(1));
        let system = Clock::system().read();
        let clock = Clock::from_fn(move || Reading {
            monotonic: *reads.borrow(),
            ..system
        });
        let (saved, saves) = watch::channel(None);
        let (workers, trusts) = watch::channel(Vec::new());
        let outlets = Outlets {
            roster: watch::channel(None).0,
            configuration: watch::channel(None).0,
            trusted: watch::channel(None).0,
            saved,
            workers,
            view: watch::channel(View::default()).0,
        };
        let domain = TrustDomain::parse("cluster.local").expect("a trust domain");
        let subscriber = Subscriber::new(identity, Assembler::default());
        let mut follower = Follower::new(("n1", domain), subscriber, outlets, clock);
        let (outbox, mut said) = mpsc::channel(8);
        let stream = control::Stream::new(outbox, &CancellationToken::new());
        follower.handle(Event::Link(control::Happened::Opened(stream)));
        let hello = said.try_recv().expect("it says who it is").message;
        let Some(client_message::Message::Hello(hello)) = hello else {
            panic!("a stream begins with Hello: {hello:?}");
        };
        let mut publisher = Publisher::new();
        let session = publisher.connect(&hello).expect("it is one of ours");
        Self {
            follower,
            said,
            publisher,
            session,
            now,
            saved: saves,
            workers: trusts,
        }
    }

    /// The control plane sends a configuration that is like no other.
    fn publishes(&mut self, generation: u64) {
        let bundle = CaBundle {
            pem: generation.to_string(),
        };
        let name = weft_ir::Name::new("infra", "ca");
        let configuration = Configuration {
            ca_bundles: Arc::new(BTreeMap::from([(name, Arc::new(bundle))])),
            ..Configuration::default()
        };
        let mut disassembler = Disassembler::new(Scope::Everything);
        let snapshot = Arc::clone(disassembler.update(&configuration));
        self.publisher.publish(generation, snapshot);
        let now = *self.now.borrow();
        let change = self.publisher.next(now).expect("it is its turn");
        self.follower
            .handle(Event::Link(control::Happened::Received(change)));
    }

    /// What the control plane hears: nothing, or the objects that are refused.
    fn hears(&mut self) -> Option<Vec<String>> {
        let answer = self.said.try_recv().ok()?;
        let refused = match &answer.message {
            Some(client_message::Message::Nack(nack)) => {
                let errors = nack.errors.iter();
                errors
                    .map(|it| format!("{}: {}", it.name, it.message))
                    .collect()
            }
            _ => Vec::new(),
        };
        let now = *self.now.borrow();
        let taken = self.publisher.answer(self.session, answer, now);
        taken.expect("it answers what was asked");
        Some(refused)
    }

    fn worker(&mut self, fed: Fed) {
        self.follower.handle(Event::Worker(fed));
    }

    fn settles(&mut self, shard: &str, life: u64, revision: u64, problem: Option<&str>) {
        let problems = problem.map(|message| ResourceError {
            r#type: "Service".to_owned(),
            name: "shop/web".to_owned(),
            message: message.to_owned(),
        });
        let settled = Settled {
            revision,
            problems: problems.into_iter().collect(),
        };
        self.worker(Fed::Settled(Shard::new(shard), life, settled));
    }
}

#[test]
fn the_control_plane_is_answered_when_every_worker_has() {
    let mut node = Scripted::new();
    node.worker(Fed::Joined(Shard::new("shop"), 1));
    node.worker(Fed::Joined(Shard::new("pay"), 2));
    node.publishes(7);
    assert_eq!(node.hears(), None, "two workers have not answered");
    node.settles("shop", 1, 1, Some("no such filter"));
    assert_eq!(node.hears(), None, "one worker has not answered");
    assert!(node.saved.borrow().is_none(), "it is not known to be good");
    node.settles("pay", 2, 1, Some("no such filter"));
    let refused = vec!["shop/web: no such filter".to_owned()];
    assert_eq!(node.hears(), Some(refused), "the object is named, and once");
    assert!(node.saved.borrow().is_some());
}

#[test]
fn a_worker_that_is_gone_or_hangs_keeps_nobody_waiting() {
    let mut node = Scripted::new();
    node.worker(Fed::Joined(Shard::new("shop"), 1));
    node.publishes(7);
    node.worker(Fed::Left(Shard::new("shop"), 1));
    assert_eq!(node.hears(), Some(Vec::new()), "there is no worker");
    node.worker(Fed::Joined(Shard::new("shop"), 2));
    node.worker(Fed::Left(Shard::new("shop"), 1));
    node.settles("shop", 1, 1, None);
    node.publishes(8);
    assert_eq!(
        node.hears(),
        None,
        "what is late of an earlier life ends nothing"
    );
    assert_eq!(node.follower.patience(), Some(PATIENCE));
    node.now.send_modify(|now| *now += PATIENCE);
    node.follower.settle();
    assert_eq!(node.hears(), Some(Vec::new()), "its time is over");
}

#[test]
fn the_control_plane_hears_of_pods_what_it_does_not_know() {
    let member = |uid: &str| {
        Arc::new(Member {
            namespace: "shop".to_owned(),
            pod: "web".to_owned(),
            uid: uid.to_owned(),
            identity: "spiffe://cluster.local/ns/shop/sa/web"
                .parse()
                .expect("an identity"),
            ips: Vec::new(),
            probes: BTreeSet::new(),
            shard: Shard::new("shop"),
            is_strict: true,
            capture: capture::Settings::default(),
            drain: None,
        })
    };
    let mut node = Scripted::new();
    let mut shown = Shown::default();
    let mut hears = |shown: &Shown| {
        assert!(!node.follower.report(shown), "there is room to say it");
        let said = node.said.try_recv().ok()?.message;
        let Some(client_message::Message::Pods(report)) = said else {
            panic!("a report of pods: {said:?}");
        };
        let pods = report.pods.iter();
        let pods = pods.map(|it| format!("{} {:?} {}", it.uid, it.captured(), it.reason));
        Some(pods.collect::<Vec<_>>())
    };
    let says = |lines: &[(&str, Capture, &str)]| {
        let lines = lines.iter();
        Some(
            lines
                .map(|(uid, how, why)| format!("{uid} {how:?} {why}"))
                .collect(),
        )
    };
    assert_eq!(
        hears(&shown),
        Some(Vec::new()),
        "at first, that there is none"
    );
    assert_eq!(hears(&shown), None, "nothing is new");
    shown.captured = vec![
        (member("a"), true),
        (member("b"), false),
        (member("c"), false),
    ];
    shown.problems.insert("b".to_owned(), "no".to_owned());
    let expected = [
        ("a", Capture::Done, ""),
        ("b", Capture::Failed, "no"),
        ("c", Capture::Pending, ""),
    ];
    assert_eq!(hears(&shown), says(&expected));
    shown.captured = vec![(member("a"), true), (member("b"), true)];
    let expected = [("c", Capture::Ended, ""), ("b", Capture::Done, "")];
    assert_eq!(hears(&shown), says(&expected));
    assert_eq!(hears(&shown), None, "nothing is new");
}

#[test]
fn a_pod_has_ended_when_nothing_is_left_in_it() {
    let mut reported = Reported::default();
    let mut hears = |leaving: &[(&str, bool)]| {
        let leaving = leaving.iter().map(|(uid, it)| ((*uid).to_owned(), *it));
        let shown = Shown {
            leaving: leaving.collect(),
            ..Shown::default()
        };
        let (said, known) = reported.next(&shown)?;
        reported = known;
        let Some(client_message::Message::Pods(report)) = said.message else {
            panic!("a report of pods: {said:?}");
        };
        let pods = report.pods.iter();
        let state = |it: &PodState| (it.captured(), !it.reason.is_empty());
        Some(pods.map(state).collect::<Vec<_>>())
    };
    // It stays as it was said to be before, perhaps to another process.
    let leaving = [("a", false)];
    assert_eq!(hears(&leaving), Some(vec![(Capture::Pending, false)]));
    assert_eq!(hears(&leaving), None, "nothing is new");
    let expected = Some(vec![(Capture::Pending, true)]);
    assert_eq!(hears(&[("a", true)]), expected, "it takes long: why");
    assert_eq!(hears(&[]), Some(vec![(Capture::Ended, false)]));
}

#[test]
fn the_control_plane_hears_whom_every_worker_trusts() {
    let mut node = Scripted::new();
    let trusts = |name: &str, bundle_version| WorkerTrusts {
        name: name.to_owned(),
        bundle_version,
        leaves: BTreeMap::new(),
    };
    let says = |node: &mut Scripted, fed| {
        node.worker(fed);
        let all = node.workers.borrow().clone();
        let all = all.into_iter().map(|it| (it.name, it.bundle_version));
        all.collect::<Vec<_>>()
    };
    let of = |name: &str, version: u64| (name.to_owned(), version);
    let (pay, shop) = (Shard::new("pay"), Shard::new("shop"));
    let joined = says(&mut node, Fed::Joined(shop.clone(), 1));
    assert_eq!(joined, [of("shop", 0)], "it has not said anything");
    says(&mut node, Fed::Joined(pay.clone(), 2));
    let said = says(&mut node, Fed::Trusts(shop.clone(), 1, trusts("shop", 2)));
    assert_eq!(said, [of("pay", 0), of("shop", 2)]);
    let stale = says(&mut node, Fed::Trusts(pay, 1, trusts("pay", 9)));
    assert_eq!(stale, [of("pay", 0), of("shop", 2)], "of an earlier life");
    let left = says(&mut node, Fed::Left(shop, 1));
    assert_eq!(left, [of("pay", 0)], "one that is gone holds nothing");
}
