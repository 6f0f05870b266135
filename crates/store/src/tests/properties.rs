//! Laws of the store: it is a function of the objects it holds, not of how it came to hold them.

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use serde_json::json;
use weft_api::{AnyObject, Kind, ObjectRef};

use super::{object, slice, store_of};
use crate::Store;

/// An event as a watch delivers it.
#[derive(Clone, Debug)]
enum Event {
    Apply(AnyObject),
    Delete(ObjectRef),
}

/// Few keys, so that objects meet each other and are replaced and deleted often.
fn key() -> impl Strategy<Value = (&'static str, &'static str)> {
    let part = || prop_oneof![Just("a"), Just("a-b"), Just("b")];
    (part(), part())
}

/// Objects of the indexed kinds and of one that is not.
fn any_object() -> impl Strategy<Value = AnyObject> {
    let service = (key(), prop::collection::vec(1_u8..4, 0..3)).prop_map(|(key, hosts)| {
        let addresses: Vec<_> = hosts.iter().map(|host| format!("10.0.0.{host}")).collect();
        object(
            Kind::Service,
            key,
            json!({"spec": {"clusterIPs": addresses}}),
        )
    });
    let slice = (key(), key()).prop_map(|(key, service)| slice(key, service.1));
    let targets = || prop::collection::vec(key(), 0..3);
    let policy = (any::<bool>(), key(), targets()).prop_map(|(tls, key, targets)| {
        let kind = if tls {
            Kind::BackendTlsPolicy
        } else {
            Kind::XBackendTrafficPolicy
        };
        let target = |name| json!({"group": "", "kind": "Service", "name": name});
        let references: Vec<_> = targets.iter().map(|(_, name)| target(name)).collect();
        object(kind, key, json!({"spec": {"targetRefs": references}}))
    });
    let route = (key(), any::<bool>()).prop_map(|(key, status)| {
        let parents = if status {
            json!([{"controllerName": "x"}])
        } else {
            json!([])
        };
        object(
            Kind::HttpRoute,
            key,
            json!({"status": {"parents": parents}}),
        )
    });
    prop_oneof![service, slice, policy, route]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => any_object().prop_map(Event::Apply),
        2 => any_object().prop_map(|object| Event::Delete(object.reference())),
    ];
    prop::collection::vec(event, 0..60)
}

fn replay(events: &[Event]) -> Store {
    let mut store = Store::default();
    for event in events {
        match event {
            Event::Apply(object) => {
                store.apply(object.clone());
            }
            Event::Delete(reference) => {
                store.delete(reference);
            }
        }
    }
    store
}

fn contents(store: &Store) -> Vec<AnyObject> {
    store.iter().collect()
}

proptest! {
    #[test]
    fn history_does_not_matter(events in events()) {
        let store = replay(&events);
        let fresh = store_of(contents(&store).into_iter().rev());
        assert_eq!(contents(&store), contents(&fresh), "objects depend on the order of events");
        assert_eq!(store.indexes, fresh.indexes, "references are stale or missing");
    }

    #[test]
    fn deleting_undoes_applying(events in events(), object in any_object()) {
        let mut store = replay(&events);
        let reference = object.reference();
        store.delete(&reference);
        let before = store.clone();
        store.apply(object.clone());
        assert_eq!(store.delete(&reference), Some(object), "the applied object comes back");
        assert_eq!(contents(&store), contents(&before), "an object stays or goes with another");
        assert_eq!(store.indexes, before.indexes, "a reference stays behind");
        assert!(store.revision() > before.revision(), "two changes leave their mark");
    }

    #[test]
    fn a_store_emptied_is_empty(events in events()) {
        let mut store = replay(&events);
        for object in contents(&store) {
            store.delete(&object.reference());
        }
        assert!(store.is_empty(), "{} objects stay", store.len());
        assert_eq!(store.indexes, Store::default().indexes, "references to nothing stay");
    }

    #[test]
    fn revisions_move_exactly_with_content(events in events()) {
        let mut store = replay(&events);
        for object in contents(&store) {
            let before = store.revision();
            store.apply(object);
            assert_eq!(store.revision(), before, "applying what is there is no change");
        }
    }
}
