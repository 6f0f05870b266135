//! Who may be picked, and how evenly. Convergence under load is in `crate::tests`.

use proptest::prelude::*;

use super::*;
use crate::{Failure, InFlight, Outcome};

fn endpoints(count: usize) -> Vec<EndpointState> {
    (0..count).map(|_| EndpointState::new()).collect()
}

/// Ejects `endpoints[index]`, whatever the size of the set, by pretending it has many peers.
fn eject(endpoints: &[EndpointState], index: usize) {
    let crowd: Vec<EndpointState> = (0..1_000).map(|_| EndpointState::new()).collect();
    for _ in 0..2 {
        let failure = Outcome::Failure(Failure::Connect);
        InFlight::begin(&endpoints[index], 0).record(&crowd, failure, 1, 0);
    }
    assert!(
        endpoints[index].is_ejected(),
        "set-up: endpoint {index} is ejected"
    );
}

/// How often each endpoint is picked in `turns` turns at time 0 with nothing in flight.
fn counts(endpoints: &[EndpointState], exclude: &[usize], turns: u64) -> Vec<usize> {
    let mut counts = vec![0; endpoints.len()];
    for random in 0..turns {
        if let Some(index) = pick(endpoints, 0, random, exclude) {
            counts[index] += 1;
        }
    }
    counts
}

#[test]
fn who_may_be_picked() {
    struct Row {
        name: &'static str,
        size: usize,
        ejected: &'static [usize],
        exclude: &'static [usize],
        expected: &'static [usize],
    }
    let row = |name, size, ejected, exclude, expected| Row {
        name,
        size,
        ejected,
        exclude,
        expected,
    };
    let rows = [
        row("nobody", 0, &[], &[], &[]),
        row("one", 1, &[], &[], &[0]),
        row("one, tried already", 1, &[], &[0], &[]),
        row("one, ejected", 1, &[0], &[], &[0]),
        row("one, another set's index excluded", 1, &[], &[3], &[0]),
        row("two", 2, &[], &[], &[0, 1]),
        row("two, one tried", 2, &[], &[1], &[0]),
        row("two, one ejected", 2, &[0], &[], &[1]),
        row("two, one tried, the other ejected", 2, &[0], &[1], &[0]),
        row("two, both ejected", 2, &[0, 1], &[], &[0, 1]),
        row("five, some ejected", 5, &[1, 3], &[], &[0, 2, 4]),
        row("five, some ejected, one tried", 5, &[1, 3], &[0], &[2, 4]),
        row("five, all but one ejected", 5, &[0, 1, 3, 4], &[], &[2]),
        row(
            "five, all ejected",
            5,
            &[0, 1, 2, 3, 4],
            &[],
            &[0, 1, 2, 3, 4],
        ),
        row("three, all tried", 3, &[], &[2, 0, 1], &[]),
    ];
    for Row {
        name,
        size,
        ejected,
        exclude,
        expected,
    } in rows
    {
        let endpoints = endpoints(size);
        ejected.iter().for_each(|&index| eject(&endpoints, index));
        let counts = counts(&endpoints, exclude, 2_000);
        let picked: Vec<usize> = (0..size).filter(|&index| counts[index] > 0).collect();
        assert_eq!(picked, expected, "{name}");
    }
}

#[test]
fn equals_get_equal_shares() {
    for (size, ejected) in [(2, 0), (3, 0), (10, 0), (10, 5), (100, 0)] {
        let endpoints = endpoints(size);
        (0..ejected).for_each(|index| eject(&endpoints, index * size / ejected.max(1)));
        let turns = 10_000 * (size - ejected) as u64;
        for (index, count) in counts(&endpoints, &[], turns).into_iter().enumerate() {
            let expected = if endpoints[index].is_ejected() {
                0
            } else {
                10_000
            };
            let off = (count as f64 - f64::from(expected)).abs();
            assert!(
                off < 600.0,
                "endpoint {index} of {size}: {count} picks of 10,000"
            );
        }
    }
}

