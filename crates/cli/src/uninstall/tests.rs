//! Who may be cut off, and what is shown before anything goes.

use super::{Inventory, may_stop, plan};

fn served(gateways: &[&str]) -> Inventory {
    Inventory {
        gateways: gateways.iter().map(ToString::to_string).collect(),
        ..Inventory::default()
    }
}

#[test]
fn gateways_are_only_stopped_on_purpose() {
    assert!(may_stop(&served(&[]), false).is_ok());
    assert!(may_stop(&served(&["shop/edge"]), true).is_ok());
    let refused = may_stop(&served(&["shop/edge", "pay/in"]), false).expect_err("refused");
    let text = refused.to_string();
    assert!(text.contains("shop/edge, pay/in") && text.contains("--stop-gateways"));
}

#[test]
fn the_plan_names_the_cluster_and_who_loses_service() {
    let text = plan(&served(&["shop/edge"]), "https://one.example:6443/");
    assert!(text.starts_with("What is Weft's in https://one.example:6443/:\n"));
    assert!(text.contains("nobody will serve: shop/edge"), "{text}");
}
