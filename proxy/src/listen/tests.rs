//! Sockets as their clients see them. Nothing is configured behind them, so a connection that was
//! accepted ends at once; one that nobody accepts stays open.

use std::{
    io::Read,
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use weft_forward::{Clock, Workers};
use weft_ir::Name;
use weft_telemetry::{
    access_log::AccessLog,
    metrics::{BuildInfo, LabelGroups, Registry},
};

use super::*;

/// More than are looked at in one go.
const MANY: u8 = 40;
const PATIENCE: Duration = Duration::from_secs(10);

fn registry() -> Registry {
    let build = BuildInfo {
        version: "test",
        commit: "",
    };
    Registry::new(build, LabelGroups::default())
}

fn listeners(workers: &Workers) -> Listeners {
    let registry = registry();
    let live = Arc::new(Live::new(registry.clone(), 1, 1));
    let shared = Shared::new(AccessLog::off(), &registry, Arc::clone(&live));
    Listeners::new(live, shared, workers.dispatch(), Supply::Own).expect("an event queue")
}

fn workers() -> Workers {
    Workers::start(1, Clock::start(), 1, &registry().tls()).expect("a thread")
}

/// A port that is free on every loopback address.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn bind(gateway: &str, host: u8, port: u16) -> Bind {
    Bind {
        key: Arc::new(InletKey::Gateway {
            gateway: Name::new("default", gateway),
            port,
        }),
        address: (Ipv4Addr::new(127, 77, 0, host), port).into(),
    }
}

fn check_accepted(mut client: TcpStream, what: &str) {
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let read = client.read(&mut [0]);
    assert!(
        !matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock),
        "{what} is not accepted"
    );
}

#[test]
fn every_socket_accepts_time_and_again() {
    let workers = workers();
    let mut listeners = listeners(&workers);
    let port = free_port();
    let wanted: BTreeSet<Bind> = (1..=MANY).map(|host| bind("edge", host, port)).collect();
    assert!(listeners.set(&Arc::new(wanted.clone())).is_empty());
    assert_eq!(listeners.len(), usize::from(MANY));
    for round in ["the first connection", "the second"] {
        let dial = |bind: &Bind| TcpStream::connect(bind.address).expect("it listens");
        let clients: Vec<TcpStream> = wanted.iter().map(dial).collect();
        for (bind, client) in wanted.iter().zip(clients) {
            check_accepted(client, &format!("{round} to {}", bind.address));
        }
    }
}

#[test]
fn a_burst_of_connections_is_accepted_to_the_last() {
    let workers = workers();
    let mut listeners = listeners(&workers);
    let wanted = bind("edge", 1, free_port());
    let address = wanted.address;
    assert!(
        listeners
            .set(&Arc::new(BTreeSet::from([wanted])))
            .is_empty()
    );
    let dial = |_| TcpStream::connect(address).expect("it listens");
    let clients: Vec<TcpStream> = (0..u16::from(MANY) * 4).map(dial).collect();
    for (number, client) in clients.into_iter().enumerate() {
        check_accepted(client, &format!("connection {number}"));
    }
}

#[test]
fn an_address_changes_hands_in_one_step() {
    let workers = workers();
    let mut listeners = listeners(&workers);
    let port = free_port();
    for owner in ["one", "other", "one"] {
        let wanted = BTreeSet::from([bind(owner, 1, port)]);
        let failed = listeners.set(&Arc::new(wanted));
        assert!(failed.is_empty(), "Gateway {owner} gets the address");
        let client = TcpStream::connect((Ipv4Addr::new(127, 77, 0, 1), port));
        check_accepted(client.expect("it listens"), owner);
    }
}

#[test]
fn a_given_socket_is_served_while_wanted_and_outlives_who_serves_it() {
    let workers = workers();
    let mut listeners = listeners(&workers);
    let wanted = bind("edge", 1, free_port());
    let address = wanted.address;
    let parents = listen_as(address, false).expect("the parent's socket");
    let duplicate = parents.try_clone().expect("a duplicate");
    listeners.give(address, duplicate).expect("it is taken");
    let other = bind("edge", 2, address.port());
    let both = BTreeSet::from([wanted.clone(), other.clone()]);
    let failed = listeners.set(&Arc::new(both));
    assert_eq!(failed.len(), 1, "a socket that nobody gave is not opened");
    assert_eq!(failed[0].bind, other);
    let client = TcpStream::connect(address).expect("it listens");
    check_accepted(client, "a connection to the given socket");

    assert!(listeners.set(&Arc::default()).is_empty());
    let mut client = TcpStream::connect(address).expect("the parent still listens");
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a timeout");
    let read = client.read(&mut [0]).expect_err("nobody serves it");
    assert_eq!(read.kind(), io::ErrorKind::WouldBlock, "it waits");
}

#[test]
fn nobody_listens_where_nothing_is_wanted_any_more() {
    let workers = workers();
    let mut listeners = listeners(&workers);
    let wanted = bind("edge", 1, free_port());
    let address = wanted.address;
    assert!(
        listeners
            .set(&Arc::new(BTreeSet::from([wanted])))
            .is_empty()
    );
    assert!(listeners.set(&Arc::default()).is_empty());
    let refused = TcpStream::connect(address).expect_err("the socket is closed");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}
