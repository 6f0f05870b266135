//! The numbers of a worker, and how connections are spread over several.

use std::collections::BTreeSet;
use std::sync::{Arc, atomic::Ordering::Relaxed, mpsc};
use std::time::Duration;

use weft_telemetry::metrics::{BuildInfo, LabelGroups, Registry, TlsMetrics};

use super::{Worker, Workers};
use crate::clock::Clock;

fn tls() -> Arc<TlsMetrics> {
    let build = BuildInfo {
        version: "test",
        commit: "",
    };
    Registry::new(build, LabelGroups::default()).tls()
}

#[test]
fn random_numbers_do_not_repeat_and_have_all_their_bits() {
    let worker = Worker::new(0, Clock::start(), 7, tls());
    let numbers: Vec<u64> = (0..10_000).map(|_| worker.random()).collect();
    let distinct: BTreeSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len(), "repeats");
    for bit in 0..64 {
        let ones = numbers
            .iter()
            .filter(|number| *number >> bit & 1 == 1)
            .count();
        // Five standard deviations of a fair coin.
        assert!(
            ones.abs_diff(5_000) < 250,
            "bit {bit} is set in {ones} of 10,000"
        );
    }
}

#[test]
fn workers_and_seeds_have_numbers_of_their_own() {
    let first = |index, seed| Worker::new(index, Clock::start(), seed, tls()).random();
    assert_eq!(first(0, 7), first(0, 7), "the same worker and seed");
    assert_ne!(first(0, 7), first(1, 7), "another worker");
    assert_ne!(first(0, 7), first(0, 8), "another seed");
}

#[test]
fn connections_go_to_the_worker_with_the_fewest() {
    let workers = Workers::start(3, Clock::start(), 7, &tls()).expect("three threads");
    let dispatch = workers.dispatch();
    let mut chosen = Vec::new();
    for _ in 0..6 {
        let worker = &dispatch.least_loaded().worker;
        worker.connections.fetch_add(1, Relaxed);
        chosen.push(worker.index);
    }
    chosen.sort_unstable();
    assert_eq!(chosen, [0, 0, 1, 1, 2, 2], "an even spread");
    assert_eq!(workers.connections(), 6);
}

#[test]
fn what_is_under_way_is_counted_until_it_is_dropped() {
    let workers = Workers::start(2, Clock::start(), 7, &tls()).expect("two threads");
    let worker = Arc::clone(&workers.dispatch().least_loaded().worker);
    let (one, two) = (worker.busy(), worker.busy());
    assert_eq!(workers.exchanges(), 2);
    drop(one);
    assert_eq!(workers.exchanges(), 1);
    drop(two);
    assert_eq!(workers.exchanges(), 0);
}

#[tokio::test]
async fn one_worker_that_hangs_stops_the_pulse() {
    for index in 0..3 {
        let workers = Workers::start(3, Clock::start(), 7, &tls()).expect("three threads");
        let dispatch = workers.dispatch();
        dispatch.pulse().await.expect("all are well");
        let (release, released) = mpsc::sync_channel::<()>(1);
        let hanging = dispatch.0[index]
            .runtime
            .spawn(async move { released.recv() });
        let moment = Duration::from_millis(50);
        let pulse = tokio::time::timeout(moment, dispatch.pulse()).await;
        assert!(pulse.is_err(), "worker {index} hangs");
        drop(release);
        hanging
            .await
            .expect("it ends")
            .expect_err("nothing was sent");
        dispatch.pulse().await.expect("all are well again");
    }
}
