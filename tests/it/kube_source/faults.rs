//! The fault matrix: every fault, with every kind changed, added and deleted while it lasts.

use std::time::Duration;

use serde_json::json;
use weft_api::Kind;
use weft_certs::{SelfSigned, self_signed};
use weft_source::kube::{WATCHED_KINDS, WatchOptions};
use weft_tests::fakeapi::{FakeApi, Fault, SERVER_NAME};
use weft_tests::wait::{Expected, PATIENCE};

use super::{NAMESPACE, Reader, namespace_of, object, options};

/// How a fault comes about and ends.
enum Course {
    /// It lasts for ever, and everything converges in spite of it.
    Lasting,
    /// It ends after this time.
    Ending(Duration),
}

use Course::{Ending, Lasting};

const BRIEFLY: Duration = Duration::from_millis(300);

/// Objects a, b and c of every kind: a and b are there, then a is changed, b deleted, c added.
fn before(api: &FakeApi) {
    for kind in WATCHED_KINDS {
        api.apply(object(*kind, "a", "first"));
        api.apply(object(*kind, "b", "first"));
    }
}

fn change(api: &FakeApi) {
    for kind in WATCHED_KINDS {
        api.apply(object(*kind, "a", "second"));
        assert!(
            api.delete(*kind, namespace_of(*kind), "b"),
            "{kind} b is there"
        );
        api.apply(object(*kind, "c", "second"));
        api.apply(object(*kind, "a", "third"));
    }
}

/// A fault while everything is watched.
async fn check(name: &str, course: Course, faults: &[Fault]) {
    let api = FakeApi::start(WATCHED_KINDS).await;
    before(&api);
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    for fault in faults {
        api.fault(fault.clone());
    }
    change(&api);
    settle(&api, &mut reader, name, course).await;
}

/// A fault from the beginning.
async fn check_from_start(name: &str, course: Course, faults: &[Fault]) {
    let api = FakeApi::start(WATCHED_KINDS).await;
    before(&api);
    for fault in faults {
        api.fault(fault.clone());
    }
    let mut reader = Reader::start(&api, options()).await;
    settle(&api, &mut reader, name, course).await;
    assert!(reader.synced, "{name}: synced in the end");
}

async fn settle(api: &FakeApi, reader: &mut Reader, name: &str, course: Course) {
    if let Ending(after) = course {
        // What the fault lets through is read meanwhile.
        let reading = async {
            loop {
                reader.next().await;
            }
        };
        let _elapsed: Result<(), _> = tokio::time::timeout(after, reading).await;
        api.heal();
    }
    reader.converged(api, name).await;
    reader
        .until("nothing is wrong any more", |reader| reader.synced)
        .await;
}

macro_rules! faults {
    ($($test:ident: $how:ident, $course:expr, [$($fault:expr),+];)+) => {$(
        #[tokio::test]
        async fn $test() {
            $how(&stringify!($test).replace('_', " "), $course, &[$($fault),+]).await;
        }
    )+};
}

