//! What proxies of nodes say about pods, here and at other replicas.

use weft_wire::proto::config::{Capture, PodReport, PodState};

use super::*;
use crate::hub::captures::Captures;

fn report(pods: &[(&str, Capture)]) -> PodReport {
    let state = |(uid, captured): &(&str, Capture)| PodState {
        uid: (*uid).to_owned(),
        captured: (*captured).into(),
        ..PodState::default()
    };
    PodReport {
        pods: pods.iter().map(state).collect(),
    }
}

fn leader() -> Arc<Hub> {
    let hub = Hub::new();
    hub.publish((1, Configuration::default()), &Arc::default(), NOW);
    hub.lead(true, Duration::ZERO);
    hub
}

/// What is new since somebody asked, as `node/uid=word`.
fn words(hub: &Hub, all: bool) -> Vec<String> {
    let words = hub.words([], all).into_iter();
    let shown = words.map(|((node, uid), word)| format!("{}/{uid}={:?}", node.name, word.captured));
    shown.collect()
}

#[test]
fn a_word_is_news_once_and_as_long_as_its_stream_lasts() {
    let hub = leader();
    let seat = hub.join(&whose::node("n1"), "a").expect("a seat");
    seat.reports(report(&[("u1", Capture::Done), ("u2", Capture::Pending)]));
    assert_eq!(words(&hub, false), ["n1/u1=Done", "n1/u2=Pending"]);
    seat.reports(report(&[("u1", Capture::Done)]));
    assert_eq!(words(&hub, false), [""; 0], "said before");
    seat.reports(report(&[("u2", Capture::Failed)]));
    assert_eq!(words(&hub, false), ["n1/u2=Failed"]);
    assert_eq!(words(&hub, true), ["n1/u1=Done", "n1/u2=Failed"]);
    let asked = (whose::node("n1"), "u1".to_owned());
    assert_eq!(hub.words([asked.clone()], false).len(), 1, "asked for");
    seat.leave(NOW);
    assert_eq!(hub.words([asked], true), [], "nobody speaks for the node");
}

#[test]
fn one_of_two_proxies_suffices_that_has_captured_a_pod() {
    let hub = leader();
    let seats = ["a", "b"].map(|instance| hub.join(&whose::node("n1"), instance));
    let [old, new] = seats.map(|seat| seat.expect("a seat"));
    old.reports(report(&[("u1", Capture::Done)]));
    new.reports(report(&[("u1", Capture::Pending)]));
    assert_eq!(words(&hub, false), ["n1/u1=Done"]);
    old.leave(NOW);
    assert_eq!(words(&hub, true), ["n1/u1=Pending"]);
}

#[test]
fn the_leader_hears_what_is_said_at_other_replicas() {
    let (leader, other) = (leader(), Hub::new());
    other.publish((1, Configuration::default()), &Arc::default(), NOW);
    let seat = other.join(&whose::node("n1"), "a").expect("a seat");
    seat.reports(report(&[("u1", Capture::Done)]));
    assert_eq!(words(&other, false), [""; 0], "it does not lead");
    let link = ("other", leader.link("other"));
    let mut told = Told::default();
    let mut is_first = true;
    let mut tell = |told: &mut Told| {
        let report = other.report(told).expect("news");
        let pods = report.pods.len();
        let report = match std::mem::take(&mut is_first) {
            true => first(report),
            false => report,
        };
        leader.reported_by(link, report, NOW);
        pods
    };
    assert_eq!(tell(&mut told), 1);
    assert_eq!(words(&leader, false), ["n1/u1=Done"]);

    seat.took(1, BTreeMap::new());
    assert_eq!(tell(&mut told), 0, "an answer says nothing new about pods");
    assert_eq!(
        words(&leader, true),
        ["n1/u1=Done"],
        "and takes nothing back"
    );

    seat.reports(report(&[("u2", Capture::Failed)]));
    assert_eq!(tell(&mut told), 1, "the difference alone");
    assert_eq!(words(&leader, false), ["n1/u2=Failed"]);

    let again = other.join(&whose::node("n1"), "a").expect("a seat");
    again.reports(report(&[("u2", Capture::Failed)]));
    tell(&mut told);
    assert_eq!(
        words(&leader, true),
        ["n1/u2=Failed"],
        "a new stream says all it knows"
    );
}

/// A replica that does not lead, at which the proxy of a node is connected.
fn follower(node: &str) -> (Arc<Hub>, Seat) {
    let hub = Hub::new();
    hub.publish((1, Configuration::default()), &Arc::default(), NOW);
    let seat = hub.join(&whose::node(node), "a").expect("a seat");
    (hub, seat)
}

