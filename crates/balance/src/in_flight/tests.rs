//! Ejection, trial, return and accounting of one endpoint among its peers.

use proptest::prelude::*;

use super::*;
use crate::SECOND_NS;
use crate::endpoint::Cause;
use crate::health::{EJECTION_BASE_NS, EJECTION_CAP_NS};

const MS: u64 = 1_000_000;
const OK: Outcome = Outcome::Success;
const ERROR: Outcome = Outcome::Failure(Failure::Status5xx);
const RESET: Outcome = Outcome::Failure(Failure::NoAnswer);
const REFUSED: Outcome = Outcome::Failure(Failure::Connect);

fn endpoints(count: usize) -> Vec<EndpointState> {
    (0..count).map(|_| EndpointState::new()).collect()
}

/// One request at `peers[index]` from beginning to end.
fn request(
    peers: &[EndpointState],
    index: usize,
    outcome: Outcome,
    now_ns: u64,
) -> Option<Ejection> {
    InFlight::begin(&peers[index], now_ns).record(peers, outcome, MS, now_ns)
}

fn eject(peers: &[EndpointState], index: usize, now_ns: u64) -> Ejection {
    let _ = request(peers, index, REFUSED, now_ns);
    request(peers, index, REFUSED, now_ns).expect("two refused connections eject")
}

#[test]
fn what_ejects_an_endpoint() {
    let rows: &[(&str, &[Outcome], Option<Cause>)] = &[
        ("nothing", &[], None),
        ("one refused", &[REFUSED], None),
        ("two refused", &[REFUSED; 2], Some(Cause::ConnectFailure)),
        ("refused, served, refused", &[REFUSED, OK, REFUSED], None),
        ("refused, error, refused", &[REFUSED, ERROR, REFUSED], None),
        ("four errors", &[ERROR; 4], None),
        ("five errors", &[ERROR; 5], Some(Cause::Consecutive5xx)),
        (
            "four errors, served, four errors",
            &[ERROR, ERROR, ERROR, ERROR, OK, ERROR, ERROR, ERROR, ERROR],
            None,
        ),
        (
            "errors and resets",
            &[ERROR, RESET, ERROR, ERROR, RESET],
            Some(Cause::NoAnswer),
        ),
        (
            "resets, the last an error",
            &[RESET, RESET, RESET, RESET, ERROR],
            Some(Cause::Consecutive5xx),
        ),
        (
            "a refused one between errors",
            &[ERROR, ERROR, REFUSED, ERROR, ERROR, ERROR],
            Some(Cause::Consecutive5xx),
        ),
    ];
    for (name, outcomes, expected) in rows {
        let peers = endpoints(3);
        let ejections: Vec<_> = outcomes
            .iter()
            .filter_map(|&outcome| request(&peers, 0, outcome, 0))
            .collect();
        let causes: Vec<_> = ejections.iter().map(|ejection| ejection.cause).collect();
        assert_eq!(
            causes,
            expected.iter().copied().collect::<Vec<_>>(),
            "{name}"
        );
        assert_eq!(
            peers[0].is_ejected(),
            expected.is_some(),
            "{name}: standing afterwards"
        );
    }
}

#[test]
fn at_most_half_of_a_set_is_ejected() {
    for (size, expected) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (10, 5)] {
        let peers = endpoints(size);
        let ejections = (0..20 * size)
            .filter_map(|turn| request(&peers, turn % size, REFUSED, 0))
            .count();
        let ejected = peers.iter().filter(|peer| peer.is_ejected()).count();
        assert_eq!(ejected, expected, "of {size} dead endpoints");
        assert_eq!(ejections, expected, "events for {size} dead endpoints");
    }
}

#[test]
fn the_way_back() {
    let peers = endpoints(2);
    let first = eject(&peers, 0, 0);
    assert_eq!(
        (first.until_ns, first.level),
        (EJECTION_BASE_NS, 1),
        "first ejection"
    );
    let due = first.until_ns;
    assert!(
        !peers[0].admits(due - 1) && peers[0].admits(due),
        "admitted when time is over"
    );

    let mut trial = InFlight::begin(&peers[0], due);
    assert!(
        !peers[0].admits(due),
        "one request is on trial, no other follows"
    );
    let second = trial
        .record(&peers, ERROR, MS, due)
        .expect("a failed trial ejects at once");
    assert_eq!(
        (second.until_ns - due, second.level),
        (2 * EJECTION_BASE_NS, 2),
        "for longer"
    );
    assert_eq!(
        second.cause,
        Cause::Consecutive5xx,
        "the trial's failure is the cause"
    );

    let due = second.until_ns;
    assert_eq!(request(&peers, 0, OK, due), None);
    assert!(
        !peers[0].is_ejected(),
        "a good trial returns the endpoint to rotation"
    );
    assert_eq!(peers[0].snapshot(due).phase, Phase::Healthy, "and shows it");
}

