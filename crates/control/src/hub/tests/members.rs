//! Who is waited for when roots change: whoever is there, wherever, and whoever was a moment ago.

use std::collections::BTreeMap;

use weft_wire::proto::config::WorkerTrusts;

use super::*;

/// A proxy that trusts a bundle, with a worker that has so many certificates of that issuer.
fn trusts(bundle_version: u64, issuer: &str, leaves: u32) -> Trusts {
    Trusts {
        bundle_version,
        issuer: issuer.to_owned(),
        workers: vec![WorkerTrusts {
            name: "shop".to_owned(),
            bundle_version,
            leaves: BTreeMap::from([(issuer.to_owned(), leaves)]),
        }],
    }
}

fn leader() -> Arc<Hub> {
    let hub = hub();
    hub.lead(true, Duration::ZERO);
    hub
}

/// What a proxy that is waited for has said, by a part of its name.
fn of(hub: &Hub, name: &str, later: u64) -> Option<Trusts> {
    let members = hub.members(NOW + Duration::from_secs(later))?;
    let mut found = members.into_iter().filter(|(it, _)| it.contains(name));
    found.next().map(|(_, trusts)| trusts)
}

#[test]
fn a_proxy_that_lost_its_stream_is_waited_for_a_while() {
    let hub = leader();
    let seat = hub.join(&whose::node("n1"), "u-1").expect("a seat");
    seat.trusts(trusts(2, "old", 3));
    assert_eq!(of(&hub, "u-1", 0), Some(trusts(2, "old", 3)));
    seat.leave(NOW);
    assert_eq!(
        of(&hub, "u-1, which has no stream now", 59),
        Some(trusts(2, "old", 3)),
        "it may be about to call again"
    );
    let again = hub.join(&whose::node("n1"), "u-1").expect("a seat");
    assert_eq!(
        of(&hub, "u-1", 59),
        Some(Trusts::default()),
        "it is back, and is asked anew"
    );
    again.trusts(trusts(2, "new", 3));
    assert_eq!(of(&hub, "no stream", 0), None, "it has one");
    again.leave(NOW);
    assert_eq!(of(&hub, "u-1", 59), Some(trusts(2, "new", 3)));
    assert_eq!(of(&hub, "u-1", 60), None, "it is gone, and holds up nobody");
}

#[test]
fn a_proxy_that_never_said_whom_it_trusts_is_not_missed() {
    let hub = leader();
    let seat = hub.join(&edge(), "u-1").expect("a seat");
    assert_eq!(of(&hub, "u-1", 0), Some(Trusts::default()));
    seat.leave(NOW);
    assert_eq!(of(&hub, "u-1", 0), None);
}

#[test]
fn proxies_of_a_gateway_that_is_gone_are_not_missed() {
    let hub = leader();
    let seat = hub.join(&edge(), "u-1").expect("a seat");
    seat.trusts(trusts(1, "old", 1));
    seat.leave(NOW);
    assert!(of(&hub, "u-1", 0).is_some(), "while there is the Gateway");
    hub.publish((2, Configuration::default()), &Arc::default(), NOW);
    assert_eq!(of(&hub, "u-1", 0), None);
}

#[test]
fn proxies_of_other_replicas_are_waited_for_with_their_workers() {
    let hub = leader();
    let own = Trusts::default();
    let (mut ledger, mut told) = other(40, 1, "b");
    ledger.trusts((&edge(), "b"), 1, trusts(2, "old", 7));
    let link = hub.link("other");
    let report = ledger.report(&own, &mut told).expect("all of it is news");
    hub.reported_by(("other", link), first(report), NOW);
    assert_eq!(of(&hub, "edge proxy b", 0), Some(trusts(2, "old", 7)));
    ledger.trusts((&edge(), "b"), 1, trusts(2, "old", 6));
    let report = ledger.report(&own, &mut told).expect("one was renewed");
    hub.reported_by(("other", link), report, NOW);
    assert_eq!(of(&hub, "edge proxy b", 0), Some(trusts(2, "old", 6)));
    ledger.leave((&edge(), "b"), 1);
    let report = ledger.report(&own, &mut told).expect("it went");
    hub.reported_by(("other", link), report, NOW);
    let missed = of(&hub, "b, which has no stream now", 59);
    assert_eq!(missed, Some(trusts(2, "old", 6)), "it may call here next");
    assert_eq!(of(&hub, "edge proxy b", 60), None, "it did not");
}
