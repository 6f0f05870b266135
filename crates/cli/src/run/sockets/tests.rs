//! Tests of `sockets`: who listens where, and what happens when the system refuses.

use std::{
    collections::{BTreeMap, HashMap},
    io::{Error, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use serde_json::json;
use weft_api::{AnyObject, Service};
use weft_forward::InletKey;
use weft_ir::{
    Frontend, FrontendProtocol, Gateway, Listener, Name, Port, PortProtocol, RouteSet, Tables,
    UpstreamProtocol,
};
use weft_proxy::{Bind, BindError};
use weft_store::Store;

use super::Sockets;
use crate::run::{
    addresses::AddressBook,
    ports::{Ports, Probe, Verdict},
};

/// Ports below 1024 are for root; 9000 is taken everywhere once it was refused.
struct Machine;

impl Probe for Machine {
    fn probe(&self, port: u16) -> Verdict {
        match port {
            0..1024 => Verdict::Privileged,
            _ => Verdict::Open,
        }
    }
}

/// A machine on which somebody has every port on all addresses.
struct FullMachine;

impl Probe for FullMachine {
    fn probe(&self, port: u16) -> Verdict {
        if port == 3000 {
            Verdict::Taken
        } else {
            Verdict::Open
        }
    }
}

fn sockets(probe: impl Probe + 'static, open: &[&str]) -> Sockets {
    let book = AddressBook::new(Path::new("/state"), HashMap::new());
    let ports = Ports::new(BTreeMap::new(), Box::new(probe));
    let open = open.iter().map(|text| text.parse().expect("an address"));
    Sockets::new(book, ports, "default".into(), open.collect())
}

/// A world of Gateways (`name: ports`) and Services (`name: port, consumers`).
#[derive(Default)]
struct World {
    store: Store,
    tables: Tables,
}

impl World {
    fn gateway(mut self, name: &str, ports: &[u16]) -> Self {
        let listener =
            |port: &u16| json!({"name": format!("l{port}"), "port": port, "protocol": "HTTP"});
        let listeners: Vec<_> = ports.iter().map(listener).collect();
        let object = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": name, "namespace": "infra"},
            "spec": {"gatewayClassName": "weft", "listeners": listeners},
        });
        self.store
            .apply(AnyObject::parse(object).expect("a Gateway"));
        let port = |port: &u16| {
            let listener = Listener {
                name: "l".into(),
                hostname: None,
                certificates: Vec::new(),
                routes: Arc::default(),
            };
            Arc::new(Port::new(
                *port,
                PortProtocol::Http,
                vec![Arc::new(listener)],
            ))
        };
        let name = Name::new("infra", name);
        let gateway = Gateway {
            name: name.clone(),
            ports: ports.iter().map(port).collect(),
            client_certificate: None,
        };
        self.tables.gateways.insert(name, Arc::new(gateway));
        self
    }

    fn service(mut self, address: Ipv4Addr, port: u16, consumers: &[&str]) -> Self {
        let name = Name::new("shop", "web");
        let consumers = consumers.iter().map(|namespace| {
            let routes: Arc<RouteSet> = Arc::default();
            (Arc::from(*namespace), routes)
        });
        let frontend = Frontend {
            port,
            protocol: FrontendProtocol::Http,
            upstream: UpstreamProtocol::AsClient,
            tls: None,
            fault: None,
            producer: None,
            consumers: consumers.collect(),
        };
        let service = weft_ir::Service {
            name: name.clone(),
            cluster_ips: vec![address.into()],
            ports: vec![Arc::new(frontend)],
        };
        self.tables.services.insert(name, Arc::new(service));
        self
    }
}

/// Places and plans until nothing changes, as the assembly does.
fn settle(sockets: &mut Sockets, world: &World) {
    sockets.place_gateways(&world.store);
    while sockets.plan(&world.tables) {}
}

fn admitted(sockets: &mut Sockets) -> Ipv4Addr {
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]},
    });
    let AnyObject::Service(service) = AnyObject::parse(service).expect("a Service") else {
        panic!("a Service is a Service");
    };
    address_of(&sockets.admit(service))
}