faults! {
    watch_closes_after_each_event: check, Lasting, [Fault::WatchClosesAfter(1)];
    watch_closes_at_once: check, Ending(BRIEFLY), [Fault::WatchClosesAfter(0)];
    watch_is_silent_while_its_connection_lives: check, Ending(BRIEFLY), [Fault::WatchSilent];
    gone_on_resume: check, Lasting, [Fault::WatchClosesAfter(2), Fault::GoneOnResume(40)];
    gone_mid_stream: check, Lasting, [Fault::GoneMidStream(40)];
    error_event: check, Lasting, [Fault::ErrorEvent(40)];
    list_of_a_replica_that_lags: check, Lasting, [Fault::StaleList(24), Fault::GoneMidStream(16)];
    bookmarks_only: check, Lasting, [Fault::BookmarksOnly];
    events_out_of_order: check, Lasting, [Fault::OutOfOrder];
    events_twice: check, Lasting, [Fault::Duplicates];
    continue_token_expires: check_from_start, Lasting, [Fault::ExpiringContinue];
    too_many_requests: check_from_start, Lasting, [Fault::TooManyRequests { requests: 3, retry_after: 1 }];
    too_many_requests_while_watching: check, Lasting, [
        Fault::GoneMidStream(16),
        Fault::TooManyRequests { requests: 20, retry_after: 1 }
    ];
    internal_errors: check_from_start, Lasting, [Fault::Unavailable { requests: 60, status: 500 }];
    unavailable_while_watching: check, Lasting, [
        Fault::WatchClosesAfter(1),
        Fault::Unavailable { requests: 60, status: 503 }
    ];
    bodies_trickle: check, Ending(BRIEFLY), [Fault::GoneMidStream(16), Fault::Trickle(Duration::from_millis(50))];
    lists_trickle: check_from_start, Ending(BRIEFLY), [Fault::Trickle(Duration::from_millis(50))];
    deleted_between_list_and_watch: check_from_start, Lasting, [Fault::DeletedAfterList("b".to_owned())];
    lines_are_cut: check, Ending(BRIEFLY), [Fault::Cut];
    requests_are_never_answered: check, Ending(BRIEFLY), [Fault::GoneMidStream(16), Fault::Silent];
    requests_are_never_answered_at_start: check_from_start, Ending(BRIEFLY), [Fault::Silent];
}

#[tokio::test]
async fn the_server_goes_away_and_comes_back() {
    let mut api = FakeApi::start(WATCHED_KINDS).await;
    before(&api);
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    api.stop().await;
    change(&api);
    reader
        .until(
            "people are told of every kind, and that nobody knows which there are",
            |reader| reader.findings.len() == WATCHED_KINDS.len() + 1,
        )
        .await;
    let text = reader.findings[0].to_string();
    assert!(
        text.contains("Connection refused"),
        "the reason stands in {text:?}"
    );
    let held = reader.store.len();
    assert_eq!(
        held,
        WATCHED_KINDS.len() * 2,
        "what was read stays in force"
    );
    api.restart();
    reader.converged(&api, "the server is back").await;
    reader
        .until("nobody is told any more", |reader| {
            reader.findings.is_empty()
        })
        .await;
}

#[tokio::test]
async fn history_is_lost_while_the_server_is_away() {
    let mut api = FakeApi::start(WATCHED_KINDS).await;
    before(&api);
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    api.stop().await;
    change(&api);
    api.compact();
    api.restart();
    reader.converged(&api, "everything was listed again").await;
}

#[tokio::test]
async fn a_token_is_rotated() {
    let api = FakeApi::start(WATCHED_KINDS).await;
    before(&api);
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    api.rotate_token("second token", false);
    api.fault(Fault::WatchClosesAfter(0));
    change(&api);
    reader
        .until("the old token is refused", |reader| {
            !reader.findings.is_empty()
        })
        .await;
    api.heal();
    api.rotate_token("second token", true);
    reader.converged(&api, "the new token was read").await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates are checked against the real clock"
)]
fn certificate() -> SelfSigned {
    self_signed(&[SERVER_NAME], std::time::SystemTime::now()).expected("a certificate")
}

#[tokio::test]
async fn the_certificate_of_the_server_is_rotated() {
    let mut api = FakeApi::start(WATCHED_KINDS).await;
    before(&api);
    api.present(&certificate(), true);
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    let next = certificate();
    api.stop().await;
    api.present(&next, false);
    api.restart();
    change(&api);
    reader
        .until("nobody trusts the new certificate yet", |reader| {
            reader.findings.len() == WATCHED_KINDS.len() + 1
        })
        .await;
    api.present(&next, true);
    reader.converged(&api, "the new authority was read").await;
}

