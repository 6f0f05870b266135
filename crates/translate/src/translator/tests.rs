//! The laws of a translation: total, deterministic, one decision for tables and statuses, every
//! object by itself, and a memory that cannot be seen in the result.

mod reuse;

use std::{collections::BTreeSet, sync::LazyLock};

use proptest::{prelude::*, sample::SizeRange};
use weft_api::{AnyObject, ConditionStatus, ConditionType, Kind, ObjectRef, conditions};
use weft_ir::{RouteId, RouteSet};
use weft_store::Store;

use super::Translator;
use crate::{
    ClassPolicy, Output, Scope, Status,
    fixture::{CLASS, WORLDS, objects, scope, store_of},
    translate,
};

/// Every object of every world; several have the same name, as versions of one object.
static POOL: LazyLock<Vec<AnyObject>> = LazyLock::new(|| {
    let mut pool: Vec<_> = WORLDS.iter().flat_map(|world| objects(world)).collect();
    pool.extend(objects(CLASS));
    pool
});

/// Indexes into the pool, in any order and with repeats.
fn picks(count: impl Into<SizeRange>) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..POOL.len(), count)
}

/// A store with those of the pool; of several versions of an object the first.
fn store(picks: &[usize]) -> Store {
    store_of(distinct(picks).into_iter().map(|at| POOL[at].clone()))
}

fn distinct(picks: &[usize]) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    picks
        .iter()
        .copied()
        .filter(|at| seen.insert(POOL[*at].reference()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Invariant 3: any subset translates, and the order of arrival cannot be seen.
    #[test]
    fn every_subset_translates_alike_in_any_order(
        (picks, shuffled) in picks(0..60).prop_flat_map(|picks| {
            let picks = distinct(&picks);
            (Just(picks.clone()), Just(picks).prop_shuffle())
        })
    ) {
        let left = translate(&store(&picks), &scope());
        let right = translate(&store(&shuffled), &scope());
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(format!("{left:?}"), format!("{right:?}"), "not only equal but the same");
    }

    /// Invariant 4: what a status accepts is in the tables, and what is in the tables is accepted.
    #[test]
    fn statuses_and_tables_agree(picks in picks(0..80)) {
        let output = translate(&store(&picks), &scope());
        prop_assert_eq!(accepted(&output), present(&output));
    }

    /// The memory of a translator cannot be seen, whatever comes, goes and changes.
    #[test]
    fn a_translator_answers_like_a_fresh_one(
        start in picks(0..60),
        edits in prop::collection::vec((picks(1..4), any::<bool>()), 1..12),
        classes in prop_oneof![Just(ClassPolicy::Ours), Just(ClassPolicy::Every)],
    ) {
        let scope = Scope { classes, ..scope() };
        let mut store = store(&start);
        let mut translator = Translator::default();
        prop_assert_eq!(translator.translate(&store, &scope), translate(&store, &scope));
        for (picks, delete) in edits {
            for at in picks {
                if delete {
                    store.delete(&POOL[at].reference());
                } else {
                    store.apply(POOL[at].clone());
                }
            }
            let fresh = translate(&store, &scope);
            prop_assert_eq!(translator.translate(&store, &scope), fresh);
        }
    }

    /// Invariant 17: a bad object changes nothing for any other object.
    #[test]
    fn a_bad_object_concerns_itself_alone(picks in picks(0..60), bad in bad_object()) {
        let mut store = store(&picks);
        store.delete(&bad.reference());
        let before = translate(&store, &scope());
        store.apply(bad.clone());
        let after = translate(&store, &scope());
        let object = bad.reference();
        prop_assert_eq!(others(&before, &object), others(&after, &object));
        prop_assert_eq!(rules(&before, &object), rules(&after, &object));
    }
}

/// Routes, Gateways and Secrets under names of their own with nonsense in any of their fields. They
/// name parents that exist, so that they get as far as they can.
fn bad_object() -> impl Strategy<Value = AnyObject> {
    let text = prop_oneof![
        Just("(".to_owned()),
        Just("a{1000}{1000}".to_owned()),
        Just("//".to_owned()),
        Just("Foo".to_owned()),
        Just(String::new()),
        Just("*.".to_owned()),
        "\\PC{0,8}",
    ];
    let kind = prop_oneof![
        Just("HTTPRoute"),
        Just("GRPCRoute"),
        Just("Gateway"),
        Just("Secret")
    ];
    (kind, prop::collection::vec(text, 8), -1..70000_i32).prop_map(|(kind, texts, number)| {
        let text = |at: usize| serde_json::Value::from(texts[at].as_str());
        let matches = match kind {
            "GRPCRoute" => serde_json::json!([{"method": {"type": text(0), "service": text(1)}}]),
            _ => serde_json::json!([{"path": {"type": text(0), "value": text(1)},
                "headers": [{"name": text(2), "value": text(3), "type": "RegularExpression"}]}]),
        };
        let spec = match kind {
            "Gateway" => serde_json::json!({"gatewayClassName": "weft", "listeners": [
                {"name": "x", "port": number, "protocol": text(0), "hostname": text(1), "tls": {"mode": text(2)}}]}),
            _ => serde_json::json!({
                "parentRefs": [{"name": "gw", "namespace": "infra"}, {"name": "b", "namespace": "infra"}],
                "hostnames": [text(7)],
                "rules": [{"matches": matches,
                    "filters": [{"type": text(4), "requestHeaderModifier": {"remove": [text(5)]}}],
                    "backendRefs": [{"name": "web", "port": number, "kind": text(6)}]}]}),
        };
        let api = if kind == "Secret" { "v1" } else { "gateway.networking.k8s.io/v1" };
        let object = serde_json::json!({"apiVersion": api, "kind": kind, "spec": spec,
            "stringData": {"tls.crt": texts[0], "tls.key": texts[1]},
            "metadata": {"namespace": "bad", "name": "bad"}});
        AnyObject::parse(object).expect("the types take any text")
    })
}

/// Statuses and findings of all other objects. The number of attached routes is a fact about the
/// listener that every route changes.
fn others(output: &Output, bad: &ObjectRef) -> Vec<String> {
    let statuses = output.statuses.iter().filter(|(object, _)| *object != bad);
    let statuses = statuses.map(|(object, status)| {
        let mut status = Status::clone(status);
        if let Status::Gateway(gateway) = &mut status {
            for listener in &mut gateway.listeners {
                listener.attached_routes = 0;
            }
        }
        format!("{object} {status:?}")
    });
    let notes = output.notes.iter().filter(|(object, _)| *object != bad);
    statuses
        .chain(notes.map(|note| format!("{note:?}")))
        .collect()
}

/// The compiled rules of all other objects, by where they are.
fn rules(output: &Output, bad: &ObjectRef) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, set) in places(output) {
        for entry in set.entries() {
            let own = |rule: &&std::sync::Arc<weft_ir::Rule>| {
                *rule.route.name.namespace != *bad.key.namespace()
            };
            for rule in entry.rules.iter().filter(own) {
                lines.push(format!("{place:?} {:?} {rule:?}", entry.hostnames));
            }
        }
    }
    lines
}