#[test]
fn an_abandoned_trial_is_taken_over_by_the_next_request() {
    let peers = endpoints(2);
    let due = eject(&peers, 0, 0).until_ns;
    drop(InFlight::begin(&peers[0], due));
    assert!(
        peers[0].admits(due),
        "the client left: another request may try"
    );
    let _ = request(&peers, 0, OK, due);
    assert!(!peers[0].is_ejected(), "and decides");
}

#[test]
fn only_requests_sent_after_an_ejection_speak_about_the_time_after_it() {
    let peers = endpoints(2);
    let mut early = [(); 2].map(|()| InFlight::begin(&peers[0], 0));
    eject(&peers, 0, 0);
    let [good, bad] = &mut early;
    assert_eq!(
        bad.record(&peers, REFUSED, MS, 1),
        None,
        "no second ejection by a straggler"
    );
    let _ = good.record(&peers, OK, MS, 1);
    assert!(
        peers[0].is_ejected(),
        "a straggler's success does not end the ejection"
    );
    assert_eq!(
        peers[0].snapshot(1).latency_ns,
        None,
        "nor does it set the estimate"
    );
    // Everything else gone, the endpoint is used all the same, and proves itself.
    let _ = request(&peers, 0, ERROR, 2);
    assert!(
        peers[0].is_ejected(),
        "a forced request that fails changes nothing"
    );
    let _ = request(&peers, 0, OK, 2);
    assert!(
        !peers[0].is_ejected(),
        "a forced request that succeeds is proof"
    );
}

#[test]
fn a_guard_per_attempt_never_leaks() {
    let peers = endpoints(2);
    let mut recorded = InFlight::begin(&peers[0], 0);
    let silent = InFlight::begin(&peers[0], 0);
    assert_eq!(peers[0].snapshot(0).in_flight, 2);
    let _ = recorded.record(&peers, OK, MS, 0);
    assert_eq!(
        peers[0].snapshot(0).in_flight,
        2,
        "the body may still be on its way"
    );
    drop((recorded, silent));
    assert_eq!(peers[0].snapshot(0).in_flight, 0);
}

#[test]
fn one_thread_gets_the_event() {
    for _ in 0..50 {
        let peers = endpoints(4);
        let events: usize = std::thread::scope(|scope| {
            let failing = || {
                (0..2)
                    .filter_map(|_| request(&peers, 0, REFUSED, 0))
                    .count()
            };
            let workers = [(); 4].map(|()| scope.spawn(failing));
            workers
                .into_iter()
                .map(|worker| worker.join().expect("worker finished"))
                .sum()
        });
        assert_eq!(events, 1, "one ejection, one event");
        assert_eq!(peers[0].snapshot(0).in_flight, 0, "all requests are over");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Begin(usize),
    End(usize),
    Record(usize, Outcome),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop::sample::select(vec![OK, ERROR, RESET, REFUSED]);
    let step = prop_oneof![
        (0..4_usize).prop_map(Step::Begin),
        (0..64_usize).prop_map(Step::End),
        (0..64_usize, outcome).prop_map(|(request, outcome)| Step::Record(request, outcome)),
        (0..20_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn accounts_balance_whatever_happens(steps in steps()) {
        let peers = endpoints(4);
        let mut requests = Vec::new();
        let mut now_ns = 0;
        for step in steps {
            match step {
                Step::Begin(index) => requests.push(InFlight::begin(&peers[index], now_ns)),
                Step::Wait(seconds) => now_ns += seconds * SECOND_NS,
                Step::End(request) if request < requests.len() => {
                    drop(requests.swap_remove(request));
                }
                Step::Record(request, outcome) if request < requests.len() => {
                    let _ = requests[request].record(&peers, outcome, MS, now_ns);
                }
                Step::End(_) | Step::Record(..) => {}
            }
            let in_flight: u32 = peers.iter().map(|peer| peer.snapshot(now_ns).in_flight).sum();
            prop_assert_eq!(in_flight as usize, requests.len(), "requests in flight");
            let ejected = peers.iter().filter(|peer| peer.is_ejected()).count();
            prop_assert!(ejected <= 2, "{ejected} of 4 endpoints ejected");
            let trials = peers.iter().filter(|peer| peer.snapshot(now_ns).phase == Phase::Trial);
            prop_assert!(trials.count() <= requests.len(), "a trial without a request");
        }
        drop(requests);
        let stuck = peers.iter().any(|peer| peer.snapshot(now_ns).phase == Phase::Trial);
        prop_assert!(!stuck, "an endpoint waits for a trial that is over");
        let later = now_ns + EJECTION_CAP_NS;
        prop_assert!(peers.iter().all(|peer| peer.admits(later)), "some endpoint never returns");
    }
}
