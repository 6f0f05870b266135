//! What follows from single events, as people would tell it.

mod ending;
mod grace;
mod probes;
mod starting;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use weft_intercept::{
    NetnsId,
    capture::{self, Fault},
    handoff::Reply,
};
use weft_spiffe::SpiffeId;

use super::{
    Action, CERTIFIED, Core, DRAINS, Event, Hold, Job, LINGER, Notice, OfWorker, Outcome, Question,
    Sandbox, Seen, Sighting, Ticket, UNKNOWN, Verdict,
};
use crate::node::roster::{Member, Roster, Shard, Standing};

type Did = Vec<Action<u64, u64>>;

fn shop() -> Shard {
    Shard::new("shop")
}

fn identity() -> SpiffeId {
    let text = "spiffe://cluster.local/ns/shop/sa/web";
    text.parse().expect("an identity")
}

fn id(inode: u64) -> NetnsId {
    NetnsId { device: 4, inode }
}

fn roster(members: &[&str]) -> Arc<Roster> {
    let member = |uid: &&str| {
        let member = Member {
            namespace: "shop".to_owned(),
            pod: format!("pod-{uid}"),
            uid: (*uid).to_owned(),
            identity: identity(),
            ips: Vec::new(),
            probes: BTreeSet::new(),
            shard: shop(),
            is_strict: true,
            capture: capture::Settings::default(),
            drain: None,
        };
        ((*uid).to_owned(), Standing::Member(Arc::new(member)))
    };
    Arc::new(Roster {
        namespaces: BTreeSet::from(["shop".to_owned()]),
        pods: members.iter().map(member).collect::<BTreeMap<_, _>>(),
    })
}

fn add(uid: &str, netns: u64, container: &str) -> Question<u64> {
    Question::Add(Sighting {
        uid: uid.to_owned(),
        namespace: "shop".to_owned(),
        container: container.to_owned(),
        id: id(netns),
        netns,
        ips: Vec::new(),
    })
}

fn del(uid: &str, container: &str) -> Question<u64> {
    Question::Del {
        uid: uid.to_owned(),
        container: container.to_owned(),
        netns: None,
    }
}

/// A table and its time.
struct Told {
    core: Core<u64, u64>,
    now: Duration,
}

impl Told {
    fn new() -> Self {
        Self {
            core: Core::new(None, Duration::from_secs(30)),
            now: Duration::from_secs(1),
        }
    }

    fn tell(&mut self, event: Event<u64, u64>) -> Did {
        self.core.handle(event, self.now)
    }

    fn after(&mut self, seconds: u64) -> Did {
        self.now += Duration::from_secs(seconds);
        self.tell(Event::Tick)
    }

    /// A pod that leaves the mesh, and captures nothing more, has lingered.
    fn lingered(&mut self) -> Did {
        self.now += LINGER;
        self.tell(Event::Tick)
    }

    fn ask(&mut self, ticket: u64, question: Question<u64>) -> Did {
        self.tell(Event::Asked(Ticket(ticket), question))
    }

    fn hear(&mut self, life: u64, what: OfWorker) -> Did {
        self.tell(Event::Worker(shop(), life, what))
    }

    fn done(&mut self, did: &Did, outcome: Outcome<u64>) -> Did {
        self.tell(Event::Done(job(did).0, Ok(outcome)))
    }

    /// A pod that starts, up to the moment when its rules are to be put in force.
    fn up_to_rules(&mut self, uid: &str, netns: u64, container: &str) -> Did {
        let did = self.ask(1, add(uid, netns, container));
        assert!(matches!(job(&did).1, Job::Listen(_)), "{did:?}");
        self.hear(1, OfWorker::Ready);
        self.hear(1, OfWorker::Identified(identity()));
        let did = self.done(&did, Outcome::Listening(netns, false));
        let taken = OfWorker::Taken(assigned(&did));
        self.hear(1, taken)
    }

    /// A pod that has started.
    fn started(uid: &str, netns: u64, container: &str) -> (Self, Sandbox) {
        let mut told = Self::new();
        told.tell(Event::Roster(roster(&[uid])));
        told.tell(Event::Scanned(Vec::new()));
        let did = told.up_to_rules(uid, netns, container);
        let sandbox = job(&did).0;
        let did = told.done(&did, Outcome::InForce(Verdict::default()));
        assert_eq!(replies(&did), [(1, Reply::Ok {})], "{did:?}");
        (told, sandbox)
    }
}

