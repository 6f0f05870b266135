//! Statuses on their way to the API server.

mod world;

use std::time::Duration;

use serde_json::json;
use weft_api::conditions::GATEWAY_CONTROLLER;
use weft_api::{AnyObject, Kind};
use weft_source::kube::WATCHED_KINDS;
use weft_tests::fakeapi::{FakeApi, Fault};
use weft_tests::wait::soon;

use super::{NAMESPACE, object};
use world::{WITH_STATUS, World, every_kind, verdict};

#[tokio::test]
async fn statuses_of_every_kind_arrive_under_every_fault() {
    let faults = [
        ("no fault", vec![]),
        ("conflicts", vec![Fault::ConflictOnStatus(20)]),
        (
            "busy",
            vec![Fault::TooManyRequests {
                requests: 8,
                retry_after: 1,
            }],
        ),
        (
            "errors",
            vec![Fault::Unavailable {
                requests: 40,
                status: 500,
            }],
        ),
        (
            "unavailable",
            vec![Fault::Unavailable {
                requests: 40,
                status: 503,
            }],
        ),
    ];
    for (name, faults) in faults {
        let world = World::start(every_kind().await, true).await;
        for fault in faults {
            world.api.fault(fault);
        }
        for kind in WITH_STATUS {
            world.put(*kind, "a", "True");
        }
        world.flush(name).await;
        for kind in WITH_STATUS {
            let stored = world.stored(*kind, "a");
            assert_eq!(verdict(*kind, &stored), "True", "{name}: {kind}: {stored}");
        }
    }
}