/// Where rules are: the parent and its kind.
type Place = (Kind, String);

fn places(output: &Output) -> Vec<(Place, &RouteSet)> {
    let mut places = Vec::new();
    for (name, gateway) in &output.tables.gateways {
        for listener in gateway.ports.iter().flat_map(|port| &port.listeners) {
            places.push(((Kind::Gateway, name.to_string()), listener.routes.as_ref()));
        }
    }
    for (name, service) in &output.tables.services {
        for port in &service.ports {
            let groups = port.producer.iter().chain(port.consumers.values());
            places.extend(groups.map(|set| ((Kind::Service, name.to_string()), set.as_ref())));
        }
    }
    places
}

/// Routes with a rule in the tables, by parent.
fn present(output: &Output) -> BTreeSet<(Place, RouteId)> {
    let places = places(output).into_iter();
    places
        .flat_map(|(place, set)| {
            set.rules()
                .iter()
                .map(move |rule| (place.clone(), RouteId::clone(&rule.route)))
        })
        .collect()
}

/// Routes that a status calls accepted, by parent. Routes of the worlds all have rules.
fn accepted(output: &Output) -> BTreeSet<(Place, RouteId)> {
    let mut accepted = BTreeSet::new();
    for (object, status) in output.statuses.iter() {
        let (Kind::HttpRoute | Kind::GrpcRoute, Status::Route(status)) = (object.kind, &**status)
        else {
            continue;
        };
        for entry in &status.parents {
            let condition = conditions::find(&entry.conditions, ConditionType::Accepted);
            if condition.is_some_and(|it| it.status == ConditionStatus::True) {
                let parent = &entry.parent_ref;
                let kind = if parent.kind() == "Service" {
                    Kind::Service
                } else {
                    Kind::Gateway
                };
                let namespace = parent.namespace(object.key.namespace());
                let kind_of_route = match object.kind {
                    Kind::GrpcRoute => weft_ir::RouteKind::Grpc,
                    _ => weft_ir::RouteKind::Http,
                };
                let name = weft_ir::Name::new(object.key.namespace(), object.key.name());
                let route = RouteId {
                    kind: kind_of_route,
                    name,
                };
                accepted.insert(((kind, format!("{namespace}/{}", parent.name)), route));
            }
        }
    }
    accepted
}
