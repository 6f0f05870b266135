//! The schedule of writes, in made-up time.

use serde_json::json;
use weft_api::{AnyObject, Kind};

use super::*;

const MS: Duration = Duration::from_millis(1);
const INTERVAL: Duration = Duration::from_millis(100);

fn job(name: &str, edition: &str) -> Job {
    let object = json!({
        "apiVersion": Kind::HttpRoute.api_version(), "kind": "HTTPRoute",
        "metadata": { "name": name, "namespace": "shop", "labels": { "edition": edition } },
    });
    let object = AnyObject::parse(object).expect("a route");
    Job {
        seen: object.clone(),
        wanted: object,
    }
}

fn schedule() -> Schedule {
    Schedule::new(1_000, INTERVAL)
}

/// What is next, in words: `name/edition`, the wait in ms, or nothing.
fn next(schedule: &mut Schedule, now: Duration) -> String {
    match schedule.next(now) {
        Next::Job(job) => {
            let metadata = job.wanted.metadata();
            let edition = metadata.labels.get("edition").unwrap_or_default();
            format!("{}/{edition}", job.wanted.key().name())
        }
        Next::Wait(wait) => format!("{} ms", wait.as_millis()),
        Next::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn the_newest_wins_and_keeps_its_turn() {
    let mut schedule = schedule();
    for (name, edition) in [("a", "1"), ("b", "1"), ("a", "2")] {
        schedule.put(job(name, edition), MS);
    }
    assert_eq!(schedule.len(), 2, "one job per object");
    let order: Vec<_> = (0..3).map(|_| next(&mut schedule, MS)).collect();
    assert_eq!(order, ["a/2", "b/1", "nothing"]);
}

#[test]
fn an_object_is_written_once_at_a_time_and_not_too_often() {
    let mut schedule = schedule();
    let object = job("a", "1").seen.reference();
    schedule.put(job("a", "1"), MS);
    assert_eq!(next(&mut schedule, MS), "a/1");
    schedule.put(job("a", "2"), MS);
    assert_eq!(
        next(&mut schedule, MS),
        "nothing",
        "the first one is under way"
    );
    schedule.done(&object, 11 * MS);
    assert_eq!(
        next(&mut schedule, 11 * MS),
        "100 ms",
        "the interval of one object"
    );
    assert_eq!(next(&mut schedule, 111 * MS), "a/2");
    schedule.done(&object, 120 * MS);
    assert!(schedule.is_idle(), "nothing waits, nothing is under way");
}

#[test]
fn a_failed_job_waits_and_gives_way_to_a_newer_one() {
    let mut schedule = schedule();
    schedule.put(job("a", "1"), MS);
    assert_eq!(next(&mut schedule, MS), "a/1");
    schedule.again(job("a", "1"), MS, |failures| (failures + 1) * 50 * MS);
    schedule.put(job("a", "2"), MS);
    assert_eq!(next(&mut schedule, MS), "50 ms");
    assert_eq!(next(&mut schedule, 51 * MS), "a/2", "the newer one");
    schedule.put(job("a", "3"), 51 * MS);
    schedule.again(job("a", "2"), 51 * MS, |failures| (failures + 1) * 50 * MS);
    assert_eq!(
        next(&mut schedule, 51 * MS),
        "100 ms",
        "failures are counted"
    );
    assert_eq!(next(&mut schedule, 151 * MS), "a/3", "the newer one again");
}

#[test]
fn what_is_forgotten_does_not_come_back() {
    let mut schedule = schedule();
    schedule.put(job("a", "1"), MS);
    schedule.put(job("b", "1"), MS);
    schedule.forget(&job("a", "1").seen.reference());
    assert_eq!(next(&mut schedule, MS), "b/1");
    schedule.forget(&job("b", "1").seen.reference());
    schedule.again(job("b", "1"), MS, |_| Duration::ZERO);
    assert_eq!(
        next(&mut schedule, MS),
        "nothing",
        "it failed after it was forgotten"
    );
}

#[test]
fn a_pause_is_for_all() {
    let mut schedule = schedule();
    schedule.put(job("a", "1"), MS);
    schedule.pause(500 * MS);
    assert!(schedule.is_paused(499 * MS));
    assert_eq!(next(&mut schedule, 200 * MS), "300 ms");
    assert_eq!(next(&mut schedule, 500 * MS), "a/1");
}

#[test]
fn no_more_than_so_many_per_second() {
    let mut schedule = Schedule::new(10, INTERVAL);
    for number in 0..30 {
        schedule.put(job(&format!("route-{number}"), "1"), MS);
    }
    let mut taken = 0;
    for now in 0..1_000 {
        while let Next::Job(_) = schedule.next(now * MS) {
            taken += 1;
        }
    }
    assert_eq!(taken, 19, "ten at once, then one every 100 ms");
}

#[test]
fn what_needs_no_request_uses_up_no_limit() {
    let mut schedule = Schedule::new(1, INTERVAL);
    let object = job("a", "1").seen.reference();
    for edition in ["1", "2", "3"] {
        schedule.put(job("a", edition), MS);
        assert_eq!(next(&mut schedule, MS), format!("a/{edition}"), "at once");
        schedule.was_idle(&object, MS);
    }
    schedule.put(job("a", "4"), MS);
    assert_eq!(
        next(&mut schedule, MS),
        "a/4",
        "and the one that is written"
    );
    schedule.done(&object, MS);
    schedule.put(job("a", "5"), MS);
    assert_eq!(next(&mut schedule, MS), "100 ms", "what is written counts");
}
