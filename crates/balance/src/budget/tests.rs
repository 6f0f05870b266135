//! Arithmetic of the retry budget over time and threads.

use proptest::prelude::*;

use super::*;

/// Retries granted out of `asked` at `second`.
fn granted(budget: &RetryBudget, second: u64, asked: usize) -> usize {
    (0..asked)
        .filter(|_| budget.try_retry(second * SECOND_NS))
        .count()
}

fn requests(budget: &RetryBudget, second: u64, count: usize) {
    (0..count).for_each(|_| budget.on_request(second * SECOND_NS));
}

/// Name; requests as (second, count); the second that asks for 100,000 retries; granted.
type Row = (&'static str, &'static [(u64, usize)], u64, usize);

#[test]
fn grants() {
    let rows: &[Row] = &[
        ("idle: the floor of ten seconds", &[], 0, 100),
        ("idle, later", &[], 1_000_000, 100),
        ("a fifth of the requests on top", &[(50, 1_000)], 50, 300),
        (
            "requests of nine seconds ago count",
            &[(50, 1_000)],
            59,
            300,
        ),
        ("those of ten seconds ago do not", &[(50, 1_000)], 60, 100),
        (
            "steady traffic",
            &[(1, 100), (2, 100), (3, 100), (4, 100), (5, 100)],
            5,
            200,
        ),
        ("fractions are rounded down", &[(7, 4)], 7, 100),
        ("a fifth of five is one", &[(7, 5)], 7, 101),
        ("first seconds of the clock", &[(0, 50), (1, 50)], 1, 120),
    ];
    for (name, traffic, second, expected) in rows {
        let budget = RetryBudget::new();
        for (second, count) in *traffic {
            requests(&budget, *second, *count);
        }
        assert_eq!(granted(&budget, *second, 100_000), *expected, "{name}");
    }
}

#[test]
fn what_is_spent_comes_back_when_it_is_ten_seconds_old() {
    let budget = RetryBudget::new();
    assert_eq!(granted(&budget, 100, 60), 60, "part of the floor");
    assert_eq!(granted(&budget, 105, 100), 40, "the rest of it");
    assert_eq!(granted(&budget, 109, 100), 0, "all spent");
    assert_eq!(granted(&budget, 110, 100), 60, "the first part is back");
    assert_eq!(granted(&budget, 115, 100), 40, "and the second");
}

#[test]
fn a_storm_stays_bounded() {
    // Everything fails, every failure asks for two retries: 1,000 requests/s for a minute.
    let budget = RetryBudget::new();
    let mut retries = 0;
    for second in 0..60 {
        requests(&budget, second, 1_000);
        retries += granted(&budget, second, 2_000);
    }
    let bound = 60 * 1_000 / 5 + 60 * 10 + 100;
    assert!(retries <= bound, "{retries} retries for 60,000 requests");
    assert!(
        retries >= 60 * 1_000 / 5,
        "only {retries} of the allowed fifth were granted"
    );
}

#[test]
fn threads_cannot_overdraw() {
    let budget = RetryBudget::new();
    requests(&budget, 10, 1_000);
    let total: usize = std::thread::scope(|scope| {
        let workers = [(); 4].map(|()| scope.spawn(|| granted(&budget, 10, 1_000)));
        workers
            .into_iter()
            .map(|worker| worker.join().expect("worker finished"))
            .sum()
    });
    assert_eq!(total, 300, "four threads together get the budget of one");
}

#[test]
fn threads_count_every_request() {
    let budget = RetryBudget::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| requests(&budget, 10, 2_500));
        }
    });
    assert_eq!(
        granted(&budget, 10, 100_000),
        2_100,
        "10,000 requests and the floor"
    );
}

proptest! {
    /// The law itself, against a plain model that keeps every event.
    #[test]
    fn agrees_with_the_rule(
        events in prop::collection::vec((0_u64..4, 0_usize..300, 0_usize..200), 1..40),
    ) {
        let budget = RetryBudget::new();
        let mut second = 0;
        let mut history: Vec<(u64, usize, usize)> = Vec::new();
        for (pause, asked_requests, asked_retries) in events {
            second += pause;
            requests(&budget, second, asked_requests);
            history.push((second, asked_requests, 0));
            let recent = history.iter().filter(|(at, ..)| at + WINDOW_S > second);
            let (seen, spent) =
                recent.fold((0, 0), |sum, (_, requests, retries)| (sum.0 + requests, sum.1 + retries));
            let allowed = (seen * 20 / 100 + 100).saturating_sub(spent);
            let got = granted(&budget, second, asked_retries);
            prop_assert_eq!(got, asked_retries.min(allowed), "at second {}", second);
            history.push((second, 0, got));
        }
    }
}
