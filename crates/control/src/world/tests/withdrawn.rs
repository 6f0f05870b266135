//! What was said of an object of which nothing is to be said any more.

use super::*;

fn policy(status: Value) -> Event {
    object(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy",
        "metadata": { "namespace": "shop", "name": "safe", "generation": 1 },
        "spec": {
            "targetRefs": [{ "group": "", "kind": "Service", "name": "safe" }],
            "validation": { "hostname": "safe.test", "wellKnownCACertificates": "System" },
        },
        "status": status,
    }))
}

fn route(gateway: &str, status: Value) -> Event {
    object(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "namespace": "shop", "name": "web", "generation": 1 },
        "spec": {
            "parentRefs": [{ "name": gateway }],
            "rules": [{ "backendRefs": [{ "name": "safe", "port": 443 }] }],
        },
        "status": status,
    }))
}

fn target() -> Event {
    object(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "namespace": "shop", "name": "safe" },
        "spec": { "clusterIP": "None", "ports": [{ "port": 443 }] },
    }))
}

/// Who says something in the statuses that are to be written.
fn speakers(settled: &Settled, kind: Kind) -> Vec<Vec<String>> {
    let wanted = settled.statuses.iter().map(|(_, wanted)| wanted);
    let of_kind = wanted.filter(|wanted| wanted.kind() == kind);
    let lists = of_kind.map(|wanted| {
        let value = wanted.to_value().expect("an object as JSON");
        let entries = ["/status/parents", "/status/ancestors"].map(|at| value.pointer(at).cloned());
        let entries = entries.into_iter().flatten();
        let entries = entries.flat_map(|list| list.as_array().cloned().unwrap_or_default());
        let name = |entry: Value| {
            entry["controllerName"]
                .as_str()
                .unwrap_or("none")
                .to_owned()
        };
        entries.map(name).collect()
    });
    lists.collect()
}

const NOBODY: [&str; 0] = [];
const THEIRS: &str = "example.com/other";

fn ancestor(controller: &str) -> Value {
    json!({ "ancestorRef": { "name": "edge" }, "controllerName": controller, "conditions": [] })
}

/// What was said may still be on its way when the object was last seen without it.
#[test]
fn a_policy_that_nobody_uses_any_more_loses_what_is_on_its_way_to_it() {
    let (mut world, first) = world(vec![
        class(OURS),
        gateway(1),
        target(),
        route("edge", json!({})),
        policy(json!({})),
    ]);
    assert_eq!(speakers(&first, Kind::BackendTlsPolicy), [[OURS]]);
    let web = ObjectRef::new(Kind::HttpRoute, ObjectKey::new("shop", "web"));
    let unused = settle(&mut world, vec![Event::Delete(web)], None);
    assert_eq!(
        speakers(&unused, Kind::BackendTlsPolicy),
        [NOBODY],
        "in place of what waits to be written"
    );
    let both = json!({ "ancestors": [ancestor(OURS), ancestor(THEIRS)] });
    let written = settle(&mut world, vec![policy(both)], None);
    assert_eq!(
        speakers(&written, Kind::BackendTlsPolicy),
        [[THEIRS]],
        "what was under way came back by the watch"
    );
    let theirs = json!({ "ancestors": [ancestor(THEIRS)] });
    let withdrawn = settle(&mut world, vec![policy(theirs)], None);
    assert!(
        speakers(&withdrawn, Kind::BackendTlsPolicy).is_empty(),
        "it is theirs alone"
    );
}

#[test]
fn a_route_that_turns_to_somebody_else_loses_what_is_on_its_way_to_it() {
    let (mut world, first) = world(vec![class(OURS), gateway(1), route("edge", json!({}))]);
    assert_eq!(speakers(&first, Kind::HttpRoute), [[OURS]]);
    let turned = settle(&mut world, vec![route("foreign", json!({}))], None);
    assert_eq!(speakers(&turned, Kind::HttpRoute), [NOBODY]);
    let entry = json!({
        "parentRef": { "name": "edge" }, "controllerName": OURS, "conditions": [],
    });
    let late = json!({ "parents": [entry] });
    let written = settle(&mut world, vec![route("foreign", late)], None);
    assert_eq!(speakers(&written, Kind::HttpRoute), [NOBODY]);
}
