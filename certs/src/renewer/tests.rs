//! The loop on a clock that only the tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{InProcess, Issuance, Issued, RENEW_WITHIN, RenewalStatus, Renewer};
use crate::mint::{DB, WEB, authority, id};
use crate::tests::now;
use crate::{
    Authority, BuiltIn, CheckedRequest, Clock, Issuers, KeyAndRequest, LeafLife, Reading, SignError,
};

/// The wall clock of the tests goes with tokio's, which stands until everybody waits.
fn clock() -> Clock {
    let origin = Instant::now();
    Clock::from_fn(move || Reading {
        wall: now() + origin.elapsed(),
        monotonic: origin.elapsed(),
    })
}

/// A signer that answers every request but the first few.
#[derive(Clone)]
struct Service {
    authority: Arc<Authority>,
    clock: Clock,
    failures: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
}

impl Service {
    fn new(clock: &Clock, failures: u32) -> Self {
        Self {
            authority: Arc::new(authority()),
            clock: clock.clone(),
            failures: Arc::new(AtomicU32::new(failures)),
            calls: Arc::default(),
        }
    }

    fn renewer(&self) -> Renewer<Self> {
        Renewer::new(&id(WEB), self.clone(), self.clock.clone(), || 0.5).expect("a workload")
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Issuance for Service {
    async fn issue(&self, request: &KeyAndRequest) -> Result<Issued, SignError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let left = self.failures.load(Ordering::Relaxed);
        if left > 0 {
            self.failures.store(left - 1, Ordering::Relaxed);
            return Err(SignError::Retry("away".to_owned()));
        }
        let checked = CheckedRequest::parse(request.der(), request.id())
            .map_err(|error| SignError::Denied(error.to_string()))?;
        let now: SystemTime = self.clock.now();
        let signed = self.authority.issue(&checked, LeafLife::default(), now)?;
        Ok(Issued {
            chain: signed.chain,
            roots: vec![self.authority.root_der().to_vec()],
            bundle_version: 1,
        })
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn tries_until_it_succeeds() {
    let clock = clock();
    let service = Service::new(&clock, 4);
    let mut renewer = service.renewer();
    let status = renewer.status();
    let identity = renewer.obtain().await;
    assert_eq!(identity.id(), id(WEB), "the identity asked for");
    assert_eq!(service.calls(), 5, "four failures and a success");
    // Half of 0.5, 1, 2 and 4 s.
    assert_eq!(
        clock.read().monotonic.as_millis() / 10,
        375,
        "waited with back-off"
    );
    assert_eq!(status.borrow().renewals, 1, "counted");
    assert_eq!(status.borrow().last_error, None, "no error left");
    let shown = status.borrow().metrics();
    assert_eq!(
        shown.life.as_secs() / 60,
        24 * 60,
        "it was good for a day when it came"
    );
    assert_eq!(shown.failing, None, "and all is well");
    let failed = shown.failed.into_iter().collect::<Vec<_>>();
    let expected = [
        ("signer_denied", 0),
        ("signer_misconfigured", 0),
        ("signer_unavailable", 4),
    ];
    assert_eq!(failed, expected, "failures by reason, those of before too");
}

#[tokio::test(start_paused = true)]
async fn renews_at_half_of_the_life() {
    let clock = clock();
    let service = Service::new(&clock, 0);
    let mut renewer = service.renewer();
    let mut status = renewer.status();
    let identity = renewer.obtain().await;
    let first = identity.leaf().info().serial.clone();
    let keeping = tokio::spawn(renewer.keep(identity.clone()));
    status
        .wait_for(|status| status.renewals == 2)
        .await
        .expect("the renewer lives");
    let waited = clock.read().monotonic;
    assert!(waited >= 12 * HOUR, "not before half of a day: {waited:?}");
    assert!(
        waited < 12 * HOUR + Duration::from_secs(1),
        "and not after: {waited:?}"
    );
    assert_ne!(
        identity.leaf().info().serial,
        first,
        "a new certificate is in use"
    );
    keeping.abort();
}

#[tokio::test(start_paused = true)]
async fn a_valid_certificate_survives_an_outage() {
    let clock = clock();
    let service = Service::new(&clock, 0);
    let mut renewer = service.renewer();
    let mut status = renewer.status();
    let identity = renewer.obtain().await;
    let first = identity.leaf().info().serial.clone();
    service.failures.store(u32::MAX, Ordering::Relaxed);
    let keeping = tokio::spawn(renewer.keep(identity.clone()));
    tokio::time::sleep(23 * HOUR).await;
    assert_eq!(
        identity.leaf().info().serial,
        first,
        "the old certificate is still in use"
    );
    assert!(
        identity.expired_at(clock.now()).is_none(),
        "and valid, 11 h into the outage"
    );
    assert!(
        matches!(status.borrow().last_error, Some(SignError::Retry(_))),
        "the error is told"
    );
    tokio::time::sleep(2 * HOUR).await;
    assert!(
        identity.expired_at(clock.now()).is_some(),
        "until it expires"
    );
    service.failures.store(0, Ordering::Relaxed);
    status
        .wait_for(|status| status.renewals == 2)
        .await
        .expect("the renewer lives");
    assert!(
        identity.expired_at(clock.now()).is_none(),
        "fresh when the signer is back"
    );
    keeping.abort();
}

/// Asks for renewals over `within`; after how long they come, in seconds, when the service signs as who is
/// wanted, or never does.
async fn check_soon(row: &str, is_wanted: bool, within: Duration, expected: &[u64]) {
    let clock = clock();
    let service = Service::new(&clock, 0);
    let mut renewer = service.renewer();
    let mut status = renewer.status();
    let soon = renewer.renew_soon();
    let identity = renewer.obtain().await;
    let keeping = tokio::spawn(renewer.keep(identity));
    let own = service.authority.issuer_fingerprint();
    soon.ask(if is_wanted { &own } else { "another" }, within);
    let mut waits = Vec::new();
    for renewal in (2..).take(expected.len()) {
        let before = clock.read().monotonic;
        let renewed = |status: &RenewalStatus| status.renewals == renewal;
        status.wait_for(renewed).await.expect("the renewer lives");
        waits.push((clock.read().monotonic - before).as_secs());
    }
    assert_eq!(waits, expected, "{row}");
    keeping.abort();
}

/// Design of identities, section 4 and 5: renewals that everybody is asked for at once are spread. The
/// chance is 0.5 throughout.
#[tokio::test(start_paused = true)]
async fn renews_soon_when_asked_and_again_until_the_right_one_signs() {
    let half_a_day = 12 * 3600;
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    check_soon("ten minutes", true, minutes(10), &[300, half_a_day]).await;
    check_soon("a minute", true, minutes(1), &[30, half_a_day]).await;
    let long = [4320, half_a_day];
    check_soon("a tenth of a life at most", true, 12 * HOUR, &long).await;
    let again = [300, 450, 450, 450];
    check_soon("somebody else signs", false, minutes(10), &again).await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_without_a_gap() {
    let clock = clock();
    let (old, new) = (Arc::new(authority()), Arc::new(authority()));
    let phase = |signing: &Arc<Authority>, also: &[&Arc<Authority>], bundle_version| Issuers {
        signing: signing.clone(),
        also_trusted: also.iter().map(|other| other.root_der().to_vec()).collect(),
        bundle_version,
    };
    let signer = Arc::new(BuiltIn::new(phase(&old, &[], 1)));
    let source = InProcess {
        signer: signer.clone(),
        life: LeafLife::default(),
        clock: clock.clone(),
    };
    let mut members = Vec::new();
    for uri in [WEB, DB] {
        let mut renewer =
            Renewer::new(&id(uri), source.clone(), clock.clone(), || 0.5).expect("a workload");
        let (soon, status) = (renewer.renew_soon(), renewer.status());
        let identity = renewer.obtain().await;
        let keeping = tokio::spawn(renewer.keep(identity.clone()));
        members.push((identity, soon, status, keeping));
    }
    let phases = [
        phase(&old, &[&new], 2),
        phase(&new, &[&old], 2),
        phase(&new, &[], 3),
    ];
    for (number, issuers) in (1..).zip(phases) {
        let wanted = issuers.signing.issuer_fingerprint();
        signer.replace(issuers);
        // One after the other, so that both kinds of leaves meet in each phase.
        for at in 0..members.len() {
            let (_, soon, status, _) = &mut members[at];
            soon.ask(&wanted, RENEW_WITHIN);
            let renewed = |status: &RenewalStatus| status.renewals == number + 1;
            status.wait_for(renewed).await.expect("the renewer lives");
            let [(web, ..), (db, ..)] = &members[..] else {
                panic!("two members");
            };
            crate::mesh::tests::check_both_ways(web, db).await;
        }
    }
    let issuer = members[0].0.leaf().info().issuer.clone();
    assert_eq!(issuer, new.issuer_fingerprint(), "all of the new issuer");
    members.iter().for_each(|(.., keeping)| keeping.abort());
}
