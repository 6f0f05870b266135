//! Shares, exclusions and concurrency of the weighted split.

use proptest::prelude::*;

use super::*;

fn counts(split: &WeightedSplit, backends: usize, requests: usize) -> Vec<usize> {
    let mut counts = vec![0; backends];
    for _ in 0..requests {
        if let Some(index) = split.next() {
            counts[index] += 1;
        }
    }
    counts
}

/// How far the observed share of the worst backend is from its weight, in points of 100.
fn worst_error(weights: &[u32], counts: &[usize]) -> f64 {
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    let requests: usize = counts.iter().sum();
    let error = |(&weight, &count): (&u32, &usize)| {
        let wanted = f64::from(weight) / total as f64;
        let got = count as f64 / requests as f64;
        (wanted - got).abs() * 100.0
    };
    weights.iter().zip(counts).map(error).fold(0.0, f64::max)
}

#[test]
fn shares_after_500_requests() {
    let rows: &[(&str, &[u32])] = &[
        ("the conformance test's", &[70, 30, 0]),
        ("one percent canary", &[99, 1]),
        ("halves", &[1, 1]),
        ("three", &[1, 1, 1]),
        ("zero in the middle", &[10, 0, 90]),
        ("not summing to 100", &[2, 3]),
        ("largest the API allows", &[1_000_000, 1_000_000, 1]),
        ("largest the type allows", &[u32::MAX, u32::MAX, u32::MAX]),
        (
            "sixteen",
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        ),
    ];
    for (name, weights) in rows {
        for start in [0, 1, u64::MAX, 0x5eed_5eed_5eed_5eed] {
            let counts = counts(&WeightedSplit::new(weights, start), weights.len(), 500);
            let error = worst_error(weights, &counts);
            assert!(
                error < 2.0,
                "{name}: share off by {error:.2} points: {counts:?}"
            );
        }
    }
}

#[test]
fn who_can_be_chosen() {
    let rows: &[(&str, &[u32], &[usize])] = &[
        ("no backend", &[], &[]),
        ("all zero", &[0, 0, 0], &[]),
        ("single", &[7], &[0]),
        ("single zero", &[0], &[]),
        ("only one above zero", &[0, 0, 5, 0], &[2]),
        ("zeros around", &[0, 1, 0, 1, 0], &[1, 3]),
    ];
    for (name, weights, expected) in rows {
        let counts = counts(&WeightedSplit::new(weights, 42), weights.len(), 64);
        let chosen: Vec<usize> = (0..weights.len())
            .filter(|&index| counts[index] > 0)
            .collect();
        assert_eq!(
            chosen, *expected,
            "{name}: wrong set of backends got requests"
        );
    }
}

#[test]
fn a_rare_backend_is_not_kept_waiting() {
    // Independent draws leave a 1 % backend without a request for 500 requests in 1 of 150 runs.
    let split = WeightedSplit::new(&[99, 1], 7);
    let mut gap = 0;
    for request in 0..10_000 {
        gap = if split.next() == Some(1) { 0 } else { gap + 1 };
        assert!(
            gap <= 250,
            "no request for the 1 % backend in the 250 before {request}"
        );
    }
}

#[test]
fn every_second_request_sees_the_same_shares() {
    // A client that alternates between two kinds of request must not pin each to one backend.
    let split = WeightedSplit::new(&[50, 50], 3);
    let mut counts = [0; 2];
    for request in 0..1_000 {
        let index = split.next().expect("weights above 0");
        counts[index] += usize::from(request % 2 == 0);
    }
    let error = worst_error(&[50, 50], &counts);
    assert!(
        error < 2.0,
        "alternating client: share off by {error:.2} points: {counts:?}"
    );
}

#[test]
fn concurrent_callers_share_one_sequence() {
    let weights = [60, 30, 10, 0];
    let split = WeightedSplit::new(&weights, 11);
    let counts = std::thread::scope(|scope| {
        let workers = [(); 4].map(|()| scope.spawn(|| counts(&split, weights.len(), 5_000)));
        workers
            .into_iter()
            .map(|worker| worker.join().expect("worker finished"))
            .fold(vec![0; weights.len()], |sum, part| {
                sum.iter().zip(part).map(|(sum, part)| sum + part).collect()
            })
    });
    assert_eq!(
        counts.iter().sum::<usize>(),
        20_000,
        "every request got a backend"
    );
    let error = worst_error(&weights, &counts);
    assert!(
        error < 0.1,
        "20,000 requests of 4 threads: off by {error:.3} points: {counts:?}"
    );
}

proptest! {
    #[test]
    fn any_weights_hold_within_five_points(
        weights in prop::collection::vec(0_u32..=1_000_000, 1..16),
        start in any::<u64>(),
    ) {
        let split = WeightedSplit::new(&weights, start);
        let counts = counts(&split, weights.len(), 500);
        for (index, &weight) in weights.iter().enumerate() {
            prop_assert!(weight > 0 || counts[index] == 0, "weight 0 got requests: {counts:?}");
        }
        if weights.iter().any(|&weight| weight > 0) {
            prop_assert_eq!(counts.iter().sum::<usize>(), 500);
            let error = worst_error(&weights, &counts);
            prop_assert!(error <= 5.0, "off by {error:.2} points: {counts:?}");
        } else {
            prop_assert_eq!(split.next(), None);
        }
    }
}
