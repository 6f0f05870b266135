//! Entries of ours and of others (routing.md section 8, "Entries").

use weft_api::{
    AnyObject, Condition, HttpRoute,
    conditions::{Surface, permitted},
    reference::ParentReference,
    route::ParentStatus,
};

use crate::{
    Status,
    fixture::{CLASS, objects, reference, scope, store_of},
    translate,
};

fn entry(parent: &str, controller: &str, condition: &str) -> ParentStatus {
    ParentStatus {
        parent_ref: ParentReference {
            name: parent.into(),
            ..Default::default()
        },
        controller_name: controller.into(),
        conditions: vec![Condition {
            type_: condition.into(),
            ..Default::default()
        }],
    }
}

/// The entries of HTTPRoute `infra/r` with parent `gw` (or none) after a translation, as
/// `parent controller conditions`.
fn entries(old: Vec<ParentStatus>, parents: &str) -> Vec<String> {
    let world = format!(
        "{CLASS}Gateway infra/gw {{gatewayClassName: weft, listeners: [{{name: l, port: 80, protocol: HTTP}}]}}
HTTPRoute infra/r {{parentRefs: [{parents}]}}"
    );
    let mut objects = objects(&world);
    if let Some(AnyObject::HttpRoute(route)) = objects.last_mut() {
        let mut changed = HttpRoute::clone(route);
        changed.status.parents = old;
        *route = changed.into();
    }
    let output = translate(&store_of(objects), &scope());
    let Some(status) = output.statuses.get(&reference("HTTPRoute infra/r")) else {
        return Vec::new();
    };
    let Status::Route(status) = &**status else {
        panic!("a route has a route status")
    };
    let line = |entry: &ParentStatus| {
        let types: Vec<_> = entry
            .conditions
            .iter()
            .map(|it| it.type_.as_str())
            .collect();
        format!(
            "{} {} {}",
            entry.parent_ref.name,
            entry.controller_name,
            types.join(",")
        )
    };
    status.parents.iter().map(line).collect()
}

#[test]
fn entries_of_others_stay_and_stale_ones_of_ours_go() {
    const OURS: &str = "weft.dev/gateway-controller";
    const THEIRS: &str = "example.com/other";
    let good = "gw weft.dev/gateway-controller Accepted,ResolvedRefs";
    let rows: [(&str, Vec<ParentStatus>, &str, &[&str]); 7] = [
        ("first time", vec![], "{name: gw}", &[good]),
        (
            "theirs stays untouched",
            vec![entry("gw", THEIRS, "Accepted")],
            "{name: gw}",
            &["gw example.com/other Accepted", good],
        ),
        (
            "ours is replaced",
            vec![entry("gw", OURS, "PartiallyInvalid")],
            "{name: gw}",
            &[good],
        ),
        (
            "a condition of somebody else in our entry stays",
            vec![entry("gw", OURS, "example.com/Limited")],
            "{name: gw}",
            &["gw weft.dev/gateway-controller Accepted,ResolvedRefs,example.com/Limited"],
        ),
        (
            "a parent that is gone",
            vec![entry("gone", OURS, "Accepted")],
            "{name: gw}",
            &[good],
        ),
        (
            "no parent of ours is left",
            vec![
                entry("gw", OURS, "Accepted"),
                entry("x", THEIRS, "Accepted"),
            ],
            "",
            &["x example.com/other Accepted"],
        ),
        (
            "one entry per distinct parentRef",
            vec![],
            "{name: gw}, {name: gw}",
            &[good],
        ),
    ];
    for (name, old, parents, expected) in rows {
        assert_eq!(entries(old, parents), expected, "{name}");
    }
    assert!(
        entries(vec![entry("x", THEIRS, "Accepted")], "").is_empty(),
        "nothing of ours to write"
    );
}

/// Every condition in the outputs of the fixtures is one the specification knows for its place.
#[test]
fn conditions_use_permitted_reasons() {
    for world in crate::fixture::WORLDS {
        let output = crate::fixture::output(world);
        for (object, status) in output.statuses.iter() {
            for (surface, condition) in conditions(status) {
                let known = weft_api::ConditionType::ALL
                    .iter()
                    .find(|it| condition.is(**it));
                let known = known.unwrap_or_else(|| panic!("{object}: {}", condition.type_));
                let reasons = permitted(surface, *known, condition.status);
                assert!(
                    reasons
                        .iter()
                        .any(|reason| reason.as_str() == condition.reason),
                    "{object}: {} {:?} with reason {}",
                    condition.type_,
                    condition.status,
                    condition.reason
                );
                assert!(
                    !condition.message.is_empty(),
                    "{object}: {} says why",
                    condition.type_
                );
                assert!(
                    condition.last_transition_time.is_none(),
                    "the writer sets the time"
                );
            }
        }
    }
}

fn conditions(status: &Status) -> Vec<(Surface, &Condition)> {
    let mut all = Vec::new();
    match status {
        Status::GatewayClass(class) => all.extend(
            class
                .conditions
                .iter()
                .map(|it| (Surface::GatewayClass, it)),
        ),
        Status::Mesh(mesh) => all.extend(mesh.conditions.iter().map(|it| (Surface::Mesh, it))),
        Status::Gateway(gateway) => {
            all.extend(gateway.conditions.iter().map(|it| (Surface::Gateway, it)));
            let listeners = gateway
                .listeners
                .iter()
                .flat_map(|listener| &listener.conditions);
            all.extend(listeners.map(|it| (Surface::Listener, it)));
        }
        Status::ListenerSet(set) => {
            all.extend(set.conditions.iter().map(|it| (Surface::ListenerSet, it)));
            let entries = set
                .listeners
                .iter()
                .flat_map(|listener| &listener.conditions);
            all.extend(entries.map(|it| (Surface::ListenerEntry, it)));
        }
        Status::Route(route) => {
            let parents = route.parents.iter().flat_map(|entry| &entry.conditions);
            all.extend(parents.map(|it| (Surface::Route, it)));
        }
        Status::Policy(policy) => {
            let ancestors = policy.ancestors.iter().flat_map(|entry| &entry.conditions);
            all.extend(ancestors.map(|it| (Surface::Policy, it)));
        }
    }
    all
}
