//! Secrets and ConfigMaps: only those referred to, one by one.

use std::collections::BTreeSet;

use serde_json::json;
use weft_api::{AnyObject, Kind, ObjectKey, ObjectRef};
use weft_source::kube::WATCHED_KINDS;
use weft_tests::fakeapi::{FakeApi, Fault};

use super::{NAMESPACE, Reader, object, options};

fn reference(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef::new(kind, ObjectKey::new(NAMESPACE, name))
}

fn secrets(names: &[&str]) -> BTreeSet<ObjectRef> {
    names
        .iter()
        .map(|name| reference(Kind::Secret, name))
        .collect()
}

async fn start() -> (FakeApi, Reader) {
    let kinds: Vec<_> = WATCHED_KINDS
        .iter()
        .copied()
        .chain([Kind::Secret, Kind::ConfigMap])
        .collect();
    let api = FakeApi::start(&kinds).await;
    for name in ["wanted", "other"] {
        let mut secret = object(Kind::Secret, name, "first");
        secret["data"] = json!({ "tls.crt": "Zmlyc3Q=" });
        api.apply(secret);
        api.apply(object(Kind::ConfigMap, name, "first"));
    }
    let mut reader = Reader::start(&api, options()).await;
    reader.synced().await;
    (api, reader)
}

/// Requests about Secrets and ConfigMaps.
fn asked(api: &FakeApi) -> Vec<String> {
    let is_about =
        |request: &String| request.contains("/secrets") || request.contains("/configmaps");
    api.requests().into_iter().filter(is_about).collect()
}

#[tokio::test]
async fn nothing_is_asked_about_what_nobody_refers_to() {
    let (api, mut reader) = start().await;
    assert_eq!(
        asked(&api),
        Vec::<String>::new(),
        "before anything is referred to"
    );
    let set = reader.watches.refer(secrets(&["wanted", "missing"]));
    reader
        .until("the set is looked up", |reader| reader.referred >= set)
        .await;
    assert!(
        reader.holds(Kind::Secret, "wanted", "first"),
        "the Secret referred to"
    );
    for request in asked(&api) {
        let is_named = request.contains("/secrets/wanted")
            || request.contains("/secrets/missing")
            || request.contains("fieldSelector=metadata.name%3Dwanted")
            || request.contains("fieldSelector=metadata.name%3Dmissing");
        assert!(is_named, "{request} asks about more than was referred to");
    }
    let none = reader.watches.refer(BTreeSet::new());
    reader
        .until("nothing is referred to", |reader| reader.referred >= none)
        .await;
    assert!(
        !reader.holds(Kind::Secret, "wanted", "first"),
        "forgotten when nobody refers to it"
    );
}

#[tokio::test]
async fn the_same_set_has_the_same_number() {
    let (_api, reader) = start().await;
    let first = reader.watches.refer(secrets(&["wanted"]));
    assert_eq!(
        reader.watches.refer(secrets(&["wanted"])),
        first,
        "nothing new"
    );
    assert!(
        reader.watches.refer(secrets(&["other"])) > first,
        "another set"
    );
}

#[tokio::test]
async fn changes_arrive_by_watch_and_by_polling() {
    for (name, watches_max) in [("watched", 8), ("polled", 0)] {
        let (api, _) = start().await;
        let mut options = options();
        options.reference_watches_max = watches_max;
        let mut reader = Reader::start(&api, options).await;
        let objects = [
            reference(Kind::Secret, "wanted"),
            reference(Kind::ConfigMap, "later"),
        ];
        let set = reader.watches.refer(objects.into());
        reader
            .until(name, |reader| reader.synced && reader.referred >= set)
            .await;
        api.apply(object(Kind::ConfigMap, "later", "created"));
        api.apply(object(Kind::Secret, "wanted", "second"));
        reader
            .until(name, |reader| {
                reader.holds(Kind::ConfigMap, "later", "created")
                    && reader.holds(Kind::Secret, "wanted", "second")
            })
            .await;
        api.delete(Kind::Secret, NAMESPACE, "wanted");
        reader
            .until(name, |reader| {
                !reader.holds(Kind::Secret, "wanted", "second")
            })
            .await;
    }
}

#[tokio::test]
async fn an_object_from_before_what_the_server_remembers_is_watched_all_the_same() {
    let (api, mut reader) = start().await;
    api.compact();
    let set = reader.watches.refer(secrets(&["wanted"]));
    reader
        .until("the set is looked up", |reader| reader.referred >= set)
        .await;
    for content in ["second", "third"] {
        api.apply(object(Kind::Secret, "wanted", content));
        reader
            .until(content, |reader| {
                reader.holds(Kind::Secret, "wanted", content)
            })
            .await;
    }
    let asked = asked(&api);
    let is_read = |request: &&String| request.contains("/secrets/wanted");
    let reads = asked.iter().filter(is_read).count();
    assert_eq!(reads, 1, "read once, then watched: {asked:?}");
}

#[tokio::test]
async fn a_secret_that_roles_forbid_is_looked_up_and_named() {
    let (api, mut reader) = start().await;
    api.fault(Fault::Forbidden("secrets"));
    let set = reader.watches.refer(secrets(&["wanted"]));
    reader
        .until("the set is looked up, the Secret is named", |reader| {
            let is_it = |object: &ObjectRef| *object == reference(Kind::Secret, "wanted");
            reader.referred >= set
                && reader
                    .findings
                    .iter()
                    .any(|finding| finding.object.as_ref().is_some_and(is_it))
        })
        .await;
    api.heal();
    reader
        .until("it is read once roles allow it", |reader| {
            reader.holds(Kind::Secret, "wanted", "first") && reader.findings.is_empty()
        })
        .await;
}

#[tokio::test]
async fn references_converge_under_every_fault() {
    let faults = [
        ("closes", Fault::WatchClosesAfter(1)),
        ("gone on resume", Fault::GoneOnResume(3)),
        ("gone mid stream", Fault::GoneMidStream(3)),
        ("error event", Fault::ErrorEvent(3)),
        ("twice", Fault::Duplicates),
        ("late", Fault::OutOfOrder),
        ("bookmarks", Fault::BookmarksOnly),
        (
            "busy",
            Fault::TooManyRequests {
                requests: 4,
                retry_after: 1,
            },
        ),
        (
            "unavailable",
            Fault::Unavailable {
                requests: 8,
                status: 503,
            },
        ),
    ];
    for (name, fault) in faults {
        let (api, mut reader) = start().await;
        let set = reader.watches.refer(secrets(&["wanted"]));
        reader.until(name, |reader| reader.referred >= set).await;
        api.fault(fault);
        for edition in ["second", "third", "fourth"] {
            api.apply(object(Kind::Secret, "wanted", edition));
        }
        reader
            .until(name, |reader| {
                reader.holds(Kind::Secret, "wanted", "fourth")
            })
            .await;
        let held = reader.store.get(&reference(Kind::Secret, "wanted"));
        let there = api
            .object(Kind::Secret, NAMESPACE, "wanted")
            .map(AnyObject::parse);
        assert_eq!(
            held,
            there.and_then(Result::ok),
            "{name}: the very version the server has"
        );
    }
}
