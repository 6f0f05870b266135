//! Groups by themselves: who is in, who wins, what is rebuilt.

use std::{collections::BTreeSet, sync::Arc};

use weft_ir::{Filters, HttpMatch, Matches, Name, RouteId, RouteKind, Rule, Timeouts};

use super::{GroupKey, Groups, Member};

fn frontend(service: &str, port: u16, namespace: &str) -> GroupKey {
    let service = Name::new("shop", service);
    GroupKey::Frontend {
        service,
        port,
        namespace: namespace.into(),
    }
}

fn route(kind: RouteKind, name: &str) -> Arc<RouteId> {
    Arc::new(RouteId {
        kind,
        name: Name::new("shop", name),
    })
}

fn member() -> Option<Member> {
    Some(Member {
        hostnames: Vec::new(),
        created: None,
        rules: Vec::new(),
    })
}

/// A member with a rule of its own.
fn ruled(route: &Arc<RouteId>, created: Option<i64>) -> Option<Member> {
    let rule = Rule {
        route: Arc::clone(route),
        index: 0,
        name: None,
        matches: Matches::Http(vec![HttpMatch::default()]),
        filters: Filters::default(),
        backends: Vec::new(),
        timeouts: Timeouts::default(),
        retry: None,
        idempotent: false,
    };
    Some(Member {
        created,
        rules: vec![Arc::new(rule)],
        ..member()?
    })
}

#[test]
fn a_frontend_has_the_groups_of_its_port_alone() {
    let mut groups = Groups::default();
    let http = route(RouteKind::Http, "a");
    let keys = [
        ("web", 80, "a"),
        ("web", 80, "shop"),
        ("web", 81, "a"),
        ("we", 80, "a"),
        ("web2", 80, "a"),
    ];
    for (service, port, namespace) in keys {
        groups.set(&frontend(service, port, namespace), &http, member());
    }
    groups.settle();
    let web = Name::new("shop", "web");
    let found = groups.of_frontend(&web, 80);
    let namespaces: Vec<_> = found.map(|(namespace, _)| namespace.to_string()).collect();
    assert_eq!(namespaces, ["a", "shop"]);
}

#[test]
fn a_group_is_rebuilt_when_it_changes_and_only_then() {
    let (key, http) = (frontend("web", 80, "shop"), route(RouteKind::Http, "a"));
    let mut groups = Groups::default();
    groups.set(&key, &http, None);
    assert!(
        groups.settle().groups.is_empty(),
        "taking nobody out is no change"
    );
    groups.set(&key, &http, member());
    assert_eq!(
        groups.settle().groups,
        BTreeSet::from([key.clone()]),
        "a new member"
    );
    groups.set(&key, &http, member());
    assert!(groups.settle().groups.is_empty(), "the same member again");
    groups.set(&key, &http, None);
    assert_eq!(
        groups.settle().groups,
        BTreeSet::from([key.clone()]),
        "the last member left"
    );
    assert!(
        groups.get(&key).is_none(),
        "an empty group is no group: the port is unrouted"
    );
}

#[test]
fn an_edit_keeps_the_parts_of_its_neighbours() {
    let key = frontend("web", 80, "shop");
    let routes: Vec<_> = ["a", "b", "c"]
        .map(|name| route(RouteKind::Http, name))
        .into();
    let mut groups = Groups::default();
    for route in &routes {
        groups.set(&key, route, ruled(route, Some(1)));
    }
    groups.settle();
    let entries = |groups: &Groups| {
        groups
            .get(&key)
            .expect("a group")
            .routes()
            .entries()
            .to_vec()
    };
    let before = entries(&groups);
    groups.set(&key, &routes[1], ruled(&routes[1], Some(2)));
    groups.settle();
    let after = entries(&groups);
    let shared = before
        .iter()
        .zip(&after)
        .map(|(old, new)| Arc::ptr_eq(old, new));
    assert_eq!(
        shared.collect::<Vec<_>>(),
        [true, false, true],
        "the one that was edited"
    );
    groups.set(&key, &routes[0], None);
    groups.settle();
    let left = entries(&groups);
    let shared = left
        .iter()
        .zip(&after[1..])
        .all(|(old, new)| Arc::ptr_eq(old, new));
    assert!(left.len() == 2 && shared, "the others, when one has left");
}

#[test]
fn a_new_winner_concerns_every_member() {
    let key = frontend("web", 80, "shop");
    let (http, grpc) = (route(RouteKind::Http, "a"), route(RouteKind::Grpc, "b"));
    let mut groups = Groups::default();
    groups.set(&key, &http, member());
    groups.settle();
    groups.set(&key, &grpc, member());
    assert_eq!(
        groups.settle().routes,
        BTreeSet::from([http.clone(), grpc.clone()])
    );
    assert_eq!(
        groups.get(&key).and_then(super::Group::winner),
        Some(RouteKind::Grpc)
    );
    groups.set(&key, &grpc, None);
    assert!(
        groups.settle().routes.contains(&http),
        "the HTTPRoute acts again"
    );
    assert_eq!(
        groups.get(&key).and_then(super::Group::winner),
        Some(RouteKind::Http)
    );
}

#[test]
fn consumers_hear_of_the_producer() {
    let mut groups = Groups::default();
    let (consumer, producer) = (route(RouteKind::Http, "a"), route(RouteKind::Http, "b"));
    groups.set(&frontend("web", 80, "pay"), &consumer, member());
    groups.settle();
    groups.set(&frontend("web", 80, "shop"), &producer, member());
    assert!(
        groups.settle().routes.contains(&consumer),
        "the producer group appeared"
    );
}