fn address_of(service: &Service) -> Ipv4Addr {
    let address = service.spec.cluster_ip.as_ref().expect("a ClusterIP");
    address.parse().expect("an address")
}

/// The addresses of a Gateway's port, own address as `own`.
fn addresses(sockets: &Sockets, gateway: &str) -> Vec<String> {
    let name = Name::new("infra", gateway);
    let own = sockets.gateways()[&name].address;
    let binds = sockets.wanted().iter().filter(
        |bind| matches!(bind.key.as_ref(), InletKey::Gateway { gateway, .. } if *gateway == name),
    );
    let mut all: Vec<_> = binds
        .map(|bind| bind.address.to_string().replace(&own.to_string(), "own"))
        .collect();
    all.sort();
    all
}

#[test]
fn the_first_gateway_of_a_port_has_localhost_and_keeps_it() {
    let mut sockets = sockets(Machine, &["10.0.0.5"]);
    let world = World::default()
        .gateway("edge", &[8080])
        .gateway("other", &[8080, 3000]);
    settle(&mut sockets, &world);
    let of_edge = ["10.0.0.5:8080", "127.0.0.1:8080", "[::1]:8080", "own:8080"];
    let of_other = [
        "10.0.0.5:3000",
        "127.0.0.1:3000",
        "[::1]:3000",
        "own:3000",
        "own:8080",
    ];
    assert_eq!(addresses(&sockets, "edge"), of_edge);
    assert_eq!(addresses(&sockets, "other"), of_other);
    let place = &sockets.gateways()[&Name::new("infra", "other")];
    assert_eq!(place.localhost, [3000].into(), "8080 is the other's there");
    let world = world.gateway("a-first", &[8080]);
    settle(&mut sockets, &world);
    assert_eq!(addresses(&sockets, "a-first"), ["own:8080"], "came later");
    assert_eq!(addresses(&sockets, "edge"), of_edge, "keeps what it has");
    let facts = sockets.facts();
    let open: IpAddr = "10.0.0.5".parse().expect("an address");
    let reported = |name| facts[&Name::new("infra", name)].addresses.contains(&open);
    assert!(
        reported("edge") && !reported("a-first"),
        "only where it is true"
    );
}

#[test]
fn low_ports_move_and_users_hear_of_it_once() {
    let mut sockets = sockets(Machine, &[]);
    let world = World::default()
        .gateway("edge", &[80])
        .gateway("other", &[80]);
    settle(&mut sockets, &world);
    assert!(addresses(&sockets, "edge").contains(&"127.0.0.1:8080".to_owned()));
    let remarks = sockets.take_remarks();
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(remarks[0].contains("--port-map 80="), "{remarks:?}");
}

#[test]
fn clients_with_their_own_routes_have_their_own_addresses() {
    let mut sockets = sockets(Machine, &[]);
    let address = admitted(&mut sockets);
    let rows: [(&str, &[&str], &[&str], bool); 4] = [
        ("nobody", &[], &[], false),
        (
            "two namespaces",
            &["pay", "stock"],
            &["pay", "stock"],
            false,
        ),
        (
            "the default namespace too",
            &["default", "pay"],
            &["pay"],
            true,
        ),
        ("none again", &[], &[], false),
    ];
    for (case, consumers, clients, others) in rows {
        let world = World::default().service(address, 3000, consumers);
        settle(&mut sockets, &world);
        let place = &sockets.services()[&Name::new("shop", "web")];
        let found: Vec<_> = place.clients.keys().map(AsRef::as_ref).collect();
        assert_eq!(
            (found.as_slice(), place.others.is_some()),
            (clients, others),
            "{case}"
        );
        let expected = 1 + clients.len() + usize::from(others);
        assert_eq!(
            sockets.wanted().len(),
            expected,
            "{case}: one socket per view"
        );
    }
}