/// A pod leaves: by its UID, and the configuration in which nobody reaches it.
fn leaves(hub: &Hub, configuration: u64) {
    hub.depart(&BTreeMap::from([("u1".into(), configuration)]));
}

fn departed(hub: &Hub) -> Vec<String> {
    hub.departed(NOW).iter().map(ToString::to_string).collect()
}

#[test]
fn a_pod_has_departed_when_every_proxy_has_taken_that() {
    let hub = leader();
    leaves(&hub, 7);
    let early = hub.departed(Duration::from_secs(1));
    assert!(early.is_empty(), "other replicas may call yet");
    assert_eq!(departed(&hub), ["u1"], "there is no proxy");
    let seats = ["n1", "n2"].map(|node| hub.join(&whose::node(node), "a").expect("a seat"));
    assert_eq!(departed(&hub), ["u1"], "none has taken anything");
    seats[0].took(7, BTreeMap::new());
    seats[1].took(6, BTreeMap::new());
    assert_eq!(departed(&hub), [""; 0], "one is behind");
    seats[1].took(8, BTreeMap::new());
    assert_eq!(departed(&hub), ["u1"]);
    hub.depart(&BTreeMap::new());
    assert_eq!(departed(&hub), [""; 0], "it has come back");
    leaves(&hub, 9);
    assert_eq!(departed(&hub), [""; 0], "and leaves anew");
}

#[test]
fn a_pod_has_departed_when_the_proxies_of_other_replicas_have_taken_that_too() {
    let (leader, (other, seat)) = (leader(), follower("n2"));
    let link = ("other", leader.link("other"));
    let told = &mut Told::default();
    seat.took(1, BTreeMap::new());
    leaves(&leader, 700);
    let report = other.report(told).expect("news");
    leader.reported_by(link, first(report), NOW);
    assert_eq!(departed(&leader), [""; 0], "nobody there knows it");
    leaves(&other, 2);
    let report = other.report(told).expect("news");
    leader.reported_by(link, report, NOW);
    assert_eq!(departed(&leader), [""; 0], "its proxy is behind");
    seat.took(2, BTreeMap::new());
    let report = other.report(told).expect("news");
    leader.reported_by(link, report, NOW);
    assert_eq!(departed(&leader), ["u1"]);

    assert_eq!(departed(&other), [""; 0], "it knows its own proxies only");
    other.departed_by_word(departed(&leader));
    assert_eq!(departed(&other), ["u1"]);
    other.departed_by_word(Vec::new());
    assert_eq!(departed(&other), [""; 0], "the leader is another one");
}

#[test]
fn the_word_of_a_leader_is_not_believed_against_the_own_proxies() {
    let (other, seat) = follower("n2");
    seat.took(1, BTreeMap::new());
    leaves(&other, 2);
    other.departed_by_word(vec!["u1".to_owned(), "u2".to_owned()]);
    assert_eq!(departed(&other), [""; 0], "of when it left before");
    seat.took(2, BTreeMap::new());
    assert_eq!(departed(&other), ["u1"], "and of no other pod");
}

#[test]
fn addresses_of_pods_are_heard_at_other_replicas_and_what_is_none_is_not() {
    let (leader, (other, seat)) = (leader(), follower("n1"));
    let texts = ["10.1.0.1", "nonsense", "fd00::1", "10.1.0.2"];
    let state = PodState {
        uid: "u1".to_owned(),
        captured: Capture::Done.into(),
        addresses: texts.map(str::to_owned).into(),
        ..PodState::default()
    };
    seat.reports(PodReport { pods: vec![state] });
    let report = other.report(&mut Told::default()).expect("news");
    let link = ("other", leader.link("other"));
    leader.reported_by(link, first(report), NOW);
    let words = leader.words([], true);
    let addresses = words.into_iter().map(|(_, word)| word.addresses);
    let expected: [std::net::IpAddr; 2] = [[10, 1, 0, 1].into(), "fd00::1".parse().expect("one")];
    assert_eq!(addresses.collect::<Vec<_>>(), [expected], "one of a family");
}

#[test]
fn who_speaks_of_too_much_is_not_heard_about_the_rest() {
    let uids: Vec<String> = (0..5_000).map(|at| format!("u{at}")).collect();
    let pods = |captured| -> Vec<_> { uids.iter().map(|uid| (uid.as_str(), captured)).collect() };
    let mut captures = Captures::default();
    let changed = captures.take(report(&pods(Capture::Pending)));
    assert_eq!(changed.len(), 4_096);
    assert_eq!(
        captures.take(report(&pods(Capture::Ended))).len(),
        4_096 + 904,
        "room is made"
    );
    let long = "u".repeat(65);
    assert_eq!(
        captures.take(report(&[(&long, Capture::Done)])),
        [""; 0],
        "no UID"
    );
}
