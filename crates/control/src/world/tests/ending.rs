//! Gateways whose namespace is being deleted.

use super::*;

fn namespace(ends: bool) -> Event {
    let mut metadata = json!({ "name": "shop" });
    if ends {
        metadata["deletionTimestamp"] = json!("2030-01-01T00:00:00Z");
    }
    object(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }))
}

fn gone(kind: Kind, key: ObjectKey) -> Event {
    Event::Delete(ObjectRef::new(kind, key))
}

fn gateway_gone() -> Event {
    gone(Kind::Gateway, ObjectKey::new("shop", "edge"))
}

/// Whether the Gateway is served, told that it is not, or unknown; and whether it is left over.
fn standing(world: &World) -> (&'static str, bool) {
    let name = Name::new("shop", "edge");
    let is_served = world.configuration().tables.gateways.contains_key(&name);
    let state = match world.gateways().get(&name) {
        Some(served) if served.is_ending && !is_served => "ending",
        Some(served) if !served.is_ending && is_served => "served",
        None if !is_served => "unknown",
        _ => "at odds",
    };
    let leftover = Name::new("shop", "edge-weft");
    (state, world.leftovers().contains_key(&leftover))
}

#[test]
fn a_gateway_ends_with_its_namespace() {
    type Steps = Vec<Vec<Event>>;
    let served = ("served", false);
    let ending = ("ending", true);
    let unknown = ("unknown", false);
    let rows: [(&str, Steps, _); 9] = [
        ("nobody knows its namespace", vec![vec![gateway(1)]], served),
        ("it stays", vec![vec![namespace(false), gateway(1)]], served),
        ("first", vec![vec![namespace(true), gateway(1)]], ending),
        (
            "last",
            vec![vec![gateway(1)], vec![namespace(true)]],
            ending,
        ),
        (
            "its status is written meanwhile",
            vec![vec![gateway(1), namespace(true)], vec![gateway(1)]],
            ending,
        ),
        (
            "the Gateway is gone",
            vec![vec![gateway(1), namespace(true)], vec![gateway_gone()]],
            unknown,
        ),
        (
            "the Gateway is deleted alone",
            vec![vec![gateway(1), namespace(false)], vec![gateway_gone()]],
            unknown,
        ),
        (
            "the namespace is gone before the Gateway",
            vec![
                vec![gateway(1), namespace(true)],
                vec![gone(Kind::Namespace, ObjectKey::new("", "shop"))],
            ],
            ending,
        ),
        (
            "another namespace of the name, after its Gateway",
            vec![
                vec![gateway(1), namespace(true)],
                vec![gateway(2)],
                vec![namespace(false)],
            ],
            served,
        ),
    ];
    for (name, steps, expected) in rows {
        let (mut world, _) = world(vec![class(OURS)]);
        for events in steps {
            settle(&mut world, events, None);
        }
        assert_eq!(standing(&world), expected, "{name}");
    }
}

#[test]
fn nothing_is_made_or_said_for_a_gateway_that_ends() {
    let (mut world, _) = world(vec![class(OURS), gateway(1), namespace(false)]);
    let settled = settle(&mut world, vec![namespace(true)], None);
    assert!(settled.is_new, "its proxies are told");
    let edge = ObjectRef::new(Kind::Gateway, ObjectKey::new("shop", "edge"));
    assert_eq!(settled.gone, std::slice::from_ref(&edge));
    assert!(world.stated(&edge).is_none(), "it has no status any more");
    let again = settle(&mut world, vec![gateway(1)], None);
    let spoken_of = again.statuses.iter().map(|(seen, _)| seen.kind());
    assert!(!spoken_of.into_iter().any(|kind| kind == Kind::Gateway));
    assert!(!again.is_new, "that is known");
}

#[test]
fn the_newest_of_two_gateways_of_one_name_counts() {
    let (mut world, _) = world(vec![class(OURS), gateway(1), namespace(true)]);
    settle(&mut world, vec![gateway(7), namespace(false)], None);
    let name = Name::new("shop", "edge");
    let generation = world.gateways().get(&name).map(|it| it.generation);
    assert_eq!(generation, Some(7));
}
