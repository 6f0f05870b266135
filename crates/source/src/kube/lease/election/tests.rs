//! Elections without a network: single rules, and replicas that race for a record whose answers
//! come late or never.

use serde_json::{Value, json};

use super::super::super::clock::{Clock, SystemClock};
use super::super::super::pace::Jitter;
use super::*;

const MS: Duration = Duration::from_millis(1);

fn options(identity: &str) -> LeaseOptions {
    let clock = std::sync::Arc::new(TestClock);
    LeaseOptions::new(("system", "weft"), identity, clock, Jitter::seeded(1))
}

#[derive(Debug)]
struct TestClock;

impl Clock for TestClock {
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn wall(&self) -> Time {
        Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH)
    }
}

fn lease(version: u64, holder: &str) -> Value {
    json!({
        "metadata": { "resourceVersion": version.to_string() },
        "spec": { "holderIdentity": holder, "leaseDurationSeconds": 10, "leaseTransitions": 4 },
    })
}

#[test]
fn what_a_replica_does_about_a_record() {
    let write = |version: &str| Claim::Write(version.to_owned());
    let cases = [
        ("there is none", None, Claim::Create),
        ("somebody holds it", Some(lease(1, "other")), Claim::Follow),
        ("it was released", Some(lease(2, "")), write("2")),
        ("it is ours from before", Some(lease(3, "me")), write("3")),
    ];
    for (name, lease, expected) in cases {
        let mut election = Election::new(&options("me"));
        assert_eq!(election.read(lease.as_ref(), MS), expected, "{name}");
        assert!(!election.leads(MS), "{name}: reading makes no leader");
    }
}

#[test]
fn a_record_is_too_old_when_it_was_watched_for_its_whole_duration() {
    let mut election = Election::new(&options("me"));
    let seconds = Duration::from_secs;
    assert_eq!(
        election.read(Some(&lease(1, "other")), seconds(100)),
        Claim::Follow
    );
    assert_eq!(
        election.read(Some(&lease(1, "other")), seconds(109)),
        Claim::Follow,
        "not yet"
    );
    assert_eq!(
        election.read(Some(&lease(2, "other")), seconds(111)),
        Claim::Follow,
        "renewed"
    );
    assert_eq!(
        election.read(Some(&lease(2, "other")), seconds(120)),
        Claim::Follow,
        "not yet"
    );
    let taken = election.read(Some(&lease(2, "other")), seconds(121));
    assert_eq!(
        taken,
        Claim::Write("2".to_owned()),
        "10 s of the same record"
    );
    let spec = election.spec(&TestClock.wall());
    assert_eq!(spec["leaseTransitions"], 5, "one more holder");
    assert_eq!(spec["renewTime"], "1970-01-01T00:00:00.000000Z");
}

#[test]
fn a_replica_knows_who_leads() {
    let seconds = Duration::from_secs;
    let other = |version, holder: &str| Some(lease(version, holder));
    let cases = [
        (
            "somebody",
            other(1, "other"),
            9,
            Leader::Other("other".to_owned()),
        ),
        (
            "somebody who is silent",
            other(1, "other"),
            10,
            Leader::Nobody,
        ),
        ("released", other(1, ""), 0, Leader::Nobody),
        ("us, of before", other(1, "me"), 0, Leader::Nobody),
        ("no record", None, 0, Leader::Unknown),
    ];
    for (name, lease, later, expected) in cases {
        let mut election = Election::new(&options("me"));
        election.read(lease.as_ref(), seconds(100));
        assert_eq!(election.leader(seconds(100 + later)), expected, "{name}");
    }
    let mut election = Election::new(&options("me"));
    election.written(&lease(1, "me"), seconds(1), seconds(1));
    assert_eq!(election.leader(seconds(2)), Leader::This);
    assert_eq!(election.leader(seconds(8)), Leader::Nobody, "not renewed");
}

