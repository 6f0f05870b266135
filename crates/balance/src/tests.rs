//! Convergence, fairness and recovery of [`crate::pick`] under load, in virtual time.
//!
//! A discrete-event simulation: requests arrive at random (Poisson), an endpoint serves any number
//! at once, each in its own time. No clock, no threads, the same seed gives the same run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::{EndpointState, Failure, InFlight, Outcome, SECOND_NS, pick};

const MS: u64 = 1_000_000;

/// How an endpoint answers from a point in time on.
#[derive(Clone, Copy)]
enum Answer {
    After(u64),
    ErrorAfter(u64),
    Refuses,
}
use Answer::{After, ErrorAfter, Refuses};

/// A deterministic stream of random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Exponentially distributed with the given mean.
    fn exponential(&mut self, mean_ns: f64) -> u64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (-(1.0 - uniform).ln() * mean_ns) as u64
    }
}

/// Requests per endpoint, counted in steps of one second.
struct Run {
    per_second: Vec<Vec<usize>>,
    ejections: usize,
}

impl Run {
    /// Share of each endpoint, in percent, over a span of seconds.
    fn shares(&self, seconds: std::ops::Range<usize>) -> Vec<f64> {
        let endpoints = self.per_second[0].len();
        let sum = |index: usize| {
            self.per_second[seconds.clone()]
                .iter()
                .map(|row| row[index])
                .sum()
        };
        let counts: Vec<usize> = (0..endpoints).map(sum).collect();
        let total = counts.iter().sum::<usize>() as f64;
        counts
            .into_iter()
            .map(|count| 100.0 * count as f64 / total)
            .collect()
    }
}

/// Sends `rate` requests per second for `seconds` to endpoints that behave as `behaviour(endpoint,
/// second)` says; answers vary by a tenth.
fn run(
    endpoints: usize,
    rate: f64,
    seconds: usize,
    behaviour: impl Fn(usize, usize) -> Answer,
) -> Run {
    let states: Vec<EndpointState> = (0..endpoints).map(|_| EndpointState::new()).collect();
    let mut random = Random(0x5eed);
    let mut result = Run {
        per_second: vec![vec![0; endpoints]; seconds],
        ejections: 0,
    };
    let mut ends: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut flights = Vec::new();
    let mut now_ns = 0;
    loop {
        now_ns += random.exponential(SECOND_NS as f64 / rate);
        let second = (now_ns / SECOND_NS) as usize;
        if second >= seconds {
            return result;
        }
        while let Some(&Reverse((end_ns, flight))) = ends.peek()
            && end_ns <= now_ns
        {
            ends.pop();
            let slot: &mut Option<(InFlight<&EndpointState>, Outcome, u64)> = &mut flights[flight];
            let (mut guard, outcome, latency_ns) = slot.take().expect("ends once");
            let ejection = guard.record(&states, outcome, latency_ns, end_ns);
            result.ejections += usize::from(ejection.is_some());
        }
        let index = pick(&states, now_ns, random.next(), &[]).expect("endpoints");
        result.per_second[second][index] += 1;
        let (outcome, mean_ns) = match behaviour(index, second) {
            After(mean_ns) => (Outcome::Success, mean_ns),
            ErrorAfter(mean_ns) => (Outcome::Failure(Failure::Status5xx), mean_ns),
            Refuses => (Outcome::Failure(Failure::Connect), 50_000),
        };
        let latency_ns = mean_ns * (95 + random.next() % 11) / 100;
        ends.push(Reverse((now_ns + latency_ns, flights.len())));
        flights.push(Some((
            InFlight::begin(&states[index], now_ns),
            outcome,
            latency_ns,
        )));
    }
}

fn assert_within(name: &str, share: f64, range: std::ops::Range<f64>) {
    assert!(
        range.contains(&share),
        "{name}: {share:.1} % of the requests, wanted {range:?}"
    );
}

#[test]
fn equal_endpoints_get_equal_shares() {
    for (rate, latency_ns) in [(20.0, 5 * MS), (1_000.0, 5 * MS), (2_000.0, 100 * MS)] {
        let run = run(5, rate, 60, |_, _| After(latency_ns));
        for (index, share) in run.shares(10..60).into_iter().enumerate() {
            assert_within(&format!("endpoint {index} at {rate}/s"), share, 14.0..26.0);
        }
    }
}

