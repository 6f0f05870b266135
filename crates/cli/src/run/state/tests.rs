//! Tests of `state`: what is written is read back.

use std::{collections::BTreeMap, net::Ipv4Addr};

use weft_ir::Name;

use super::{GatewayEntry, ServiceEntry, State, VERSION};
use crate::run::addresses::Owner;

fn sample() -> State {
    let address = |last| Ipv4Addr::new(127, 9, 0, last);
    let gateway = GatewayEntry {
        address: address(1),
        ports: [(80, 8080)].into(),
        localhost: vec![8080],
    };
    let web = ServiceEntry {
        address: address(2),
        ports: [(80, 8080), (9000, 9000)].into(),
        clients: [("pay".to_owned(), address(3))].into(),
        others: Some(address(4)),
    };
    let api = ServiceEntry {
        address: address(5),
        ports: BTreeMap::new(),
        clients: BTreeMap::new(),
        others: None,
    };
    State {
        version: VERSION,
        range: "127.9.0.0/16".to_owned(),
        client_namespace: "default".to_owned(),
        gateways: [("infra/edge".to_owned(), gateway)].into(),
        services: [
            ("shop/web".to_owned(), web),
            ("default/api".to_owned(), api),
        ]
        .into(),
    }
}

#[test]
fn a_state_survives_its_file() {
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(
        State::read(directory.path()).expect("nothing is no error"),
        None
    );
    let state = sample();
    let yaml = state.to_yaml().expect("a state is YAML");
    std::fs::write(directory.path().join(super::FILE), &yaml).expect("write");
    let read = State::read(directory.path()).expect("its own file");
    assert_eq!(read, Some(state), "{yaml}");
}

#[test]
fn a_file_of_somebody_else_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join(super::FILE), "just text").expect("write");
    assert!(State::read(directory.path()).is_err());
}

#[test]
fn addresses_are_recorded_by_owner() {
    let recorded = sample().recorded();
    let service = Name::new("shop", "web");
    let view = |namespace: &str| Owner::ServiceFor {
        service: service.clone(),
        client_namespace: namespace.into(),
    };
    let last = |owner: &Owner| recorded.get(owner).map(|address| address.octets()[3]);
    assert_eq!(last(&Owner::Gateway(Name::new("infra", "edge"))), Some(1));
    assert_eq!(last(&Owner::Service(service.clone())), Some(2));
    assert_eq!(last(&view("pay")), Some(3));
    assert_eq!(
        last(&view("shop")),
        Some(4),
        "all other namespaces have the producer's view"
    );
}

#[test]
fn hosts_know_the_names_of_a_cluster() {
    let hosts = sample().to_hosts();
    assert!(
        hosts.contains("127.9.0.2 web.shop.svc.cluster.local web.shop.svc web.shop\n"),
        "{hosts}"
    );
    assert!(hosts.contains(" api.default api\n"), "{hosts}");
}
