//! What is looked at, what stays the same, and what is refused.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use weft_api::AnyObject;
use weft_ir::Name;
use weft_store::Store;

use super::Authorities;

fn pem() -> String {
    let some_day = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
    let made = weft_certs::self_signed(&["a.test"], some_day);
    made.expect("a certificate").cert_pem
}

fn put(store: &mut Store, object: serde_json::Value) {
    store.apply(AnyObject::parse(object).expect("an object"));
}

fn config_map(name: &str, ca: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "shop", "name": name}, "data": {"ca.crt": ca},
    })
}

fn policy(config_map: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy",
        "metadata": {"namespace": "shop", "name": config_map},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "web"}],
            "validation": {
                "hostname": "a.test",
                "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": config_map}],
            },
        },
    })
}

#[test]
fn only_what_a_policy_refers_to_is_looked_at_and_only_when_it_changes() {
    let name = |name: &str| Name::new("shop", name);
    let (mut store, mut authorities) = (Store::default(), Authorities::default());
    put(&mut store, config_map("good", &pem()));
    put(
        &mut store,
        config_map(
            "bad",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        ),
    );
    put(&mut store, config_map("unused", "no certificate"));
    authorities.update(&store);
    assert!(
        authorities.usable().config_maps.is_empty(),
        "nobody refers to any"
    );
    put(&mut store, policy("good"));
    put(&mut store, policy("bad"));
    authorities.update(&store);
    let first = authorities.usable();
    assert!(first.config_maps.keys().eq([&name("good")]), "{first:?}");
    assert!(first.platform.is_none(), "nobody asks for the platform's");
    let unusable = authorities.unusable();
    assert!(
        unusable.config_maps.keys().eq([&name("bad")]),
        "{unusable:?}"
    );
    put(&mut store, config_map("bad", &pem()));
    authorities.update(&store);
    let second = authorities.usable();
    assert_eq!(second.config_maps.len(), 2, "the bad one was corrected");
    assert!(authorities.unusable().config_maps.is_empty());
    let of = |roots: &weft_forward::Roots| Arc::clone(&roots.config_maps[&name("good")]);
    assert!(
        Arc::ptr_eq(&of(&first), &of(&second)),
        "the other one is the same"
    );
}