/// The only job among actions.
fn job(did: &Did) -> (Sandbox, &Job<u64>) {
    let mut jobs = did.iter().filter_map(|action| match action {
        Action::Run(sandbox, job) => Some((*sandbox, job)),
        _ => None,
    });
    let job = jobs.next().unwrap_or_else(|| panic!("no job: {did:?}"));
    assert!(jobs.next().is_none(), "one job only: {did:?}");
    job
}

fn assigned(did: &Did) -> Hold {
    let mut holds = did.iter().filter_map(|action| match action {
        Action::Assign(_, _, hold, _) => Some(*hold),
        _ => None,
    });
    holds
        .next()
        .unwrap_or_else(|| panic!("nothing is assigned: {did:?}"))
}

fn revoked(did: &Did) -> Option<(Hold, Duration)> {
    did.iter().find_map(|action| match action {
        Action::Revoke(_, _, hold, drain) => Some((*hold, *drain)),
        _ => None,
    })
}

fn replies(did: &Did) -> Vec<(u64, Reply)> {
    let reply = |action: &Action<u64, u64>| match action {
        Action::Reply(ticket, reply) => Some((ticket.0, reply.clone())),
        _ => None,
    };
    did.iter().filter_map(reply).collect()
}

fn is_retry(did: &Did) -> bool {
    matches!(&replies(did)[..], [(_, Reply::Retry(_))])
}

#[test]
fn a_pod_starts_when_it_is_captured_and_not_before() {
    let mut told = Told::new();
    told.tell(Event::Roster(roster(&["a"])));
    let did = told.up_to_rules("a", 7, "c");
    assert!(matches!(job(&did).1, Job::Capture(7)), "{did:?}");
    assert_eq!(replies(&did), [], "no rules yet");
    let did = told.done(&did, Outcome::InForce(Verdict::default()));
    assert_eq!(replies(&did), [(1, Reply::Ok {})]);
    assert!(told.core.captured()[0].1, "and that is shown");
}

#[test]
fn a_pod_waits_for_its_certificate_and_not_for_ever() {
    let started = || {
        let mut told = Told::new();
        told.tell(Event::Roster(roster(&["a"])));
        let did = told.ask(1, add("a", 7, "c"));
        told.hear(1, OfWorker::Ready);
        let did = told.done(&did, Outcome::Listening(7, false));
        let did = told.hear(1, OfWorker::Taken(assigned(&did)));
        assert!(
            did.is_empty(),
            "the worker cannot prove whose it is: {did:?}"
        );
        assert_eq!(told.core.wakes_at(), Some(told.now + CERTIFIED));
        told
    };
    let mut told = started();
    let did = told.hear(2, OfWorker::Identified(identity()));
    assert!(did.is_empty(), "a worker that is not there: {did:?}");
    let did = told.hear(1, OfWorker::Identified(identity()));
    assert!(matches!(job(&did).1, Job::Capture(7)), "{did:?}");
    let did = started().after(CERTIFIED.as_secs());
    assert!(matches!(job(&did).1, Job::Capture(7)), "{did:?}");
}

/// A pod starts of which this is known; whether it is let through, or told to try again in the end.
fn check_start(
    row: &str,
    saved: Option<&str>,
    roster: Option<Arc<Roster>>,
    namespace: &str,
    is_let: bool,
) {
    let mut told = Told::new();
    let saved = saved.map(|name| BTreeSet::from([name.to_owned()]));
    told.core = Core::new(saved, Duration::ZERO);
    if let Some(roster) = roster {
        told.tell(Event::Roster(roster));
    }
    let mut question = add("a", 7, "c");
    if let Question::Add(sighting) = &mut question {
        namespace.clone_into(&mut sighting.namespace);
    }
    let did = told.ask(1, question);
    if is_let {
        assert_eq!(replies(&did), [(1, Reply::Ok {})], "{row}");
    } else {
        assert_eq!(replies(&did), [], "{row}: it waits");
        let did = told.after(UNKNOWN.as_secs());
        assert!(is_retry(&did), "{row}: it is told to try again");
    }
}

#[test]
fn who_is_not_of_the_mesh_is_let_through_and_who_may_be_is_not() {
    let mut outside = (*roster(&[])).clone();
    outside.pods.insert("a".to_owned(), Standing::Outside);
    let outside = Some(Arc::new(outside));
    let (shop, none) = (Some("shop"), Some(roster(&[])));
    check_start("it has opted out", None, outside, "shop", true);
    check_start("not a meshed namespace", None, none.clone(), "pay", true);
    check_start("as was saved before", shop, None, "pay", true);
    check_start("nothing is known", None, None, "pay", false);
    check_start("saved as meshed", shop, None, "shop", false);
    check_start("the pod is not known yet", None, none, "shop", false);
}

