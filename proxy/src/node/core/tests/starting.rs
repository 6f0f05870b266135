//! Pods that start while nobody knows whether they are of the mesh: the control plane is away, or has not
//! told this node yet (data plane, section 3: who is not known waits, and does not start in the clear).

use std::net::IpAddr;

use super::*;
use crate::node::core::{MISSING, PATIENCE, RETRY, TOLD};

/// A supervisor that knows by its disk that the namespace `shop` is of the mesh, and a pod that starts there.
fn asked() -> Told {
    let mut told = Told::new();
    told.tell(Event::Roster(roster(&[])));
    told.tell(Event::Scanned(Vec::new()));
    let did = told.ask(1, add("a", 7, "c"));
    assert_eq!(replies(&did), [], "nobody knows the pod");
    told
}

#[test]
fn a_pod_waits_for_the_control_plane_and_starts_when_it_speaks() {
    let mut told = asked();
    let did = told.after(UNKNOWN.as_secs() - 1);
    assert_eq!(replies(&did), [], "its kubelet would come back late");
    let listening = told.tell(Event::Roster(roster(&["a"])));
    assert!(matches!(job(&listening).1, Job::Listen(7)), "{listening:?}");
    told.hear(1, OfWorker::Ready);
    told.hear(1, OfWorker::Identified(identity()));
    let did = told.done(&listening, Outcome::Listening(7, false));
    let did = told.hear(1, OfWorker::Taken(assigned(&did)));
    let did = told.done(&did, Outcome::InForce(Verdict::default()));
    assert_eq!(replies(&did), [(1, Reply::Ok {})]);
}

/// A pod with an address that starts, up to the moment when its rules are to be put in force.
fn addressed(ip: IpAddr) -> (Told, Did) {
    let mut told = Told::new();
    told.tell(Event::Roster(roster(&["a", "b"])));
    told.tell(Event::Scanned(Vec::new()));
    let mut question = add("a", 7, "c");
    if let Question::Add(sighting) = &mut question {
        sighting.ips.push(ip);
    }
    let did = told.ask(1, question);
    told.hear(1, OfWorker::Ready);
    told.hear(1, OfWorker::Identified(identity()));
    let did = told.done(&did, Outcome::Listening(7, false));
    let did = told.hear(1, OfWorker::Taken(assigned(&did)));
    (told, did)
}

/// A roster by which the pod `a` has this address.
fn placed(ip: IpAddr) -> Event<u64, u64> {
    let mut placed = (*roster(&["a", "b"])).clone();
    if let Some(Standing::Member(member)) = placed.pods.get_mut("a") {
        Arc::make_mut(member).ips.push(ip);
    }
    Event::Roster(Arc::new(placed))
}

#[test]
fn addresses_are_told_of_pods_that_have_started_captured() {
    let ip = IpAddr::from([10, 1, 0, 1]);
    let (mut told, did) = addressed(ip);
    assert_eq!(told.core.addresses(), BTreeMap::new(), "no rules yet");
    told.done(&did, Outcome::InForce(Verdict::default()));
    let expected = BTreeMap::from([("a".to_owned(), vec![ip])]);
    assert_eq!(told.core.addresses(), expected);
    told.ask(2, del("a", "c"));
    assert_eq!(told.core.addresses(), BTreeMap::new(), "it is gone");
}

#[test]
fn a_pod_starts_when_its_peers_know_where_it_is() {
    let ip = IpAddr::from([10, 1, 0, 1]);
    let (mut told, did) = addressed(ip);
    let did = told.done(&did, Outcome::InForce(Verdict::default()));
    assert_eq!(
        replies(&did),
        [],
        "whoever dialled it would do so in the clear"
    );
    assert!(told.core.captured()[0].1, "but it is said to be captured");
    let elsewhere = told.tell(placed([10, 1, 0, 9].into()));
    assert_eq!(replies(&elsewhere), [], "of a network before");
    let did = told.tell(placed(ip));
    assert_eq!(replies(&did), [(1, Reply::Ok {})]);
}

