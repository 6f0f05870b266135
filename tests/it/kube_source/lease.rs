//! Which replica leads.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use weft_source::kube::{Jitter, Lease, LeaseOptions};
use weft_tests::fakeapi::{FakeApi, Fault};
use weft_tests::wait::soon;

use super::{clock, connect};

const PLACE: (&str, &str) = ("weft-system", "weft-controller");

async fn replica(api: &FakeApi, identity: &str, seed: u64) -> (Lease, watch::Receiver<bool>) {
    replica_every(Duration::from_millis(40), api, identity, seed).await
}

async fn replica_every(
    interval: Duration,
    api: &FakeApi,
    identity: &str,
    seed: u64,
) -> (Lease, watch::Receiver<bool>) {
    let options = LeaseOptions {
        duration: Duration::from_secs(1),
        renew_deadline: Duration::from_millis(700),
        interval,
        ..LeaseOptions::new(PLACE, identity, clock(), Jitter::seeded(seed))
    };
    let lease = Lease::start(connect(api).await, options);
    let leads = lease.leads();
    (lease, leads)
}

async fn becomes(leads: &mut watch::Receiver<bool>, wanted: bool, what: &str) {
    let told = soon(what, leads.wait_for(|leads| *leads == wanted)).await;
    assert!(told.is_ok(), "{what}: the election has ended");
}

fn holder(api: &FakeApi) -> String {
    let lease = api.lease(PLACE.0, PLACE.1).unwrap_or_default();
    lease["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn one_of_two_leads_and_the_other_takes_over_at_once_when_it_is_released() {
    let api = FakeApi::start(&[]).await;
    let (first, mut first_leads) = replica(&api, "first", 1).await;
    becomes(&mut first_leads, true, "the first replica leads").await;
    let (_second, mut second_leads) = replica(&api, "second", 2).await;
    assert_eq!(holder(&api), "first", "the record says so");
    assert!(!*second_leads.borrow(), "the second one follows");
    let lease = api.lease(PLACE.0, PLACE.1).expect("the Lease");
    let time = lease["spec"]["renewTime"].as_str().expect("a time");
    assert_eq!(
        time.len(),
        "2026-01-01T00:00:00.000000Z".len(),
        "MicroTime: {time}"
    );
    soon("released", first.release()).await;
    assert!(!*first_leads.borrow(), "it stopped before it told anybody");
    let taken = tokio::time::timeout(
        Duration::from_millis(600),
        second_leads.wait_for(|leads| *leads),
    );
    assert!(taken.await.is_ok(), "long before the record is too old");
    assert_eq!(
        api.lease(PLACE.0, PLACE.1).unwrap_or_default()["spec"]["leaseTransitions"],
        1
    );
}

#[tokio::test]
async fn a_leader_that_ends_while_it_renews_releases_the_new_record() {
    // It renews all the time, so that one of ten ends in the middle of it.
    let always = Duration::from_micros(1);
    for seed in 0..10 {
        let api = FakeApi::start(&[]).await;
        let (lease, mut leads) = replica_every(always, &api, "first", seed).await;
        becomes(&mut leads, true, "the replica leads").await;
        soon("released", lease.release()).await;
        assert_eq!(holder(&api), "", "end {seed} leaves the record to nobody");
    }
}

#[tokio::test]
async fn a_follower_takes_over_from_a_leader_that_died() {
    let api = FakeApi::start(&[]).await;
    let (first, mut first_leads) = replica(&api, "first", 1).await;
    becomes(&mut first_leads, true, "the first replica leads").await;
    let (_second, mut second_leads) = replica(&api, "second", 2).await;
    drop(first);
    becomes(&mut second_leads, true, "the second replica leads").await;
    assert_eq!(holder(&api), "second", "the record says so");
}

#[tokio::test]
async fn a_stolen_lease_is_given_up() {
    let api = FakeApi::start(&[]).await;
    let (_lease, mut leads) = replica(&api, "first", 1).await;
    becomes(&mut leads, true, "the replica leads").await;
    api.edit_lease(PLACE, |lease| {
        lease["spec"]["holderIdentity"] = "thief".into();
        lease["spec"]["leaseDurationSeconds"] = Value::from(1);
    });
    becomes(&mut leads, false, "it sees the thief").await;
    assert_eq!(holder(&api), "thief", "what is held is not taken back");
    becomes(&mut leads, true, "a thief that does not renew loses it").await;
}

#[tokio::test]
async fn a_leader_that_cannot_renew_stops_before_another_one_may_lead() {
    for (name, fault) in [
        ("no answers", Fault::Silent),
        (
            "errors",
            Fault::Unavailable {
                requests: usize::MAX,
                status: 500,
            },
        ),
        ("forbidden", Fault::Forbidden("leases")),
    ] {
        let api = FakeApi::start(&[]).await;
        let (_lease, mut leads) = replica(&api, "first", 1).await;
        becomes(&mut leads, true, name).await;
        api.fault(fault);
        let stops = tokio::time::timeout(Duration::from_secs(1), leads.wait_for(|leads| !*leads));
        assert!(
            stops.await.is_ok(),
            "{name}: it leads although its record is too old"
        );
        api.heal();
        becomes(&mut leads, true, name).await;
    }
}

#[tokio::test]
async fn a_deleted_lease_is_made_again() {
    let api = FakeApi::start(&[]).await;
    let (_lease, mut leads) = replica(&api, "first", 1).await;
    becomes(&mut leads, true, "the replica leads").await;
    api.delete_lease(PLACE);
    let made = async {
        while holder(&api).is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon("the Lease is back", made).await;
    becomes(&mut leads, true, "and led").await;
}
