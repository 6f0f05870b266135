//! Tests of `resolve`.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::resolve;
use crate::{
    exit::Exit,
    run::{ServiceEntry, State},
};

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 9, 0, last)
}

fn state() -> State {
    let plain = ServiceEntry {
        address: address(1),
        ports: [(80, 8080)].into(),
        clients: [("pay".to_owned(), address(2))].into(),
        others: None,
    };
    let own_routes = ServiceEntry {
        address: address(3),
        others: Some(address(4)),
        clients: BTreeMap::new(),
        ..plain.clone()
    };
    let local = ServiceEntry {
        address: address(5),
        clients: BTreeMap::new(),
        ..plain.clone()
    };
    State {
        client_namespace: "default".to_owned(),
        services: [
            ("shop/web".to_owned(), plain),
            ("shop/api".to_owned(), own_routes),
            ("default/local".to_owned(), local),
        ]
        .into(),
        ..State::default()
    }
}

#[test]
fn nothing_to_serve_has_a_cure() {
    let target = "web.shop".parse().expect("a target");
    let failure = resolve(&State::default(), &target, None).expect_err("there is no Service");
    assert_eq!(failure.exit(), Exit::Errors);
    assert!(failure.to_string().contains("add one"), "{failure}");
}

#[test]
fn addresses_by_client() {
    let rows = [
        ("plain", "web.shop", None, Ok((1, None))),
        ("with a port", "web.shop:80", None, Ok((1, Some(8080)))),
        (
            "full name",
            "web.shop.svc.cluster.local:80",
            None,
            Ok((1, Some(8080))),
        ),
        (
            "a namespace with its own routes",
            "web.shop",
            Some("pay"),
            Ok((2, None)),
        ),
        (
            "a namespace without",
            "web.shop",
            Some("stock"),
            Ok((1, None)),
        ),
        (
            "the default namespace has its own",
            "api.shop",
            None,
            Ok((3, None)),
        ),
        (
            "then others have another address",
            "api.shop",
            Some("stock"),
            Ok((4, None)),
        ),
        (
            "the client's namespace is the default",
            "local",
            None,
            Ok((5, None)),
        ),
        ("no such Service", "web", None, Err("shop")),
        ("no such port", "web.shop:81", None, Err("its ports: 80")),
    ];
    for (case, target, client, expected) in rows {
        let target = target.parse().expect("a target");
        let found = resolve(&state(), &target, client);
        match (found, expected) {
            (Ok(found), Ok((last, port))) => {
                assert_eq!((found.address, found.port), (address(last), port), "{case}");
            }
            (Err(failure), Err(_)) => assert_eq!(failure.exit(), Exit::Errors, "{case}"),
            (found, _) => panic!("{case}: {found:?}"),
        }
    }
}