#[test]
fn nothing_changes_when_nothing_changed() {
    let mut sockets = sockets(Machine, &[]);
    let address = admitted(&mut sockets);
    let world = World::default()
        .gateway("edge", &[8080])
        .service(address, 3000, &["pay"]);
    settle(&mut sockets, &world);
    let revision = sockets.revision();
    sockets.place_gateways(&world.store);
    assert!(!sockets.plan(&world.tables));
    assert_eq!(sockets.revision(), revision);
    assert_eq!(admitted(&mut sockets), address);
}

fn refuse(sockets: &mut Sockets, wanted: impl Fn(&Bind) -> bool, kind: ErrorKind) -> bool {
    let refused = sockets.wanted().iter().filter(|bind| wanted(bind));
    let errors: Vec<_> = refused
        .map(|bind| BindError {
            bind: bind.clone(),
            source: Error::from(kind),
        })
        .collect();
    assert!(!errors.is_empty(), "there is something to refuse");
    let retry = sockets.refused(&errors);
    retry.again
}

#[test]
fn an_address_in_use_is_replaced() {
    let mut sockets = sockets(Machine, &[]);
    let address = admitted(&mut sockets);
    let world = World::default().service(address, 3000, &["pay"]);
    settle(&mut sockets, &world);
    let place = &sockets.services()[&Name::new("shop", "web")];
    let of_pay = place.clients[&Arc::from("pay")];
    let at = |wanted: Ipv4Addr| move |bind: &Bind| bind.address.ip() == IpAddr::V4(wanted);
    assert!(refuse(&mut sockets, at(address), ErrorKind::AddrInUse));
    assert_ne!(
        admitted(&mut sockets),
        address,
        "the Service has another ClusterIP"
    );
    assert!(refuse(&mut sockets, at(of_pay), ErrorKind::AddrInUse));
    settle(&mut sockets, &world);
    let place = &sockets.services()[&Name::new("shop", "web")];
    assert_ne!(place.clients[&Arc::from("pay")], of_pay);
    assert_eq!(sockets.take_remarks().len(), 2, "one for each");
}

#[test]
fn localhost_in_use_is_done_without() {
    let mut sockets = sockets(Machine, &[]);
    let world = World::default().gateway("edge", &[8080]);
    settle(&mut sockets, &world);
    let localhost = |bind: &Bind| bind.address == SocketAddr::from(([127, 0, 0, 1], 8080));
    assert!(refuse(&mut sockets, localhost, ErrorKind::AddrInUse));
    settle(&mut sockets, &world);
    assert_eq!(addresses(&sockets, "edge"), ["[::1]:8080", "own:8080"]);
    let place = &sockets.gateways()[&Name::new("infra", "edge")];
    assert!(place.localhost.is_empty(), "users are not sent there");
}

#[test]
fn a_port_taken_everywhere_moves() {
    struct Later(std::sync::atomic::AtomicU32);
    impl Probe for Later {
        fn probe(&self, port: u16) -> Verdict {
            let asked = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if asked == 0 {
                Verdict::Open
            } else {
                FullMachine.probe(port)
            }
        }
    }
    let mut sockets = sockets(Later(0.into()), &[]);
    let address = admitted(&mut sockets);
    let world = World::default().service(address, 3000, &[]);
    settle(&mut sockets, &world);
    assert!(refuse(&mut sockets, |_| true, ErrorKind::AddrInUse));
    settle(&mut sockets, &world);
    let place = &sockets.services()[&Name::new("shop", "web")];
    assert_eq!(place.ports[&3000], 11_000);
    assert_eq!(place.address, address, "the address is not to blame");
}

#[test]
fn what_cannot_be_helped_is_told_and_not_tried_again() {
    let mut sockets = sockets(Machine, &[]);
    let address = admitted(&mut sockets);
    let world = World::default().service(address, 3000, &[]);
    settle(&mut sockets, &world);
    assert!(!refuse(&mut sockets, |_| true, ErrorKind::AddrNotAvailable));
    let out_of_files = Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
    let bind = sockets.wanted().first().cloned().expect("a socket");
    let source = out_of_files;
    assert!(!sockets.refused(&[BindError { bind, source }]).again);
    let remarks = sockets.take_remarks();
    assert!(
        remarks[1].contains("1 sockets need a limit of 513"),
        "{remarks:?}"
    );
}