#[test]
fn a_pod_does_not_wait_for_ever_until_its_peers_know_where_it_is() {
    let (mut told, did) = addressed([10, 1, 0, 1].into());
    let did = told.done(&did, Outcome::InForce(Verdict::default()));
    assert_eq!(replies(&did), []);
    assert_eq!(told.core.wakes_at(), Some(told.now + TOLD));
    let did = told.after(TOLD.as_secs());
    assert_eq!(replies(&did), [(1, Reply::Ok {})], "nobody tells anybody");
    // One that was captured late has the time of its question, and no more.
    let (mut told, did) = addressed([10, 1, 0, 1].into());
    told.now += PATIENCE - TOLD / 2;
    let did = told.done(&did, Outcome::InForce(Verdict::default()));
    assert_eq!(replies(&did), []);
    told.now += TOLD / 2;
    let did = told.tell(Event::Tick);
    assert_eq!(replies(&did), [(1, Reply::Ok {})]);
}

#[test]
fn a_pod_that_is_known_at_last_has_the_time_of_any_other() {
    let mut told = asked();
    told.after(UNKNOWN.as_secs() - 1);
    told.tell(Event::Roster(roster(&["a"])));
    assert_eq!(replies(&told.after(PATIENCE.as_secs() - 1)), []);
    assert!(is_retry(&told.after(1)), "its worker does not take it");
}

#[test]
fn a_pod_that_is_known_to_be_none_of_the_mesh_starts_at_once() {
    let mut told = asked();
    let mut outside = (*roster(&[])).clone();
    outside.pods.insert("a".to_owned(), Standing::Outside);
    let did = told.tell(Event::Roster(Arc::new(outside)));
    assert_eq!(replies(&did), [(1, Reply::Ok {})]);
}

#[test]
fn the_end_of_a_pod_ends_its_waiting() {
    let mut told = asked();
    let did = told.ask(2, del("a", "c"));
    let [(1, Reply::Retry(_)), (2, Reply::Ok {})] = &replies(&did)[..] else {
        panic!("both have an answer: {did:?}");
    };
    let did = told.tell(Event::Roster(roster(&["a"])));
    let is_job = |action: &Action<u64, u64>| matches!(action, Action::Run(..));
    assert!(!did.iter().any(is_job), "nothing is captured: {did:?}");
    assert_eq!(replies(&told.after(UNKNOWN.as_secs())), []);
}

#[test]
fn a_member_that_was_let_through_is_looked_for_soon() {
    let mut told = Told::new();
    told.tell(Event::Roster(Arc::new(Roster::default())));
    told.tell(Event::Scanned(Vec::new()));
    let did = told.ask(1, add("a", 7, "c"));
    assert_eq!(replies(&did), [(1, Reply::Ok {})], "not in the mesh yet");
    let is_look = |action: &Action<u64, u64>| matches!(action, Action::Scan(_));
    let did = told.tell(Event::Roster(roster(&["a"])));
    assert!(did.iter().any(is_look), "it is by now: {did:?}");
    told.tell(Event::Scanned(Vec::new()));
    let did = told.after(RETRY.as_secs());
    assert!(did.iter().any(is_look), "its process comes late: {did:?}");
    let seen = Seen {
        uid: "a".to_owned(),
        id: id(7),
        netns: 7,
    };
    let did = told.tell(Event::Scanned(vec![seen]));
    assert!(matches!(job(&did).1, Job::Listen(7)), "{did:?}");
    let did = told.after(RETRY.as_secs());
    assert!(!did.iter().any(is_look), "nobody is missed: {did:?}");
}

#[test]
fn looks_that_follow_each_other_end_no_pod_that_is_starting() {
    let (mut told, _) = Told::started("a", 7, "c");
    let mut did = Did::new();
    for _ in 0..10 {
        did = told.tell(Event::Scanned(Vec::new()));
    }
    assert_eq!(revoked(&did), None, "many start, and it has no process yet");
    let verifying = told.after(MISSING.as_secs());
    told.done(&verifying, Outcome::InForce(Verdict::default()));
    let did = told.tell(Event::Scanned(Vec::new()));
    assert!(revoked(&did).is_some(), "it will not have one: {did:?}");
}

#[test]
fn whoever_waits_is_sent_to_the_supervisor_that_follows() {
    let mut told = asked();
    let did = told.core.retire();
    assert!(is_retry(&did), "{did:?}");
    assert_eq!(replies(&told.tell(Event::Roster(roster(&["a"])))), []);
}
