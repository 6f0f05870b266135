//! Tests of `report`: the tables of a start.

use std::net::Ipv4Addr;

use weft_ir::{Gateway, Listener, Name, Port, PortProtocol, Tables};

use super::{places, text};
use crate::{
    output::Paint,
    run::{
        control::View,
        state::{GatewayEntry, ServiceEntry, State},
    },
};

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 9, 0, last)
}

fn state() -> State {
    let web = ServiceEntry {
        address: address(2),
        ports: [(80, 8080), (9000, 9000)].into(),
        clients: [("pay".to_owned(), address(3))].into(),
        others: Some(address(4)),
    };
    let plain = ServiceEntry {
        clients: [].into(),
        others: None,
        address: address(5),
        ..web.clone()
    };
    let edge = GatewayEntry {
        address: address(1),
        ports: [(80, 8080), (443, 443)].into(),
        localhost: vec![8080],
    };
    State {
        client_namespace: "default".to_owned(),
        gateways: [
            ("infra/edge".to_owned(), edge.clone()),
            ("infra/off".to_owned(), edge),
        ]
        .into(),
        services: [("shop/api".to_owned(), plain), ("shop/web".to_owned(), web)].into(),
        ..State::default()
    }
}

fn tables() -> Tables {
    let port = |number, protocol| {
        let listener = Listener {
            name: "l".into(),
            hostname: None,
            certificates: Vec::new(),
            routes: std::sync::Arc::default(),
        };
        std::sync::Arc::new(Port::new(number, protocol, vec![listener.into()]))
    };
    let name = Name::new("infra", "edge");
    let gateway = Gateway {
        name: name.clone(),
        ports: vec![port(80, PortProtocol::Http), port(443, PortProtocol::Https)],
        client_certificate: None,
    };
    let mut tables = Tables::default();
    tables.gateways.insert(name, gateway.into());
    tables
}

#[test]
fn gateways_are_shown_as_urls() {
    let expected = "\
GATEWAY     PORT  URL
infra/edge  80    http://127.0.0.1:8080  http://127.9.0.1:8080
infra/edge  443   https://127.9.0.1
infra/off   –     not served";
    assert_eq!(
        places::gateways(&state(), &tables()).as_deref(),
        Some(expected)
    );
}

#[test]
fn services_are_shown_by_client() {
    let expected = "\
SERVICE   ADDRESS    PORTS            FOR CLIENTS OF
shop/api  127.9.0.5  80 → 8080, 9000  every namespace
shop/web  127.9.0.2  80 → 8080, 9000  default
shop/web  127.9.0.3  80 → 8080, 9000  pay
shop/web  127.9.0.4  80 → 8080, 9000  all others";
    assert_eq!(places::services(&state()).as_deref(), Some(expected));
}

#[test]
fn ten_thousand_services_are_counted_not_listed() {
    let mut many = state();
    let entry = many.services["shop/api"].clone();
    let names = (0..10_000).map(|number| format!("shop/s{number}"));
    many.services
        .extend(names.map(|name| (name, entry.clone())));
    let table = places::services(&many).expect("there are some");
    assert!(table.lines().count() < 30, "{table}");
    assert!(table.ends_with("… and 9984 more"), "{table}");
}

#[test]
fn an_empty_directory_is_no_trouble() {
    let text = text(&View::default(), Paint(false));
    assert_eq!(
        text,
        "0 documents of 0 files, 0 sockets open\n\n0 objects judged, no complaint\n"
    );
}