#[test]
fn a_late_removal_of_an_earlier_sandbox_harms_no_later_one() {
    let (mut told, sandbox) = Told::started("a", 7, "late");
    let did = told.ask(2, del("a", "early"));
    assert_eq!(replies(&did), [(2, Reply::Ok {})]);
    assert_eq!(revoked(&did), None, "the pod is served on");
    assert!(told.core.captured()[0].1);
    let did = told.ask(3, del("a", "late"));
    let (hold, drain) = revoked(&did).expect("it is taken back");
    assert_eq!((hold.sandbox, drain), (sandbox, Duration::ZERO));
    assert_eq!(replies(&did), [], "the worker has it still");
    let did = told.hear(1, OfWorker::Released(hold));
    assert_eq!(replies(&did), [(3, Reply::Ok {})]);
}

#[test]
fn a_pod_that_is_removed_while_it_starts_is_not_captured() {
    let mut told = Told::new();
    told.tell(Event::Roster(roster(&["a"])));
    let listening = told.ask(1, add("a", 7, "c"));
    let did = told.ask(2, del("a", "c"));
    assert!(is_retry(&did), "the start has its answer: {did:?}");
    let did = told.done(&listening, Outcome::Listening(7, false));
    assert_eq!(replies(&did), [(2, Reply::Ok {})]);
    let is_over = |action: &Action<u64, u64>| matches!(action, Action::End(_));
    assert!(
        did.iter().any(is_over),
        "nobody is served any more: {did:?}"
    );
}

#[test]
fn the_news_of_an_earlier_worker_says_nothing_of_the_present_one() {
    let (mut told, sandbox) = Told::started("a", 7, "c");
    let did = told.hear(2, OfWorker::Ready);
    let hold = assigned(&did);
    assert_eq!(hold.sandbox, sandbox, "the next worker gets the pod");
    told.hear(2, OfWorker::Taken(hold));
    let did = told.hear(1, OfWorker::Gone);
    assert!(did.is_empty(), "the end of the first: {did:?}");
    let earlier = Hold {
        generation: hold.generation - 1,
        ..hold
    };
    for (life, what) in [
        (1, OfWorker::Released(hold)),
        (2, OfWorker::Released(earlier)),
        (1, OfWorker::Ready),
    ] {
        let did = told.hear(life, what.clone());
        assert!(did.is_empty(), "{what:?} of life {life}: {did:?}");
    }
    let did = told.hear(2, OfWorker::Released(hold));
    assert!(
        assigned(&did) > hold,
        "what it really gave up it gets again"
    );
}

#[test]
fn while_there_is_no_worker_a_captured_pod_stays_captured() {
    let (mut told, _) = Told::started("a", 7, "c");
    let did = told.hear(1, OfWorker::Gone);
    assert!(did.is_empty(), "its connections wait: {did:?}");
    assert!(told.core.captured()[0].1);
}

#[test]
fn a_pod_that_leaves_is_drained_before_its_rules_go() {
    let (mut told, _) = Told::started("a", 7, "c");
    let did = told.tell(Event::Roster(roster(&[])));
    assert!(matches!(job(&did).1, Job::Stop(7)), "{did:?}");
    let did = told.done(&did, Outcome::Stopped);
    assert_eq!(revoked(&did), None, "peers may not have heard of it yet");
    assert_eq!(told.core.wakes_at(), Some(told.now + LINGER));
    let did = told.lingered();
    let (hold, drain) = revoked(&did).expect("the worker drains");
    assert_eq!(drain, Duration::from_secs(30));
    let did = told.hear(1, OfWorker::Released(hold));
    assert!(matches!(job(&did).1, Job::Remove(7)), "{did:?}");
    let did = told.done(&did, Outcome::Removed);
    let is_let_go = |action: &Action<u64, u64>| matches!(action, Action::Tell(Notice::LetGo(_)));
    assert!(did.iter().any(is_let_go), "{did:?}");
}

