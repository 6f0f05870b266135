//! Peak, approach, fading and the packed word.

use super::*;

const MS: u64 = 1_000_000;

/// The estimate in milliseconds at `now` after the samples `(at, latency)`, all in milliseconds.
fn estimate_after(samples: &[(u64, u64)], now: u64) -> Option<f64> {
    let latency = Latency::default();
    for (at, sample) in samples {
        latency.observe(sample * MS, at * MS);
    }
    latency
        .estimate_ns(now * MS)
        .map(|estimate| estimate / MS as f64)
}

/// Name; samples as (at, latency); when it is read; the estimate. All in milliseconds.
type Row = (&'static str, &'static [(u64, u64)], u64, f64);

#[test]
fn estimates() {
    let rows: &[Row] = &[
        ("first sample counts whole", &[(0, 20)], 0, 20.0),
        ("a peak counts whole", &[(0, 20), (100, 500)], 100, 500.0),
        (
            "one time constant forgets 63 %",
            &[(0, 100), (10_000, 0)],
            10_000,
            36.8,
        ),
        ("idle for one time constant", &[(0, 100)], 10_000, 36.8),
        ("idle for a minute", &[(0, 1_000)], 60_000, 2.5),
        (
            "a faster sample at the same instant changes nothing",
            &[(0, 20), (0, 1)],
            0,
            20.0,
        ),
        ("a clock read a little earlier", &[(1_000, 20)], 900, 20.0),
    ];
    for (name, samples, now, expected) in rows {
        let estimate = estimate_after(samples, *now).expect("sampled");
        let off = (estimate - expected).abs();
        assert!(
            off < 0.01 * expected + 0.05,
            "{name}: {estimate:.2} ms, not {expected} ms"
        );
    }
    assert_eq!(estimate_after(&[], 5), None, "never sampled");
}

#[test]
fn approaches_a_steady_latency_from_above() {
    let latency = Latency::default();
    latency.observe(1_000 * MS, 0);
    for at in 1..=6_000 {
        latency.observe(5 * MS, at * 10 * MS);
    }
    let estimate = latency.estimate_ns(60_000 * MS).expect("sampled") / MS as f64;
    assert!(
        (5.0..8.0).contains(&estimate),
        "after a minute of 5 ms answers: {estimate:.2} ms"
    );
}

#[test]
fn failures_never_lower_the_estimate() {
    let latency = Latency::default();
    latency.observe_failure(MS, 1_000 * MS, 0);
    assert_eq!(
        latency.estimate_ns(0),
        Some(1e9),
        "a first failure counts as slow"
    );
    latency.forget();
    assert_eq!(latency.estimate_ns(0), None, "forgotten");
    latency.observe(50 * MS, 0);
    latency.observe_failure(MS, 1_000 * MS, 20 * MS);
    let kept = latency.estimate_ns(0).expect("sampled") / MS as f64;
    assert!(
        (kept - 50.0).abs() < 0.01,
        "a fast failure left {kept:.2} ms of 50 ms"
    );
    latency.observe_failure(200 * MS, 1_000 * MS, 20 * MS);
    let raised = latency.estimate_ns(20 * MS).expect("sampled") / MS as f64;
    assert!(
        (raised - 200.0).abs() < 0.01,
        "a slow failure is a peak: {raised:.2} ms"
    );
}

#[test]
fn ticks_wrap_around() {
    let last_tick = u64::from(u32::MAX) << TICK_SHIFT;
    let latency = Latency::default();
    latency.observe(100 * MS, last_tick);
    let after = latency
        .estimate_ns(last_tick + 10_000 * MS)
        .expect("sampled")
        / MS as f64;
    assert!(
        (36.0..38.0).contains(&after),
        "ten seconds over the wrap: {after:.2} ms"
    );
}

#[test]
fn a_sample_of_zero_at_time_zero_counts() {
    let latency = Latency::default();
    latency.observe(0, 0);
    assert!(
        latency.estimate_ns(0).is_some(),
        "an instant answer looked like none"
    );
}
