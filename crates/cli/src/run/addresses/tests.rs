//! Tests of `addresses`: determinism, conflicts, ranges.

use std::{collections::HashMap, net::Ipv4Addr, path::Path};

use weft_ir::Name;

use super::{AddressBook, Owner};

fn service(name: &str) -> Owner {
    let (namespace, name) = name.split_once('/').expect("namespace/name");
    Owner::Service(Name::new(namespace, name))
}

fn book(state_dir: &str) -> AddressBook {
    AddressBook::new(Path::new(state_dir), HashMap::new())
}

fn address(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

#[test]
fn an_address_follows_from_directory_and_name_alone() {
    let mut first = book("/home/a/.weft");
    let mut second = book("/home/a/.weft");
    let web = first.claim(&service("shop/web"), None);
    second.claim(&service("shop/other"), None);
    second.claim(&service("pay/web"), None);
    assert_eq!(second.claim(&service("shop/web"), None), web);
    assert!(web.is_loopback(), "{web}");
    assert_ne!(
        book("/home/b/.weft").claim(&service("shop/web"), None),
        web,
        "another state directory has other addresses"
    );
}

#[test]
fn owners_of_one_name_have_different_addresses() {
    let mut book = book("/s");
    let name = Name::new("shop", "web");
    let owners = [
        Owner::Gateway(name.clone()),
        Owner::Service(name.clone()),
        Owner::ServiceFor {
            service: name.clone(),
            client_namespace: "pay".into(),
        },
        Owner::ServiceFor {
            service: name,
            client_namespace: "stock".into(),
        },
    ];
    let mut seen: Vec<_> = owners.iter().map(|owner| book.claim(owner, None)).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), owners.len());
}

#[test]
fn twenty_thousand_owners_never_share() {
    let mut book = book("/s");
    let mut seen = std::collections::HashSet::new();
    let probes = book.probes();
    for number in 0..20_000 {
        let address = book.claim(&service(&format!("shop/web-{number}")), None);
        assert!(address.is_loopback() && !address.is_unspecified());
        assert_ne!(
            address.octets()[1],
            0,
            "127.0.x.y is left to everybody else"
        );
        assert!(!probes.contains(&address), "probe addresses stay free");
        assert!(seen.insert(address), "{address} was given out twice");
    }
}

#[test]
fn what_is_wanted_is_had_unless_somebody_has_it() {
    let mut book = book("/s");
    let wanted = address("127.0.0.9");
    assert_eq!(book.claim(&service("shop/a"), Some(wanted)), wanted);
    let other = book.claim(&service("shop/b"), Some(wanted));
    assert_ne!(other, wanted, "two Services with one clusterIP");
    assert_eq!(book.owner_of(wanted), Some(&service("shop/a")));
    assert_eq!(
        book.claim(&service("shop/b"), Some(wanted)),
        other,
        "the replacement stays"
    );
    book.release(&service("shop/a"));
    assert_eq!(
        book.claim(&service("shop/b"), Some(wanted)),
        wanted,
        "free again"
    );
}

#[test]
fn an_address_lost_to_another_process_is_replaced_once() {
    let mut book = book("/s");
    let web = service("shop/web");
    let first = book.claim(&web, None);
    book.lose(first);
    let second = book.claim(&web, None);
    assert_ne!(second, first);
    assert_eq!(book.claim(&web, None), second);
    assert_ne!(
        book.claim(&service("shop/x"), Some(first)),
        first,
        "nobody else gets it either"
    );
}

#[test]
fn recorded_addresses_win_over_the_place_a_name_falls_on() {
    let drawn = book("/s").claim(&service("shop/web"), None);
    let mut recorded = HashMap::new();
    let kept = Ipv4Addr::from_bits(drawn.to_bits() ^ 1);
    recorded.insert(service("shop/web"), kept);
    recorded.insert(service("shop/copied"), address("127.0.3.4"));
    let mut book = AddressBook::new(Path::new("/s"), recorded);
    assert_eq!(book.claim(&service("shop/web"), None), kept);
    assert_ne!(
        book.claim(&service("shop/copied"), None),
        address("127.0.3.4"),
        "an address outside this run's range is of another directory"
    );
}