#[test]
fn a_leader_counts_from_the_beginning_of_its_request() {
    let mut election = Election::new(&options("me"));
    let seconds = Duration::from_secs;
    election.written(&lease(1, "me"), seconds(10), seconds(14));
    assert!(election.leads(seconds(16)), "7 s after it began");
    assert!(!election.leads(seconds(17)), "not a moment longer");
    assert_eq!(
        election.renewal(seconds(15)),
        Some(Claim::Write("1".to_owned()))
    );
    assert_eq!(
        election.renewal(seconds(17)),
        None,
        "who does not lead asks first"
    );
}

#[test]
fn the_real_clock_shows_the_time_of_day() {
    let year = SystemClock::default().wall().0.to_string();
    assert!(year.as_str() > "2026", "{year}");
}

/// The record as a server keeps it.
#[derive(Default)]
struct Server {
    record: Option<Value>,
    version: u64,
}

impl Server {
    fn write(&mut self, claim: &Claim, spec: Value) -> Option<Value> {
        let current = self
            .record
            .as_ref()
            .map(|record| record["metadata"]["resourceVersion"].clone());
        let is_allowed = match claim {
            Claim::Create => self.record.is_none(),
            Claim::Write(version) => current == Some(version.clone().into()),
            Claim::Follow => false,
        };
        if !is_allowed {
            return None;
        }
        self.version += 1;
        let metadata = json!({ "resourceVersion": self.version.to_string() });
        self.record = Some(json!({ "metadata": metadata, "spec": spec }));
        self.record.clone()
    }
}

/// One replica: when it does its next step, and what is under way.
struct Replica {
    election: Election,
    at: Duration,
    under_way: Option<(Duration, Option<Value>)>,
}

/// One step: begin a round (look, claim) or take the answer of the last one.
fn step(replica: &mut Replica, server: &mut Server, jitter: &Jitter) {
    let now = replica.at;
    if let Some((began, answer)) = replica.under_way.take() {
        if let Some(answer) = answer {
            replica.election.written(&answer, began, now);
        }
        replica.at = now + jitter.up_to(2_000 * MS);
        return;
    }
    // Every third request never arrives, every third answer is very late, every tenth is lost.
    let arrives = jitter.up_to(3 * MS) >= MS;
    let late = if jitter.up_to(3 * MS) < MS {
        6_000
    } else {
        200
    };
    let is_lost = jitter.up_to(10 * MS) < MS;
    let answer = arrives.then(|| {
        let claim = match replica.election.renewal(now) {
            Some(claim) => claim,
            None => replica.election.read(server.record.as_ref(), now),
        };
        server.write(&claim, replica.election.spec(&TestClock.wall()))
    });
    let answer = answer.flatten();
    replica.at = now + jitter.up_to(late * MS);
    replica.under_way = Some((now, answer.filter(|_| !is_lost)));
}

#[test]
fn never_do_two_replicas_lead_at_once_and_mostly_one_does() {
    let mut led = 0_u32;
    let mut steps = 0_u32;
    for seed in 0..300 {
        let jitter = Jitter::seeded(seed);
        let mut server = Server::default();
        let mut replicas: Vec<_> = ["one", "two", "three"]
            .map(|identity| Replica {
                election: Election::new(&options(identity)),
                at: jitter.up_to(500 * MS),
                under_way: None,
            })
            .into();
        for _ in 0..400 {
            let next = replicas
                .iter_mut()
                .min_by_key(|replica| replica.at)
                .expect("three");
            step(next, &mut server, &jitter);
            let now = next.at;
            // Answers that come meanwhile begin to count where they come.
            let leaders = replicas
                .iter()
                .filter(|replica| replica.election.leads(now))
                .count();
            assert!(leaders <= 1, "seed {seed}: {leaders} lead at {now:?}");
            led += u32::from(leaders == 1);
            steps += 1;
        }
    }
    assert!(led > steps / 2, "somebody led in {led} of {steps} moments");
}
