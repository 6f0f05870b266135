//! What counts as acknowledged, and what a stream is sent.

mod captures;
mod members;

use std::time::Duration;

use super::{ledger::Ledger, standing::Standing, *};
use crate::world::Served;

const NOW: Duration = Duration::from_secs(100);

/// What happens to the proxies of a Gateway, one after the other.
enum Step {
    /// A configuration holds a generation of the object.
    Published(u64, i64),
    Joins(&'static str, u64),
    Takes(&'static str, u64, u64),
    Leaves(&'static str, u64),
}

use Step::{Joins, Leaves, Published, Takes};

/// A Gateway in a generation.
fn gateways(generation: i64, programmed: Option<i64>) -> Gateways {
    let served = Served {
        workload: "edge-weft".to_owned(),
        generation,
        programmed,
        is_ending: false,
    };
    Gateways::from([(edge(), served)])
}

/// That of a replica that has led for long.
fn leading() -> Standing {
    let mut standing = Standing::default();
    standing.lead(&Gateways::new(), Duration::ZERO);
    standing
}

fn acknowledged(steps: &[Step], later: Duration) -> Option<i64> {
    let mut standing = leading();
    for step in steps {
        match step {
            Published(configuration, object) => {
                standing.publish(*configuration, &gateways(*object, None), NOW);
            }
            Joins(instance, session) => standing.own.join(&edge(), instance, *session),
            Takes(instance, session, configuration) => {
                standing
                    .own
                    .took((&edge(), instance), *session, *configuration);
                standing.own.prune();
            }
            Leaves(instance, session) => standing.leave((&edge(), instance), *session, NOW),
        }
    }
    standing.acknowledged(&edge(), None, NOW + later)
}

/// Names, steps, and the generation of the object that counts as acknowledged.
const ROWS: &[(&str, &[Step], Option<i64>)] = &[
    ("nobody", &[Published(1, 1)], None),
    (
        "nobody has said anything",
        &[Published(1, 1), Joins("a", 1)],
        None,
    ),
    (
        "one",
        &[Published(1, 1), Joins("a", 1), Takes("a", 1, 1)],
        Some(1),
    ),
    (
        "a later configuration with the same object",
        &[
            Published(1, 1),
            Published(2, 1),
            Joins("a", 1),
            Takes("a", 1, 2),
        ],
        Some(1),
    ),
    (
        "one lags",
        &[
            Published(1, 1),
            Joins("a", 1),
            Joins("b", 2),
            Takes("a", 1, 1),
            Takes("b", 2, 1),
            Published(2, 2),
            Takes("a", 1, 2),
        ],
        Some(1),
    ),
    (
        "it follows",
        &[
            Published(1, 1),
            Joins("a", 1),
            Joins("b", 2),
            Takes("a", 1, 1),
            Takes("b", 2, 1),
            Published(2, 2),
            Takes("a", 1, 2),
            Takes("b", 2, 2),
        ],
        Some(2),
    ),
    (
        "one that has just come does not count",
        &[
            Published(1, 1),
            Joins("a", 1),
            Takes("a", 1, 1),
            Joins("b", 2),
        ],
        Some(1),
    ),
    (
        "an old stream says nothing",
        &[
            Published(1, 1),
            Joins("a", 1),
            Joins("a", 2),
            Takes("a", 1, 1),
        ],
        None,
    ),
    (
        "an old stream does not end a new one",
        &[
            Published(1, 1),
            Joins("a", 1),
            Joins("a", 2),
            Takes("a", 2, 1),
            Leaves("a", 1),
            Published(2, 2),
            Takes("a", 2, 2),
        ],
        Some(2),
    ),
    (
        "all went a moment ago",
        &[
            Published(1, 1),
            Joins("a", 1),
            Takes("a", 1, 1),
            Leaves("a", 1),
        ],
        Some(1),
    ),
];

#[test]
fn a_gateway_is_where_the_last_of_its_proxies_is() {
    for (name, steps, expected) in ROWS {
        assert_eq!(
            acknowledged(steps, Duration::from_secs(1)),
            *expected,
            "{name}"
        );
    }
}

#[test]
fn proxies_that_went_are_forgotten_in_the_end() {
    let steps = [
        Published(1, 1),
        Joins("a", 1),
        Takes("a", 1, 1),
        Leaves("a", 1),
    ];
    assert_eq!(acknowledged(&steps, Duration::from_secs(29)), Some(1));
    assert_eq!(acknowledged(&steps, Duration::from_secs(31)), None);
}

#[test]
fn what_a_status_says_holds_until_proxies_had_time_to_come_back() {
    let mut standing = leading();
    standing.publish(1, &gateways(7, Some(7)), NOW);
    let second = Duration::from_secs(1);
    let acknowledged = |later| standing.acknowledged(&edge(), None, NOW + later);
    assert_eq!(acknowledged(second), Some(7));
    assert_eq!(standing.forgets_at(NOW), Some(NOW + second * 30));
    assert_eq!(acknowledged(second * 31), None);
    assert_eq!(
        standing.forgets_at(NOW + second * 31),
        None,
        "no alarm twice"
    );
}

#[test]
fn a_replica_that_does_not_lead_goes_by_what_statuses_say() {
    let mut standing = Standing::default();
    standing.publish(1, &gateways(2, Some(1)), NOW);
    standing.own.join(&edge(), "a", 1);
    standing.own.took((&edge(), "a"), 1, 1);
    let acknowledged =
        |standing: &Standing, later| standing.acknowledged(&edge(), Some(1), NOW + later);
    let second = Duration::from_secs(1);
    assert_eq!(acknowledged(&standing, second), Some(1), "follows");
    standing.lead(&gateways(2, Some(1)), NOW);
    assert_eq!(
        acknowledged(&standing, second),
        Some(1),
        "leads, and others may have proxies"
    );
    assert_eq!(standing.forgets_at(NOW), Some(NOW + second * 3));
    assert_eq!(acknowledged(&standing, second * 3), Some(2), "has settled");
}

/// A replica with a proxy, which has taken a configuration of its own counting.
fn other(configuration: u64, object: i64, instance: &str) -> (Ledger, Told) {
    let mut ledger = Ledger::default();
    let objects = BTreeMap::from([(object_of(&edge()), object)]);
    ledger.publish(configuration, &objects);
    ledger.join(&edge(), instance, 1);
    ledger.took((&edge(), instance), 1, configuration);
    (ledger, Told::default())
}

fn first(mut report: ReportRequest) -> ReportRequest {
    report.replica = "other".to_owned();
    report
}

#[test]
fn proxies_of_other_replicas_count() {
    let mut standing = leading();
    standing.publish(9, &gateways(2, None), NOW);
    standing.own.join(&edge(), "a", 1);
    standing.own.took((&edge(), "a"), 1, 9);
    let of = |standing: &Standing| standing.acknowledged(&edge(), None, NOW);
    assert_eq!(of(&standing), Some(2), "nobody else");

    let (mut ledger, mut told) = other(40, 1, "b");
    let report = ledger
        .report(&Trusts::default(), &mut told)
        .expect("everything is news");
    assert_eq!(
        ledger.report(&Trusts::default(), &mut told),
        None,
        "nothing is told twice"
    );
    standing.link("other", 5);
    assert!(standing.report(("other", 5), first(report), NOW));
    assert_eq!(of(&standing), Some(1), "one there lags");

    let objects = BTreeMap::from([(object_of(&edge()), 2)]);
    ledger.publish(41, &objects);
    let report = ledger
        .report(&Trusts::default(), &mut told)
        .expect("another generation");
    assert!(standing.report(("other", 5), report, NOW));
    assert_eq!(of(&standing), Some(1), "it is published, not taken");
    ledger.took((&edge(), "b"), 1, 41);
    let report = ledger
        .report(&Trusts::default(), &mut told)
        .expect("it has taken it");
    assert!(!standing.report(("other", 4), report.clone(), NOW));
    assert_eq!(of(&standing), Some(1), "an old link says nothing");
    assert!(standing.report(("other", 5), report, NOW));
    assert_eq!(of(&standing), Some(2), "it has followed");
}

#[test]
fn proxies_of_a_lost_replica_count_until_they_have_found_another_one() {
    let mut standing = leading();
    standing.publish(9, &gateways(2, None), NOW);
    standing.own.join(&edge(), "a", 1);
    standing.own.took((&edge(), "a"), 1, 9);
    let (mut ledger, mut told) = other(40, 1, "b");
    let report = ledger
        .report(&Trusts::default(), &mut told)
        .expect("everything is news");
    standing.link("other", 5);
    standing.report(("other", 5), first(report), NOW);
    standing.unlink(("other", 5), NOW);
    let second = Duration::from_secs(1);
    let of = |standing: &Standing, later| standing.acknowledged(&edge(), None, NOW + later);
    assert_eq!(of(&standing, second), Some(1), "it may still serve");
    assert_eq!(standing.forgets_at(NOW), Some(NOW + second * 25));
    assert_eq!(of(&standing, second * 25), Some(2), "it does not any more");
    standing.own.join(&edge(), "b", 2);
    assert_eq!(of(&standing, second), Some(2), "its proxy is here");
    standing.own.took((&edge(), "b"), 2, 8);
    assert_eq!(of(&standing, second), None, "and lags");
}

#[test]
fn the_last_proxy_of_another_replica_is_remembered_for_a_while() {
    let mut standing = leading();
    standing.publish(9, &gateways(1, None), NOW);
    let (mut ledger, mut told) = other(40, 1, "b");
    let report = ledger
        .report(&Trusts::default(), &mut told)
        .expect("everything is news");
    standing.link("other", 5);
    standing.report(("other", 5), first(report), NOW);
    assert!(ledger.leave((&edge(), "b"), 1));
    let report = ledger
        .report(&Trusts::default(), &mut told)
        .expect("it went");
    standing.report(("other", 5), report, NOW);
    let of = |later| standing.acknowledged(&edge(), None, NOW + Duration::from_secs(later));
    assert_eq!((of(29), of(31)), (Some(1), None));
}

fn edge() -> Name {
    Name::new("shop", "edge")
}

fn hub() -> Arc<Hub> {
    let hub = Hub::new();
    let gateways = Arc::new(gateways(1, None));
    hub.publish((1, Configuration::default()), &gateways, NOW);
    hub
}

#[test]
fn there_is_a_place_only_for_proxies_of_our_gateways() {
    let unread = Hub::new();
    assert_eq!(
        unread.join(&edge(), "a").map(drop),
        Err(JoinError::NotSynced)
    );
    let hub = hub();
    let other = Name::new("shop", "other");
    assert_eq!(hub.join(&other, "a").map(drop), Err(JoinError::Unknown));
    let seat = hub.join(&edge(), "a");
    assert!(seat.is_ok(), "the proxy of a Gateway of ours");
    assert_eq!(hub.connected(), 1);
}

#[test]
fn a_gateway_that_is_gone_ends_its_streams() {
    let hub = hub();
    let seat = hub.join(&edge(), "a").expect("a place");
    assert!(seat.is_valid());
    hub.publish((2, Configuration::default()), &Arc::default(), NOW);
    assert!(!seat.is_valid());
    seat.leave(NOW);
    assert_eq!(hub.connected(), 0);
}

#[test]
fn a_newer_stream_of_a_proxy_takes_over() {
    let hub = hub();
    let older = hub.join(&edge(), "a").expect("a place");
    let newer = hub.join(&edge(), "a").expect("a place");
    assert!(!older.is_valid() && newer.is_valid());
    older.leave(NOW);
    assert!(newer.is_valid(), "the older one leaves alone");
    assert_eq!(hub.connected(), 1);
}

#[test]
fn what_proxies_refuse_is_known_wherever_they_are() {
    let route = ObjectRef::new(Kind::HttpRoute, ObjectKey::new("shop", "web"));
    let refusals = || BTreeMap::from([(route.clone(), "no authorities".to_owned())]);
    let mut standing = leading();
    standing.publish(9, &gateways(1, None), NOW);
    standing.own.hold(&route, 9, 1);
    standing.own.join(&edge(), "a", 1);
    standing.own.took((&edge(), "a"), 1, 9);
    let spread = |standing: &Standing| {
        let spread = standing.spread((&route, &edge()), 1, NOW);
        let spread = spread.expect("there are proxies");
        (spread.applied, spread.refused, spread.laggards)
    };
    assert_eq!(spread(&standing), (1, vec![], vec![]));

    let (mut ledger, mut told) = other(40, 1, "b");
    ledger.hold(&route, 40, 1);
    assert!(ledger.refuses((&edge(), "b"), 1, refusals()), "news");
    assert!(!ledger.refuses((&edge(), "b"), 1, refusals()), "no news");
    let report = ledger.report(&Trusts::default(), &mut told);
    standing.link("other", 5);
    assert!(standing.report(("other", 5), first(report.expect("news")), NOW));
    let refused = vec!["b: no authorities".to_owned()];
    assert_eq!(spread(&standing), (1, refused, vec![]));
    assert_eq!(standing.refused(), BTreeSet::from([route.clone()]));

    assert!(ledger.refuses((&edge(), "b"), 1, BTreeMap::new()), "news");
    let report = ledger.report(&Trusts::default(), &mut told);
    assert!(standing.report(("other", 5), report.expect("it is mended"), NOW));
    assert_eq!(spread(&standing), (2, vec![], vec![]));
    assert_eq!(standing.refused(), BTreeSet::new());
}

#[test]
fn a_gateway_that_a_proxy_refuses_is_not_acknowledged() {
    let gateway = object_of(&edge());
    let route = ObjectRef::new(Kind::HttpRoute, ObjectKey::new("shop", "web"));
    let mut standing = leading();
    standing.publish(9, &gateways(7, None), NOW);
    for instance in ["a", "b"] {
        standing.own.join(&edge(), instance, 1);
        standing.own.took((&edge(), instance), 1, 9);
    }
    let rows = [
        ("nothing", vec![], Some(7)),
        ("a route", vec![&route], Some(7)),
        ("the Gateway", vec![&gateway], None),
        ("nothing any more", vec![], Some(7)),
    ];
    for (what, refused, expected) in rows {
        let why = || "port 80 is not served".to_owned();
        let refused = refused.into_iter().map(|it| (it.clone(), why())).collect();
        standing.own.refuses((&edge(), "b"), 1, refused);
        let acknowledged = standing.acknowledged(&edge(), None, NOW);
        assert_eq!(acknowledged, expected, "one of two refuses {what}");
    }
}

/// A configuration with a pod of the mesh on each of these nodes, and a route of a Service.
fn with_pods(nodes: &[&str]) -> Configuration {
    let pods = nodes.iter().map(|node| {
        let pod = Workload {
            name: Name::new("shop", format!("on-{node}")),
            uid: format!("u-{node}").into(),
            node: Arc::from(*node),
            service_account: "web".into(),
            addresses: Vec::new(),
            is_member: true,
            is_leaving: false,
            is_permissive: false,
            probe_ports: Vec::new(),
            exclude_inbound_ports: Vec::new(),
            exclude_outbound_ports: Vec::new(),
            exclude_outbound_cidrs: Vec::new(),
            opaque_ports: Vec::new(),
            drain_seconds: None,
        };
        let pods = BTreeMap::from([(pod.name.clone(), Arc::new(pod))]);
        (Arc::from(*node), Arc::new(pods))
    });
    Configuration {
        workloads: Arc::new(pods.collect()),
        ..Configuration::default()
    }
}

#[test]
fn a_node_is_sent_its_own_pods_and_nothing_of_another_node() {
    let hub = Hub::new();
    let configuration = with_pods(&["n1", "n2"]);
    hub.publish((1, configuration), &Arc::new(gateways(1, None)), NOW);
    let sent = |node: &str| {
        let seat = hub.join(&whose::node(node), "u").expect("a seat");
        assert!(seat.is_valid(), "{node}");
        let (_, snapshot) = seat.target();
        let sent: Vec<_> = snapshot.iter().map(|it| it.key().to_string()).collect();
        seat.leave(NOW);
        sent
    };
    assert_eq!(sent("n1"), ["Workload shop/on-n1"]);
    assert_eq!(sent("n2"), ["Workload shop/on-n2"]);
    assert_eq!(sent("n3"), [] as [String; 0], "a node without pods");
    assert_eq!(sent("shop"), [] as [String; 0], "the name of a namespace");
    assert_eq!(
        hub.join(&whose::mesh(), "u").map(drop),
        Err(JoinError::Unknown),
        "all nodes are nobody"
    );
    assert!(hub.workload("n1", "u-n1").is_some());
    assert!(hub.workload("n2", "u-n1").is_none(), "of another node");
}

#[test]
fn a_route_of_a_service_is_applied_by_nodes() {
    let hub = Hub::new();
    hub.lead(true, Duration::ZERO);
    let key = ObjectKey::new("shop", "web");
    let route = ObjectRef::new(Kind::HttpRoute, key);
    let publish = |generation: u64| {
        let configuration = with_pods(&["n1", "n2"]);
        hub.publish(
            (generation, configuration),
            &Arc::new(gateways(1, None)),
            NOW,
        );
        let of_object = i64::try_from(generation).unwrap();
        hub.hold(&[(route.clone(), of_object)], &[]);
    };
    let spread = |generation: i64| {
        let spread = hub.spread((&route, &whose::mesh()), generation, NOW)?;
        Some((spread.applied, spread.laggards))
    };
    publish(1);
    assert_eq!(spread(1), None, "there is no node");
    let first = hub.join(&whose::node("n1"), "u-1").expect("a seat");
    let second = hub.join(&whose::node("n2"), "u-2").expect("a seat");
    let edge = hub.join(&edge(), "u-3").expect("a seat of a Gateway");
    for seat in [&first, &second, &edge] {
        seat.took(1, BTreeMap::new());
    }
    assert_eq!(spread(1), Some((2, Vec::new())), "Gateways do not count");
    publish(2);
    assert!(second.is_valid(), "a node stays through configurations");
    first.took(2, BTreeMap::new());
    assert_eq!(spread(2), Some((1, vec!["n2".to_owned()])), "by its name");
    second.took(2, BTreeMap::from([(route.clone(), "no".to_owned())]));
    let refused = hub
        .spread((&route, &whose::mesh()), 2, NOW)
        .map(|it| it.refused);
    assert_eq!(refused, Some(vec!["n2: no".to_owned()]));
    let members = hub.members(NOW).expect("everybody is known");
    assert!(members.contains_key("node n1 proxy u-1"), "{members:?}");
    for seat in [first, second, edge] {
        seat.leave(NOW);
    }
    assert_eq!(spread(2), None, "nobody is left to ask");
}
