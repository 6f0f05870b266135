//! Order and display of keys.

use std::collections::BTreeSet;

use super::{KeyParts, ObjectKey};

#[test]
fn keys_order_as_the_text_namespace_slash_name() {
    let parts = ["a", "a-b", "a0", "ab", "b"];
    let keys: Vec<_> = parts
        .iter()
        .flat_map(|namespace| {
            parts
                .iter()
                .map(move |name| ObjectKey::new(*namespace, *name))
        })
        .collect();
    for left in &keys {
        for right in &keys {
            assert_eq!(
                left.cmp(right),
                left.to_string().cmp(&right.to_string()),
                "{left} and {right} must order as their texts do"
            );
        }
    }
}

#[test]
fn cluster_scoped_keys_show_the_name_alone() {
    assert_eq!(ObjectKey::cluster("weft").to_string(), "weft");
    assert_eq!(ObjectKey::new("shop", "web").to_string(), "shop/web");
}

#[test]
fn maps_are_searched_by_the_parts_of_a_key() {
    let keys = BTreeSet::from(
        [("a-b", "x"), ("a", "x"), ("b", "y")]
            .map(|(namespace, name)| ObjectKey::new(namespace, name)),
    );
    for key in &keys {
        let parts = (key.namespace(), key.name());
        assert_eq!(
            keys.get(&parts as &dyn KeyParts),
            Some(key),
            "{key} must be found"
        );
    }
    assert_eq!(
        keys.get(&("b", "x") as &dyn KeyParts),
        None,
        "b/x is not there"
    );
}
