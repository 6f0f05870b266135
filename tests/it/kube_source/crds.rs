//! Kinds that are not served, or not yet, or not any more, or in another version.

use std::time::Duration;

use weft_api::Kind;
use weft_source::kube::{WATCHED_KINDS, WatchOptions};
use weft_tests::fakeapi::{FakeApi, Fault};
use weft_tests::wait::PATIENCE;

use super::{NAMESPACE, Reader, namespace_of, object, options};

fn all_but(absent: Kind) -> Vec<Kind> {
    WATCHED_KINDS
        .iter()
        .copied()
        .filter(|kind| *kind != absent)
        .collect()
}

#[tokio::test]
async fn a_cluster_without_crds_is_synced_and_every_kind_is_picked_up_when_it_appears() {
    let core = [Kind::Namespace, Kind::Service, Kind::EndpointSlice];
    let api = FakeApi::start(&core).await;
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    assert!(reader.findings.is_empty(), "{:?}", reader.findings);
    for kind in WATCHED_KINDS.iter().filter(|kind| !core.contains(kind)) {
        api.serve(*kind, kind.versions()[0]);
        api.apply(object(*kind, "a", "late"));
    }
    reader.converged(&api, "every kind that appeared").await;
}

#[tokio::test]
async fn objects_go_with_their_crd_and_come_with_it() {
    for kind in [Kind::HttpRoute, Kind::XMesh] {
        let api = FakeApi::start(WATCHED_KINDS).await;
        api.apply(object(kind, "a", "first"));
        api.apply(object(Kind::Service, "a", "first"));
        let mut reader = Reader::start(&api, options()).await;
        reader.synced().await;
        // Without telling the watch: it hears of it by its next request.
        api.fault(Fault::WatchSilent);
        api.withdraw(kind);
        reader
            .until("the objects are gone", |reader| {
                !reader.holds(kind, "a", "first")
            })
            .await;
        assert!(reader.holds(Kind::Service, "a", "first"), "others stay");
        api.heal();
        api.serve(kind, kind.versions()[0]);
        api.apply(object(kind, "a", "again"));
        reader.converged(&api, "the kind is back").await;
    }
}

#[tokio::test]
async fn a_server_that_forgets_its_crds_for_one_look_takes_no_object_away() {
    let api = FakeApi::start(WATCHED_KINDS).await;
    api.apply(object(Kind::HttpRoute, "a", "first"));
    let options = WatchOptions {
        // No watch has to ask again meanwhile.
        watch_timeout: PATIENCE,
        ..options()
    };
    let mut reader = Reader::start(&api, options).await;
    reader.synced().await;
    reader.watched(&api, Kind::HttpRoute).await;
    api.forget_crds(true);
    let looks = || {
        api.requests()
            .iter()
            .filter(|request| request.starts_with("GET /apis?"))
            .count()
    };
    let before = looks();
    let watching = async {
        while looks() < before + 3 {
            tokio::select! {
                () = reader.next() => {}
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, watching)
        .await
        .expect("discovery goes on");
    api.forget_crds(false);
    assert!(
        reader.holds(Kind::HttpRoute, "a", "first"),
        "a watch that goes on outweighs discovery"
    );
    api.apply(object(Kind::HttpRoute, "a", "second"));
    reader.converged(&api, "the watch goes on").await;
}

#[tokio::test]
async fn kinds_are_read_in_the_best_version_that_is_served() {
    let kind = Kind::TcpRoute;
    let api = FakeApi::start(&all_but(kind)).await;
    api.serve(kind, "v1alpha2");
    api.apply(object(kind, "a", "first"));
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    reader.converged(&api, "the only version").await;
    let asked = |version: &str| {
        let path = format!("GET /apis/gateway.networking.k8s.io/{version}/tcproutes");
        api.paths().contains(&path)
    };
    assert!(
        asked("v1alpha2") && !asked("v1"),
        "only what is served is asked for"
    );
    api.serve(kind, "v1");
    api.apply(object(kind, "b", "second"));
    reader
        .converged(&api, "both versions show the same objects")
        .await;
    let looking = async {
        while !asked("v1") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .expect("the better version is read once it is served");
    api.delete(kind, namespace_of(kind), "a");
    reader
        .converged(&api, "the better version is watched")
        .await;
    assert!(!reader.holds(kind, "a", "first"), "{NAMESPACE}/a is gone");
}