#[tokio::test]
async fn an_object_larger_than_etcd_allows_is_read_from_watch_and_list() {
    let api = FakeApi::start(WATCHED_KINDS).await;
    before(&api);
    let options = WatchOptions {
        request_timeout: PATIENCE,
        watch_timeout: PATIENCE,
        ..options()
    };
    let mut reader = Reader::start(&api, options.clone()).await;
    reader.synced().await;
    let large = "\"\u{1f980}\n".repeat(220_000);
    for kind in [Kind::HttpRoute, Kind::GatewayClass] {
        let mut object = object(kind, "a", "large");
        object["metadata"]["annotations"] = json!({ "large": large });
        assert!(object.to_string().len() > 1_572_864, "more than 1.5 MiB");
        api.apply(object);
        api.apply(self::object(kind, "c", "second"));
    }
    reader
        .converged(&api, "large objects and their neighbours, watched")
        .await;
    let mut reader = Reader::start(&api, options).await;
    reader.synced().await;
    reader
        .converged(&api, "large objects and their neighbours, listed")
        .await;
}

#[tokio::test]
async fn a_malformed_object_keeps_its_last_good_version_and_disturbs_nobody() {
    let api = FakeApi::start(WATCHED_KINDS).await;
    before(&api);
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    for compacts in [false, true] {
        let mut bad = object(Kind::HttpRoute, "a", "second");
        bad["spec"] = json!({ "rules": "none" });
        api.apply(bad);
        if compacts {
            // Lists hold it as well.
            api.compact();
            api.fault(Fault::GoneMidStream(16));
        }
        api.apply(object(Kind::HttpRoute, "c", "neighbour"));
        reader
            .until("a finding names object and field", |reader| {
                let named = reader.findings.iter().any(|finding| {
                    let object = finding.object.as_ref().map(ToString::to_string);
                    object.as_deref() == Some(&format!("HTTPRoute {NAMESPACE}/a"))
                        && finding.field == "spec.rules"
                });
                named && reader.holds(Kind::HttpRoute, "c", "neighbour")
            })
            .await;
        assert!(
            reader.holds(Kind::HttpRoute, "a", "first"),
            "the last good version stays"
        );
        api.delete(Kind::HttpRoute, NAMESPACE, "c");
        reader
            .until("the neighbour is gone", |reader| {
                !reader.holds(Kind::HttpRoute, "c", "neighbour")
            })
            .await;
    }
    api.apply(object(Kind::HttpRoute, "a", "cured"));
    reader.converged(&api, "the object is good again").await;
    assert!(reader.findings.is_empty(), "{:?}", reader.findings);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let api = FakeApi::start(WATCHED_KINDS).await;
    for number in 0..1_203 {
        api.apply(object(Kind::HttpRoute, &format!("route-{number}"), "first"));
    }
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    reader.converged(&api, "all pages").await;
    let pages = api
        .requests()
        .into_iter()
        .filter(|request| request.contains("/httproutes?") && request.contains("limit=500"));
    assert_eq!(pages.count(), 3, "1,203 routes are three pages of 500");
}

#[tokio::test]
async fn a_burst_comes_in_few_updates() {
    let api = FakeApi::start(WATCHED_KINDS).await;
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    for number in 0..500 {
        api.apply(object(Kind::HttpRoute, &format!("route-{number}"), "first"));
    }
    let mut updates = 0;
    while !reader.differences(&api).is_empty() {
        reader.next().await;
        updates += 1;
        // Whoever reads has work to do with each update; the rest of the burst comes meanwhile.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        updates <= 100,
        "500 routes at once came in {updates} updates"
    );
}

#[tokio::test]
async fn a_kind_that_roles_forbid_is_named_with_its_cure() {
    let api = FakeApi::start(WATCHED_KINDS).await;
    before(&api);
    api.fault(Fault::Forbidden("referencegrants"));
    let mut reader = Reader::start(&api, options()).await;
    reader
        .until("the finding", |reader| !reader.findings.is_empty())
        .await;
    let text = reader.findings[0].to_string();
    for part in [
        "WA130",
        "ReferenceGrant",
        "403",
        "allow get, list and watch of referencegrants.gateway.networking.k8s.io",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    assert!(!reader.synced, "not everything is there");
    api.heal();
    reader.synced().await;
}