#[tokio::test]
async fn statuses_wait_for_a_server_that_is_away() {
    let mut world = World::start(every_kind().await, true).await;
    world.api.stop().await;
    for kind in WITH_STATUS {
        world.put(*kind, "a", "True");
        // The newest wins, however many wait.
        world.put(*kind, "a", "False");
    }
    let failing = async {
        while world.writer.counts().failed == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon("a write fails", failing).await;
    assert_eq!(
        world.writer.counts().waiting,
        WITH_STATUS.len(),
        "one waits per object"
    );
    world.api.restart();
    world.flush("the server is back").await;
    for kind in WITH_STATUS {
        assert_eq!(verdict(*kind, &world.stored(*kind, "a")), "False", "{kind}");
    }
}

#[tokio::test]
async fn what_is_as_it_should_be_is_not_written() {
    let mut world = World::start(every_kind().await, true).await;
    world.put(Kind::HttpRoute, "a", "True");
    world.flush("written").await;
    world
        .reader
        .converged(&world.api, "our own write is seen")
        .await;
    let before = world.stored(Kind::HttpRoute, "a");
    let requests = || {
        let all = world.api.requests();
        all.iter()
            .filter(|request| request.contains("/httproutes/a"))
            .count()
    };
    let asked = requests();
    world.put(Kind::HttpRoute, "a", "True");
    world.flush("compared").await;
    assert_eq!(requests(), asked, "no request for what is seen to be well");
    assert_eq!(world.stored(Kind::HttpRoute, "a"), before, "nothing moved");
    assert_eq!(
        world.writer.counts().unchanged,
        1,
        "{:?}",
        world.writer.counts()
    );
    let patch = world
        .api
        .requests()
        .into_iter()
        .find(|request| request.starts_with("PATCH"));
    let path = "PATCH /apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/a/status?&fieldManager=weft";
    assert_eq!(
        patch.as_deref(),
        Some(path),
        "the status alone, in our name"
    );
}

#[tokio::test]
async fn entries_and_conditions_of_others_stay_byte_for_byte() {
    let api = every_kind().await;
    let foreign = json!({
        "parentRef": { "name": "theirs", "sectionName": "web" },
        "controllerName": "example.com/other",
        "conditions": [{ "type": "Odd", "status": "Perhaps", "lastTransitionTime": "2020-02-02T02:02:02Z" }],
        "futureField": { "kept": true },
    });
    api.edit(Kind::HttpRoute, (NAMESPACE, "a"), |route| {
        route["status"] = json!({ "parents": [foreign] });
    });
    let theirs = json!({
        "type": "example.com/Scanned", "status": "True", "reason": "Clean", "message": "",
        "lastTransitionTime": "2020-02-02T02:02:02Z", "observedGeneration": 1,
    });
    api.edit(Kind::Gateway, (NAMESPACE, "a"), |gateway| {
        gateway["status"] = json!({ "conditions": [theirs] });
    });
    let world = World::start(api, true).await;
    // Somebody else writes once more after we last looked.
    world.api.edit(Kind::HttpRoute, (NAMESPACE, "a"), |route| {
        route["status"]["parents"][0]["conditions"][0]["status"] = "Certainly".into();
    });
    world.put(Kind::HttpRoute, "a", "True");
    world.put(Kind::Gateway, "a", "True");
    world.flush("written").await;
    let mut expected = foreign.clone();
    expected["conditions"][0]["status"] = "Certainly".into();
    let route = world.stored(Kind::HttpRoute, "a");
    assert_eq!(
        route["parents"][0], expected,
        "the entry of the other controller"
    );
    assert_eq!(
        route["parents"][1]["controllerName"], GATEWAY_CONTROLLER,
        "{route}"
    );
    let gateway = world.stored(Kind::Gateway, "a");
    assert_eq!(
        gateway["conditions"][0], theirs,
        "the condition of the other controller"
    );
    assert_eq!(gateway["conditions"][1]["type"], "Accepted", "{gateway}");
}

#[tokio::test]
async fn transition_times_move_with_the_verdict_only() {
    let mut world = World::start(every_kind().await, true).await;
    let time = |world: &World| {
        world.stored(Kind::HttpRoute, "a")["parents"][0]["conditions"][0]["lastTransitionTime"]
            .clone()
    };
    let old = json!("2020-02-02T02:02:02Z");
    world.put(Kind::HttpRoute, "a", "True");
    world.flush("written").await;
    assert!(time(&world).is_string(), "the schema demands a time");
    world.api.edit(Kind::HttpRoute, (NAMESPACE, "a"), |route| {
        route["status"]["parents"][0]["conditions"][0]["lastTransitionTime"] = old.clone();
        route["status"]["parents"][0]["conditions"][0]["message"] = "outdated".into();
    });
    world.reader.converged(&world.api, "the edit is seen").await;
    world.put(Kind::HttpRoute, "a", "True");
    world.flush("put right").await;
    let condition = &world.stored(Kind::HttpRoute, "a")["parents"][0]["conditions"][0];
    assert_eq!(
        condition["message"], "as the test says",
        "what was overwritten is put right"
    );
    assert_eq!(
        condition["lastTransitionTime"], old,
        "the verdict is as old as it was"
    );
    world
        .reader
        .converged(&world.api, "our write is seen")
        .await;
    world.put(Kind::HttpRoute, "a", "False");
    world.flush("turned").await;
    assert_ne!(time(&world), old, "the verdict is new");
}

#[tokio::test]
async fn a_verdict_about_another_version_of_an_object_is_not_written() {
    type Change = fn(&FakeApi);
    let changes: [(&str, Change); 3] = [
        ("another spec", |api| {
            let mut route = object(Kind::HttpRoute, "a", "second");
            route["spec"] = json!({ "hostnames": ["other.example"] });
            api.apply(route);
        }),
        ("another object of that name", |api| {
            api.delete(Kind::HttpRoute, NAMESPACE, "a");
            api.apply(object(Kind::HttpRoute, "a", "reborn"));
        }),
        ("no object", |api| {
            api.delete(Kind::HttpRoute, NAMESPACE, "a");
        }),
    ];
    for (name, change) in changes {
        let world = World::start(every_kind().await, true).await;
        change(&world.api);
        world.put(Kind::HttpRoute, "a", "True");
        world.flush(name).await;
        let stored = world
            .api
            .object(Kind::HttpRoute, NAMESPACE, "a")
            .unwrap_or_default();
        assert!(stored.get("status").is_none(), "{name}: {stored}");
        assert_eq!(world.writer.counts().written, 0, "{name}");
    }
}

#[tokio::test]
async fn only_the_leader_writes() {
    let world = World::start(every_kind().await, false).await;
    world.put(Kind::HttpRoute, "a", "True");
    world.flush("nothing is taken").await;
    let patches = || {
        world
            .api
            .requests()
            .iter()
            .filter(|request| request.starts_with("PATCH"))
            .count()
    };
    assert_eq!(patches(), 0, "a follower writes nothing");
    world.leads.send_replace(true);
    world.put(Kind::HttpRoute, "a", "True");
    world.flush("the new leader writes").await;
    assert_eq!(patches(), 1, "a leader does");
    world.leads.send_replace(false);
    world.put(Kind::HttpRoute, "a", "False");
    world.flush("nothing is taken again").await;
    assert_eq!(patches(), 1, "who led before writes nothing");
}

#[tokio::test]
async fn a_version_that_is_served_is_written() {
    let kinds: Vec<_> = WATCHED_KINDS
        .iter()
        .copied()
        .filter(|kind| *kind != Kind::TcpRoute)
        .collect();
    let api = FakeApi::start(&kinds).await;
    api.serve(Kind::TcpRoute, "v1alpha2");
    api.apply(object(Kind::TcpRoute, "a", "first"));
    let world = World::start(api, true).await;
    world.put(Kind::TcpRoute, "a", "True");
    world.flush("written").await;
    assert_eq!(
        verdict(Kind::TcpRoute, &world.stored(Kind::TcpRoute, "a")),
        "True"
    );
}

#[tokio::test]
async fn a_thousand_statuses_are_written_side_by_side() {
    let api = FakeApi::start(WATCHED_KINDS).await;
    let names: Vec<_> = (0..1_000).map(|number| format!("route-{number}")).collect();
    for name in &names {
        api.apply(object(Kind::HttpRoute, name, "first"));
    }
    let world = World::start(api, true).await;
    // One after the other would take half a minute; side by side it is one second of waiting.
    world.api.fault(Fault::Latency(Duration::from_millis(30)));
    for name in &names {
        world.put(Kind::HttpRoute, name, "True");
    }
    world.flush("1,000 statuses").await;
    for name in &names {
        let stored = world.stored(Kind::HttpRoute, name);
        assert_eq!(verdict(Kind::HttpRoute, &stored), "True", "{name}");
    }
    assert_eq!(
        world.writer.counts().written,
        1_000,
        "each once: {:?}",
        world.writer.counts()
    );
}

#[tokio::test]
async fn a_pod_is_annotated_unless_it_is_another_one_by_now() {
    let pod = |uid: &str, captured: Option<&str>| {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "namespace": NAMESPACE, "name": "web", "uid": uid, "generation": 1 },
            "spec": { "nodeName": "n1" }, "status": { "phase": "Running" },
        });
        if let Some(captured) = captured {
            pod["metadata"]["annotations"] = json!({ "weft.dev/captured": captured });
        }
        pod
    };
    let parsed = |pod| AnyObject::parse(pod).expect("a good pod");
    let api = FakeApi::start(&[WATCHED_KINDS, &[Kind::Pod]].concat()).await;
    api.apply(pod("now", None));
    let world = World::start(api, true).await;
    let rows = [("before", "error", ""), ("now", "true", "true")];
    for (uid, captured, expected) in rows {
        let (seen, wanted) = (parsed(pod(uid, None)), parsed(pod(uid, Some(captured))));
        assert!(world.writer.put(&seen, wanted), "there is room");
        world.flush(uid).await;
        let stored = world.api.object(Kind::Pod, NAMESPACE, "web");
        let stored = stored.unwrap_or_default();
        let said = &stored["metadata"]["annotations"]["weft.dev/captured"];
        assert_eq!(said.as_str().unwrap_or_default(), expected, "{uid}");
        assert_eq!(stored["status"]["phase"], "Running", "{uid}");
    }
    assert_eq!(world.writer.counts().refused, 0, "nobody is alarmed");
}