#[test]
fn people_hear_of_a_pod_whose_connections_keep_it() {
    let (mut told, _) = Told::started("a", 7, "c");
    let did = told.tell(Event::Roster(roster(&[])));
    told.done(&did, Outcome::Stopped);
    let did = told.lingered();
    let leaving = |told: &Told| -> Vec<bool> { told.core.leaving().map(|(_, it)| it).collect() };
    assert_eq!(leaving(&told), [false], "most end at once");
    assert_eq!(told.core.wakes_at(), Some(told.now + DRAINS));
    told.now += DRAINS;
    told.tell(Event::Tick);
    assert_eq!(leaving(&told), [true]);
    let (hold, _) = revoked(&did).expect("the worker drains");
    told.hear(1, OfWorker::Released(hold));
    assert_eq!(leaving(&told), [false], "its rules are about to go");
}

#[test]
fn a_pod_that_comes_back_while_it_leaves_is_captured_again() {
    let (mut told, _) = Told::started("a", 7, "c");
    let did = told.tell(Event::Roster(roster(&[])));
    told.done(&did, Outcome::Stopped);
    let did = told.lingered();
    let (old, _) = revoked(&did).expect("the worker drains");
    let did = told.tell(Event::Roster(roster(&["a"])));
    let hold = assigned(&did);
    let did = told.hear(1, OfWorker::Released(old));
    assert!(did.is_empty(), "the hold before: {did:?}");
    let did = told.hear(1, OfWorker::Taken(hold));
    assert!(matches!(job(&did).1, Job::Capture(7)), "{did:?}");
}

#[test]
fn damage_is_repaired_within_half_a_minute_and_told() {
    let (mut told, _) = Told::started("a", 7, "c");
    let did = told.after(25);
    let verdict = Verdict {
        repaired: vec![Fault::NoTable],
        evaded: None,
    };
    let jobs: Vec<_> = did
        .iter()
        .filter(|it| matches!(it, Action::Run(_, Job::Capture(7))))
        .collect();
    assert_eq!(jobs.len(), 1, "{did:?}");
    let did = told.done(&did, Outcome::InForce(verdict));
    let is_told = |action: &Action<u64, u64>| matches!(action, Action::Tell(Notice::Repaired(_, faults)) if faults == &[Fault::NoTable]);
    assert!(did.iter().any(is_told), "{did:?}");
}

#[test]
fn what_fails_in_one_pod_is_tried_again_there() {
    let mut told = Told::new();
    told.tell(Event::Roster(roster(&["a", "b"])));
    let failing = told.ask(1, add("a", 7, "c"));
    let did = told.tell(Event::Done(job(&failing).0, Err("port in use".to_owned())));
    assert_eq!(replies(&did), [(1, Reply::Retry("port in use".to_owned()))]);
    let other = told.ask(2, add("b", 8, "d"));
    assert!(
        matches!(job(&other).1, Job::Listen(8)),
        "the other goes on: {other:?}"
    );
    told.hear(1, OfWorker::Ready);
    let did = told.after(5);
    assert!(matches!(job(&did).1, Job::Listen(7)), "{did:?}");
}

#[test]
fn a_namespace_that_is_used_again_is_let_go_of_first() {
    let (mut told, _) = Told::started("a", 7, "c");
    told.tell(Event::Roster(roster(&["a", "b"])));
    let did = told.ask(2, add("b", 7, "d"));
    let (hold, _) = revoked(&did).expect("the pod before is gone");
    let is_job = |action: &Action<u64, u64>| matches!(action, Action::Run(..));
    assert!(
        !did.iter().any(is_job),
        "its ports are taken still: {did:?}"
    );
    let did = told.hear(1, OfWorker::Released(hold));
    assert!(matches!(job(&did).1, Job::Listen(7)), "{did:?}");
}

#[test]
fn after_a_restart_running_pods_are_found_and_those_without_processes_let_go() {
    let mut told = Told::new();
    let did = told.tell(Event::Roster(roster(&["a"])));
    let is_look = |action: &Action<u64, u64>| matches!(action, Action::Scan(_));
    assert!(did.iter().any(is_look), "{did:?}");
    let seen = Seen {
        uid: "a".to_owned(),
        id: id(7),
        netns: 7,
    };
    let did = told.tell(Event::Scanned(vec![seen]));
    assert!(matches!(job(&did).1, Job::Listen(7)), "{did:?}");
    told.done(&did, Outcome::Listening(7, false));
    let mut did = Did::new();
    for _ in 0..3 {
        told.after(30);
        did = told.tell(Event::Scanned(Vec::new()));
    }
    let is_over = |action: &Action<u64, u64>| matches!(action, Action::End(_));
    assert!(did.iter().any(is_over), "nothing of it is kept: {did:?}");
}
