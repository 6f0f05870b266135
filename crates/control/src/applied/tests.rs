//! What is said of a route, and when.

use serde_json::json;

use super::*;

/// A route that a Gateway accepts.
fn route(generation: i64, is_accepted: bool) -> AnyObject {
    let status = if is_accepted { "True" } else { "False" };
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "namespace": "shop", "name": "web", "generation": generation },
        "spec": { "parentRefs": [{ "name": "edge" }] },
        "status": { "parents": [{
            "parentRef": { "name": "edge" },
            "controllerName": "weft.dev/gateway-controller",
            "conditions": [{
                "type": "Accepted", "status": status, "reason": "Accepted", "message": "",
                "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }] },
    });
    AnyObject::parse(object).expect("a route")
}

fn spread(applied: usize, laggards: &[&str]) -> Spread {
    Spread {
        applied,
        refused: Vec::new(),
        laggards: laggards.iter().map(ToString::to_string).collect(),
    }
}

const NOW: Duration = Duration::from_secs(100);

/// What the status says: status, generation and message.
fn says(applied: &Applied, seen: &AnyObject) -> String {
    let mut wanted = seen.clone();
    applied.add(seen, &mut wanted);
    let status = status_of(&wanted).expect("a route");
    let conditions = status.parents.iter().flat_map(|parent| &parent.conditions);
    let said = conditions
        .filter(|it| it.is(ConditionType::Applied))
        .map(|it| {
            let generation = it.observed_generation.unwrap_or_default();
            format!("{:?} {generation}: {}", it.status, it.message)
        });
    said.collect::<Vec<_>>().join(" | ")
}

#[test]
fn a_route_is_applied_once_every_proxy_has_it() {
    let (mut applied, first) = (Applied::default(), route(1, true));
    let seen = applied.see(&first, NOW);
    assert_eq!(seen, Some((first.reference(), 1)), "another generation");
    assert_eq!(applied.see(&first, NOW), None, "the same");
    let due = Some(NOW + PATIENCE);
    assert_eq!(applied.due_at(NOW), due);

    assert!(applied.judge(|_, _, _| None, NOW).is_empty(), "no proxy");
    let lagging = |_: &ObjectRef, _: &Name, _: i64| Some(spread(1, &["pod-2"]));
    assert!(
        applied.judge(lagging, NOW).is_empty(),
        "not yet worth a write"
    );
    assert_eq!(says(&applied, &first), "");
    let later = NOW + PATIENCE;
    assert_eq!(applied.judge(lagging, later).len(), 1);
    let partly = "False 1: applied on 1 of 2 proxies; waiting for pod-2";
    assert_eq!(says(&applied, &first), partly);
    assert!(applied.judge(lagging, later).is_empty(), "nothing else");
    assert_eq!(applied.due_at(later), None, "no alarm twice");

    let whole = |_: &ObjectRef, _: &Name, _: i64| Some(spread(2, &[]));
    assert_eq!(applied.judge(whole, later).len(), 1);
    assert_eq!(says(&applied, &first), "True 1: applied on 2 of 2 proxies");
    assert!(applied.judge(lagging, later).is_empty(), "it stays so");

    let second = route(2, true);
    applied.see(&second, later);
    let told = says(&applied, &second);
    assert_eq!(
        told, "True 1: applied on 2 of 2 proxies",
        "of the one before"
    );
    assert_eq!(applied.judge(whole, later).len(), 1);
    assert_eq!(says(&applied, &second), "True 2: applied on 2 of 2 proxies");
}

#[test]
fn what_is_not_accepted_is_not_applied() {
    let (mut applied, refused) = (Applied::default(), route(1, false));
    applied.see(&refused, NOW);
    let whole = |_: &ObjectRef, _: &Name, _: i64| Some(spread(2, &[]));
    assert!(applied.judge(whole, NOW).is_empty());
    assert_eq!(says(&applied, &refused), "");
}

#[test]
fn what_another_replica_said_stays_until_there_is_something_to_say() {
    let (mut before, first) = (Applied::default(), route(1, true));
    before.see(&first, NOW);
    before.judge(|_, _, _| Some(spread(2, &[])), NOW);
    let mut stored = first.clone();
    before.add(&first, &mut stored);
    let mut after = Applied::default();
    after.see(&first, NOW);
    let mut wanted = first.clone();
    after.add(&stored, &mut wanted);
    assert_eq!(status_of(&wanted), status_of(&stored), "the same again");
}

#[test]
fn a_route_that_a_proxy_refuses_is_not_applied_whatever_was_said_before() {
    let (mut applied, first) = (Applied::default(), route(1, true));
    applied.see(&first, NOW);
    let whole = |_: &ObjectRef, _: &Name, _: i64| Some(spread(2, &[]));
    assert_eq!(applied.judge(whole, NOW).len(), 1);
    let refusing = |_: &ObjectRef, _: &Name, _: i64| {
        Some(Spread {
            refused: vec!["pod-2: no authorities".to_owned()],
            ..spread(1, &[])
        })
    };
    assert!(applied.judge(refusing, NOW).is_empty(), "nobody doubts it");
    let refused = BTreeSet::from([first.reference()]);
    applied.doubt(&refused);
    assert_eq!(applied.judge(refusing, NOW).len(), 1, "said at once");
    let partly = "False 1: applied on 1 of 2 proxies; refused by pod-2: no authorities";
    assert_eq!(says(&applied, &first), partly);
    applied.doubt(&refused);
    assert!(applied.judge(refusing, NOW).is_empty(), "nothing else");
    applied.doubt(&BTreeSet::new());
    assert_eq!(applied.judge(whole, NOW).len(), 1, "and it is mended");
    assert_eq!(says(&applied, &first), "True 1: applied on 2 of 2 proxies");
}
