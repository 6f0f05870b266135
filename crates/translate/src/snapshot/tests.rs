//! Differences between two states of one kind.

use std::{collections::BTreeMap, sync::Arc};

use weft_api::ObjectKey;

use super::Snapshot;

/// Objects by name, and the names that differ from the state before.
type State<'a> = (&'a [(&'a str, &'a Arc<u8>)], &'a [&'a str]);

/// Applies states one after the other and checks which names each of them changes.
fn check(states: &[State<'_>]) {
    let mut snapshot = Snapshot::default();
    for (step, (objects, expected)) in states.iter().enumerate() {
        let now: BTreeMap<_, _> = objects
            .iter()
            .map(|(name, object)| (ObjectKey::new("shop", *name), Arc::clone(object)))
            .collect();
        let changes = snapshot.update(now.iter());
        let names: Vec<_> = changes.iter().map(|change| change.key.name()).collect();
        assert_eq!(names, *expected, "names that changed in step {step}");
        assert!(
            snapshot.iter().eq(now.iter()),
            "the snapshot is the state of step {step}"
        );
    }
}

#[test]
fn appearing_replaced_and_gone_objects_are_changes() {
    let [a, b, c, a2] = [1, 2, 3, 1].map(Arc::new);
    check(&[
        (&[("a", &a), ("c", &c)], &["a", "c"]),
        (&[("a", &a), ("c", &c)], &[]),
        (&[("a", &a), ("b", &b), ("c", &c)], &["b"]),
        // Equal content in a new object is a change: the pointer decides.
        (&[("a", &a2), ("b", &b), ("c", &c)], &["a"]),
        (&[("b", &b)], &["a", "c"]),
        (&[], &["b"]),
    ]);
}
