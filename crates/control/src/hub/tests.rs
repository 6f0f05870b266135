//! What counts as acknowledged, and what a stream is sent.

use std::time::Duration;

use super::{standing::Standing, *};
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

fn acknowledged(steps: &[Step], later: Duration) -> Option<i64> {
    let mut standing = Standing::of(None, NOW);
    for step in steps {
        match step {
            Published(configuration, object) => standing.published(*configuration, *object),
            Joins(instance, session) => standing.join(instance, *session),
            Takes(instance, session, configuration) => {
                standing.took(instance, *session, *configuration);
            }
            Leaves(instance, session) => standing.leave((instance, *session), NOW),
        }
    }
    standing.acknowledged(NOW + later)
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
    let mut standing = Standing::of(Some(7), NOW);
    standing.published(1, 7);
    let second = Duration::from_secs(1);
    assert_eq!(standing.acknowledged(NOW + second), Some(7));
    assert_eq!(standing.forgets_at(NOW), Some(NOW + second * 30));
    assert_eq!(standing.acknowledged(NOW + second * 31), None);
    assert_eq!(
        standing.forgets_at(NOW + second * 31),
        None,
        "no alarm twice"
    );
}

fn edge() -> Name {
    Name::new("shop", "edge")
}

fn hub() -> Arc<Hub> {
    let hub = Hub::new();
    let served = Served {
        workload: "edge-weft".to_owned(),
        generation: 1,
        programmed: None,
    };
    let gateways = Arc::new(Gateways::from([(edge(), served)]));
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