#[test]
fn an_endpoint_on_trial_gets_nothing_more() {
    let endpoints = endpoints(2);
    eject(&endpoints, 0);
    let due = crate::EJECTION_BASE_NS;
    let _trial = InFlight::begin(&endpoints[0], due);
    for random in 0..1_000 {
        assert_eq!(
            pick(&endpoints, due, random, &[]),
            Some(1),
            "sent beside the trial"
        );
    }
}

#[test]
fn ejected_endpoints_do_not_spoil_the_choice_between_the_others() {
    let endpoints = endpoints(3);
    eject(&endpoints, 0);
    let _busy = InFlight::begin(&endpoints[1], 0);
    let counts = counts(&endpoints, &[], 10_000);
    assert!(
        counts[1] < 500,
        "the busy one of two usable ones: {counts:?}"
    );
}

/// Percent of picks that go to the second of two endpoints, given as (latency in us, requests in
/// flight).
fn second_share(first: (u64, u32), second: (u64, u32)) -> f64 {
    let load = |(latency_us, in_flight): (u64, u32)| Load {
        latency_ns: latency_us as f64 * 1e3,
        in_flight,
    };
    let (first, second) = (load(first), load(second));
    let wins = |step: u32| {
        let fraction = f64::from(step) / 10_000.0;
        // Both orders of drawing are equally likely.
        let taken = second_is_better((first, second), fraction);
        let kept = !second_is_better((second, first), fraction);
        u32::from(taken) + u32::from(kept)
    };
    f64::from((0..10_000).map(wins).sum::<u32>()) / 200.0
}

#[test]
fn latency_counts_by_degrees_and_load_decides_among_equals() {
    let rows = [
        ("equals", (1_000, 0), (1_000, 0), 50.0),
        ("two untried", (0, 0), (0, 0), 50.0),
        ("one untried", (1_000, 0), (0, 0), 100.0),
        ("same speed, one busy", (1_000, 0), (1_000, 1), 0.0),
        ("same speed, one busier", (1_000, 8), (1_000, 7), 100.0),
        ("1.3 times as slow", (1_000, 0), (1_300, 0), 29.6),
        ("twice as slow", (1_000, 0), (2_000, 0), 12.5),
        ("ten times as slow", (1_000, 0), (10_000, 0), 0.5),
        (
            "twice as slow, the other busy",
            (1_000, 4),
            (2_000, 0),
            100.0,
        ),
        (
            "ten times as slow, the other a little busy",
            (1_000, 1),
            (10_000, 0),
            1.0,
        ),
    ];
    for (name, first, second, expected) in rows {
        let share = second_share(first, second);
        assert!(
            (share - expected).abs() < 0.1,
            "{name}: {share} % of picks, not {expected} %"
        );
    }
}

proptest! {
    #[test]
    fn a_pick_is_always_allowed(
        size in 0_usize..40,
        ejected in prop::collection::hash_set(0_usize..40, 0..40),
        exclude in prop::collection::vec(0_usize..40, 0..4),
        random in any::<u64>(),
    ) {
        let endpoints = endpoints(size);
        ejected.iter().filter(|&&index| index < size).for_each(|&index| eject(&endpoints, index));
        let left: Vec<usize> = (0..size).filter(|index| !exclude.contains(index)).collect();
        let healthy = left.iter().any(|&index| !endpoints[index].is_ejected());
        match pick(&endpoints, 0, random, &exclude) {
            None => prop_assert!(left.is_empty(), "nothing picked although {left:?} are left"),
            Some(index) => {
                prop_assert!(left.contains(&index), "picked {index}, excluded or out of range");
                prop_assert!(
                    !healthy || !endpoints[index].is_ejected(),
                    "picked ejected {index} while a healthy one is left"
                );
            }
        }
    }
}
