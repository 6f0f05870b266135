//! Order and display of keys.

use super::ObjectKey;

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