#[test]
fn a_slow_endpoint_gets_clearly_less_but_is_not_forgotten() {
    let run = run(4, 1_000.0, 120, |index, _| {
        After(if index == 0 { 100 * MS } else { 5 * MS })
    });
    let shares = run.shares(10..120);
    assert_within("the slow endpoint", shares[0], 0.01..1.0);
    for (index, share) in shares.into_iter().enumerate().skip(1) {
        assert_within(&format!("fast endpoint {index}"), share, 28.0..38.0);
    }
    assert_eq!(run.ejections, 0, "slow is not broken");
    for start in (0..120).step_by(20) {
        let asked: usize = run.per_second[start..start + 20]
            .iter()
            .map(|row| row[0])
            .sum();
        assert!(asked > 0, "seconds {start} to {}: never asked", start + 20);
    }
}

#[test]
fn a_little_slower_is_a_little_less() {
    for (latency_us, range) in [
        (5_500, 30.0..47.0),
        (7_500, 20.0..40.0),
        (15_000, 1.0..12.0),
    ] {
        let run = run(2, 100.0, 100, |index, _| {
            After(if index == 0 {
                latency_us * 1_000
            } else {
                5 * MS
            })
        });
        assert_within(
            &format!("{latency_us} us beside 5 ms"),
            run.shares(10..100)[0],
            range,
        );
    }
}

#[test]
fn the_price_of_a_first_connection_is_soon_forgotten() {
    // Hardly ever two requests at a time. Twice as slow is worth an eighth of the requests, and
    // fading brings it nearer to a half; cost alone would send none for seven seconds.
    let run = run(2, 20.0, 10, |index, second| {
        After(if index == 0 && second == 0 {
            2 * MS
        } else {
            MS
        })
    });
    assert_within(
        "the endpoint with the slow start",
        run.shares(0..10)[0],
        10.0..60.0,
    );
}

#[test]
fn an_endpoint_that_gets_fast_again_gets_its_share_again() {
    let slow = |index, second| index == 0 && (10..30).contains(&second);
    let behaviour = |index, second| {
        After(if slow(index, second) {
            200 * MS
        } else {
            5 * MS
        })
    };
    let run = run(4, 1_000.0, 120, behaviour);
    assert_within("before", run.shares(2..10)[0], 18.0..32.0);
    assert_within("while slow", run.shares(12..30)[0], 0.0..5.0);
    assert_within("a minute later", run.shares(90..120)[0], 18.0..32.0);
}

#[test]
fn a_refusing_endpoint_is_ejected_and_returns() {
    let behaviour = |index, second| {
        if index == 0 && (10..40).contains(&second) {
            Refuses
        } else {
            After(5 * MS)
        }
    };
    let run = run(3, 500.0, 120, behaviour);
    let refused: usize = run.per_second[10..40].iter().map(|row| row[0]).sum();
    // Two to eject it, one on trial after 5, 10 and 20 s each.
    assert!(
        (2..12).contains(&refused),
        "{refused} requests to an endpoint that refuses"
    );
    assert!(
        (3..=4).contains(&run.ejections),
        "{} ejections in 30 s",
        run.ejections
    );
    assert_within("after its return", run.shares(100..120)[0], 26.0..40.0);
}

#[test]
fn an_endpoint_that_fails_fast_attracts_nothing() {
    let run = run(4, 1_000.0, 60, |index, _| {
        if index == 0 {
            ErrorAfter(100_000)
        } else {
            After(20 * MS)
        }
    });
    let failed: usize = run.per_second.iter().map(|row| row[0]).sum();
    assert!(
        failed < 100,
        "{failed} of 60,000 requests to an endpoint that only fails, fast"
    );
}

#[test]
fn a_backend_that_fails_as_a_whole_keeps_half_of_its_endpoints() {
    let run = run(4, 500.0, 30, |_, _| ErrorAfter(5 * MS));
    for second in 10..30 {
        let total: usize = run.per_second[second].iter().sum();
        let used = run.per_second[second]
            .iter()
            .filter(|&&count| count > 10)
            .count();
        assert!(
            used >= 2,
            "second {second}: {total} requests on {used} endpoints of 4"
        );
    }
}

#[test]
fn a_new_endpoint_is_not_flooded() {
    // All endpoints are new and take half a second: nobody may get everything meanwhile.
    let run = run(10, 1_000.0, 1, |_, _| After(500 * MS));
    for (index, share) in run.shares(0..1).into_iter().enumerate() {
        assert_within(&format!("endpoint {index}"), share, 5.0..16.0);
    }
}
