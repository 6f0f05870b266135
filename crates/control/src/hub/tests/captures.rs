//! What proxies of nodes say about pods, here and at other replicas.

use weft_wire::proto::config::{Capture, PodReport, PodState};

use super::*;
use crate::hub::captures::Captures;

fn report(pods: &[(&str, Capture)]) -> PodReport {
    let state = |(uid, captured): &(&str, Capture)| PodState {
        uid: (*uid).to_owned(),
        captured: (*captured).into(),
        reason: String::new(),
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

#[test]
fn the_oldest_configuration_is_known_to_a_leader_that_has_every_proxy() {
    let hub = leader();
    assert_eq!(
        hub.least(Duration::from_secs(1)),
        None,
        "others may call yet"
    );
    assert_eq!(hub.least(NOW), Some(u64::MAX), "there is no proxy");
    let seats = ["n1", "n2"].map(|node| hub.join(&whose::node(node), "a").expect("a seat"));
    assert_eq!(hub.least(NOW), Some(u64::MAX), "none has taken anything");
    seats[0].took(7, BTreeMap::new());
    seats[1].took(6, BTreeMap::new());
    assert_eq!(hub.least(NOW), Some(6));
    let other = Hub::new();
    other.publish((1, Configuration::default()), &Arc::default(), NOW);
    let link = ("other", hub.link("other"));
    let told = &mut Told::default();
    let _seat = other.join(&whose::node("n3"), "a").expect("a seat");
    let report = other.report(told).expect("news");
    hub.reported_by(link, first(report), NOW);
    assert_eq!(hub.least(NOW), None, "it counts in numbers of its own");
    hub.lead(false, NOW);
    assert_eq!(hub.least(NOW), None, "others may have proxies");
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
